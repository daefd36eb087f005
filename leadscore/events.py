"""The events of a lead document: rows of fields → checked columns."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadscore import fields
from leadscore.errors import DocumentError
from leadscore.fields import Field, Places, require_object
from leadscore.plain import Columns, Fields
from leadscore.project import EventsSpec
from leadscore.time import Instants, parse_instants_with_offset

MOST_EVENTS = 50_000
"""Events of one lead that a document may hold in a table."""

Texts = Sequence[str | None]


@dataclass(frozen=True)
class Events:
    """The events of one table of one document: columns of equal length, in declared order, rows in any."""

    time: Instants
    known: Instants
    categories: Sequence[Texts]
    numbers: Sequence[Sequence[float]]

    @classmethod
    def none(cls, spec: EventsSpec) -> Events:
        """Return no events."""
        never = np.empty(0, dtype=np.int64)
        return cls(never, never, [[] for _ in spec.categorical], [[] for _ in spec.numeric])

    def __len__(self) -> int:
        return len(self.time)

    def first_deliveries(self, ids: Texts) -> Events:
        """Return the rows without those that repeat an id; the delivery known first stays, and what has no id."""
        n_distinct = len({*ids})
        if n_distinct == len(ids) or n_distinct + ids.count(None) - 1 == len(ids):
            return self
        nameless = []
        first: dict[str, int] = {}
        for row, event_id in enumerate(ids):
            if event_id is None:
                nameless.append(row)
            elif event_id not in first or self._delivery_order(row) < self._delivery_order(first[event_id]):
                first[event_id] = row
        return self._take([*nameless, *first.values()])

    def _delivery_order(self, row: int) -> tuple[Any, ...]:
        """Known first, then by content as tables order it: null categories first, missing numbers last."""
        texts = [(column[row] is not None, column[row] or "") for column in self.categories]
        numbers = [column[row] for column in self.numbers]
        amounts = [(number != number, number if number == number else 0.0) for number in numbers]
        return self.known[row], self.time[row], texts, amounts

    def _take(self, rows: Sequence[int]) -> Events:
        return Events(
            self.time[rows],
            self.known[rows],
            [[column[row] for row in rows] for column in self.categories],
            [[column[row] for row in rows] for column in self.numbers],
        )


@dataclass(frozen=True)
class CodedEvents:
    """`Events` whose categories are coded, as in `leadscore.eventlog.EventLog`."""

    time: Instants
    known: Instants
    codes: NDArray[np.int32]
    values: NDArray[np.float64]
    vocabularies: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.time)

    @cached_property
    def categories(self) -> Sequence[Texts]:
        """The texts of each column."""
        return _texts(self.codes, self.vocabularies)

    @property
    def numbers(self) -> Sequence[Sequence[float]]:
        """The numbers of each column."""
        columns: list[list[float]] = self.values.tolist()
        return columns


def plain_fields(spec: EventsSpec) -> Fields | None:
    """Return what plain rows of a table hold, as `read_events` takes them; None where instants have another format."""
    if spec.time_format is not None:
        return None
    keys = [spec.lead] if spec.id is None else [spec.lead, spec.id]
    instants = [spec.time] if spec.known is None else [spec.time, spec.known]
    return Fields((*spec.categorical, *keys), spec.numeric, tuple(instants))


def read_events(
    spec: EventsSpec, raw: Any, timezone: str, lead_id: str | None, warnings: list[str]
) -> Events | CodedEvents:
    """Check the rows of one table; what is taken as missing or ignored joins the warnings.

    Rows are a list of objects, or `Columns` of `plain_fields`.

    Of rows that share an id the one known first is kept (then the first by content); rows without id all stay.

    Raises
    ------
    DocumentError
        For the first row that is no object, names another lead, has no readable time, or holds what is no value.
    """
    rows = [] if raw is None else raw
    path = f"events.{spec.name}"
    if not isinstance(rows, Sequence) or isinstance(rows, str | bytes):
        raise DocumentError(f"must be a list of events, not {fields.kind(rows)}", where=path)
    n_rows = rows.instants.shape[1] if type(rows) is Columns else len(rows)
    if n_rows > MOST_EVENTS:
        raise DocumentError(f"holds {n_rows} events; at most {MOST_EVENTS} are allowed", where=path)
    if not n_rows:
        return Events.none(spec)
    if type(rows) is Columns:
        return _of_columns(spec, rows, lead_id)
    return _read(spec, list(rows), timezone, lead_id, warnings)


def _of_columns(spec: EventsSpec, rows: Columns, lead_id: str | None) -> Events | CodedEvents:
    """Check what isn't plain to see: whose events they are, and whether one was delivered twice."""
    n = len(spec.categorical)
    owners, ids = rows.vocabularies[n], rows.vocabularies[n + 1 :]
    if lead_id is not None and owners and owners != (lead_id,):
        strange = [owner != lead_id for owner in owners]
        row = next(row for row, code in enumerate(rows.codes[n].tolist()) if code >= 0 and strange[code])
        raise _of_another_lead(Field(f"events.{spec.name}[{row}]", spec.lead))
    happened, known = rows.instants[0], rows.instants[-1]
    events = CodedEvents(happened, known, rows.codes[:n], rows.numbers, rows.vocabularies[:n])
    if not ids or len(ids[0]) == len(events) or len(ids[0]) == np.count_nonzero(rows.codes[n + 1] >= 0):
        return events
    every = Events(happened, known, events.categories, events.numbers)
    return every.first_deliveries(*_texts(rows.codes[n + 1 :], ids))


def _texts(codes: NDArray[np.int32], vocabularies: Sequence[Sequence[str]]) -> list[list[str | None]]:
    words = [(*vocabulary, None) for vocabulary in vocabularies]
    return [[of[code] for code in column] for column, of in zip(codes.tolist(), words, strict=True)]


def _of_another_lead(where: Field) -> DocumentError:
    return DocumentError("names another lead than the document", where=str(where))


def _read(
    spec: EventsSpec, rows: list[Any], timezone: str, lead_id: str | None, warnings: list[str], first: int = 0
) -> Events:
    """Read the rows together. Each column tells its own first fault; the one to tell is that of the first bad row."""
    try:
        return _Rows(spec, rows, timezone, first).read(lead_id, warnings)
    except DocumentError:
        if len(rows) > 1:
            half = len(rows) // 2
            _read(spec, rows[:half], timezone, lead_id, [], first)
            _read(spec, rows[half:], timezone, lead_id, [], first + half)
        raise


class _Rows:
    """At least one row of a table, by column; the first of them is number `first` of the table."""

    def __init__(self, spec: EventsSpec, rows: list[Any], timezone: str, first: int) -> None:
        self.spec = spec
        self.path = f"events.{spec.name}"
        self.timezone = timezone
        self.first = first
        self.columns, self.n_undeclared = _by_column(spec, self._plain(rows))

    def read(self, lead_id: str | None, warnings: list[str]) -> Events:
        """Read column after column, in the order in which a row's faults are told."""
        spec = self.spec
        self._refuse_other_leads(lead_id)
        happened, known = self._moments()
        categories = [fields.categories(self.columns[name], self._places(name)) for name in spec.categorical]
        events = Events(happened, known, categories, self._numbers(warnings))
        if self.n_undeclared:
            warnings.append(f"{self.path}: {self.n_undeclared} undeclared field(s) ignored")
        if spec.id is None:
            return events
        return events.first_deliveries(fields.texts(self.columns[spec.id], self._places(spec.id)))

    def _plain(self, rows: list[Any]) -> list[dict[str, Any]]:
        if {*map(type, rows)} == {dict}:
            return rows
        for position, row in enumerate(rows, self.first):
            require_object(row, "an object with the event's fields", f"{self.path}[{position}]")
        return [dict(row) for row in rows]

    def _places(self, name: str) -> Places:
        return lambda row: Field(f"{self.path}[{self.first + row}]", name)

    def _refuse_other_leads(self, lead_id: str | None) -> None:
        owners, places = self.columns[self.spec.lead], self._places(self.spec.lead)
        with suppress(TypeError):  # a list or an object, which can't be in a set
            if {None, lead_id}.issuperset(owners):
                return
        for row, owner in enumerate(fields.texts(owners, places)):
            if owner is not None and lead_id is not None and owner != lead_id:
                raise _of_another_lead(places(row))

    def _moments(self) -> tuple[Instants, Instants]:
        """Return when each row happened, and when it became known."""
        spec = self.spec
        if spec.known is None:
            happened = self._instants(spec.time)
            return happened, happened
        if spec.time_format is None:
            with suppress(TypeError, ValueError):  # both columns at once, where neither needs a closer look
                both = parse_instants_with_offset([*self.columns[spec.time], *self.columns[spec.known]])
                return both[: len(both) // 2], both[len(both) // 2 :]
        happened = self._instants(spec.time)
        return happened, self._instants(spec.known, happened)

    def _instants(self, name: str, defaults: Instants | None = None) -> Instants:
        return fields.instants(self.columns[name], self.timezone, self.spec.time_format, self._places(name), defaults)

    def _numbers(self, warnings: list[str]) -> list[list[float]]:
        """Return the numeric columns; what is no number joins the warnings, row by row."""
        columns, unreadable = [], []
        for name in self.spec.numeric:
            rows: list[int] = []
            columns.append(fields.numbers(self.columns[name], self._places(name), rows))
            unreadable += [(row, len(columns), name) for row in rows]
        warnings += [fields.not_a_number(self._places(name)(row)) for row, _, name in sorted(unreadable)]
        return columns


def _by_column(spec: EventsSpec, rows: list[dict[str, Any]]) -> tuple[dict[str, Sequence[Any]], int]:
    """Return every declared column, null where a row lacks the field, and how many names are not declared."""
    names: set[str] = set().union(*rows)
    given = [name for name in spec.blank if name in names]
    columns: dict[str, Sequence[Any]] = dict.fromkeys(spec.blank, (None,) * len(rows))
    if spec.time in names and {*map(len, rows)} == {len(names)}:  # no row lacks what another has
        values = map(itemgetter(*given, spec.time), rows)  # the time once more: of one name it would give no tuple
        columns.update(zip(given, zip(*values, strict=True), strict=False))
    else:
        columns.update((name, [*map(dict.get, rows, repeat(name))]) for name in given)
    return columns, len(names) - len(given)
