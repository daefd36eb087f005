"""The leads that a report is about: created in a span of time, seen as of a date, each counted once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leadscore import time
from leadscore.contacts import sales_tables, sides
from leadscore.direction import ANSWERED
from leadscore.errors import DataError
from leadscore.silence import Pulse
from leadscore.snapshots import open_leads
from leadscore.tables import Cutoffs, Data
from leadscore.time import FOREVER, NEVER, Instants, Mask

if TYPE_CHECKING:
    from leadscore.model.scorer import LeadScorer

_SLICE = 20_000
_MONDAY = 3
"""Days from the Monday before 1970 to its first day."""


@dataclass(frozen=True)
class Cohort:
    """Leads created in ``[since, as_of)``, and what was known of them before `as_of`.

    Attributes
    ----------
    lead : int64 (n,), positions in the data's leads, ascending
    since, as_of : UTC microseconds
    """

    data: Data
    lead: NDArray[np.int64]
    since: int
    as_of: int

    @classmethod
    def of(cls, data: Data, *, as_of: int, since: int | None = None) -> Cohort:
        """Take the leads of a span; all that there are before `as_of` where `since` is None.

        Raises
        ------
        DataError
            If the project has no times: then nobody can say what came before what.
        """
        if not data.project.timed:
            raise DataError(
                "this project is a list without times: add [outcome] time, and [leads] created, to follow leads"
            )
        created = data.leads.created
        begin = int(created[created != NEVER].min(initial=as_of)) if since is None else since
        lead = np.flatnonzero((created != NEVER) & (created >= begin) & (created < as_of))
        return cls(data, lead, begin, as_of)

    def __len__(self) -> int:
        return len(self.lead)

    @property
    def horizon(self) -> int:
        """Within how long a win counts, microseconds."""
        horizon = self.data.project.task.horizon
        assert horizon is not None, "a project with times has a horizon"
        return horizon

    @cached_property
    def pulse(self) -> Pulse:
        """How events of the project follow each other, of these leads and of others, as was known before `as_of`."""
        logs = self.data.logs.values()
        happened = [log.time[time.visible(log.time, log.known, self.as_of)] for log in logs]
        return Pulse.of(np.concatenate([*happened, np.empty(0, dtype=np.int64)]))

    @cached_property
    def created(self) -> Instants:
        """When each was created, (n,)."""
        return self.data.leads.created[self.lead]

    @cached_property
    def won_at(self) -> Instants:
        """When each was won, as far as it was known before `as_of`; `FOREVER` where not."""
        return self._closed(self.data.outcomes.won_at, self.data.outcomes.won_seen)

    @cached_property
    def lost_at(self) -> Instants:
        """When each was lost, as `won_at`."""
        return self._closed(self.data.outcomes.lost_at, self.data.outcomes.lost_seen)

    def _closed(self, at: Instants, seen: Instants) -> Instants:
        known = (seen[self.lead] != NEVER) & (seen[self.lead] < self.as_of)
        return np.where(known, at[self.lead], FOREVER)

    @cached_property
    def won(self) -> Mask:
        """Who was won; who was lost first and won later counts as won."""
        return self.won_at < FOREVER

    @cached_property
    def lost(self) -> Mask:
        """Who was lost and not won."""
        return ~self.won & (self.lost_at < FOREVER)

    @cached_property
    def open(self) -> Mask:
        """Who is neither."""
        return ~self.won & ~self.lost

    @cached_property
    def state(self) -> NDArray[np.object_]:
        """``won``, ``lost`` or ``open``, (n,)."""
        return np.where(self.won, "won", np.where(self.lost, "lost", "open")).astype(object)

    def chance_now(self, scorer: LeadScorer) -> NDArray[np.float64]:
        """Return the probability of each open lead as of `as_of`, NaN for the others."""
        asked = open_leads(self.data, self.as_of)
        asked = Cutoffs(asked.lead[np.isin(asked.lead, self.lead)], asked.at[np.isin(asked.lead, self.lead)])
        chance = np.full(len(self), np.nan)
        chance[np.searchsorted(self.lead, asked.lead)] = probabilities(scorer, self.data, asked)
        return np.where(self.open, chance, np.nan)

    def months(self, at: Instants | None = None) -> NDArray[np.datetime64]:
        """Return the local month of instants, of when leads were created by default, datetime64[M] (n,)."""
        days, _ = time.local_days_and_microseconds(self.created if at is None else at, self.data.project.timezone)
        return days.view("M8[D]").astype("M8[M]")

    def weeks(self, at: Instants) -> NDArray[np.datetime64]:
        """Return the local Monday of each instant's week, datetime64[D] (n,)."""
        days, _ = time.local_days_and_microseconds(at, self.data.project.timezone)
        return (days - (days + _MONDAY) % 7).view("M8[D]")

    def rows(self, table: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows of a table that were visible at `as_of`, and the cohort's lead of each, both int64 (n_rows,).

        They are in the order of leads, then of time.
        """
        log = self.data.logs[table]
        of = log.lead_of_rows()
        place = np.searchsorted(self.lead, of)
        mine = np.append(self.lead, -1)[place] == of
        rows = np.flatnonzero(mine & time.visible(log.time, log.known, self.as_of))
        return rows, place[rows]

    @cached_property
    def sales_tables(self) -> tuple[str, ...]:
        """The event tables in which sales responds."""
        return sales_tables(self.data.project)

    def contacts(self, side: int) -> tuple[NDArray[np.int64], Instants]:
        """Return the contacts of some sides (`leadscore.contacts`): the cohort's lead and the time, by both."""
        leads, times = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        for name in self.sales_tables:
            spec, log = self.data.project.events_named(name), self.data.logs[name]
            rows, lead = self.rows(name)
            chosen = sides(spec, log)[rows] & side != 0
            leads.append(lead[chosen])
            times.append(log.time[rows[chosen]])
        lead, at = np.concatenate(leads), np.concatenate(times)
        order = np.lexsort((at, lead))
        return lead[order], at[order]

    def first_contact(self, side: int, after: Instants) -> Instants:
        """Return when one side first spoke at or after an instant of each lead, (n,); `FOREVER` where it did not.

        Whoever began what was answered, both spoke.
        """
        lead, at = self.contacts(side | ANSWERED)
        later = at >= after[lead]
        first = np.full(len(self), FOREVER, dtype=np.int64)
        np.minimum.at(first, lead[later], at[later])
        return first


def probabilities(scorer: LeadScorer, data: Data, asked: Cutoffs) -> NDArray[np.float64]:
    """Return the probability of every lead and cutoff, (n,), some at a time."""
    parts = [
        scorer.score_rows(
            data, Cutoffs(asked.lead[start : start + _SLICE], asked.at[start : start + _SLICE]), n_reasons=0
        ).probability
        for start in range(0, len(asked), _SLICE)
    ]
    return np.concatenate([*parts, np.empty(0)])
