"""A list on one machine: in memory where it fits, else part by part through a folder beside the result.

Where typed rows are to outlast the run it goes by parts in any case, through a folder of their own. Either way the
bytes are the same, whatever the memory, the parts, the threads and the order of the input; only a table with times in a
local format must say it where it is read in stretches. A project with a store is scored in memory. Out of memory a run
holds two parts and a few stretches, whatever the number of leads. What grows with it: while it reads, 7 bytes a lead
where a model looks at the other leads of an account (24 before anything else is read, while these are found); the rows
of ``--cutoffs``; and 8 bytes a scored lead (18 at the very end), to say what the list will bring.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leadscore import time
from leadscore.batch.asked import Asked, Listed, Phases
from leadscore.batch.budget import OF_ACCOUNTS, OF_LISTS, Budget, plan_budget
from leadscore.batch.keeping import Kept
from leadscore.batch.lists import score_part
from leadscore.batch.merging import meanwhile, merged, n_sorted
from leadscore.batch.parting import tables_of
from leadscore.batch.run import Run
from leadscore.batch.skipped import Rest
from leadscore.batch.spilling import close_stretches
from leadscore.batch.tally import looks_at_accounts
from leadscore.batch.writing import COLUMNS, ListWriter, require_place, whole_or_nothing
from leadscore.model.scorer import LeadScorer
from leadscore.reading import read
from leadscore.snapshots import open_leads
from leadscore.tables import Cutoffs

Say = Callable[[str], None]


def score_project(
    scorer: LeadScorer, asked: Asked, phases: Phases, *, memory: int, keep: Path | None = None, fresh: bool = False,
    say: Say = print,
) -> Listed:  # fmt: skip
    """Score a list into its file, which appears whole or not at all, within so many bytes of memory.

    Parameters
    ----------
    keep : a folder in which typed rows stay, so that the next run reads only what is new
    fresh : begin anew where an earlier run of the same was stopped
    say : is told what becomes of such a run

    Raises
    ------
    DataError
        If a source can't be read or holds too much that is unusable, the disk is full, the list is being written, or
        `keep` is in use or holds anything else.
    """
    require_place(asked.out)
    if asked.project.store is not None and asked.leads is None:
        listed = score_at_once(scorer, asked, phases)
        if keep is None:
            return listed
        why = "a store is read whole each time"
        say(f"{keep} keeps nothing: {why}")
        return replace(listed, kept=Rest(None, 0, why, ()).to_dict())
    plan = partial(
        plan_budget, tables_of(asked), asked.project.folder, memory=memory, n_reasons=asked.n_reasons,
        of_lead=OF_ACCOUNTS if looks_at_accounts(scorer.plan) else OF_LISTS,
    )  # fmt: skip
    if keep is not None:
        with Kept.open(keep, asked.project) as kept:
            budget = kept.cut(plan(known=kept.n_rows_of), fresh=fresh)
            return score_in_parts(scorer, asked, phases, budget, kept=kept, fresh=fresh, say=say)
    budget = plan()
    if budget.n_parts > 1:
        return score_in_parts(scorer, asked, phases, budget, fresh=fresh, say=say)
    return score_at_once(scorer, asked, phases)


def score_at_once(scorer: LeadScorer, asked: Asked, phases: Phases) -> Listed:
    """Score a list in memory."""
    data = read(asked.project, leads=asked.leads, outcome="optional")
    cutoffs = None if asked.cutoffs is None else Cutoffs.of(data, asked.cutoffs)
    as_of = asked.as_of
    if cutoffs is None and as_of is None and asked.project.timed:
        as_of = data.observed_until
        if asked.leads is not None:  # a new list is younger than the project
            as_of = max(as_of, int(data.leads.created.max(initial=as_of)))
    asked_for = cutoffs or open_leads(data, time.FOREVER if as_of is None else as_of)
    place = None if cutoffs is None else np.arange(len(cutoffs))
    with phases("Scoring leads") as progress:
        scores = score_part(scorer, data, asked_for, n_reasons=asked.n_reasons, place=place, progress=progress).select(
            COLUMNS.names
        )
    with whole_or_nothing(asked.out) as beside, ListWriter(beside, asked.out.suffix) as writer:
        writer.write(scores if asked.capacity is None else scores.slice(0, asked.capacity))
    return Listed(
        as_of if asked.cutoffs is None else None,
        data.observed_until if asked.project.timed else None,
        scores["probability"].to_numpy(),
        dict(Counter(scores["grade"].to_pylist())),
        len(data.leads.ids) if data.listed is None else int(data.listed.sum()),
        data.notes,
    )


def score_in_parts(
    scorer: LeadScorer, asked: Asked, phases: Phases, budget: Budget, *, kept: Kept | None = None, fresh: bool = False,
    say: Say = print,
) -> Listed:  # fmt: skip
    """Score a list that doesn't fit into memory: read, part, count, score, merge; what is done outlasts any stop."""
    return carry_out(Run.begin(scorer, asked, budget, fresh=fresh, kept=kept), phases, say)


def carry_out(run: Run, phases: Phases, say: Say) -> Listed:
    """Take all steps of a run."""
    asked = run.asked
    for told in (run.folder.told, run.kept and run.kept.told):
        if told:
            say(told)
    with ExitStack() as stack:
        stack.callback(close_stretches)
        stack.enter_context(_earlier_left_alone())
        stack.enter_context(run.folder.kept(run.budget.needs, *([run.kept.path] if run.kept else [])))
        run.read(phases)
        for line in run.rest.lines() if run.rest else []:
            say(line)
        as_of, until = run.instants(phases)
        counts = run.count(phases, as_of)
        paths = run.score(phases, as_of, counts)
        listed = run.listed(paths, as_of, until, *_merge(asked, paths, run.budget.n_merged, phases))
        run.folder.remove()
    return listed


@contextmanager
def _earlier_left_alone() -> Iterator[None]:
    """Let collections look only at what is made meanwhile: modules and a model are a million things by themselves."""
    ours = gc.get_freeze_count() == 0
    if ours:
        gc.freeze()
    try:
        yield
    finally:
        if ours:
            gc.unfreeze()


def _merge(asked: Asked, paths: list[Path], at_once: int, phases: Phases) -> tuple[NDArray[np.float64], dict[str, int]]:
    """Write the list, and return the probability of every lead on it, and how many have each grade."""
    n, done = sum(map(n_sorted, paths)), 0
    probability, grades = np.empty(n), Counter[str]()
    n_written = n if asked.capacity is None else asked.capacity
    beside = paths[0].with_name(f"list{asked.out.suffix}")
    close_stretches()
    pa.default_memory_pool().release_unused()
    with phases("Merging parts") as progress, ListWriter(beside, asked.out.suffix) as writer:
        writer.write(COLUMNS.empty_table())
        for piece in meanwhile(merged(paths, at_once, progress)):
            if done < n_written:
                writer.write(piece.slice(0, n_written - done))
            probability[done : done + piece.num_rows] = piece["probability"]
            grade, n_of_grade = piece["grade"].value_counts().flatten()
            grades.update(dict(zip(grade.to_pylist(), n_of_grade.to_pylist(), strict=True)))
            done += piece.num_rows
    beside.replace(asked.out)
    pa.default_memory_pool().release_unused()
    return probability, dict(grades)
