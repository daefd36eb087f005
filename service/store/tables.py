"""Rows of the journal → the library's tables: of a few leads in a fraction of a millisecond, or of the whole base.

Both give the same features for the same lead: `whole` through the library's own reading, `some` by hand.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.json
import pydantic_core
from numpy.typing import NDArray

from leadscore.columns import number_value, text_value
from leadscore.company import Among, Counts
from leadscore.documents import encoded
from leadscore.eventlog import EventLog
from leadscore.plain import Columns, Fields, Layout
from leadscore.project import EventsSpec, Project
from leadscore.reading import read
from leadscore.tables import Data, Leads, Outcomes
from leadscore.time import FOREVER, NEVER, Instants
from service.store.arrivals import LEADS, OUTCOME, profile_names
from service.store.journal import Journal, Stored

_LEAD, _TIME, _KNOWN = "leadscore.lead", "leadscore.time", "leadscore.known"
SINCE_EVER = -62_135_596_800_000_000
"""The year 1: when profiles without versions are taken to have been known."""


@dataclass(frozen=True)
class Counted:
    """What the base has in common per account, origin and owner, as of row number `until`."""

    counts: Counts
    until: int

    def holds(self, project: Project) -> bool:
        """Whether every account, origin and owner that a project declares was counted."""
        return project.leads.roles.keys() <= self.counts.groups.keys()


class _Rows(NamedTuple):
    """Rows of one kind by column: the positions of their leads, their own columns, and their data as JSON."""

    lead: Sequence[int] = ()
    known: Sequence[int] = ()
    seq: Sequence[int] = ()
    time: Sequence[int] = ()
    data: Sequence[str] = ()

    @classmethod
    def of(cls, rows: Iterable[tuple[Any, ...]]) -> _Rows:
        return cls(*zip(*rows, strict=True))

    def until(self, seq: int) -> _Rows:
        """Return the rows up to a number."""
        return self.of(row for row in zip(*self, strict=True) if row[2] <= seq)

    def content(self, texts: Sequence[str], numbers: Sequence[str]) -> Columns:
        """Return some columns of the data; what was stored as another kind is read as a file's would be."""
        layout = _layout(Fields(tuple(texts), tuple(numbers)))
        found = None if layout is None else layout.read_rows(self._joined.encode())
        if found is not None:
            return found
        parsed = self.parsed
        codes, vocabularies = encoded([_texts([data.get(name) for data in parsed]) for name in texts], len(parsed))
        values = [_numbers([data.get(name) for data in parsed]) for name in numbers]  # None becomes NaN
        of_numbers = np.array(values, dtype=np.float64).reshape(len(numbers), len(parsed))
        return Columns(np.empty((0, len(parsed)), dtype=np.int64), codes, vocabularies, of_numbers)

    @property
    def parsed(self) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = pydantic_core.from_json(self._joined)
        return found

    @property
    def _joined(self) -> str:
        return f"[{','.join(self.data)}]"


def some(project: Project, found: Sequence[Stored], counted: Counted | None) -> Data:
    """Return the tables of the leads that these rows are of; events of a lead without a profile are left out.

    Parameters
    ----------
    found : all rows of every lead, and of those that share an account with one that is to be scored
    counted : what all others count, where a plan asks for that; None counts these leads alone
    """
    ids = sorted({lead_id for _, kind, lead_id, *_ in found if kind == LEADS})
    rows = _by_kind(ids, found)
    versions, closings = rows.get(LEADS, _Rows()), rows.get(OUTCOME, _Rows())
    table = _leads(project, ids, versions)
    outcomes = _outcomes(project, table.created, closings)
    among = None if counted is None else _among(project, counted, table, outcomes, versions, closings)
    logs = {spec.name: _log(spec, rows.get(spec.name, _Rows()), len(ids)) for spec in project.events}
    return Data(project, table, logs, outcomes, among=among)


def whole(journal: Journal, *, project: Project | None = None, until: int | None = None, events: bool = True) -> Data:
    """Read the whole base as of a row number (None is now), as a project names its columns (None is the journal's).

    Without events where only what leads have in common counts. What was stored as another kind than the project
    declares now is read as a file's would be: numbers as text, text as numbers where it is one.
    """
    project = project or journal.project
    stored = replace(
        project,
        leads=replace(project.leads, known=_KNOWN),
        events=tuple(replace(spec, lead=_LEAD, time=_TIME, known=_KNOWN, id=None) for spec in project.events),
        outcome=replace(project.outcome, lead=_LEAD, time=_TIME, known=_KNOWN, source=replace(project.leads.source)),
    )
    last = journal.until() if until is None else until
    spec, keys = project.leads, {_LEAD: "lead_id", _TIME: "time", _KNOWN: "known"}
    about = {str(spec.id): "lead_id", spec.created or _TIME: "time", _KNOWN: "known"}
    parts = {LEADS: _Parts(profile_names(spec), spec.numeric, about)}
    parts[OUTCOME] = _Parts((project.outcome.column,) if project.outcome.column else (), (), keys)
    parts |= {table.name: _Parts(table.categorical, table.numeric, keys) for table in project.events}
    wanted = list(parts) if events else [LEADS, OUTCOME]
    for kind, columns in journal.columns(wanted, last):
        parts[kind].add(*columns)
    frames = {kind: part.frame() for kind, part in parts.items()}
    return replace(read(stored, frames=frames), project=project)


class _Parts:
    """The rows of one kind, collected: some columns are parsed, `keys` names those that are the rows' own."""

    def __init__(self, categorical: Sequence[str], numeric: Sequence[str], keys: Mapping[str, str]) -> None:
        typed = [*((name, pa.string()) for name in categorical), *((name, pa.float64()) for name in numeric)]
        self._schema = pa.schema(typed)
        self._keys = keys
        self._content: list[pa.Table] = []
        self._own: dict[str, list[pa.Array]] = {"lead_id": [], "time": [], "known": []}

    def add(self, lead_ids: Sequence[str], times: Sequence[int], known: Sequence[int], data: Sequence[str]) -> None:
        for name, values in (("lead_id", lead_ids), ("time", times), ("known", known)):
            self._own[name].append(pa.array(values, _TYPES[name]))
        if len(self._schema):
            options = pyarrow.json.ParseOptions(explicit_schema=self._schema, unexpected_field_behavior="ignore")
            text = pa.BufferReader("\n".join(data).encode())
            try:
                content = pyarrow.json.read_json(text, parse_options=options)
            except pa.ArrowInvalid:  # a column has changed its kind since
                content = self._read_one_by_one(data)
            self._content.append(content)

    def _read_one_by_one(self, data: Sequence[str]) -> pa.Table:
        parsed = [json.loads(row) for row in data]
        values = {
            kind.name: (_texts if kind.type == pa.string() else _numbers)([row.get(kind.name) for row in parsed])
            for kind in self._schema
        }
        return pa.table(values, schema=self._schema)

    def frame(self) -> pd.DataFrame:
        content = pa.concat_tables(self._content) if self._content else self._schema.empty_table()
        columns: dict[str, Any] = {name: content[name].to_pandas() for name in self._schema.names}
        for name, own in self._keys.items():
            column = pa.chunked_array(self._own[own], _TYPES[own])
            columns[name] = column.to_pandas() if own == "lead_id" else _instants(column.to_numpy())
        return pd.DataFrame(columns)


_TYPES = {"lead_id": pa.string(), "time": pa.int64(), "known": pa.int64()}


def _instants(microseconds: NDArray[np.int64]) -> Any:
    return pd.to_datetime(microseconds.view("M8[us]"), utc=True)


def _by_kind(ids: Sequence[str], found: Sequence[Stored]) -> dict[str, _Rows]:
    """Return the rows of each kind; versions of a profile by lead, `known` and `seq`."""
    position = {lead_id: lead for lead, lead_id in enumerate(ids)}
    by_kind: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for seq, kind, lead_id, time, known, data in found:
        if lead_id in position:
            by_kind[kind].append((position[lead_id], known, seq, time, data))
    if LEADS in by_kind:
        by_kind[LEADS].sort(key=itemgetter(0, 1, 2))
    return {kind: _Rows.of(rows) for kind, rows in by_kind.items()}


@lru_cache(maxsize=64)
def _layout(of_rows: Fields) -> Layout | None:
    return Layout.of({"": of_rows})


def _texts(values: list[Any]) -> list[str | None]:
    return values if {*map(type, values)} <= {str, _NULL} else [text_value(value) for value in values]


def _numbers(values: list[Any]) -> list[float | None]:
    return values if str not in {*map(type, values)} else [number_value(value) for value in values]


_NULL = type(None)


def _leads(project: Project, ids: Sequence[str], versions: _Rows) -> Leads:
    spec = project.leads
    names = [*dict.fromkeys((*spec.categorical, *spec.roles.values()))]
    content = versions.content(names, spec.numeric)
    place = {role: names.index(column) for role, column in spec.roles.items()}
    n_categorical = len(spec.categorical)
    n_versions = np.bincount(np.array(versions.lead, dtype=np.int64), minlength=len(ids))
    return Leads(
        ids=np.array(ids, dtype=object),
        created=_created(versions, len(ids)),
        row=np.arange(len(ids)),
        offsets=np.concatenate([[0], n_versions.cumsum()]),
        known=np.array(versions.known, dtype=np.int64),
        codes=content.codes[:n_categorical],
        values=content.numbers,
        vocabularies=content.vocabularies[:n_categorical],
        roles={role: (content.codes[at], content.vocabularies[at]) for role, at in place.items()},
    )


def _created(versions: _Rows, n_leads: int) -> Instants:
    """The first creation time that any version of a lead states."""
    created = np.full(n_leads, NEVER, dtype=np.int64)
    for lead, time in zip(reversed(versions.lead), reversed(versions.time), strict=True):
        if time != NEVER:
            created[lead] = time
    return created


def _log(spec: EventsSpec, rows: _Rows, n_leads: int) -> EventLog:
    _, codes, vocabularies, values = rows.content(spec.categorical, spec.numeric)
    lead, time, known = (np.array(column, dtype=np.int64) for column in (rows.lead, rows.time, rows.known))
    return EventLog.group(lead, time, known, codes, values, vocabularies, n_leads=n_leads)


def _outcomes(project: Project, created: Instants, rows: _Rows) -> Outcomes:
    """First wins and losses, as the library reads them from a table of outcomes."""
    spec = project.outcome
    found = np.full((6, len(created)), NEVER, dtype=np.int64)
    closings: defaultdict[tuple[int, bool], list[tuple[int, int]]] = defaultdict(list)
    for lead, known, time, data in zip(rows.lead, rows.known, rows.time, rows.parsed, strict=True):
        status = data.get(str(spec.column))
        won = spec.column is None or status in spec.won
        early = won and NEVER != created[lead] > time
        if (won or status in spec.lost) and not early:
            closings[lead, won].append((time, known))
    for (lead, won), told in closings.items():
        first = 0 if won else 2
        found[first : first + 2, lead] = min(told)
        found[4 if won else 5, lead] = min(max(instants) for instants in told)
    return Outcomes(*found)


def _among(
    project: Project,
    counted: Counted,
    table: Leads,
    outcomes: Outcomes,
    versions: _Rows,
    closings: _Rows,
) -> Among:
    """The leads as they were when the base was counted: what is younger is known never."""
    until = counted.until
    if max(versions.seq, default=0) <= until and max(closings.seq, default=0) <= until:
        return Among(counted.counts, table, outcomes)
    known = np.where(np.array(versions.seq) <= until, table.known, FOREVER)
    order = np.lexsort((known, np.array(versions.lead)))
    as_counted = replace(
        table,
        created=_created(versions.until(until), len(table.ids)),
        known=known[order],
        roles={role: (codes[order], names) for role, (codes, names) in table.roles.items()},
    )
    return Among(counted.counts, as_counted, _outcomes(project, as_counted.created, closings.until(until)))
