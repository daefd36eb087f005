"""Lead documents → the same typed tables that files become.

A lead document is one lead with its events, in the project's own column names (see `parse`). Whatever arrives over
HTTP, through MLflow or as a JSON line takes this way, so that one implementation of the features serves all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadscore import columns, fields, time
from leadscore.errors import DocumentError, nearest
from leadscore.eventlog import EventLog
from leadscore.events import CodedEvents, Events, Texts, plain_fields, read_events
from leadscore.fields import Field, Places, require_object
from leadscore.plain import Layout
from leadscore.project import EventsSpec, LeadsSpec, Project
from leadscore.tables import Contexts, Data, Leads, Outcomes
from leadscore.time import NEVER

MOST_CONTEXT = 1_000
"""Values that the context of a document may hold."""
PARTS = ("lead", "events", "as_of", "context")


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
    events: dict[str, Events | CodedEvents]
    context: dict[str, float]
    warnings: list[str] = field(default_factory=list)


def plain_layout(project: Project) -> Layout | None:
    """Return how event tables of a document are read past objects, where they are plain; None where none ever are."""
    fields_of = {spec.name: plain_fields(spec) for spec in project.events}
    tables = {name: of_table for name, of_table in fields_of.items() if of_table is not None}
    return Layout.of(tables) if len(tables) == len(fields_of) else None


def parse(project: Project, document: Any, *, now: int) -> LeadDocument:
    """Check one document of the form ``{"lead": {…}, "events": {table: [{…}]}, "as_of": "…", "context": {…}}``.

    A table may be what `plain_layout` read of it.

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
        as_of = fields.instant(document.get("as_of"), project.timezone, None, Field("", "as_of"), default=now)
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
    context = Contexts([document.context for document in documents])
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
        created = int(leads.created[lead])
        profile[project.leads.created] = None if created == NEVER else _instant(created, project.leads.time_format)
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
        event: dict[str, Any] = {spec.time: _instant(int(log.time[row]), spec.time_format)}
        if spec.known is not None:
            event[spec.known] = _instant(int(log.known[row]), spec.time_format)
        event |= _fields(spec.categorical, log.codes[:, row], log.vocabularies)
        event |= _amounts(spec.numeric, log.values[:, row])
        events.append(event)
    return events


def _fields(names: Sequence[str], codes: Any, vocabularies: Sequence[Sequence[str]]) -> dict[str, str]:
    return {name: words[code] for name, code, words in zip(names, codes, vocabularies, strict=True) if code >= 0}


def _amounts(names: Sequence[str], values: Any) -> dict[str, float]:
    return {name: float(value) for name, value in zip(names, values, strict=True) if value == value}


def _instant(instant: int, time_format: str | None) -> str:
    """ISO 8601; where a format is declared with an offset in digits: a Z in it is a letter, and what it reads local."""
    text = time.format_instant(instant)
    return text if time_format is None else text.replace("Z", "+00:00")


def _lead(project: Project, raw: Mapping[str, Any], as_of: int) -> LeadDocument:
    spec = project.leads
    row = {**spec.blank, **raw}
    n_undeclared = len(row) - len(spec.blank)
    warnings = [f"lead: {n_undeclared} undeclared field(s) ignored"] if n_undeclared else []
    unreadable: list[int] = []
    document = LeadDocument(
        lead_id=_lead_id(spec, row),
        as_of=as_of,
        created=_created(spec, row, project.timezone),
        categories=fields.categories(_values(row, spec.categorical), _of_lead(spec.categorical), spec.missing),
        numbers=fields.numbers(_values(row, spec.numeric), _of_lead(spec.numeric), unreadable, spec.missing),
        roles=_roles(spec, row),
        events={},
        context={},
        warnings=warnings,
    )
    warnings += [fields.not_a_number(Field("lead", spec.numeric[position])) for position in unreadable]
    return document


def _lead_id(spec: LeadsSpec, row: Mapping[str, Any]) -> str | None:
    if spec.id is None:
        return None
    (lead_id,) = fields.texts([row[spec.id]], _of_lead([spec.id]))
    if lead_id is None:
        raise DocumentError(f"is missing; every lead needs its '{spec.id}'", where=str(Field("lead", spec.id)))
    return lead_id


def _created(spec: LeadsSpec, row: Mapping[str, Any], timezone: str) -> int:
    if spec.created is None:
        return NEVER
    return fields.instant(row[spec.created], timezone, spec.time_format, Field("lead", spec.created), default=NEVER)


def _roles(spec: LeadsSpec, row: Mapping[str, Any]) -> dict[str, str | None]:
    names = list(spec.roles.values())
    return dict(zip(spec.roles, fields.categories(_values(row, names), _of_lead(names), spec.missing), strict=True))


def _values(row: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    return [row[name] for name in names]


def _of_lead(names: Sequence[str]) -> Places:
    return lambda position: Field("lead", names[position])


def _tables(project: Project, raw: Any, lead: LeadDocument) -> dict[str, Events | CodedEvents]:
    tables = {} if raw is None else raw
    require_object(tables, "an object of event tables", "events")
    names = [spec.name for spec in project.events]
    for name in tables:
        if name not in names:
            known = f"the project has: {', '.join(names)}" if names else "the project has no event tables"
            raise DocumentError(
                f"unknown event table.{nearest(str(name), names)} {known}".strip(), where=str(Field("events", name))
            )
    return {
        spec.name: read_events(spec, tables.get(spec.name), project.timezone, lead.lead_id, lead.warnings)
        for spec in project.events
    }


def _context(raw: Any, warnings: list[str]) -> dict[str, float]:
    if raw is None:
        return {}
    require_object(raw, "an object of feature names and values", "context")
    if len(raw) > MOST_CONTEXT:
        raise DocumentError(f"holds {len(raw)} values; at most {MOST_CONTEXT} are allowed", where="context")
    context: dict[str, float] = {}
    for name, value in raw.items():
        number = context[str(name)] = columns.number_value(value)
        if number != number and not _is_null(value):
            warnings.append(fields.not_a_number(Field("context", name)))
    return context


def _is_null(value: Any) -> bool:
    """Whether a value says that there is none: null, NaN, blank text."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and value != value)


def _leads(project: Project, documents: Sequence[LeadDocument]) -> Leads:
    spec, n_leads = project.leads, len(documents)
    n_categorical, n_columns = len(spec.categorical), len(spec.categorical) + len(spec.roles)
    rows = [(*document.categories, *document.roles.values()) for document in documents]
    codes, vocabularies = encoded(list(zip(*rows, strict=True)) or [()] * n_columns, n_leads)
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


def _log(spec: EventsSpec, tables: Sequence[Events | CodedEvents]) -> EventLog:
    n_leads = len(tables)
    events = tables[0] if n_leads == 1 else _joined(spec, tables)
    if isinstance(events, CodedEvents):
        codes, values, vocabularies = events.codes, events.values, events.vocabularies
    else:
        codes, vocabularies = encoded(events.categories, len(events))
        values = np.array(events.numbers, dtype=np.float64).reshape(len(spec.numeric), len(events))
    instants = events.time.tolist() if n_leads == 1 else []
    if n_leads == 1 and len({*instants}) == len(instants):  # no ties: time alone is the order
        offsets = np.array([0, len(instants)], dtype=np.int64)
        if instants == sorted(instants):
            return EventLog(offsets, events.time, events.known, codes, values, vocabularies)
        order = events.time.argsort()
        codes, values = codes.take(order, axis=1), values.take(order, axis=1)
        return EventLog(offsets, events.time[order], events.known[order], codes, values, vocabularies)
    lead = np.repeat(np.arange(n_leads), [len(table) for table in tables])
    return EventLog.group(lead, events.time, events.known, codes, values, vocabularies, n_leads=n_leads)


def _joined(spec: EventsSpec, tables: Sequence[Events | CodedEvents]) -> Events:
    tables = [Events.none(spec), *tables]  # so that there is at least one
    return Events(
        np.concatenate([table.time for table in tables]),
        np.concatenate([table.known for table in tables]),
        [[*chain.from_iterable(table.categories[i] for table in tables)] for i in range(len(spec.categorical))],
        [[*chain.from_iterable(table.numbers[i] for table in tables)] for i in range(len(spec.numeric))],
    )


def encoded(columns: Sequence[Texts], n_rows: int) -> tuple[NDArray[np.int32], tuple[tuple[str, ...], ...]]:
    """Return codes int32 (n_columns, n_rows), −1 where null, and the sorted vocabulary of each column."""
    if n_rows == 1:  # a lone lead: a column has one word or none
        words = [text for (text,) in columns]
        lone = np.array([-1 if word is None else 0 for word in words], dtype=np.int32)
        return lone.reshape(len(columns), 1), tuple([() if word is None else (word,) for word in words])
    codes: list[int] = []
    vocabularies = []
    for texts in columns:
        vocabulary = tuple(sorted(filter(None, {*texts})))  # no text is empty
        code_of: dict[str | None, int] = {text: code for code, text in enumerate(vocabulary)}
        code_of[None] = -1
        codes += map(code_of.__getitem__, texts)
        vocabularies.append(vocabulary)
    return np.array(codes, dtype=np.int32).reshape(len(columns), n_rows), tuple(vocabularies)
