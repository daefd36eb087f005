"""When a lead was last in touch, from the rows of the journal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from leadscore.contacts import is_bulk
from leadscore.project import Project
from service.store.arrivals import LEADS, OUTCOME, VERDICT
from service.store.journal import Stored


class Event(NamedTuple):
    """A row of an event table: when it happened (UTC microseconds), and what its columns hold."""

    table: str
    time: int
    data: Mapping[str, Any]


def happened(rows: Iterable[Stored], now: int) -> list[Event]:
    """Return the events of a lead up to now (UTC microseconds)."""
    events = [row for row in rows if row.kind not in (LEADS, OUTCOME, VERDICT) and row.time <= now]
    return [Event(row.kind, row.time, json.loads(row.data)) for row in events]


def last_touch(project: Project, events: Sequence[Event]) -> int | None:
    """Return when the lead last did something or a person of ours last turned to it; mail sent to many is neither."""
    specs = {spec.name: spec for spec in project.events}
    told = (one for one in events if one.table in specs)  # rows stay of a table that the project has no more
    return max((one.time for one in told if not is_bulk(project, specs[one.table], one.data)), default=None)
