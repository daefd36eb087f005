"""A body of ``POST /v1/events`` → rows of the journal: checked whole, in the project's own column names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from leadscore import fields
from leadscore.errors import DocumentError, StoreError, nearest
from leadscore.fields import Field
from leadscore.project import EventsSpec, LeadsSpec, OutcomeSpec, Project
from leadscore.time import NEVER, Instants

LONGEST_ID = 200
"""Characters of an id."""
EVENT_ID = "event_id"
"""What names an event where its table declares no id, and a verdict."""
LEADS, OUTCOME, VERDICT = "leads", "outcome", "verdict"
"""Kinds of rows beside the event tables; no event table may have these names."""
ACCEPT, REJECT, WITHDRAW = VERDICTS = ("accept", "reject", "withdraw")
"""A withdrawal takes back what was said of a lead before it."""
STAMP = ""
"""Where a profile keeps the version's own time, if the project declares `known`: no column is named so."""
PARTS = ("leads", "events", "outcomes", "verdicts")


class Row(NamedTuple):
    """What is to be stored; `row_id` names it once and for all (a profile is named when it is stored)."""

    kind: str
    row_id: str
    lead_id: str
    time: int
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Arrivals:
    """The rows of one body, in order, and what was ignored in it."""

    rows: list[Row]
    warnings: list[str] = field(default_factory=list)


def parse(project: Project, body: Any, *, most_rows: int) -> Arrivals:
    """Check a body ``{"leads": […], "events": {table: […]}, "outcomes": […], "verdicts": […]}``, each part optional.

    Fields that aren't declared are ignored with a warning; a client's `known` is ignored.

    Raises
    ------
    DocumentError
        With `where` naming the field, if anything in it can't be stored: then nothing is.
    """
    fields.require_object(body, "a JSON object", "")
    _known_names(body, PARTS, "", "part", "A body has")
    tables = {} if body.get("events") is None else body["events"]
    fields.require_object(tables, "an object of event tables", "events")
    _known_names(tables, [spec.name for spec in project.events], "events", "event table", "The project has")
    warnings: list[str] = []
    rows = [
        *_leads(project, _list(body.get("leads"), "leads"), warnings),
        *(row for spec in project.events for row in _events(project, spec, tables.get(spec.name), warnings)),
        *_outcomes(project, _list(body.get("outcomes"), "outcomes"), warnings),
        *_verdicts(project, _list(body.get("verdicts"), "verdicts"), warnings),
    ]
    if len(rows) > most_rows:
        raise DocumentError(f"at most {most_rows} rows at once, found {len(rows)}; send them in several requests")
    return Arrivals(rows, warnings)


def profile_names(spec: LeadsSpec) -> tuple[str, ...]:
    """Return the text columns of a profile: categories, and the roles that aren't among them."""
    return tuple(dict.fromkeys((*spec.categorical, *spec.roles.values())))


def outcome_id(lead_id: str, time: int, status: str | None) -> str:
    """Return what names an outcome: all that it says."""
    return hashlib.sha256(json.dumps([lead_id, time, status]).encode()).hexdigest()[:32]


def filled(**values: Any) -> dict[str, Any]:
    """Return the values that are there: no null, no NaN."""
    return {name: value for name, value in values.items() if value is not None and value == value}


def _leads(project: Project, raw: list[Any], warnings: list[str]) -> list[Row]:
    spec, table = project.leads, _Table(raw, "leads", project.timezone, project.leads.time_format)
    if not raw:
        return []
    assert spec.id is not None  # a project with a store has times, so leads have ids
    ids = table.ids(spec.id)
    created = table.instants(spec.created, optional=True) if spec.created else None
    stamps = table.instants(spec.known, optional=True) if spec.known else None
    names = profile_names(spec)
    content: dict[str, Sequence[Any]] = {
        name: fields.categories(table.column(name), table.places(name), spec.missing) for name in names
    }
    content |= {name: table.numbers(name, warnings, spec.missing) for name in spec.numeric}
    table.warn_of_undeclared(spec.blank, warnings)
    rows = []
    for place, given in enumerate(table.rows):
        data = {name: _plain(content[name][place]) for name in content if name in given}
        if stamps is not None and stamps[place] != NEVER:
            data[STAMP] = int(stamps[place])
        rows.append(Row(LEADS, "", ids[place], NEVER if created is None else int(created[place]), data))
    return rows


def _events(project: Project, spec: EventsSpec, raw: Any, warnings: list[str]) -> list[Row]:
    path = f"events.{spec.name}"
    table = _Table(_list(raw, path), path, project.timezone, spec.time_format)
    if not table.rows:
        return []
    event_ids, lead_ids = table.ids(spec.id or EVENT_ID), table.ids(spec.lead)
    happened = table.instants(spec.time)
    content: dict[str, Sequence[Any]] = {
        name: fields.categories(table.column(name), table.places(name)) for name in spec.categorical
    }
    content |= {name: table.numbers(name, warnings) for name in spec.numeric}
    table.warn_of_undeclared({**spec.blank, EVENT_ID: None}, warnings)
    values = zip(*content.values(), strict=True) if content else [()] * len(table.rows)
    return [
        Row(spec.name, event_id, lead_id, int(at), filled(**dict(zip(content, row, strict=True))))
        for event_id, lead_id, at, row in zip(event_ids, lead_ids, happened, values, strict=True)
    ]


def _outcomes(project: Project, raw: list[Any], warnings: list[str]) -> list[Row]:
    spec: OutcomeSpec = project.outcome
    table = _Table(raw, "outcomes", project.timezone, spec.time_format)
    if not raw:
        return []
    lead_ids, at = table.ids(str(spec.lead or project.leads.id)), table.instants(str(spec.time))
    statuses: Sequence[str | None] = [None] * len(raw)
    if spec.column is not None:
        statuses = table.ids(spec.column)
        n_open = sum(status not in spec.won + spec.lost for status in statuses)
        if n_open:
            warnings.append(f"outcomes: {n_open} with a status that is neither won nor lost: kept, but no outcome")
    declared = dict.fromkeys([spec.lead or project.leads.id, spec.time, spec.column, spec.known])
    table.warn_of_undeclared(declared, warnings)
    return [
        Row(OUTCOME, outcome_id(lead_id, int(time), status), lead_id, int(time), filled(**{str(spec.column): status}))
        for lead_id, time, status in zip(lead_ids, at, statuses, strict=True)
    ]


def _verdicts(project: Project, raw: list[Any], warnings: list[str]) -> list[Row]:
    table = _Table(raw, "verdicts", project.timezone, None)
    if not raw:
        return []
    lead_column = str(project.leads.id)
    event_ids, lead_ids, verdicts = table.ids(EVENT_ID), table.ids(lead_column), table.ids("verdict")
    for place, verdict in enumerate(verdicts):
        if verdict not in VERDICTS:
            raise DocumentError("must be accept, reject or withdraw", where=str(table.places("verdict")(place)))
    at = table.instants("at", optional=True)
    reasons, sellers = (fields.texts(table.column(name), table.places(name)) for name in ("reason", "by"))
    table.warn_of_undeclared(dict.fromkeys([EVENT_ID, lead_column, "verdict", "reason", "by", "at"]), warnings)
    told = zip(event_ids, lead_ids, at, verdicts, reasons, sellers, strict=True)
    return [
        Row(VERDICT, event_id, lead_id, int(time), filled(verdict=verdict, reason=reason, by=by))
        for event_id, lead_id, time, verdict, reason, by in told
    ]


class _Table:
    """The rows of one part, read column after column."""

    def __init__(self, rows: list[Any], path: str, timezone: str, time_format: str | None) -> None:
        for place, row in enumerate(rows):
            fields.require_object(row, "an object with the row's fields", f"{path}[{place}]")
        self.rows: list[Mapping[str, Any]] = rows
        self.path = path
        self._timezone = timezone
        self._time_format = time_format

    def column(self, name: str) -> list[Any]:
        values = [row.get(name) for row in self.rows]
        for place, value in enumerate(values):
            if isinstance(value, str) and "\0" in value:
                raise DocumentError("holds the character NUL, which is no text", where=str(self.places(name)(place)))
        return values

    def places(self, name: str) -> fields.Places:
        return lambda place: Field(f"{self.path}[{place}]", name)

    def ids(self, name: str) -> list[str]:
        found = []
        for place, text in enumerate(fields.texts(self.column(name), self.places(name))):
            if text is None:
                raise DocumentError("is missing; every row needs it", where=str(self.places(name)(place)))
            if len(text) > LONGEST_ID:
                message = f"has {len(text)} characters; at most {LONGEST_ID} are allowed"
                raise DocumentError(message, where=str(self.places(name)(place)))
            found.append(text)
        return found

    def instants(self, name: str, *, optional: bool = False) -> Instants:
        import numpy as np

        defaults = np.full(len(self.rows), NEVER, dtype=np.int64) if optional else None
        return fields.instants(self.column(name), self._timezone, self._time_format, self.places(name), defaults)

    def numbers(self, name: str, warnings: list[str], missing: Sequence[str] = ()) -> list[float]:
        unreadable: list[int] = []
        found = fields.numbers(self.column(name), self.places(name), unreadable, missing)
        warnings += [fields.not_a_number(self.places(name)(place)) for place in unreadable]
        return found

    def warn_of_undeclared(self, declared: Mapping[Any, None], warnings: list[str]) -> None:
        n_undeclared = len({name for row in self.rows for name in row if name not in declared})
        if n_undeclared:
            warnings.append(f"{self.path}: {n_undeclared} undeclared field(s) ignored")


def require_timed(project: Project) -> None:
    """Refuse a project whose rows can't be told apart in time; raises StoreError."""
    if not project.timed:
        raise StoreError("a labelled list without times can't be kept in a store; add [outcome] time")
    taken = {OUTCOME, VERDICT} & {spec.name for spec in project.events}
    if taken:
        raise StoreError(f"[events.{taken.pop()}] has the name of another part of the store; rename it")


def _list(raw: Any, path: str) -> list[Any]:
    if raw is None:
        return []
    if not isinstance(raw, list):
        raise DocumentError(f"must be a list of rows, not {fields.kind(raw)}", where=path)
    return raw


def _known_names(found: Mapping[str, Any], known: Sequence[str], path: str, what: str, there_are: str) -> None:
    for name in found:
        if name not in known:
            names = ", ".join(known) or "none"
            raise DocumentError(
                f"unknown {what}.{nearest(str(name), known)} {there_are}: {names}", where=str(Field(path, name))
            )


def _plain(value: Any) -> Any:
    """A value as JSON has it: null for NaN."""
    return value if value == value else None
