"""What fills the columns of a matrix: made once for the data at hand, then run by every thread on rows of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadscore import time
from leadscore.features import lead_kernels
from leadscore.features.learning import Learnt
from leadscore.features.names import ACCOUNT
from leadscore.features.primitives import HistoryPrimitive
from leadscore.features.program import Program
from leadscore.tables import Cutoffs, Data, Leads

Fill = Callable[[NDArray[np.int64]], None]
"""Fills some columns of the matrix for the given rows."""


def lead_fill(
    data: Data, steps: NDArray[np.int64], learnt: Mapping[int, Learnt], asked: Cutoffs, out: NDArray[Any]
) -> Fill:
    """Profile and calendar; `learnt` is of the categorical columns, by their position."""
    leads, clock = data.leads, time.clock_changes(data.project.timezone)
    lookups: list[int] = []
    starts = [0] * len(leads.vocabularies)
    for column, column_learnt in learnt.items():
        starts[column] = len(lookups)
        lookups += column_learnt.codes_of[leads.vocabularies[column]]
    look_ups = np.array(starts, dtype=np.int64), np.array(lookups, dtype=np.int32)

    def fill(rows: NDArray[np.int64]) -> None:
        lead_kernels.fill(
            asked.lead[rows], asked.at[rows], rows, leads.offsets, leads.known, leads.created,
            leads.codes, leads.values, clock, steps, *look_ups, out,
        )  # fmt: skip

    return fill


def event_fill(data: Data, program: Program, asked: Cutoffs, out: NDArray[Any]) -> Fill:
    """The features of one table: of the lead's own events, or of those of its account's other leads."""
    table = program.spec.name
    log, clock = data.logs[table], time.clock_changes(data.project.timezone)
    bound, sides = program.bind(log.vocabularies), program.sides_of(log)
    by_account = data.company.account_log(table) if program.of_account else None

    def fill(rows: NDArray[np.int64]) -> None:
        lead, at = asked.lead[rows], asked.at[rows]
        others = None if by_account is None else (by_account, group_at(data.leads, ACCOUNT, lead, at))
        program.run(log, lead, at, rows, out, bound, sides, clock, others)

    return fill


def history_fill(
    data: Data,
    role: str,
    primitives: Mapping[int, HistoryPrimitive],
    average: tuple[float, float],
    asked: Cutoffs,
    out: NDArray[Any],
) -> Fill:
    """What became of the others of one role, by column of the matrix.

    `average` is how many average leads a share is mixed with, and their share.
    """
    tallies = {tally for primitive in primitives.values() for tally in (primitive.counts, primitive.over) if tally}
    totals = {tally: data.company.totals(role, tally) for tally in tallies}
    spans = data.company.spans
    as_counted = data.leads if data.among is None else data.among.leads
    smoothing, share = average

    def fill(rows: NDArray[np.int64]) -> None:
        lead, at = asked.lead[rows], asked.at[rows]
        group = group_at(data.leads, role, lead, at)
        # the base may have counted the lead itself in another group
        own = group if as_counted is data.leads else group_at(as_counted, role, lead, at)
        counted = {}
        for tally, found in totals.items():
            n = counted[tally] = np.empty(len(rows), dtype=np.float64)
            lead_kernels.others_before(lead, at, group, own, *spans[tally], *found.arrays, n)
        for target, primitive in primitives.items():
            n = counted[primitive.counts]
            if primitive.over is not None:
                n = (n + smoothing * share) / (counted[primitive.over] + smoothing)
            out[rows, target] = n

    return fill


def group_at(leads: Leads, role: str, lead: NDArray[np.int64], at: time.Instants) -> NDArray[np.int64]:
    """Return the code of each lead's account, origin or owner as known before each cutoff, −1 for none."""
    group = np.empty(len(lead), dtype=np.int64)
    lead_kernels.group_at(lead, at, leads.offsets, leads.known, leads.roles[role][0], group)
    return group
