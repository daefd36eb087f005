"""Rows of the journal → the library's tables: of a few leads in a fraction of a millisecond, or of the whole base.

Both give the same features for the same lead: `whole` through the library's own reading, `some` by hand.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.json
from numpy.typing import NDArray

from leadscore.columns import number_value, text_value
from leadscore.company import Among, Counts
from leadscore.documents import encoded
from leadscore.eventlog import EventLog
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


class _Found(NamedTuple):
    """A row of the journal, with the position of its lead and its data parsed."""

    lead: int
    seq: int
    time: int
    known: int
    data: Mapping[str, Any]


def some(project: Project, found: Sequence[Stored], counted: Counted | None) -> Data:
    """Return the tables of the leads that these rows are of; events of a lead without a profile are left out.

    Parameters
    ----------
    found : all rows of every lead, and of those that share an account with one that is to be scored
    counted : what all others count, where a plan asks for that; None counts these leads alone
    """
    ids = sorted({row.lead_id for row in found if row.kind == LEADS})
    by_kind = _by_kind(ids, found)
    versions = sorted(by_kind[LEADS], key=_VERSION_ORDER)
    table = _leads(project, ids, versions)
    outcomes = _outcomes(project, table.created, by_kind[OUTCOME])
    among = None if counted is None else _among(project, counted, table, outcomes, versions, by_kind[OUTCOME])
    logs = {spec.name: _log(spec, by_kind[spec.name], len(ids)) for spec in project.events}
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


_VERSION_ORDER = itemgetter(0, 3, 1)
"""Versions of a profile by lead, `known` and `seq`."""


def _by_kind(ids: Sequence[str], found: Sequence[Stored]) -> defaultdict[str, list[_Found]]:
    parsed = json.loads(f"[{','.join([row.data for row in found])}]")
    position = {lead_id: lead for lead, lead_id in enumerate(ids)}
    by_kind: defaultdict[str, list[_Found]] = defaultdict(list)
    for (seq, kind, lead_id, time, known, _), data in zip(found, parsed, strict=True):
        if lead_id in position:
            by_kind[kind].append(_Found(position[lead_id], seq, time, known, data))
    return by_kind


def _texts(values: list[Any]) -> list[str | None]:
    return values if {*map(type, values)} <= {str, _NULL} else [text_value(value) for value in values]


def _numbers(values: list[Any]) -> list[float | None]:
    return values if str not in {*map(type, values)} else [number_value(value) for value in values]


_NULL = type(None)


def _text_column(rows: Sequence[_Found], name: str) -> list[str | None]:
    return _texts([row.data.get(name) for row in rows])


def _values(rows: Sequence[_Found], names: Sequence[str]) -> NDArray[np.float64]:
    columns = [_numbers([row.data.get(name) for row in rows]) for name in names]  # None becomes NaN
    return np.array(columns, dtype=np.float64).reshape(len(names), len(rows))


def _leads(project: Project, ids: Sequence[str], versions: Sequence[_Found]) -> Leads:
    spec = project.leads
    names = (*spec.categorical, *spec.roles.values())
    codes, vocabularies = encoded([_text_column(versions, name) for name in names], len(versions))
    n_categorical = len(spec.categorical)
    n_versions = np.bincount([version.lead for version in versions], minlength=len(ids))
    return Leads(
        ids=np.array(ids, dtype=object),
        created=_created(versions, len(ids)),
        row=np.arange(len(ids)),
        offsets=np.concatenate([[0], n_versions.cumsum()]),
        known=np.array([version.known for version in versions], dtype=np.int64),
        codes=codes[:n_categorical],
        values=_values(versions, spec.numeric),
        vocabularies=vocabularies[:n_categorical],
        roles=dict(zip(spec.roles, zip(codes[n_categorical:], vocabularies[n_categorical:], strict=True), strict=True)),
    )


def _created(versions: Sequence[_Found], n_leads: int) -> Instants:
    """The first creation time that any version of a lead states."""
    created = np.full(n_leads, NEVER, dtype=np.int64)
    for version in reversed(versions):
        if version.time != NEVER:
            created[version.lead] = version.time
    return created


def _log(spec: EventsSpec, rows: Sequence[_Found], n_leads: int) -> EventLog:
    codes, vocabularies = encoded([_text_column(rows, name) for name in spec.categorical], len(rows))
    lead, time, known = np.array([(row.lead, row.time, row.known) for row in rows], dtype=np.int64).reshape(-1, 3).T
    return EventLog.group(
        np.ascontiguousarray(lead),
        np.ascontiguousarray(time),
        np.ascontiguousarray(known),
        codes,
        _values(rows, spec.numeric),
        vocabularies,
        n_leads=n_leads,
    )


def _outcomes(project: Project, created: Instants, rows: Sequence[_Found]) -> Outcomes:
    """First wins and losses, as the library reads them from a table of outcomes."""
    spec = project.outcome
    found = np.full((6, len(created)), NEVER, dtype=np.int64)
    closings: defaultdict[tuple[int, bool], list[tuple[int, int]]] = defaultdict(list)
    for row in rows:
        status = row.data.get(str(spec.column))
        won = spec.column is None or status in spec.won
        early = won and NEVER != created[row.lead] > row.time
        if (won or status in spec.lost) and not early:
            closings[row.lead, won].append((row.time, row.known))
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
    versions: Sequence[_Found],
    closings: Sequence[_Found],
) -> Among:
    """The leads as they were when the base was counted: what is younger is known never."""
    until = counted.until
    if all(row.seq <= until for row in versions) and all(row.seq <= until for row in closings):
        return Among(counted.counts, table, outcomes)
    there = np.array([version.seq <= until for version in versions])
    known = np.where(there, table.known, FOREVER)
    order = np.lexsort((known, np.array([version.lead for version in versions])))
    as_counted = replace(
        table,
        created=_created([version for version in versions if version.seq <= until], len(table.ids)),
        known=known[order],
        roles={role: (codes[order], names) for role, (codes, names) in table.roles.items()},
    )
    counted_closings = [row for row in closings if row.seq <= until]
    return Among(counted.counts, as_counted, _outcomes(project, as_counted.created, counted_closings))
