"""A project's files → the first rows of its store, with the ids that its tables declare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from leadscore import columns
from leadscore.errors import NoSourceError
from leadscore.model.booster import Progress
from leadscore.project import EventsSpec, Project, Source
from leadscore.reading import read
from leadscore.sources import read_rows
from leadscore.time import NEVER, Instants
from service.store.arrivals import LEADS, OUTCOME, Row, filled, outcome_id, profile_names
from service.store.journal import Journal
from service.store.tables import SINCE_EVER

PART = 20_000
"""Rows written at once."""


def import_project(journal: Journal, progress: Progress | None = None) -> int:
    """Fill an empty store from the sources of its project; returns how many rows it has now.

    What is known of a row is what its table declares; where it declares nothing, an event and an outcome were known
    when they happened, a profile since ever. Everything is validated first, as training would.

    Raises
    ------
    DataError
        As `leadscore.reading.read`; nothing is stored then.
    """
    project = journal.project
    read(replace(project, store=None), outcome="optional")
    tables = [_profiles(project), *(_events(project, spec) for spec in project.events), _outcomes(project)]
    n_rows = sum(map(len, tables))

    def parts() -> Iterator[Sequence[tuple[Row, int]]]:
        n_done = 0
        for table in tables:
            for start in range(0, len(table), PART):
                part = table[start : start + PART]
                yield part
                n_done += len(part)
                if progress is not None:
                    progress(n_done, n_rows)

    return journal.fill(parts())


Known = list[tuple[Row, int]]


def _profiles(project: Project) -> Known:
    spec = project.leads
    texts, numbers = profile_names(spec), spec.numeric
    source = _Table(project, spec.source, [spec.id, spec.created, spec.known, *texts, *numbers], LEADS)
    ids = source.texts(str(spec.id))
    n_rows = len(ids)
    created = source.instants(spec.created, spec.time_format) if spec.created else np.full(n_rows, NEVER)
    known = source.instants(spec.known, spec.time_format) if spec.known else np.full(n_rows, SINCE_EVER)
    contents = source.contents(texts, numbers, spec.missing)
    versions: dict[tuple[str, int], int] = {}
    found: Known = []
    for lead_id, at, since, data in zip(ids, created.tolist(), known.tolist(), contents, strict=True):
        if lead_id is None or since == NEVER:
            continue  # counted and told by the reading before
        n_before = versions[lead_id, since] = versions.get((lead_id, since), -1) + 1
        found.append((Row(LEADS, f"{lead_id}@{since}.{n_before}", lead_id, at, data), since))
    return found


def _events(project: Project, spec: EventsSpec) -> Known:
    names = [spec.lead, spec.time, spec.known, spec.id, *spec.categorical, *spec.numeric]
    source = _Table(project, spec.source, names, f"events.{spec.name}")
    lead_ids, happened = source.texts(spec.lead), source.instants(spec.time, spec.time_format)
    known = happened if spec.known is None else source.instants(spec.known, spec.time_format)
    event_ids = [None] * len(lead_ids) if spec.id is None else source.texts(spec.id)
    contents = source.contents(spec.categorical, spec.numeric)
    found: Known = []
    rows = zip(lead_ids, happened.tolist(), known.tolist(), event_ids, contents, strict=True)
    for number, (lead_id, at, since, event_id, data) in enumerate(rows, 1):
        if lead_id is not None and NEVER not in (at, since):
            found.append((Row(spec.name, event_id or f"row {number} of the import", lead_id, at, data), since))
    return _first_deliveries(found)


def _outcomes(project: Project) -> Known:
    spec = project.outcome
    lead_column, names = str(spec.lead or project.leads.id), [spec.time, spec.column, spec.known]
    try:
        source = _Table(project, spec.source, [lead_column, *names], OUTCOME)
    except NoSourceError:
        return []
    lead_ids, at = source.texts(lead_column), source.instants(str(spec.time), spec.time_format)
    known = at if spec.known is None else source.instants(spec.known, spec.time_format)
    statuses = [None] * len(lead_ids) if spec.column is None else source.texts(spec.column)
    found: Known = []
    for lead_id, time, since, status in zip(lead_ids, at.tolist(), known.tolist(), statuses, strict=True):
        says_something = spec.column is None or status is not None
        if lead_id is not None and says_something and NEVER not in (time, since):
            data = filled(**{str(spec.column): status})
            found.append((Row(OUTCOME, outcome_id(lead_id, time, status), lead_id, time, data), since))
    return _first_deliveries(found)


def _first_deliveries(found: Known) -> Known:
    """Of rows that share an id, the one known first (then the first by content), as the library reads them."""
    first: dict[str, tuple[Row, int]] = {}
    for row, known in found:
        other = first.get(row.row_id)
        if other is None or (known, row.time, sorted(row.data.items())) < (
            other[1],
            other[0].time,
            sorted(other[0].data.items()),
        ):
            first[row.row_id] = row, known
    return list(first.values())


class _Table:
    """The columns of one source, read as the library reads them."""

    def __init__(self, project: Project, source: Source, names: Sequence[str | None], where: str) -> None:
        wanted = [name for name in names if name is not None]
        self._table: pa.Table = read_rows(source, project.folder, wanted, where=where).table
        self._timezone = project.timezone

    def texts(self, name: str) -> list[str | None]:
        found: list[str | None] = columns.text_column(self._table[name]).to_pylist()
        return found

    def instants(self, name: str, time_format: str | None) -> Instants:
        return columns.instants(self._table[name], self._timezone, time_format)[0]

    def contents(
        self, categorical: Sequence[str], numeric: Sequence[str], missing: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """The other columns, row by row, without what isn't filled in."""
        texts = [[None if text in missing else text for text in self.texts(name)] for name in categorical]
        numbers = [columns.numbers(self._table[name], missing)[0].tolist() for name in numeric]
        names = (*categorical, *numeric)
        if not names:
            return [{} for _ in range(self._table.num_rows)]
        return [filled(**dict(zip(names, row, strict=True))) for row in zip(*texts, *numbers, strict=True)]
