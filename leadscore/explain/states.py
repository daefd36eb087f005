"""One lead as it stood, or would have stood, at several moments: small tables that are scored as any others are.

Built from the typed tables and not from lead documents: a document has limits of size, a lead with very many events
needs a receipt too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from leadscore import time
from leadscore.eventlog import EventLog
from leadscore.tables import Contexts, Cutoffs, Data, Leads, Outcomes
from leadscore.time import FOREVER


@dataclass(frozen=True)
class Moment:
    """What is taken to be known of a lead; all UTC microseconds.

    Attributes
    ----------
    at : the cutoff it is scored at
    events_before : the events visible at this instant, and no others, are there; at most `at`
    profile_before : its profile is the last version known strictly before this instant; at most `at`
    context : what was known of other leads, by the name of the feature
    """

    at: int
    events_before: int
    profile_before: int
    context: Mapping[str, float]


def lead_at(data: Data, lead: int, moments: Sequence[Moment]) -> tuple[Data, Cutoffs]:
    """Return tables that hold one lead once per moment, and their cutoffs; row i is moment i.

    Where a moment's three instants are one, and its context is `FeaturePlan.context` then, scoring its row gives what
    scoring the lead from `data` gives. The outcome is left out. Costs what the lead's own rows cost.
    """
    n_moments = len(moments)
    tables = Data(
        project=data.project,
        leads=_leads(data.leads, lead, [moment.profile_before for moment in moments]),
        logs={name: _log(log, lead, [moment.events_before for moment in moments]) for name, log in data.logs.items()},
        outcomes=Outcomes.none(n_moments, timed=data.project.timed),
        context=Contexts([moment.context for moment in moments]),
    )
    return tables, Cutoffs(np.arange(n_moments), np.array([moment.at for moment in moments], dtype=np.int64))


def visible_rows(log: EventLog, lead: int, before: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the rows of a lead's events visible at an instant, int64, in the order of the log."""
    rows = np.arange(log.offsets[lead], log.offsets[lead + 1])
    return rows[time.visible(log.time[rows], log.known[rows], before)]


def version_before(leads: Leads, lead: int, before: int) -> int:
    """Return the row of the last profile version known strictly before an instant, −1 where there is none."""
    first, end = int(leads.offsets[lead]), int(leads.offsets[lead + 1])
    n_known = int(np.count_nonzero(leads.known[first:end] < before))
    return first + n_known - 1 if n_known else -1


def _leads(leads: Leads, lead: int, before: Sequence[int]) -> Leads:
    """Repeat a lead with all its versions; those that are not known yet are known never."""
    repeated = leads.take(np.full(len(before), lead, dtype=np.int64))
    bounds = np.repeat(np.array(before, dtype=np.int64), np.diff(repeated.offsets))
    return replace(repeated, known=np.where(repeated.known < bounds, repeated.known, FOREVER))


def _log(log: EventLog, lead: int, before: Sequence[int]) -> EventLog:
    rows = [visible_rows(log, lead, instant) for instant in before]
    taken = np.concatenate(rows)
    return EventLog(
        offsets=np.cumsum([0, *map(len, rows)], dtype=np.int64),
        time=log.time[taken],
        known=log.known[taken],
        codes=log.codes[:, taken],
        values=log.values[:, taken],
        vocabularies=log.vocabularies,
    )
