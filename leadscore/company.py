"""Leads that share an account, an origin or an owner: who belonged where, as of when, and what had become of them.

Everything is a step function of time that may be asked at any t, and then counts only what was known strictly before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numba import njit
from numpy.typing import NDArray

from leadscore.eventlog import EventLog, in_order
from leadscore.time import FOREVER, NEVER, Instants

if TYPE_CHECKING:
    from leadscore.tables import Data, Leads, Outcomes

Tally = Literal["won", "resolved", "open"]


@dataclass(frozen=True)
class Memberships:
    """Who belonged to which group: lead ``lead[i]`` to ``group[i]`` at every t with ``start[i] < t ≤ end[i]``.

    Attributes
    ----------
    group, lead : int64 (n,); a lead whose group was never filled in is not there
    start, end : int64 (n,), UTC microseconds; `NEVER` is since ever, `FOREVER` until further notice
    n_groups : groups are 0 ≤ group < n_groups
    """

    group: NDArray[np.int64]
    lead: NDArray[np.int64]
    start: Instants
    end: Instants
    n_groups: int

    @classmethod
    def of(cls, leads: Leads, role: str) -> Memberships:
        """Follow a role through the versions of every profile; versions that leave it as it was are one membership."""
        codes, vocabulary = leads.roles[role]
        found = np.empty((4, len(codes)), dtype=np.int64)
        n = _follow(codes, leads.known, leads.offsets, *found)
        group, lead, start, end = found[:, :n].copy()
        return cls(group, lead, start, end, len(vocabulary))

    @cached_property
    def shared(self) -> NDArray[np.int64]:
        """Positions of the memberships in groups that more than one lead was ever in."""
        positions: NDArray[np.int64] = _shared(self.group, self.lead, self.n_groups)
        return positions


@dataclass(frozen=True)
class Totals:
    """Per group a running total: ``total[k]`` after ``at[k]``, up to the next, for ``first[g]`` ≤ k < ``end[g]``."""

    first: NDArray[np.int64]
    end: NDArray[np.int64]
    at: Instants
    total: NDArray[np.int64]

    @classmethod
    def of(cls, members: Memberships, start: Instants, end: Instants) -> Totals:
        """Count the members for whom ``start < t ≤ end``; both per lead, `FOREVER` for never and for no end."""
        start = np.maximum(members.start, start[members.lead])
        end = np.minimum(members.end, end[members.lead])
        there = start < end
        ends = there & (end < FOREVER)
        group = np.concatenate([members.group[there], members.group[ends]])
        at = np.concatenate([start[there], end[ends]])
        step = np.repeat(np.array([1, -1]), [int(there.sum()), int(ends.sum())])
        order = np.lexsort((at, group))
        offsets = _offsets(group, members.n_groups)
        running = np.concatenate([[0], np.cumsum(step[order])])
        before = np.repeat(running[offsets[:-1]], np.diff(offsets))
        return cls(offsets[:-1], offsets[1:], at[order], running[1:] - before)

    @property
    def arrays(self) -> tuple[NDArray[np.int64], ...]:
        """What the kernels search."""
        return (self.first, self.end, self.at, self.total)

    def take(self, groups: Sequence[int]) -> Totals:
        """Return the totals of some groups, in this order; −1 is one of which nothing was counted."""
        first, end = self._edges.take(np.array(groups, dtype=np.int64), axis=1)
        return Totals(first, end, self.at, self.total)

    @cached_property
    def _edges(self) -> NDArray[np.int64]:
        """First and end of every group, and last those of one of which nothing was counted: it is found at −1."""
        return np.pad(np.stack([self.first, self.end]), ((0, 0), (0, 1)))


@dataclass(frozen=True)
class Counts:
    """What a whole base counted per account, origin and owner, for leads that are looked at without all the others.

    Attributes
    ----------
    groups : per role the code of each name
    totals : per role and tally, by code
    """

    groups: Mapping[str, Mapping[str, int]]
    totals: Mapping[tuple[str, Tally], Totals]

    @classmethod
    def of(cls, data: Data) -> Counts:
        """Count the leads of a base by every role that they have."""
        roles = data.leads.roles
        groups = {role: {name: code for code, name in enumerate(names)} for role, (_, names) in roles.items()}
        tallies: tuple[Tally, ...] = get_args(Tally)
        return cls(groups, {(role, tally): data.company.totals(role, tally) for role in roles for tally in tallies})

    def named(self, role: str, tally: Tally, names: Sequence[str]) -> Totals:
        """Return the totals of the groups with these names, in this order."""
        codes = self.groups[role]
        return self.totals[role, tally].take([codes.get(name, -1) for name in names])


@dataclass(frozen=True)
class Among:
    """The base that some leads were taken from: what it counted, and those leads as they were when it did.

    A role that was not counted has no leads elsewhere. What became known of a lead since then is not in the counts, so
    it must not be taken out of them either. `leads` are in the order, and their roles in the codes, of the tables that
    this belongs to.
    """

    counts: Counts
    leads: Leads
    outcomes: Outcomes


@dataclass(frozen=True)
class AccountLog:
    """The events of one table grouped by account, in time order, as positions in the table's `EventLog`.

    Attributes
    ----------
    offsets : int64 (n_accounts + 1,), which rows are an account's
    rows, members : int64 (n_rows,), position of an event, and the membership that brings it here
    lead, start, end : of the memberships
    """

    offsets: NDArray[np.int64]
    rows: NDArray[np.int64]
    members: NDArray[np.int64]
    lead: NDArray[np.int64]
    start: Instants
    end: Instants

    @property
    def arrays(self) -> tuple[NDArray[np.int64], ...]:
        """What the kernels walk."""
        return (self.offsets, self.rows, self.members, self.lead, self.start, self.end)

    @classmethod
    def of(cls, log: EventLog, members: Memberships) -> AccountLog:
        """Group again. Accounts that only one lead was ever in have no others, and stay empty. O(n log n)."""
        chosen = members.shared
        if not len(chosen):
            return cls.empty(members.n_groups)
        lead = members.lead[chosen]
        rows, member, group = _rows_of(chosen, members.group, members.lead, log.offsets)
        order = in_order(group, log.time[rows], log.known[rows], log.codes, log.values, rows, n_groups=members.n_groups)
        return cls(
            offsets=order.offsets,
            rows=rows[order.rows],
            members=member[order.rows],
            lead=lead,
            start=members.start[chosen],
            end=members.end[chosen],
        )

    @classmethod
    def empty(cls, n_accounts: int = 0) -> AccountLog:
        """Return a log without events."""
        nothing = np.empty(0, dtype=np.int64)
        return cls(np.zeros(n_accounts + 1, dtype=np.int64), nothing, nothing, nothing, nothing, nothing)


class Company:
    """What the leads of a `Data` have in common; everything is built when first asked for, then kept.

    It doesn't hold the data itself: they would know each other, and stay until they are collected.
    """

    def __init__(self, data: Data) -> None:
        self._leads, self._logs, self._among = data.leads, data.logs, data.among
        counted = data.among or data
        self._created, self._outcomes = counted.leads.created, counted.outcomes
        self._horizon = data.project.task.horizon or 0
        self._members: dict[str, Memberships] = {}
        self._totals: dict[tuple[str, Tally], Totals] = {}
        self._account_logs: dict[str, AccountLog] = {}

    def members(self, role: str) -> Memberships:
        """Who belonged to which account, origin or owner."""
        if role not in self._members:
            self._members[role] = Memberships.of(self._leads, role)
        return self._members[role]

    def totals(self, role: str, tally: Tally) -> Totals:
        """How many members of each account, origin or owner were won, resolved or open, over time."""
        if (role, tally) not in self._totals:
            self._totals[role, tally] = self._count(role, tally)
        return self._totals[role, tally]

    def _count(self, role: str, tally: Tally) -> Totals:
        if self._among is not None and role in self._among.counts.groups:
            return self._among.counts.named(role, tally, self._leads.roles[role][1])
        return Totals.of(self.members(role), *self.spans[tally])

    def account_log(self, table: str) -> AccountLog:
        """The events of a table by account."""
        if table not in self._account_logs:
            self._account_logs[table] = AccountLog.of(self._logs[table], self.members("account"))
        return self._account_logs[table]

    @cached_property
    def spans(self) -> dict[Tally, tuple[Instants, Instants]]:
        """From when and until when each lead counts as won, resolved and open; never without `created`.

        Resolved is who has won, was lost, or has had the whole horizon. Open is who neither won nor was lost.
        """
        created, outcomes = self._created, self._outcomes
        exists = created != NEVER
        won = _seen(outcomes.won_seen)
        closed = np.minimum(won, _seen(outcomes.lost_seen))
        resolved = np.minimum(closed, np.where(exists, created, 0) + self._horizon)
        never = np.full(len(created), FOREVER, dtype=np.int64)

        def since(seen: Instants) -> Instants:
            return np.where(exists, np.maximum(seen, created), FOREVER)

        return {
            "won": (since(won), never),
            "resolved": (since(resolved), never),
            "open": (since(created), since(closed)),
        }


@njit(nogil=True, cache=True)
def _follow(codes, known, offsets, group, lead, start, end):  # type: ignore[no-untyped-def]
    """Write the memberships of every lead, from its versions, and return how many there are."""
    n = 0
    for i in range(len(offsets) - 1):
        for version in range(offsets[i], offsets[i + 1]):
            until = known[version + 1] if version + 1 < offsets[i + 1] else FOREVER
            if codes[version] < 0 or known[version] >= until:
                continue
            stays = n > 0 and lead[n - 1] == i and group[n - 1] == codes[version] and end[n - 1] == known[version]
            if not stays:
                group[n], lead[n], start[n] = codes[version], i, known[version]
                n += 1
            end[n - 1] = until
    return n


@njit(nogil=True, cache=True)
def _shared(group, lead, n_groups):  # type: ignore[no-untyped-def]
    """Return the positions of the memberships in groups that more than one lead was ever in."""
    first = np.full(n_groups, -1, dtype=np.int64)
    several = np.zeros(n_groups, dtype=np.bool_)
    for k in range(len(group)):
        if first[group[k]] < 0:
            first[group[k]] = lead[k]
        elif first[group[k]] != lead[k]:
            several[group[k]] = True
    n = 0
    for k in range(len(group)):
        n += several[group[k]]
    found = np.empty(n, dtype=np.int64)
    n = 0
    for k in range(len(group)):
        if several[group[k]]:
            found[n] = k
            n += 1
    return found


@njit(nogil=True, cache=True)
def _rows_of(chosen, group, lead, offsets):  # type: ignore[no-untyped-def]
    """Return the rows of the leads of some memberships, and of each row which of them it is of, and its group."""
    n = 0
    for k in chosen:
        n += offsets[lead[k] + 1] - offsets[lead[k]]
    rows, member, of = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    n = 0
    for place in range(len(chosen)):
        k = chosen[place]
        for row in range(offsets[lead[k]], offsets[lead[k] + 1]):
            rows[n], member[n], of[n] = row, place, group[k]
            n += 1
    return rows, member, of


def _seen(at: Instants) -> Instants:
    """When something was seen to have happened; `FOREVER` for what never was."""
    return np.where(at == NEVER, FOREVER, at)


def _offsets(group: NDArray[np.int64], n_groups: int) -> NDArray[np.int64]:
    offsets = np.zeros(n_groups + 1, dtype=np.int64)
    np.cumsum(np.bincount(group, minlength=n_groups), out=offsets[1:])
    return offsets
