"""When a lead became qualified: the first moment at which its score would have reached the agreed grade."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leadscore import time
from leadscore.sla import QUALIFIED
from leadscore.tables import Cutoffs, Data
from leadscore.time import NEVER, Instants

if TYPE_CHECKING:
    from leadscore.model.booster import Progress
    from leadscore.model.scorer import LeadScorer

AT_ONCE = 1
"""Microseconds from when something is known to when the score may use it."""
_SLICE = 20_000


@dataclass(frozen=True)
class Handovers:
    """The leads that were ever qualified, each once, in the order of their moments.

    Attributes
    ----------
    lead : int64 (n,), position in the data's leads
    at : int64 (n,), UTC microseconds; the score was asked as of then, so strictly after what caused it was known
    caused_at : int64 (n,), when that happened: the event's time, or when the lead was created
    grade : object (n,), its grade at that moment
    probability : float64 (n,), of a win within the horizon from that moment, as the score said
    """

    lead: NDArray[np.int64]
    at: Instants
    caused_at: Instants
    grade: NDArray[np.object_]
    probability: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.lead)


def handovers(
    data: Data, scorer: LeadScorer, *, until: int, qualified: str | None = None, progress: Progress | None = None
) -> Handovers:
    """Find the first moment before `until` at which each open lead was of a grade or a better one.

    Asked are the moments at which something became known: when a lead was created, and after each of its events.
    Between them a score only ages.

    Parameters
    ----------
    qualified : a grade of the project; None is the one of ``[sla]``, or where nothing is agreed `QUALIFIED`
    until : UTC microseconds; nothing known then or later is looked at
    """
    floor = data.project.grades[qualified or data.project.sla.qualified or QUALIFIED]
    asked, caused = _moments(data, until)
    first: dict[int, tuple[int, int, str, float]] = {}
    for start in range(0, len(asked), _SLICE):
        part = Cutoffs(asked.lead[start : start + _SLICE], asked.at[start : start + _SLICE])
        scores = scorer.score_rows(data, part, n_reasons=0)
        for row in np.flatnonzero(scores.score >= floor).tolist():
            lead = int(part.lead[row])
            if lead not in first:  # moments of a lead ascend
                moment = int(part.at[row]), int(caused[start + row])
                first[lead] = *moment, scores.grade[row], float(scores.probability[row])
        if progress is not None:
            progress(min(start + _SLICE, len(asked)), len(asked))
    leads = sorted(first, key=lambda lead: (first[lead][0], lead))
    return Handovers(
        np.array(leads, dtype=np.int64),
        np.array([first[lead][0] for lead in leads], dtype=np.int64),
        np.array([first[lead][1] for lead in leads], dtype=np.int64),
        np.array([first[lead][2] for lead in leads], dtype=object),
        np.array([first[lead][3] for lead in leads], dtype=np.float64),
    )


def _moments(data: Data, until: int) -> tuple[Cutoffs, Instants]:
    """Every moment at which something of an open lead became known, by lead and time, and when it had happened."""
    leads = data.leads
    there = np.flatnonzero(leads.created != NEVER)
    lead, known, caused = [there], [leads.created[there]], [leads.created[there]]
    for log in data.logs.values():
        lead.append(log.lead_of_rows())
        known.append(np.maximum(log.known, log.time))
        caused.append(log.time)
    of, at, happened = np.concatenate(lead), np.concatenate(known) + AT_ONCE, np.concatenate(caused)
    created = leads.created[of]
    # What came before the lead was created counts from then on.
    at = np.where(created == NEVER, at, np.maximum(at, created + AT_ONCE))
    outcomes = data.outcomes
    open_ = time.at_risk(created, outcomes.won_at[of], outcomes.lost_at[of], at) & (at < until)
    of, at, happened = of[open_], at[open_], happened[open_]
    order = np.lexsort((happened, at, of))
    of, at, happened = of[order], at[order], happened[order]
    # Of what became known at one moment the latest caused it; a lead is scored once for all of it.
    last = np.append((np.diff(of) != 0) | (np.diff(at) != 0), True)[: len(of)]
    return Cutoffs(of[last], at[last]), happened[last]
