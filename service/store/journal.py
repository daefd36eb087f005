"""The journal: what arrived, when, in which order; appended to and never changed."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Text, bindparam, cast, func, select

from leadscore.errors import DocumentError
from leadscore.events import MOST_EVENTS
from leadscore.project import Project
from leadscore.time import DAY, NEVER
from service.store.arrivals import LEADS, OUTCOME, STAMP, VERDICT, Row, filled
from service.store.database import Database
from service.store.schema import members, rows, verdicts
from service.store.shared import count_change

CHUNK = 500
"""Ids in one query."""
LARGEST_STEP = DAY
"""Microseconds that a clock may step back, or be behind another."""
PART = 50_000
"""Rows of the whole journal that are read at once."""


class Stored(NamedTuple):
    """A row of the journal; what reads a hundred for a lead hands them on as the database gave them."""

    seq: int
    kind: str
    lead_id: str
    time: int
    known: int
    data: str


_STORED = partial(tuple.__new__, Stored)
"""Makes one of a row as the driver gives it, which has as many values: in half the time of `Stored._make`."""
_COLUMNS = (rows.c.seq, rows.c.kind, rows.c.lead_id, rows.c.time, rows.c.known, rows.c.data)
_OF_LEADS = select(*_COLUMNS).where(rows.c.lead_id.in_(bindparam("lead_ids", expanding=True))).order_by(rows.c.seq)
_OF_LEAD = select(*_COLUMNS).where(rows.c.lead_id == bindparam("lead_id")).order_by(rows.c.seq)
_ours, _theirs = members.alias("ours"), members.alias("theirs")
_MATES = (
    select(_theirs.c.lead_id)
    .join(_ours, _ours.c.account == _theirs.c.account)
    .where(_ours.c.lead_id == bindparam("lead_id"))
    .union(select(cast(bindparam("lead_id"), Text)))
    .subquery()
)
_OF_ACCOUNT = select(*_COLUMNS).join(_MATES, _MATES.c.lead_id == rows.c.lead_id).order_by(rows.c.seq)


@dataclass(frozen=True)
class Appended:
    """What became of a batch.

    Attributes
    ----------
    stored : the rows that are new
    known : when they became known, UTC microseconds
    n_repeated : rows that were there already, or change nothing
    n_outdated : profiles older than the one that is stored
    n_unknown : leads that rows are of, and of which no profile is stored yet
    n_contradicted : rows among the repeated that say something else than the row with their id
    """

    stored: tuple[Row, ...]
    known: int
    n_repeated: int
    n_outdated: int
    n_unknown: int
    n_contradicted: int


class Journal:
    """The rows of one project."""

    def __init__(self, database: Database, project: Project) -> None:
        self.database = database
        self.project = project
        self._of_lead, self._of_account = database.question(_OF_LEAD), database.question(_OF_ACCOUNT)

    @property
    def empty(self) -> bool:
        """Whether nothing was ever stored."""
        return not self.database.ask(select(rows.c.seq).limit(1))

    def any_lead(self) -> str | None:
        """Return the id of some lead that has a profile, None if there is none."""
        found = self.database.ask(select(rows.c.lead_id).where(rows.c.kind == LEADS).limit(1))
        return found[0].lead_id if found else None

    def until(self) -> int:
        """Return the number of the last row, 0 if there is none."""
        [[last]] = self.database.ask(select(func.max(rows.c.seq)))
        return last or 0

    def holds(self, kinds: Sequence[str], *, after: int, until: int, later_than: int | None = None) -> bool:
        """Whether there is a row of some kinds after one number and up to another, of what happened `later_than`."""
        wanted = (rows.c.seq > after) & (rows.c.seq <= until) & rows.c.kind.in_(kinds)
        if later_than is not None:
            wanted &= rows.c.time > later_than
        return bool(self.database.ask(select(rows.c.seq).where(wanted).limit(1)))

    def append(self, arrived: Sequence[Row], clock: Callable[[], int]) -> Appended:
        """Store a batch whole or not at all; when this returns, it is durable.

        A row that is there already is left as it is. A profile joins what is known of the lead: fields that it leaves
        out stay, null empties. `clock` is asked once, as the only writer, for when the batch became known.

        Raises
        ------
        DocumentError
            If a lead would have more than 50,000 events in a table.
        """
        with self.database.writing() as connection:
            latest = _latest_profiles(connection, {row.lead_id for row in arrived if row.kind == LEADS})
            known = not_before(max((profile.known for profile in latest.values()), default=NEVER), clock())
            others = _first_of_each(row for row in arrived if row.kind != LEADS)
            there = _stored(connection, others)
            fresh = [row for row in others if (row.kind, row.row_id) not in there]
            n_contradicted = sum(there.get((row.kind, row.row_id), row) != row for row in others)
            self._refuse_long_leads(connection, fresh)
            profiles, n_repeated, n_outdated = self._profiles(connection, arrived, latest, known)
            fresh += profiles
            _insert(connection, [(row, known) for row in fresh])
            self._join_accounts(connection, profiles)
            self._keep_verdicts(connection, fresh)
            n_unknown = _without_profile(connection, {row.lead_id for row in fresh})
        n_repeated += len([row for row in arrived if row.kind != LEADS]) - (len(fresh) - len(profiles))
        return Appended(tuple(fresh), known, n_repeated, n_outdated, n_unknown, n_contradicted)

    def _keep_verdicts(self, connection: Connection, fresh: Sequence[Row]) -> None:
        """Remember what was said last of each lead."""
        last = {row.lead_id: row.data["verdict"] for row in fresh if row.kind == VERDICT}
        if last:
            said = [{"lead_id": lead, "verdict": verdict} for lead, verdict in last.items()]
            connection.execute(self.database.upsert(verdicts), said)
            count_change(self.database, connection)

    def fill(self, imported: Iterable[Sequence[tuple[Row, int]]]) -> int:
        """Store rows with when each was known, in one transaction; returns how many."""
        n_stored = 0
        with self.database.writing() as connection:
            for part in imported:
                _insert(connection, part)
                self._join_accounts(connection, [row for row, _ in part if row.kind == LEADS])
                n_stored += len(part)
            for table in (rows, members):  # so that a database plans for what is there now, and not for nothing
                connection.exec_driver_sql(f"analyze {table.name}")
        return n_stored

    def of_lead(self, lead_id: str, *, with_account: bool) -> Sequence[Stored]:
        """Return the rows of a lead, and where asked for of all that were ever in an account with it, by `seq`."""
        asked = self._of_account if with_account else self._of_lead
        return list(map(_STORED, asked(lead_id=lead_id)))

    def of_leads(self, lead_ids: Sequence[str], *, with_account: bool) -> list[Stored]:
        """Return the rows of several leads, as `of_lead`, each once."""
        wanted = self.mates(lead_ids) if with_account else lead_ids
        found: list[Stored] = []
        for part in _chunks(wanted):
            found += self.database.ask(_OF_LEADS, lead_ids=part)
        return sorted(found, key=itemgetter(0))

    def touched(self, after: int, *, at_most: int) -> tuple[list[str], int, int]:
        """Return the leads of the rows after number `after`, the number of the last, and when the last became known."""
        query = select(rows.c.seq, rows.c.lead_id, rows.c.known).where(rows.c.seq > after)
        found = self.database.ask(query.order_by(rows.c.seq).limit(at_most))
        lead_ids = sorted({row.lead_id for row in found})
        return lead_ids, found[-1].seq if found else after, max((row.known for row in found), default=NEVER)

    def arrived_for(self, after: int) -> set[str]:
        """Return the leads of all rows after a number."""
        return {
            lead_id for (lead_id,) in self.database.ask(select(rows.c.lead_id).where(rows.c.seq > after).distinct())
        }

    def mates(self, lead_ids: Sequence[str]) -> list[str]:
        """Return the leads that were ever in an account with one of these, and these."""
        found = set(lead_ids)
        for part in _chunks(lead_ids):
            accounts = select(members.c.account).where(members.c.lead_id.in_(part))
            there = self.database.ask(select(members.c.lead_id).where(members.c.account.in_(accounts)))
            found |= {lead_id for (lead_id,) in there}
        return sorted(found)

    def columns(self, kinds: Sequence[str], until: int) -> Iterator[tuple[str, tuple[Sequence[Any], ...]]]:
        """Yield the rows of some kinds up to a number, in parts of one kind, as columns: lead ids, times, known, data.

        Straight from the driver: an object of ours for each of millions of rows would cost more than all the rest.
        """
        query = select(rows.c.kind, rows.c.lead_id, rows.c.time, rows.c.known, rows.c.data)
        query = query.where(rows.c.kind.in_(kinds), rows.c.seq.between(bindparam("first"), bindparam("last")))
        with self.database.reading() as connection:
            for first in range(1, until + 1, PART):
                last = min(first + PART - 1, until)
                cursor = connection.execute(query.order_by(rows.c.kind), {"first": first, "last": last}).cursor
                assert cursor is not None
                names, *columns = list(zip(*cursor.fetchall(), strict=True)) or [()]
                for kind in dict.fromkeys(names):
                    of_kind = slice(bisect_left(names, kind), bisect_right(names, kind))
                    yield kind, tuple(column[of_kind] for column in columns)

    def _profiles(
        self, connection: Connection, arrived: Sequence[Row], latest: dict[str, _Profile], known: int
    ) -> tuple[list[Row], int, int]:
        """Join each profile with what is known of its lead; those that change nothing are dropped."""
        given = [row for row in arrived if row.kind == LEADS]
        after = connection.scalar(select(func.max(rows.c.seq))) or 0  # names a version: no two are stored after one row
        changed: dict[str, Row] = {}
        n_repeated = n_outdated = 0
        for row in given:
            before = latest.get(row.lead_id)
            created: int = NEVER if before is None else before.created
            data: dict[str, Any] | None = None if before is None else before.data
            if data is not None and data.get(STAMP, 0) > row.data.get(STAMP, data.get(STAMP, 0)):
                n_outdated += 1
                continue
            joined = filled(**{**(data or {}), **row.data})
            created = row.time if row.time != NEVER else created
            if data is None and created == NEVER and self.project.leads.created is not None:
                created = known
            if before is not None and (created, joined) == (before.created, before.data):
                n_repeated += 1
                continue
            latest[row.lead_id] = _Profile(created, joined, known)
            n_repeated += row.lead_id in changed
            changed[row.lead_id] = Row(LEADS, f"{row.lead_id}@{after}", row.lead_id, created, joined)
        return list(changed.values()), n_repeated, n_outdated

    def _refuse_long_leads(self, connection: Connection, fresh: Sequence[Row]) -> None:
        added: dict[tuple[str, str], int] = {}
        for row in fresh:
            added[row.lead_id, row.kind] = added.get((row.lead_id, row.kind), 0) + 1
        for part in _chunks(sorted({lead_id for lead_id, _ in added})):
            query = select(rows.c.lead_id, rows.c.kind, func.count()).where(rows.c.lead_id.in_(part))
            for lead_id, kind, n_stored in connection.execute(query.group_by(rows.c.lead_id, rows.c.kind)):
                if n_stored + added.get((lead_id, kind), 0) > MOST_EVENTS and (lead_id, kind) in added:
                    message = f"a lead would have more than {MOST_EVENTS} of them. Send the others without that lead's"
                    raise DocumentError(message, where=_PLURAL.get(kind, f"events.{kind}"))

    def _join_accounts(self, connection: Connection, profiles: Sequence[Row]) -> None:
        account = self.project.leads.account
        if account is None:
            return
        belongs = {(row.data[account], row.lead_id) for row in profiles if account in row.data}
        if belongs:
            told = [{"account": name, "lead_id": lead_id} for name, lead_id in sorted(belongs)]
            connection.execute(self.database.insert_new(members), told)


_PLURAL = {OUTCOME: "outcomes", VERDICT: "verdicts"}


def _first_of_each(arrived: Iterable[Row]) -> list[Row]:
    """Of rows that share an id in one batch, the first: they were delivered twice."""
    first: dict[tuple[str, str], Row] = {}
    for row in arrived:
        first.setdefault((row.kind, row.row_id), row)
    return list(first.values())


def _stored(connection: Connection, arrived: Sequence[Row]) -> dict[tuple[str, str], Row]:
    """Those of the rows, by kind and id, that are there already, as they are there."""
    found: dict[tuple[str, str], Row] = {}
    columns = (rows.c.kind, rows.c.row_id, rows.c.lead_id, rows.c.time, rows.c.data)
    for kind in {row.kind for row in arrived}:
        for part in _chunks([row.row_id for row in arrived if row.kind == kind]):
            query = select(*columns).where(rows.c.kind == kind, rows.c.row_id.in_(part))
            for of_kind, row_id, lead_id, time, data in connection.execute(query):
                found[of_kind, row_id] = Row(of_kind, row_id, lead_id, time, json.loads(data))
    return found


def _without_profile(connection: Connection, lead_ids: set[str]) -> int:
    n_known = 0
    for part in _chunks(sorted(lead_ids)):
        query = select(func.count(rows.c.lead_id.distinct())).where(rows.c.kind == LEADS, rows.c.lead_id.in_(part))
        n_known += connection.scalar(query) or 0
    return len(lead_ids) - n_known


class _Profile(NamedTuple):
    """The latest version of a profile."""

    created: int
    data: dict[str, Any]
    known: int


def not_before(newest: int, now: int) -> int:
    """Return now, or just after what is known already, if a clock has stepped back since, or another is ahead.

    What is known last is what counts. An instant much further on is a mistake in a file, not of a clock. All are UTC
    microseconds.
    """
    return newest + 1 if now <= newest <= now + LARGEST_STEP else now


def _latest_profiles(connection: Connection, lead_ids: set[str]) -> dict[str, _Profile]:
    latest: dict[str, _Profile] = {}
    for part in _chunks(sorted(lead_ids)):
        query = select(rows.c.lead_id, rows.c.time, rows.c.data, rows.c.known)
        query = query.where(rows.c.kind == LEADS, rows.c.lead_id.in_(part))
        for lead_id, created, data, known in connection.execute(query.order_by(rows.c.known, rows.c.seq)):
            latest[lead_id] = _Profile(created, json.loads(data), known)
    return latest


def _insert(connection: Connection, stored: Sequence[tuple[Row, int]]) -> None:
    told = [
        {
            "kind": row.kind,
            "row_id": row.row_id,
            "lead_id": row.lead_id,
            "time": row.time,
            "known": known,
            "data": json.dumps(row.data, ensure_ascii=False, separators=(",", ":")),
        }
        for row, known in stored
    ]
    if told:
        connection.execute(rows.insert(), told)


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
