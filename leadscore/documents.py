"""Lead documents → the same typed tables that files become.

A lead document is one lead with its events, in the project's own column names (see `parse`). Whatever arrives over
HTTP, through MLflow or as a JSON line takes this way, so that one implementation of the features serves all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadscore import columns, fields, time
from leadscore.errors import DocumentError, nearest
from leadscore.eventlog import EventLog
from leadscore.fields import Field, Places, require_object
from leadscore.project import EventsSpec, Project
from leadscore.tables import Data, Leads, Outcomes
from leadscore.time import NEVER

MOST_EVENTS = 50_000
"""Events of one lead that a document may hold in a table."""
MOST_CONTEXT = 1_000
"""Values that the context of a document may hold."""
PARTS = ("lead", "events", "as_of", "context")

Texts = Sequence[str | None]


@dataclass(frozen=True)
class Events:
    """The events of one table of one document: columns of equal length, in declared order, rows in any."""

    time: Sequence[int]
    known: Sequence[int]
    categories: Sequence[Texts]
    numbers: Sequence[Sequence[float]]

    def __len__(self) -> int:
        return len(self.time)

    def delivery_order(self, row: int) -> tuple[Any, ...]:
        """Known first, then by content as tables order it: null categories first, missing numbers last."""
        texts = tuple((column[row] is not None, column[row] or "") for column in self.categories)
        amounts = [column[row] for column in self.numbers]
        amounts_last_missing = tuple((number != number, number if number == number else 0.0) for number in amounts)
        return self.known[row], self.time[row], texts, amounts_last_missing

    def take(self, rows: Sequence[int]) -> Events:
        """Return some of the rows."""
        return Events(
            [self.time[row] for row in rows],
            [self.known[row] for row in rows],
            [[column[row] for row in rows] for column in self.categories],
            [[column[row] for row in rows] for column in self.numbers],
        )


@dataclass
class LeadDocument:
    """One parsed document: instants in UTC microseconds, categories as trimmed text, numbers as floats.

    A name in `context` whose value is NaN was given as null; one that is not there was not given.
    """

    lead_id: str | None
    as_of: int
    created: int
    categories: Texts
    numbers: Sequence[float]
    roles: Mapping[str, str | None]
    events: dict[str, Events]
    context: dict[str, float]
    warnings: list[str] = field(default_factory=list)


def parse(project: Project, document: Any, *, now: int) -> LeadDocument:
    """Check one document of the form ``{"lead": {…}, "events": {table: [{…}]}, "as_of": "…", "context": {…}}``.

    Only ``lead`` is required. Missing fields are null, undeclared ones are ignored with one warning; `now` (UTC
    microseconds) stands in for a missing ``as_of``. The ``context`` holds features that one document can't, by name.

    Raises
    ------
    DocumentError
        With `where` naming the field, if a part has the wrong shape, the lead has no id, an event has no readable
        time, or an event names another lead.
    """
    require_object(document, "a JSON object", "")
    unknown = [part for part in document if part not in PARTS]
    if unknown:
        raise DocumentError(
            f"unknown part.{nearest(str(unknown[0]), PARTS)} A lead document has: {', '.join(PARTS)}",
            where=str(Field("", unknown[0])),
        )
    lead = document.get("lead")
    require_object(lead, "an object with the lead's fields", "lead")
    as_of = time.FOREVER
    if project.timed:
        (as_of,) = fields.instants(
            [document.get("as_of")], project.timezone, None, lambda _: Field("", "as_of"), defaults=[now]
        )
    parsed = _lead(project, lead, as_of)
    parsed.events = _tables(project, document.get("events"), parsed)
    parsed.context = _context(document.get("context"), parsed.warnings)
    return parsed


def to_data(project: Project, documents: Sequence[LeadDocument]) -> tuple[Data, time.Instants]:
    """Tables that hold document i as lead i (ids may repeat), and its cutoffs int64 (n_documents,).

    Every name in any context is a column of `Data.context`, NaN where a document doesn't give it.
    """
    n_leads = len(documents)
    logs = {spec.name: _log(spec, [document.events[spec.name] for document in documents]) for spec in project.events}
    names = dict.fromkeys(name for document in documents for name in document.context)
    context = {name: np.array([document.context.get(name, np.nan) for document in documents]) for name in names}
    outcomes = Outcomes.none(n_leads, timed=project.timed)
    cutoffs = np.array([document.as_of for document in documents], dtype=np.int64)
    return Data(project, _leads(project, documents), logs, outcomes, context=context), cutoffs


def from_data(data: Data, lead: int, cutoff: int, context: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Return the lead document of one lead as of a cutoff: what was visible then, and nothing else.

    Scoring it gives what scoring the lead from its tables gives, if `context` brings the features that need more than
    this one lead (by name; NaN is written as null).
    """
    project, leads = data.project, data.leads
    versions = slice(leads.offsets[lead], leads.offsets[lead + 1])
    n_known = int(np.count_nonzero(leads.known[versions] < cutoff))
    profile: dict[str, Any] = {}
    if project.leads.created is not None:
        profile[project.leads.created] = _text_of_instant(int(leads.created[lead]))
    if n_known:
        version = int(leads.offsets[lead]) + n_known - 1
        profile |= _fields(project.leads.categorical, leads.codes[:, version], leads.vocabularies)
        profile |= _amounts(project.leads.numeric, leads.values[:, version])
        for role, (codes, vocabulary) in leads.roles.items():
            profile |= _fields((str(getattr(project.leads, role)),), codes[version : version + 1], (vocabulary,))
    if project.leads.id is not None:
        profile[project.leads.id] = str(leads.ids[lead])
    document: dict[str, Any] = {"lead": profile}
    if project.timed:
        document["events"] = {
            spec.name: _visible_events(spec, data.logs[spec.name], lead, cutoff) for spec in project.events
        }
        document["as_of"] = time.format_instant(cutoff)
    if context:
        document["context"] = {name: float(value) if value == value else None for name, value in context.items()}
    return document


def _visible_events(spec: EventsSpec, log: EventLog, lead: int, cutoff: int) -> list[dict[str, Any]]:
    rows = np.arange(log.offsets[lead], log.offsets[lead + 1])
    events = []
    for row in rows[time.visible(log.time[rows], log.known[rows], cutoff)]:
        event: dict[str, Any] = {spec.time: time.format_instant(int(log.time[row]))}
        if spec.known is not None:
            event[spec.known] = time.format_instant(int(log.known[row]))
        event |= _fields(spec.categorical, log.codes[:, row], log.vocabularies)
        event |= _amounts(spec.numeric, log.values[:, row])
        events.append(event)
    return events


def _fields(names: Sequence[str], codes: Any, vocabularies: Sequence[Sequence[str]]) -> dict[str, str]:
    return {name: words[code] for name, code, words in zip(names, codes, vocabularies, strict=True) if code >= 0}


def _amounts(names: Sequence[str], values: Any) -> dict[str, float]:
    return {name: float(value) for name, value in zip(names, values, strict=True) if value == value}


def _text_of_instant(instant: int) -> str | None:
    return None if instant == NEVER else time.format_instant(instant)


def _lead(project: Project, raw: Mapping[str, Any], as_of: int) -> LeadDocument:
    spec = project.leads
    row = {**spec.blank, **raw}
    lead_id = None
    if spec.id is not None:
        (lead_id,) = fields.texts([row[spec.id]], _of_lead([spec.id]))
        if lead_id is None:
            raise DocumentError(f"is missing; every lead needs its '{spec.id}'", where=str(Field("lead", spec.id)))
    n_undeclared = len(row) - len(spec.blank)
    warnings = [f"lead: {n_undeclared} undeclared field(s) ignored"] if n_undeclared else []
    created = NEVER
    if spec.created is not None:
        places = _of_lead([spec.created])
        (created,) = fields.instants([row[spec.created]], project.timezone, spec.time_format, places, [NEVER])
    categories = fields.categories([row[name] for name in spec.categorical], _of_lead(spec.categorical), spec.missing)
    unreadable: list[int] = []
    places = _of_lead(spec.numeric)
    numbers = fields.numbers([row[name] for name in spec.numeric], places, unreadable, spec.missing)
    warnings += [fields.not_a_number(places(position)) for position in unreadable]
    role_columns = list(spec.roles.values())
    roles = fields.categories([row[name] for name in role_columns], _of_lead(role_columns), spec.missing)
    return LeadDocument(
        lead_id=lead_id, as_of=as_of, created=created, categories=categories, numbers=numbers,
        roles=dict(zip(spec.roles, roles, strict=True)), events={}, context={}, warnings=warnings,
    )  # fmt: skip


def _of_lead(names: Sequence[str]) -> Places:
    return lambda position: Field("lead", names[position])


def _tables(project: Project, raw: Any, lead: LeadDocument) -> dict[str, Events]:
    tables = {} if raw is None else raw
    require_object(tables, "an object of event tables", "events")
    names = [spec.name for spec in project.events]
    for name in tables:
        if name not in names:
            known = f"the project has: {', '.join(names)}" if names else "the project has no event tables"
            raise DocumentError(
                f"unknown event table.{nearest(str(name), names)} {known}".strip(), where=str(Field("events", name))
            )
    return {spec.name: _events(project, spec, tables.get(spec.name), lead) for spec in project.events}


def _events(project: Project, spec: EventsSpec, raw: Any, lead: LeadDocument) -> Events:
    rows = [] if raw is None else raw
    path = f"events.{spec.name}"
    if not isinstance(rows, Sequence) or isinstance(rows, str | bytes):
        raise DocumentError(f"must be a list of events, not {fields.kind(rows)}", where=path)
    if len(rows) > MOST_EVENTS:
        raise DocumentError(f"holds {len(rows)} events; at most {MOST_EVENTS} are allowed", where=path)
    if not rows:
        return Events([], [], [[] for _ in spec.categorical], [[] for _ in spec.numeric])
    try:
        return _columns(project, spec, rows, lead, first=0)
    except DocumentError:
        for position, row in enumerate(rows):  # the first fault by row is told, not the first by column
            _columns(project, spec, [row], lead, first=position)
        raise


def _columns(project: Project, spec: EventsSpec, rows: Sequence[Any], lead: LeadDocument, *, first: int) -> Events:
    """Read one event or more, row 0 being number `first` of its table; of a redelivered one only the first known."""
    path = f"events.{spec.name}"

    def places(name: str) -> Places:
        return lambda row: Field(f"{path}[{first + row}]", name)

    if {*map(type, rows)} != {dict}:
        for row, event in enumerate(rows):
            require_object(event, "an object with the event's fields", f"{path}[{first + row}]")
        rows = [dict(event) for event in rows]
    given, n_undeclared = _by_column(spec, rows)
    _refuse_other_leads(given[spec.lead], lead.lead_id, places(spec.lead))
    happened = fields.instants(given[spec.time], project.timezone, spec.time_format, places(spec.time))
    known = happened
    if spec.known is not None:
        known = fields.instants(given[spec.known], project.timezone, spec.time_format, places(spec.known), happened)
    categories = [fields.categories(given[name], places(name)) for name in spec.categorical]
    numbers, warnings = _numbers(spec, given, places)
    lead.warnings += warnings
    if n_undeclared:
        lead.warnings.append(f"{path}: {n_undeclared} undeclared field(s) ignored")
    events = Events(happened, known, categories, numbers)
    return events if spec.id is None else _first_deliveries(events, fields.texts(given[spec.id], places(spec.id)))


def _by_column(spec: EventsSpec, rows: Sequence[dict[str, Any]]) -> tuple[dict[str, Sequence[Any]], int]:
    """Return every declared column, null where an event lacks the field, and how many names are not declared."""
    names: set[str] = set().union(*rows)
    given = [name for name in spec.blank if name in names]
    columns: dict[str, Sequence[Any]] = dict.fromkeys(spec.blank, (None,) * len(rows))
    try:
        columns.update(zip(given, zip(*map(itemgetter(*given, spec.time), rows), strict=True), strict=False))
    except KeyError:  # an event lacks what another has
        columns.update((name, [row.get(name) for row in rows]) for name in given)
    return columns, len(names) - len(given)


def _numbers(
    spec: EventsSpec, given: Mapping[str, Sequence[Any]], places: Callable[[str], Places]
) -> tuple[list[list[float]], list[str]]:
    """Return the numeric columns, and a warning for each value that is no number, in the order of the rows."""
    unreadable: list[list[int]] = [[] for _ in spec.numeric]
    numbers = [
        fields.numbers(given[name], places(name), found) for name, found in zip(spec.numeric, unreadable, strict=True)
    ]
    wrong = sorted((row, column) for column, found in enumerate(unreadable) for row in found)
    return numbers, [fields.not_a_number(places(spec.numeric[column])(row)) for row, column in wrong]


def _refuse_other_leads(owners: Sequence[Any], lead_id: str | None, places: Places) -> None:
    with suppress(TypeError):  # a list or an object, which can't be in a set
        if {None, lead_id}.issuperset(owners):
            return
    for row, owner in enumerate(fields.texts(owners, places)):
        if owner is not None and lead_id is not None and owner != lead_id:
            raise DocumentError("names another lead than the document", where=str(places(row)))


def _first_deliveries(events: Events, ids: Texts) -> Events:
    """Of rows that share an id keep the one known first; rows without id all stay."""
    if len({*ids}) + max(0, ids.count(None) - 1) == len(ids):
        return events
    nameless = []
    first: dict[str, int] = {}
    for row, event_id in enumerate(ids):
        if event_id is None:
            nameless.append(row)
        elif event_id not in first or events.delivery_order(row) < events.delivery_order(first[event_id]):
            first[event_id] = row
    return events.take([*nameless, *first.values()])


def _context(raw: Any, warnings: list[str]) -> dict[str, float]:
    if raw is None:
        return {}
    require_object(raw, "an object of feature names and values", "context")
    if len(raw) > MOST_CONTEXT:
        raise DocumentError(f"holds {len(raw)} values; at most {MOST_CONTEXT} are allowed", where="context")
    context = {str(name): columns.number_value(value) for name, value in raw.items()}
    for name, value in raw.items():
        number = context[str(name)]
        empty = value is None or value == "" if not isinstance(value, float) else value != value
        if number != number and not empty:
            warnings.append(fields.not_a_number(Field("context", name)))
    return context


def _leads(project: Project, documents: Sequence[LeadDocument]) -> Leads:
    spec, n_leads = project.leads, len(documents)
    n_categorical, n_columns = len(spec.categorical), len(spec.categorical) + len(spec.roles)
    rows = [(*document.categories, *document.roles.values()) for document in documents]
    codes, vocabularies = _encode(list(zip(*rows, strict=True)) or [()] * n_columns, n_leads)
    values = np.array([document.numbers for document in documents], dtype=np.float64)
    return Leads(
        ids=np.array([document.lead_id for document in documents], dtype=object),
        created=np.array([document.created for document in documents], dtype=np.int64),
        row=np.arange(n_leads),
        offsets=np.arange(n_leads + 1),
        known=np.full(n_leads, NEVER, dtype=np.int64),
        codes=codes[:n_categorical],
        values=values.reshape(n_leads, len(spec.numeric)).T,
        vocabularies=vocabularies[:n_categorical],
        roles=dict(zip(spec.roles, zip(codes[n_categorical:], vocabularies[n_categorical:], strict=True), strict=True)),
    )


def _log(spec: EventsSpec, tables: Sequence[Events]) -> EventLog:
    events = tables[0] if len(tables) == 1 else _joined(spec, tables)
    n_events = len(events)
    codes, vocabularies = _encode(events.categories, n_events)
    values = np.array(events.numbers, dtype=np.float64).reshape(len(spec.numeric), n_events)
    happened, known = np.array(events.time, dtype=np.int64), np.array(events.known, dtype=np.int64)
    if len(tables) == 1 and len({*events.time}) == n_events:  # one lead and no ties: time alone is the order
        order = happened.argsort()
        codes, values = codes.take(order, axis=1), values.take(order, axis=1)
        return EventLog(np.array([0, n_events]), happened[order], known[order], codes, values, vocabularies)
    lead = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    return EventLog.group(lead, happened, known, codes, values, vocabularies, n_leads=len(tables))


def _joined(spec: EventsSpec, tables: Sequence[Events]) -> Events:
    return Events(
        [*chain.from_iterable(table.time for table in tables)],
        [*chain.from_iterable(table.known for table in tables)],
        [[*chain.from_iterable(table.categories[i] for table in tables)] for i in range(len(spec.categorical))],
        [[*chain.from_iterable(table.numbers[i] for table in tables)] for i in range(len(spec.numeric))],
    )


def _encode(columns: Sequence[Texts], n_rows: int) -> tuple[NDArray[np.int32], tuple[tuple[str, ...], ...]]:
    """Codes int32 (n_columns, n_rows) and the sorted vocabulary of each column."""
    codes: list[int] = []
    vocabularies = []
    for texts in columns:
        vocabulary = tuple(sorted(filter(None, {*texts})))  # no text is empty
        code_of: dict[str | None, int] = {text: code for code, text in enumerate(vocabulary)}
        code_of[None] = -1
        codes += map(code_of.__getitem__, texts)
        vocabularies.append(vocabulary)
    return np.array(codes, dtype=np.int32).reshape(len(columns), n_rows), tuple(vocabularies)
