"""Rows of the journal → the library's tables: of a few leads in a fraction of a millisecond, or of the whole base.

Both give the same features for the same lead: `whole` through the library's own reading, `some` by hand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.json
from numpy.typing import NDArray

from leadscore.company import Among, Counts
from leadscore.documents import encoded, grouped
from leadscore.events import Events
from leadscore.project import EventsSpec, Project
from leadscore.reading import read
from leadscore.tables import Data, Leads, Outcomes
from leadscore.time import FOREVER, NEVER, Instants
from service.store.arrivals import LEADS, OUTCOME, VERDICT, profile_names
from service.store.journal import Journal, Stored

_LEAD, _TIME, _KNOWN = "leadscore.lead", "leadscore.time", "leadscore.known"
SINCE_EVER = -62_135_596_800_000_000
"""The year 1: when profiles without versions are taken to have been known."""


@dataclass(frozen=True)
class Counted:
    """What the base has in common per account, origin and owner, as of row number `until`."""

    counts: Counts
    until: int


@dataclass
class _Lead:
    """The rows of one lead, told apart: (row, its data)."""

    profiles: list[tuple[Stored, Mapping[str, Any]]]
    outcomes: list[tuple[Stored, Mapping[str, Any]]]
    events: dict[str, list[tuple[Stored, Mapping[str, Any]]]]


def some(project: Project, found: Sequence[Stored], counted: Counted | None) -> Data:
    """Return the tables of the leads that these rows are of; events of a lead without a profile are left out.

    Parameters
    ----------
    found : all rows of every lead, and of those that share an account with one that is to be scored
    counted : what all others count, where a plan asks for that; None counts these leads alone
    """
    leads = _told_apart(project, found)
    ids = sorted(leads)
    of_leads = [leads[lead_id] for lead_id in ids]
    table = _leads(project, ids, of_leads)
    outcomes = _outcomes(project, table.created, of_leads)
    among = None if counted is None else _among(project, counted, table, outcomes, of_leads)
    logs = {spec.name: grouped(spec, [_events(spec, lead.events[spec.name]) for lead in of_leads])
            for spec in project.events}  # fmt: skip
    return Data(project, table, logs, outcomes, among=among)


def whole(journal: Journal, *, project: Project | None = None, until: int | None = None, events: bool = True) -> Data:
    """Read the whole base as of a row number (None is now), as a project names its columns (None is the journal's).

    Without events where only what leads have in common counts.

    Raises
    ------
    DataError
        If there are no leads.
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
            self._content.append(pyarrow.json.read_json(text, parse_options=options))

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


def _told_apart(project: Project, found: Sequence[Stored]) -> dict[str, _Lead]:
    parsed = json.loads(f"[{','.join(row.data for row in found)}]")
    tables = [spec.name for spec in project.events]
    leads: dict[str, _Lead] = {}
    for row in found:
        if row.kind == LEADS and row.lead_id not in leads:
            leads[row.lead_id] = _Lead([], [], {name: [] for name in tables})
    for row, data in zip(found, parsed, strict=True):
        lead = leads.get(row.lead_id)
        if lead is None or row.kind == VERDICT:
            continue
        if row.kind == LEADS:
            lead.profiles.append((row, data))
        elif row.kind == OUTCOME:
            lead.outcomes.append((row, data))
        elif row.kind in lead.events:  # a table may have left the project file since
            lead.events[row.kind].append((row, data))
    return leads


def _leads(project: Project, ids: list[str], of_leads: list[_Lead]) -> Leads:
    spec = project.leads
    for lead in of_leads:
        lead.profiles.sort(key=lambda version: (version[0].known, version[0].seq))
    versions = [version for lead in of_leads for version in lead.profiles]
    contents = [data for _, data in versions]
    names = (*spec.categorical, *spec.roles.values())
    codes, vocabularies = encoded([[data.get(name) for data in contents] for name in names], len(versions))
    n_categorical = len(spec.categorical)
    values = np.array([[data.get(name, np.nan) for data in contents] for name in spec.numeric], dtype=np.float64)
    created = [next((row.time for row, _ in lead.profiles if row.time != NEVER), NEVER) for lead in of_leads]
    return Leads(
        ids=np.array(ids, dtype=object),
        created=np.array(created, dtype=np.int64),
        row=np.arange(len(ids)),
        offsets=np.cumsum([0, *(len(lead.profiles) for lead in of_leads)], dtype=np.int64),
        known=np.array([row.known for row, _ in versions], dtype=np.int64),
        codes=codes[:n_categorical],
        values=values.reshape(len(spec.numeric), len(versions)),
        vocabularies=vocabularies[:n_categorical],
        roles=dict(zip(spec.roles, zip(codes[n_categorical:], vocabularies[n_categorical:], strict=True), strict=True)),
    )


def _events(spec: EventsSpec, of_lead: list[tuple[Stored, Mapping[str, Any]]]) -> Events:
    return Events(
        np.array([row.time for row, _ in of_lead], dtype=np.int64),
        np.array([row.known for row, _ in of_lead], dtype=np.int64),
        [[data.get(name) for _, data in of_lead] for name in spec.categorical],
        [[data.get(name, np.nan) for _, data in of_lead] for name in spec.numeric],
    )


def _outcomes(project: Project, created: Instants, of_leads: list[_Lead], until: float = np.inf) -> Outcomes:
    """First wins and losses, as the library reads them from a table of outcomes."""
    spec = project.outcome
    found = np.full((6, len(of_leads)), NEVER, dtype=np.int64)
    for place, lead in enumerate(of_leads):
        closings: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        for row, data in lead.outcomes:
            status = data.get(str(spec.column))
            won = spec.column is None or status in spec.won
            early = won and NEVER != created[place] > row.time
            if row.seq <= until and (won or status in spec.lost) and not early:
                closings[won].append((row.time, row.known))
        for first, closing in ((0, closings[True]), (2, closings[False])):
            if closing:
                found[first : first + 2, place] = min(closing)
                found[4 + first // 2, place] = min(max(told) for told in closing)
    return Outcomes(*found)


def _among(project: Project, counted: Counted, table: Leads, outcomes: Outcomes, of_leads: list[_Lead]) -> Among:
    """The leads as they were when the base was counted: what is younger is known never."""
    until = counted.until
    if all(row.seq <= until for lead in of_leads for row, _ in (*lead.profiles, *lead.outcomes)):
        return Among(counted.counts, table, outcomes)
    there: NDArray[np.bool_] = np.array([row.seq <= until for lead in of_leads for row, _ in lead.profiles])
    known = np.where(there, table.known, FOREVER)
    order = np.lexsort((known, np.repeat(np.arange(len(of_leads)), np.diff(table.offsets))))
    created = [
        next((row.time for row, _ in lead.profiles if row.time != NEVER and row.seq <= until), NEVER)
        for lead in of_leads
    ]
    as_counted = replace(
        table,
        created=np.array(created, dtype=np.int64),
        known=known[order],
        roles={role: (codes[order], names) for role, (codes, names) in table.roles.items()},
    )
    return Among(counted.counts, as_counted, _outcomes(project, as_counted.created, of_leads, until))
