"""Lead documents → the same typed tables that files become.

A lead document is one lead with its events, in the project's own column names (see `parse`). Whatever arrives over
HTTP, through MLflow or as a JSON line takes this way, so that one implementation of the features serves all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from leadscore import columns, time
from leadscore.errors import DocumentError, nearest
from leadscore.eventlog import EventLog
from leadscore.project import EventsSpec, Project
from leadscore.tables import Data, Leads, Outcomes
from leadscore.time import NEVER

MOST_EVENTS = 50_000
"""Events of one lead that a document may hold."""
LONGEST_TEXT = 10_000
"""Characters that one value may have."""
LONGEST_NUMBER = 300
"""Digits that a whole number may have where text is wanted."""
_TOO_LONG = 10**LONGEST_NUMBER
PARTS = ("lead", "events", "as_of", "context")

Event = tuple[int, int, tuple[str | None, ...], tuple[float, ...]]
"""time, known, categories, numbers; in declared order."""


@dataclass
class LeadDocument:
    """One parsed document: instants in UTC microseconds, categories as trimmed text, numbers as floats."""

    lead_id: str | None
    as_of: int
    created: int
    categories: tuple[str | None, ...]
    numbers: tuple[float, ...]
    roles: dict[str, str | None]
    events: dict[str, list[Event]]
    context: dict[str, float]
    warnings: list[str] = field(default_factory=list)


def parse(project: Project, document: Any, *, now: int) -> LeadDocument:
    """Check one document of the form ``{"lead": {…}, "events": {table: [{…}]}, "as_of": "…", "context": {…}}``.

    Only ``lead`` is required. Missing fields are null, undeclared ones are ignored with one warning; `now` (UTC
    microseconds) stands in for a missing ``as_of``.

    Raises
    ------
    DocumentError
        With `where` naming the field, if a part has the wrong shape, the lead has no id, an event has no readable
        time, or an event names another lead.
    """
    _require(document, Mapping, "a JSON object", "")
    unknown = [part for part in document if part not in PARTS]
    if unknown:
        raise DocumentError(
            f"unknown part.{nearest(str(unknown[0]), PARTS)} A lead document has: {', '.join(PARTS)}",
            where=str(_Field("", unknown[0])),
        )
    lead = document.get("lead")
    _require(lead, Mapping, "an object with the lead's fields", "lead")
    as_of = (
        time.FOREVER
        if not project.timed
        else _instant(document.get("as_of"), project, _Field("", "as_of"), default=now)
    )
    parsed = _lead(project, lead, as_of)
    events = document.get("events")
    events = {} if events is None else events
    _require(events, Mapping, "an object of event tables", "events")
    names = [spec.name for spec in project.events]
    for name in events:
        if name not in names:
            known = f"the project has: {', '.join(names)}" if names else "the project has no event tables"
            raise DocumentError(
                f"unknown event table.{nearest(str(name), names)} {known}".strip(), where=str(_Field("events", name))
            )
    for spec in project.events:
        rows = events.get(spec.name)
        rows = [] if rows is None else rows
        parsed.events[spec.name] = _events(project, spec, rows, parsed)
    parsed.context = _context(document.get("context"))
    return parsed


def to_data(project: Project, documents: Sequence[LeadDocument]) -> tuple[Data, time.Instants]:
    """Tables that hold document i as lead i (ids may repeat), and its cutoffs int64 (n_documents,)."""
    n_leads = len(documents)
    spec = project.leads
    codes, vocabularies = _encode([document.categories for document in documents], len(spec.categorical))
    roles = {}
    for role in documents[0].roles if documents else ():
        coded, vocabulary = _encode([(document.roles[role],) for document in documents], 1)
        roles[role] = (coded[0], vocabulary[0])
    leads = Leads(
        ids=np.array([document.lead_id for document in documents], dtype=object),
        created=np.array([document.created for document in documents], dtype=np.int64),
        row=np.arange(n_leads),
        offsets=np.arange(n_leads + 1),
        known=np.full(n_leads, NEVER, dtype=np.int64),
        codes=codes,
        values=_matrix([document.numbers for document in documents], len(spec.numeric)),
        vocabularies=vocabularies,
        roles=roles,
    )
    logs = {table.name: _log(table, documents) for table in project.events}
    cutoffs = np.array([document.as_of for document in documents], dtype=np.int64)
    return Data(project, leads, logs, Outcomes.none(n_leads, timed=project.timed)), cutoffs


def from_data(data: Data, lead: int, cutoff: int) -> dict[str, Any]:
    """Return the lead document of one lead as of a cutoff: what was visible then, and nothing else.

    Scoring it gives what scoring the lead from its tables gives.
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
    lead_id = None if spec.id is None else _text(raw.get(spec.id), _Field("lead", spec.id))
    if spec.id is not None and lead_id is None:
        raise DocumentError(f"is missing; every lead needs its '{spec.id}'", where=str(_Field("lead", spec.id)))
    warnings: list[str] = []
    role_columns = {role: getattr(spec, role) for role in ("account", "origin", "owner") if getattr(spec, role)}
    declared = {spec.id, spec.created, spec.known, *role_columns.values(), *spec.categorical, *spec.numeric}
    undeclared = [key for key in raw if key not in declared]
    if undeclared:
        warnings.append(f"lead: {len(undeclared)} undeclared field(s) ignored")
    created = NEVER
    if spec.created is not None and raw.get(spec.created) not in (None, ""):
        created = _instant(raw[spec.created], project, _Field("lead", spec.created), spec.time_format)
    return LeadDocument(
        lead_id=lead_id,
        as_of=as_of,
        created=created,
        categories=tuple(_category(raw.get(name), _Field("lead", name), spec.missing) for name in spec.categorical),
        numbers=tuple(_number(raw.get(name), _Field("lead", name), warnings, spec.missing) for name in spec.numeric),
        roles={
            role: _category(raw.get(name), _Field("lead", name), spec.missing) for role, name in role_columns.items()
        },
        events={},
        context={},
        warnings=warnings,
    )


def _events(project: Project, spec: EventsSpec, raw: Any, lead: LeadDocument) -> list[Event]:
    path = f"events.{spec.name}"
    if not isinstance(raw, Sequence) or isinstance(raw, str | bytes):
        raise DocumentError(f"must be a list of events, not {_kind(raw)}", where=path)
    if len(raw) > MOST_EVENTS:
        raise DocumentError(f"holds {len(raw)} events; at most {MOST_EVENTS} are allowed", where=path)
    declared = {spec.lead, spec.time, spec.known, spec.id, *spec.categorical, *spec.numeric}
    undeclared: set[str] = set()
    delivered: dict[str, Event] = {}
    events: list[Event] = []
    for position, row in enumerate(raw):
        where = f"{path}[{position}]"
        _require(row, Mapping, "an object with the event's fields", where)
        undeclared |= row.keys() - declared
        event = _event(project, spec, row, lead, where)
        event_id = _text(row.get(spec.id), _Field(where, spec.id)) if spec.id else None
        if event_id is None:
            events.append(event)
        elif event_id not in delivered or _delivery_order(event) < _delivery_order(delivered[event_id]):
            delivered[event_id] = event
    if undeclared:
        lead.warnings.append(f"{path}: {len(undeclared)} undeclared field(s) ignored")
    return events + list(delivered.values())


def _event(project: Project, spec: EventsSpec, row: Mapping[str, Any], lead: LeadDocument, where: str) -> Event:
    owner = _text(row.get(spec.lead), _Field(where, spec.lead))
    if owner is not None and lead.lead_id is not None and owner != lead.lead_id:
        raise DocumentError("names another lead than the document", where=str(_Field(where, spec.lead)))
    happened = _instant(row.get(spec.time), project, _Field(where, spec.time), spec.time_format)
    known = happened
    if spec.known is not None and row.get(spec.known) not in (None, ""):
        known = _instant(row[spec.known], project, _Field(where, spec.known), spec.time_format)
    return (
        happened,
        known,
        tuple(_category(row.get(name), _Field(where, name)) for name in spec.categorical),
        tuple(_number(row.get(name), _Field(where, name), lead.warnings) for name in spec.numeric),
    )


def _delivery_order(event: Event) -> tuple[Any, ...]:
    """Known first, then by content as tables order it: null categories first, missing numbers last."""
    happened, known, categories, numbers = event
    texts = tuple((text is not None, text or "") for text in categories)
    amounts = tuple((number != number, number if number == number else 0.0) for number in numbers)
    return known, happened, texts, amounts


def _context(raw: Any) -> dict[str, float]:
    if raw is None:
        return {}
    _require(raw, Mapping, "an object of feature names and values", "context")
    return {str(name): columns.number_value(value) for name, value in raw.items()}


def _require(value: Any, kind: type, what: str, where: str) -> None:
    if not isinstance(value, kind):
        raise DocumentError(f"must be {what}, not {_kind(value)}", where=where)


def _kind(value: Any) -> str:
    """Return what JSON calls a value's type."""
    if value is None:
        return "nothing"
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list"}
    return "an object" if isinstance(value, Mapping) else names.get(type(value), type(value).__name__)


class _Field(NamedTuple):
    """Where a value stands in the document; written out only if it is wrong."""

    part: str
    key: Any

    def __str__(self) -> str:
        shown = str(self.key)[:60].encode("utf-8", "replace").decode()
        return f"{self.part}.{shown}" if self.part else shown


def _text(value: Any, where: _Field) -> str | None:
    if type(value) is not str:
        if isinstance(value, Mapping | list | tuple):
            raise DocumentError(f"must be a single value, not {_kind(value)}", where=str(where))
        if isinstance(value, int) and abs(value) >= _TOO_LONG:
            raise DocumentError(f"has more than {LONGEST_NUMBER} digits; write it as text", where=str(where))
    text = columns.text_value(value)
    if text is not None and len(text) > LONGEST_TEXT:
        raise DocumentError(f"has {len(text)} characters; at most {LONGEST_TEXT} are allowed", where=str(where))
    if text is not None and not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise DocumentError("holds half a surrogate pair, which is no text; send UTF-8", where=str(where))
    return text


def _category(value: Any, where: _Field, missing: Sequence[str] = ()) -> str | None:
    text = _text(value, where)
    return None if text in missing else text


def _number(value: Any, where: _Field, warnings: list[str], missing: Sequence[str] = ()) -> float:
    text = value if isinstance(value, int | float) else _text(value, where)
    if text is None or text in missing:
        return float("nan")
    number = columns.number_value(text)
    if number != number and value == value:
        warnings.append(f"{where}: not a finite number, taken as missing")
    return float("nan") if missing and number in columns.missing_numbers(missing) else number


def _instant(
    value: Any, project: Project, where: _Field, time_format: str | None = None, *, default: int | None = None
) -> int:
    if value is None or value == "":
        if default is not None:
            return default
        raise DocumentError("is missing; write a time such as '2026-05-01T09:00:00Z'", where=str(where))
    try:
        instant = time.parse_instant(value, project.timezone, time_format)
    except (ValueError, TypeError):
        raise DocumentError(
            "is not a readable time; write ISO 8601, as in '2026-05-01T09:00:00Z'", where=str(where)
        ) from None
    if not time.EARLIEST <= instant <= time.LATEST:
        raise DocumentError("lies outside the years 1 to 9999", where=str(where))
    return instant


def _encode(
    rows: Sequence[tuple[str | None, ...]], n_columns: int
) -> tuple[np.ndarray[Any, np.dtype[np.int32]], tuple[tuple[str, ...], ...]]:
    """Codes int32 (n_columns, n_rows) and the sorted vocabulary of each column."""
    codes = np.empty((n_columns, len(rows)), dtype=np.int32)
    vocabularies = []
    for position in range(n_columns):
        texts = [row[position] for row in rows]
        vocabulary = tuple(sorted({text for text in texts if text is not None}))
        rank: dict[str | None, int] = {text: code for code, text in enumerate(vocabulary)}
        rank[None] = -1
        codes[position] = [rank[text] for text in texts]
        vocabularies.append(vocabulary)
    return codes, tuple(vocabularies)


def _matrix(rows: Sequence[tuple[float, ...]], n_columns: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(rows, dtype=np.float64).reshape(len(rows), n_columns).T


def _log(spec: EventsSpec, documents: Sequence[LeadDocument]) -> EventLog:
    events = [event for document in documents for event in document.events[spec.name]]
    n_events = [len(document.events[spec.name]) for document in documents]
    codes, vocabularies = _encode([event[2] for event in events], len(spec.categorical))
    return EventLog.group(
        np.repeat(np.arange(len(documents)), n_events),
        np.array([event[0] for event in events], dtype=np.int64),
        np.array([event[1] for event in events], dtype=np.int64),
        codes,
        _matrix([event[3] for event in events], len(spec.numeric)),
        vocabularies,
        n_leads=len(documents),
    )
