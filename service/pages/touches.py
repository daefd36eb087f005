"""When a lead was last in touch, and since when it waits for us, from the rows of the journal."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from leadscore.contacts import FROM_THEM, FROM_US, asks_for_us, is_bulk, sales_tables, side_of
from leadscore.direction import INBOUND, NEITHER
from leadscore.project import EventsSpec, Project
from leadscore.time import NEVER
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


def waits_since(project: Project, rows: Iterable[Stored], events: Sequence[Event]) -> int | None:
    """Return since when a lead waits for us: since its first word that we didn't answer, or since its creation.

    None if it doesn't, or no table says what sales did. What was answered when it happened needs no other answer.
    """
    sales = sales_tables(project)
    if not sales:
        return None
    specs = {spec.name: spec for spec in project.events}
    spoke = [(one.time, _side(specs[one.table], one, sales)) for one in events if one.table in specs]
    ours = max((at for at, side in spoke if side & FROM_US), default=NEVER)
    asked = [at for at, side in spoke if side & FROM_THEM and at > ours]
    if ours == NEVER and not asked:
        asked = [row.time for row in rows if row.kind == LEADS and row.time != NEVER]
    return min(asked, default=None)


def _side(spec: EventsSpec, event: Event, sales: Collection[str]) -> int:
    """Who spoke in an event; where sales has no part in it, the lead did if it asks for us, and else nobody."""
    if spec.name in sales:
        return side_of(spec, event.data)
    return INBOUND if asks_for_us(spec, event.data) else NEITHER
