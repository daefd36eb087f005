"""Who is compared with whom: the model's own time, the leads since, and those of them whose outcome is settled."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

import leadscore as ls
from leadscore import time
from leadscore.errors import DataError
from leadscore.project import Task
from leadscore.snapshots import Blocks, open_leads, snapshots, split

FEWEST_KEPT = 0.5
"""Of the weight of the model's reference population, what tables must still hold to be its own time."""


@dataclass(frozen=True)
class Compared:
    """Three sets of snapshots.

    The model had seen no outcome of a label window that ended after its data did. So what is **new** to it begins one
    horizon before the end of its data: `since`. Everything it learnt, and its own test, lies before.

    Attributes
    ----------
    data : the tables that are monitored
    then : the model's reference population (its calibrate and test blocks), taken again from today's tables; None where
        these don't reach back
    test : its own test block alone
    n_learnt : won leads in its train, tune and calibrate blocks
    now : every lead open at the project's cutoffs in ``[since, as_of]``, mature or not; `label` is −1
    matured : those whose label window has ended, with their labels
    since, as_of, learnt_until : UTC microseconds; None in a list without times
    notes : what a reader must know of the comparison
    """

    data: ls.Data
    then: ls.Snapshots | None
    test: ls.Snapshots | None
    n_learnt: int | None
    now: ls.Snapshots
    matured: ls.Snapshots
    since: int | None
    as_of: int | None
    learnt_until: int | None
    notes: tuple[str, ...]

    @property
    def timed(self) -> bool:
        """Whether there are times; a labelled list has none."""
        return self.as_of is not None


def compare(
    scorer: ls.LeadScorer,
    data: ls.Data,
    *,
    reference: ls.Data | None,
    since: int | None,
    as_of: int | None,
    seed: int,
) -> Compared:
    """Take the snapshots that the model's own question asks for, then and now.

    Parameters
    ----------
    reference : tables that hold the model's own time, where `data` don't; default is `data`
    since, as_of : UTC microseconds; `since` moves forward to what is new to the model

    Raises
    ------
    DataError
        If nothing is newer than the model, or times are named for a list that has none.
    """
    if not data.project.timed:
        if since is not None or as_of is not None:
            raise DataError("this list has no times, so --since and --as-of mean nothing here; leave them out")
        return _lists(scorer, data, reference)
    return _timed(scorer, data, reference or data, since=since, as_of=as_of, seed=seed)


def _timed(
    scorer: ls.LeadScorer, data: ls.Data, past: ls.Data, *, since: int | None, as_of: int | None, seed: int
) -> Compared:
    task = scorer.project.task
    learnt_until = time.parse_instant(scorer.manifest["observed_until"], "UTC")
    horizon = int(task.horizon or 0)
    new_from = learnt_until - horizon + 1
    start = new_from if since is None else max(since, new_from)
    as_of = data.observed_until if as_of is None else as_of
    if as_of < start:
        raise DataError(
            f"nothing is newer than the model: its test ended with cutoffs before {time.format_instant(new_from)}, and "
            f"the leads are looked at from {time.format_instant(start)} to {time.format_instant(as_of)}. Bring newer "
            "tables, or set --since and --as-of so that they hold some time since then"
        )
    notes = []
    if since is not None and since < new_from:
        notes.append(
            f"--since is moved to {time.format_instant(new_from)}: of earlier cutoffs the model knew the outcomes"
        )
    if data.project.task.horizon != task.horizon:
        notes.append(
            f"The model forecasts {task.horizon_text}, and is judged on that; [task] horizon is now "
            f"{data.project.task.horizon_text}"
        )
    now = _period(data, task, since=start, until=as_of + horizon, seed=seed)
    matured = _period(data, task, since=start, until=min(as_of, data.observed_until), seed=seed)
    then, test, n_learnt = _own_time(scorer, past, learnt_until)
    if then is None:
        notes.append(
            "These tables don't reach back to the model's own time, so features can't be compared with it; name a "
            "project that does: --reference FOLDER"
        )
    return Compared(
        data=data,
        then=then,
        test=test,
        n_learnt=n_learnt,
        now=replace(now, label=np.full(len(now), -1, dtype=np.int8)),
        matured=matured,
        since=start,
        as_of=as_of,
        learnt_until=learnt_until,
        notes=tuple(notes),
    )


def _period(data: ls.Data, task: Task, *, since: int, until: int, seed: int) -> ls.Snapshots:
    """Snapshots with cutoffs from `since` whose label windows end by `until`: one horizon later, all up to then."""
    asked = replace(task, observed_from=max(since, task.observed_from or since), observed_until=until)
    return snapshots(replace(data, project=replace(data.project, task=asked)), seed=seed)


def _own_time(
    scorer: ls.LeadScorer, past: ls.Data, learnt_until: int
) -> tuple[ls.Snapshots | None, ls.Snapshots | None, int | None]:
    """The blocks as they were cut in training: same tables up to then, same seed, same snapshots."""
    task = replace(scorer.project.task, observed_until=learnt_until)
    rows = snapshots(replace(past, project=replace(past.project, task=task)), seed=scorer.seed)
    if not len(rows):
        return None, None, None
    then, test, n_learnt = _blocks(rows, split(rows, seed=scorer.seed))
    whole = then.weight.sum() >= FEWEST_KEPT * scorer.population.margin.weights.sum()
    return (then, test, n_learnt) if whole else (None, None, None)


def _blocks(rows: ls.Snapshots, blocks: Blocks) -> tuple[ls.Snapshots, ls.Snapshots, int]:
    own = np.concatenate([blocks.rows["calibrate"], blocks.rows["test"]])
    learnt = rows.take(np.concatenate([blocks.rows[block] for block in ("train", "tune", "calibrate")]))
    return rows.take(own), rows.take(blocks.rows["test"]), len(np.unique(learnt.lead[learnt.label == 1]))


def _lists(scorer: ls.LeadScorer, data: ls.Data, reference: ls.Data | None) -> Compared:
    """A list without times: its open leads beside the labelled ones it was trained on, or a new list beside the old."""
    same = scorer.manifest.get("data") == data.fingerprint
    past = data if same else reference
    then = test = n_learnt = None
    notes = ["This list has no times: nothing can be said of when anything changed, nor of how fresh it is"]
    if past is not None:
        rows = snapshots(past, seed=scorer.seed)
        then, test, n_learnt = _blocks(rows, split(rows, seed=scorer.seed))
        if past.fingerprint != scorer.manifest.get("data"):
            notes.append("The reference is not the very list that the model was trained on")
    labelled = snapshots(data, seed=scorer.seed)
    waiting = open_leads(data, time.FOREVER)
    now = ls.Snapshots(
        data, waiting.lead, waiting.at, np.full(len(waiting), -1, np.int8), np.ones(len(waiting)), {}
    )  # fmt: skip
    if same and not len(waiting):
        raise DataError(
            "this is the very list that the model was trained on, and all of its leads have an outcome: nothing is "
            "newer than the model. Put a newer list into a project of the same columns and monitor that: "
            "leadscore monitor NEWER --model M --reference THIS"
        )
    if same:
        return Compared(
            data, then, test, n_learnt, now, labelled.take(np.empty(0, dtype=np.int64)), None, None, None, tuple(notes)
        )
    everyone = np.arange(len(data.leads.ids))
    now = ls.Snapshots(
        data, everyone, np.full(len(everyone), time.FOREVER), np.full(len(everyone), -1, np.int8),
        np.ones(len(everyone)), {},
    )  # fmt: skip
    notes.append("If rows that the model learnt from are in this list too, they flatter it")
    if then is None:
        notes.append("Features can't be compared without the list that the model learnt from: --reference FOLDER")
    return Compared(data, then, test, n_learnt, now, labelled, None, None, None, tuple(notes))
