"""The call list as a seller reads it: whom to call, why, and what has happened since."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from leadscore.direction import INBOUND, OUTBOUND
from leadscore.evaluate.capacity import ExpectedWins, at_capacity
from leadscore.features.words import in_words
from leadscore.project import Project
from leadscore.time import NEVER
from service.store import Store
from service.store.arrivals import LEADS, OUTCOME, REJECT, VERDICT, WITHDRAW
from service.store.journal import Stored
from service.store.scores import RESCORED, UNREJECTED, ListQuery

N_REASONS = 2
MOST_CALLS = 2_000
QUIET_SECONDS = 14 * 86_400
"""After which silence around the best leads is more likely one of the data."""


@dataclass(frozen=True)
class Entry:
    """One lead of the list. Ages in seconds, None where there is nothing to count from.

    Attributes
    ----------
    scored : since the score was made
    about : whom it belongs to, where that is known: company, owner, source
    last_touch : since anything last happened
    waiting : since the lead waits for us: it wrote last, or nobody has got in touch yet
    verdict : what a seller said last, None for nothing
    below : whether it is the first that can't be called any more
    """

    record: Mapping[str, Any]
    reasons: Sequence[Mapping[str, Any]]
    about: Sequence[str]
    scored: float
    last_touch: float | None
    waiting: float | None
    verdict: Mapping[str, Any] | None
    below: bool


@dataclass(frozen=True)
class Listed:
    """A page of the list, where the next begins, and what the best `n_calls` bring (None: nobody asked).

    `n_leads` are on all pages together; `n_rejected` would be too, had nobody rejected them. `scoring` says of an empty
    list that leads are being scored.
    """

    entries: Sequence[Entry]
    cursor: str | None
    expected: ExpectedWins | None
    n_leads: int
    n_rejected: int
    scoring: bool

    @property
    def quiet(self) -> float | None:
        """Seconds since anything happened to any lead of this page, where that is long ago; else None."""
        last = min((entry.last_touch for entry in self.entries if entry.last_touch is not None), default=None)
        return last if last is not None and last > QUIET_SECONDS else None


def listed(store: Store, query: ListQuery, *, n_calls: int | None, first: int, now: int) -> Listed:
    """Read a page of the list.

    Parameters
    ----------
    n_calls : how many leads can be called; the line is drawn after them
    first : how many leads stand on the pages before
    now : UTC microseconds
    """
    found = store.scores.page(query)
    records = [json.loads(record) for record, _ in found.records]
    rows: defaultdict[str, list[Stored]] = defaultdict(list)
    for row in store.journal.of_leads([record["lead_id"] for record in records], with_account=False):
        rows[row.lead_id].append(row)
    project = store.journal.project
    line = -1 if n_calls is None else n_calls - first
    entries = [
        _entry(project, record, rows[record["lead_id"]], as_of, now, below=place == line)
        for place, (record, (_, as_of)) in enumerate(zip(records, found.records, strict=True))
    ]
    chances = [] if n_calls is None else store.scores.best_probabilities(query, n_calls)
    expected = None if n_calls is None else at_capacity(chances, len(chances))
    scoring = not entries and not store.shared.mark(RESCORED)
    return Listed(entries, found.cursor, expected, *_counted(store, query), scoring)


def _counted(store: Store, query: ListQuery) -> tuple[int, int]:
    """How many leads a query asks for, and how many of them it leaves out because they were rejected."""
    if query.verdict != UNREJECTED:
        return store.scores.n_listed(query), 0
    n_rejected = store.scores.n_listed(replace(query, verdict=REJECT))
    return store.scores.n_listed(replace(query, verdict=None)) - n_rejected, n_rejected


def verdict_on(store: Store, lead_id: str) -> Mapping[str, Any] | None:
    """Return what a seller said last of a lead, None for nothing, or nothing any more."""
    return last_verdict(store.journal.of_leads([lead_id], with_account=False))


def _entry(
    project: Project, record: Mapping[str, Any], rows: Sequence[Stored], as_of: int, now: int, *, below: bool
) -> Entry:
    touches = [row.time for row in rows if row.kind not in (LEADS, OUTCOME, VERDICT) and row.time <= now]
    since = _waits_since(project, rows)
    return Entry(
        record=record,
        reasons=record["reasons"][:N_REASONS],
        about=_about(project, rows),
        scored=max(0, now - as_of) / 1e6,
        last_touch=max(0, now - max(touches)) / 1e6 if touches else None,
        waiting=None if since is None else max(0, now - since) / 1e6,
        verdict=last_verdict(rows),
        below=below,
    )


def _about(project: Project, rows: Sequence[Stored]) -> list[str]:
    profile = max((row for row in rows if row.kind == LEADS), key=lambda row: (row.known, row.seq), default=None)
    if profile is None:
        return []
    data = json.loads(profile.data)
    named = {role: data.get(project.leads.roles.get(role)) for role in ("account", "owner", "origin")}
    told = {role: str(value) for role, value in named.items() if value is not None}
    return [in_words(text) if role == "origin" else text for role, text in told.items()]


def last_verdict(rows: Sequence[Stored]) -> Mapping[str, Any] | None:
    """Return the verdict that arrived last, None if that took back what was said before."""
    found = [row for row in rows if row.kind == VERDICT]
    last: Mapping[str, Any] | None = json.loads(max(found, key=lambda row: row.seq).data) if found else None
    return None if last is None or last["verdict"] == WITHDRAW else last


def _waits_since(project: Project, rows: Sequence[Stored]) -> int | None:
    """Since when a lead waits for us (UTC microseconds): its last word that we didn't answer, or its creation."""
    directed = {spec.name: spec.direction for spec in project.events if spec.direction is not None}
    if not directed:
        return None
    last = {OUTBOUND: NEVER, INBOUND: NEVER}
    for row in rows:
        direction = directed.get(row.kind)
        if direction is not None:
            side = direction.of(str(json.loads(row.data).get(direction.column, "")))
            last[side] = max(last.get(side, NEVER), row.time)
    if last[INBOUND] > last[OUTBOUND]:
        return last[INBOUND]
    if last[OUTBOUND] != NEVER:
        return None
    created = [row.time for row in rows if row.kind == LEADS and row.time != NEVER]
    return min(created) if created else None
