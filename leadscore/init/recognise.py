"""Which exported table is what, and which of its columns: the guesses behind ``leadscore init``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from leadscore.columns import shape_of
from leadscore.errors import DataError, nearest
from leadscore.init import exports
from leadscore.init.exports import Column, Table, words
from leadscore.project import RESERVED_TABLES

ROLES = ("id", "created", "status", "closed")
"""What a person may settle by name: the first two in the leads, the others in the outcome."""

RELIABLE = 0.95
"""Share of rows that need a time; with fewer, reading would fail."""

_MOST_STATUSES = 50
_FEW = 10  # wins, below which gaps in a column say nothing


@dataclass(frozen=True)
class Closing:
    """How a table says that leads are won: every row is a win where there is no status."""

    table: Table
    status: Column | None
    at: Column | None
    won: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    n_won: int = 0

    @property
    def others(self) -> list[str]:
        """Values of the status that are neither won nor lost, the commonest first."""
        return [value for value in (self.status.distinct if self.status else []) if value not in self.won + self.lost]


class Recognised:
    """What the tables of an export are. Raises DataError where something essential can't be said.

    Parameters
    ----------
    tables : what was exported
    leads, outcome : which of them these are, where a person said so
    won : the values of the status that are wins, where a person said so
    named : columns that a person named, by role (one of `ROLES`)
    """

    def __init__(
        self, tables: Sequence[Table], *, leads: Path | None = None, outcome: Path | None = None,
        won: Sequence[str] = (), named: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.tables, self._won, self._named = tables, tuple(won), dict(named or {})
        self.leads = self._given(leads) or self._leads_table()
        self._refuse_unknown_names()
        self.id, self.changed = _id_of(self.leads, self._column(self.leads, "id"))
        self.keys = {table.path: key for table in tables if table is not self.leads and (key := self._key(table))}
        self.closing = self._closing(self._given(outcome))
        self.created = self._column(self.leads, "created") or next(iter(self.leads.times(exports.CREATED)), None)
        self.timed = self.id is not None and self.created is not None and self.closing.at is not None
        others = [table for table in tables if table.path in self.keys and table is not self.closing.table]
        self.events = {self._event_name(table, others): table for table in others if self.happened(table)}
        self._refuse_events_without_times()
        self._name_tables_left_out()

    def _given(self, path: Path | None) -> Table | None:
        return next((table for table in self.tables if path and table.path.resolve() == path.resolve()), None)

    def _column(self, table: Table, role: str) -> Column | None:
        """Return the column that a person named for a role, if this table has it."""
        return next((column for column in table.columns if column.name == self._named.get(role)), None)

    def _refuse_unknown_names(self) -> None:
        for role, name in self._named.items():
            tables = [self.leads] if role in ROLES[:2] else self.tables
            known = [column.name for table in tables for column in table.columns]
            if name not in known:
                where = " and ".join(table.name for table in tables)
                raise DataError(f"--column names '{name}' as {role}, which is not in {where}.{nearest(name, known)}")
            for table in tables:
                column = self._column(table, role)
                if column is not None and role in ("created", "closed") and not column.timed:
                    looks = shape_of(column.distinct[0] if column.distinct else None)
                    raise DataError(f"{table.name} column '{name}' does not hold times: its commonest value {looks}. "
                                    "Name another, or say how to read it: --time-format")  # fmt: skip

    def _leads_table(self) -> Table:
        if len(self.tables) == 1:
            return self.tables[0]
        ranks = [_like_leads(table) for table in self.tables]
        best = [table for table, rank in zip(self.tables, ranks, strict=True) if rank == max(ranks) > 0]
        if len(best) == 1:
            return best[0]
        names = ", ".join(table.name for table in best or self.tables)
        raise DataError(
            f"{'more than one file looks' if best else 'no file looks'} like the table of leads "
            f"(one row a lead, an id without repeats, a creation time): {names}. Name it: --leads FILE"
        )

    def _key(self, table: Table) -> Column | None:
        """The column of another table that holds ids of leads."""
        if self.id is None:
            return None
        candidates = [column for column in table.columns if column.words == words(self.id.name)]
        for column in (*candidates, *table.named(exports.LEAD_KEY)):
            if len(column.filled) and pc.mean(pc.is_in(column.filled, value_set=self.id.text)).as_py() >= 0.5:
                return column
        return None

    def _closing(self, given: Table | None) -> Closing:
        if given is not None:
            if given is not self.leads and given.path not in self.keys:
                raise DataError(f"{given.name} has no column with the ids of {self.leads.name}. "
                                "Name the id of the leads: --column id=COLUMN")  # fmt: skip
            ranked = [given]
        else:
            keyed = [table for table in self.tables if table.path in self.keys]
            ranked = sorted((table for table in keyed if self._like_outcome(table) >= 3), key=self._like_outcome)[::-1]
            ranked.append(self.leads)
        for table in ranked:
            if closing := self._closing_of(table):
                return closing
        few = [c for c in ranked[-1].named(exports.STATUS) if 0 < len(c.distinct) <= _MOST_STATUSES]
        seen = [f"'{column.name}' says {_quoted(column.distinct[:6])}" for column in few]
        raise DataError(
            f"{ranked[-1].name} does not say which leads were won{': ' if seen else ''}{'; '.join(seen[:2])}. "
            "Name the column and its values, or another file: --column status=COLUMN --won VALUE, --outcome FILE"
        )

    def _like_outcome(self, table: Table) -> int:
        closing = self._closing_of(table)
        if closing is None:
            return 0
        return 2 * (closing.status is not None) + 2 * table.is_called(exports.OUTCOME_FILE) + (closing.at is not None)

    def _closing_of(self, table: Table) -> Closing | None:
        """How this table says that leads are won, if it does; of several columns the one that knows most wins."""
        named = self._column(table, "status")
        candidates = [named] if named else [] if "status" in self._named else table.named(exports.STATUS)
        found = [closing for column in candidates if (closing := self._closing_by(table, column)) is not None]
        if found:
            return max(found, key=lambda closing: (closing.at is not None, closing.n_won, len(closing.lost)))
        if "status" in self._named or self._won or table is self.leads:
            return None
        times = [column for column in self._closing_times(table) if column.share_filled() >= RELIABLE]
        every_row_wins = table.is_called(exports.OUTCOME_FILE) or (
            times and re.search(r"\b(won|converted|activated|customer|signed)\b", times[0].words)
        )
        return Closing(table, None, times[0]) if times and every_row_wins else None

    def _closing_by(self, table: Table, status: Column) -> Closing | None:
        if self._won:
            won = [value for value in status.distinct if value in self._won]
        else:
            won = [value for value in status.distinct[:_MOST_STATUSES] if re.search(exports.WON, words(value))]
        if not won or (len(status.distinct) > _MOST_STATUSES and not self._won):
            return None
        lost = [value for value in status.distinct if value not in won and re.search(exports.LOST, words(value))]
        is_won = pc.is_in(status.text, value_set=pa.array(won, pa.string()))
        at = next((c for c in self._closing_times(table) if c.share_filled(is_won) >= RELIABLE), None)
        if at is not None:
            lost = [v for v in lost if at.share_filled(pc.equal(status.text, v)) >= RELIABLE]
        return Closing(table, status, at, tuple(won), tuple(lost), int(pc.sum(is_won).as_py() or 0))

    def _closing_times(self, table: Table) -> list[Column]:
        if "closed" in self._named:
            named = self._column(table, "closed")
            return [] if named is None else [named]
        times = table.times(exports.CLOSED)
        if not times and table is not self.leads:
            other = [column for column in table.columns if column.timed and column not in table.named(exports.KNOWN)]
            times = other if len(other) == 1 and table.is_called(exports.OUTCOME_FILE) else []
        return times

    def filled_in_with_the_outcome(self, column: Column) -> bool:
        """Whether every won lead has a value in a column of the leads, while many others have none."""
        closing = self.closing
        if closing.table is not self.leads or closing.status is None or closing.n_won < _FEW:
            return False
        is_won = pc.fill_null(pc.is_in(closing.status.text, value_set=pa.array(closing.won, pa.string())), False)
        others = column.share_filled(pc.invert(is_won))
        return column.share_filled(is_won) >= 0.99 and 0 < others < 0.75

    def happened(self, table: Table) -> Column | None:
        """Return the column that says when an event happened, if the table holds events."""
        own = {column.words for column in table.columns}
        if own & {"cutoff", "as of"}:  # scores, or a truth: no history
            return None
        known = table.named((*exports.KNOWN, *exports.CHANGED))
        times = [column for column in table.times((*exports.HAPPENED, r".*")) if column not in known]
        return next((column for column in times if column.share_filled() >= RELIABLE), None)

    def _event_name(self, table: Table, others: Sequence[Table]) -> str:
        name = "_".join(words(table.path.stem).split()) or "events"
        name = f"{name}_events" if name in RESERVED_TABLES else name
        same = [other for other in others if words(other.path.stem) == words(table.path.stem)]
        return f"{name}_{same.index(table) + 1}" if len(same) > 1 else name

    def _refuse_events_without_times(self) -> None:
        if self.timed or not self.events:
            return
        table, lacks, role = (
            (self.leads, "when a lead was created", "created") if self.created is None
            else (self.closing.table, "when a lead was won", "closed")
        )  # fmt: skip
        raise DataError(
            f"{table.name} has no column that says {lacks}, which the events of "
            f"{next(iter(self.events.values())).name} need. Name it: --column {role}=COLUMN; or leave the events out"
        )

    def _name_tables_left_out(self) -> None:
        used = (self.leads, self.closing.table, *self.events.values())
        for table in self.tables:
            if table not in used:
                why = "names leads but no time of an event" if table.path in self.keys else "names no leads by id"
                table.left_out = [(None, f"{why}; what you need of it, join to the leads")]


def _id_of(table: Table, named: Column | None = None) -> tuple[Column | None, Column | None]:
    """The column that names a lead; where it repeats, also the time that tells versions apart."""
    candidates = [named] if named else table.named(exports.ID)
    unique = next((column for column in candidates if column.unique), None)
    changed = next((c for c in table.times((*exports.CHANGED, *exports.KNOWN)) if c.share_filled() >= RELIABLE), None)
    if unique is not None or changed is None:
        return unique or named, None
    repeated = candidates if named else table.named(exports.ID[:2])
    return next(((column, changed) for column in repeated if column.share_filled() == 1), (named, None))


def _like_leads(table: Table) -> int:
    if _id_of(table)[0] is None:
        return 0
    called = 4 * table.is_called(exports.LEADS_FILE) - 2 * table.is_called(exports.NOT_FOR_LEADS)
    return called + 2 * bool(table.times(exports.CREATED)) - bool(table.named(exports.EVENT_ID[:1]))


def _quoted(values: Sequence[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)
