"""Past days on which a model could have been trained, the data as they were known then, and all cutoffs since."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import leadscore as ls
from leadscore import time
from leadscore.errors import DataError, TrainingError
from leadscore.snapshots import BLOCKS, FEWEST_WINS, Snapshots, snapshots, split
from leadscore.tables import Outcomes
from leadscore.time import NEVER, Instants

MOST_ORIGINS = 6
EVERY = "30d"


def known_at(data: ls.Data, origin: int) -> ls.Data:
    """Return the data as they were known just before an origin.

    Outcomes that had not happened or were not recorded are open again, and nothing matures after the origin. Events and
    profiles need no cutting: features look back from cutoffs, and none is later than the origin less one horizon.
    """
    outcomes = data.outcomes
    won_at, won_known, won_seen = _seen(outcomes.won_at, outcomes.won_known, outcomes.won_seen, origin)
    lost_at, lost_known, lost_seen = _seen(outcomes.lost_at, outcomes.lost_known, outcomes.lost_seen, origin)
    task = replace(data.project.task, observed_until=origin)
    return replace(
        data,
        project=replace(data.project, task=task),
        outcomes=Outcomes(won_at, won_known, lost_at, lost_known, won_seen, lost_seen),
    )


def _seen(at: Instants, known: Instants, seen: Instants, origin: int) -> tuple[Instants, Instants, Instants]:
    """What was known of closings. Where the first came to light after a later one, that one's sight stands in."""
    there = (at != NEVER) & time.visible(at, known, origin)
    stands_in = ~there & (seen != NEVER) & (seen < origin)
    return (
        np.where(there, at, np.where(stands_in, seen, NEVER)),
        np.where(there, known, np.where(stands_in, seen, NEVER)),
        np.where(there | stands_in, seen, NEVER),
    )


def since(data: ls.Data, origin: int) -> Snapshots:
    """Return every open lead at every cutoff of the project from an origin to the end of the data, in order of time.

    None is sampled out: these are lists that sellers would have had. `label` is −1 where the outcome is not settled.
    """
    task = data.project.task
    horizon, until = int(task.horizon or 0), data.observed_until
    asked = replace(
        task,
        cutoffs=replace(task.cutoffs, max_per_lead=None),
        observed_from=max(origin, origin if task.observed_from is None else task.observed_from),
        observed_until=until + horizon,
    )
    rows = snapshots(replace(data, project=replace(data.project, task=asked)))
    settled = time.mature(rows.at, horizon=horizon, observed_from=NEVER, observed_until=until)
    return replace(rows, data=data, label=np.where(settled, rows.label, -1).astype(np.int8))


def choose(data: ls.Data, *, every: int, at_most: int, seed: int) -> tuple[int, ...]:
    """Return the origins, oldest first: midnights in UTC, `every` so long, whose periods have all matured.

    The last period ends with the last mature cutoff, so that none of what has matured is left unjudged. Origins whose
    blocks hold 30 won leads each are taken; if there are none, those with 30 in all, where a plainer model stands.

    Raises
    ------
    DataError
        If the list has no times.
    TrainingError
        If there is no origin; the message says how many wins, and what time, is missing.
    """
    if not data.project.timed:
        raise DataError(
            "a backtest goes back in time, and this list has none: [outcome] names no time. Declare [outcome] time and "
            "[leads] created if the export has them; else judge on held-out leads: leadscore train, leadscore evaluate"
        )
    horizon = int(data.project.task.horizon or 0)
    end = ((data.observed_until - horizon) // time.DAY + 1) * time.DAY
    whole, plain, wins = [], [], []
    for step in range(1, at_most + 1):
        rows = _learnable(data, end - step * every, seed)
        wins.append(len(np.unique(rows.lead[rows.label == 1])))
        if wins[-1] < FEWEST_WINS:
            break
        plain.append(end - step * every)
        if split(rows, seed=seed).complete:
            whole.append(end - step * every)
    if not plain:
        raise TrainingError(_why_none(data, end - every, wins[0]))
    return tuple(sorted(whole or plain))


def _learnable(data: ls.Data, origin: int, seed: int) -> Snapshots:
    return snapshots(known_at(data, origin), seed=seed)


def _why_none(data: ls.Data, latest: int, n_won: int) -> str:
    horizon = data.project.task.horizon_text
    missing = FEWEST_WINS - n_won
    return (
        f"no origin is possible: the latest whose period has matured is {time.format_instant(latest)}, and {n_won} won "
        f"leads were settled by then, one horizon ({horizon}) after their cutoff; a model needs {FEWEST_WINS}, "
        f"and {FEWEST_WINS * len(BLOCKS)} for trees. Missing: {missing} won leads that settled before that day, or "
        f"more time since. Take a shorter --every, shorten [task] horizon, or wait until the data end later than "
        f"{time.format_instant(data.observed_until)}"
    )
