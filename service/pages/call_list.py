"""The call list as a seller reads it: whom to call, why, and what has happened since."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from leadscore.evaluate.capacity import ExpectedWins, at_capacity
from leadscore.features.words import in_words
from leadscore.project import Project
from leadscore.sla import QUALIFIED
from service.pages.touches import happened, last_touch
from service.store import Store
from service.store.arrivals import LEADS, REJECT, VERDICT, WITHDRAW
from service.store.journal import Stored
from service.store.scores import RESCORED, UNREJECTED, ListQuery

N_REASONS = 2
"""Reasons of a row; the strongest against it is told beside them, if it is none of them and worth saying."""
WORTH_SAYING = 0.1
"""A reason against a lead is told in its row from this share of the effect of the strongest reason told there."""
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
    last_event : since anything last happened
    last_touch : since it last did something, or a person of ours turned to it
    waiting : since the lead waits for us: it spoke last, or nobody has got in touch yet
    verdict : what a seller said last, None for nothing
    below : whether it is the first that can't be called any more
    """

    record: Mapping[str, Any]
    reasons: Sequence[Mapping[str, Any]]
    about: Sequence[str]
    scored: float
    last_event: float | None
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
        last = min((entry.last_event for entry in self.entries if entry.last_event is not None), default=None)
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
    records = [json.loads(record) for record, *_ in found.records]
    rows: defaultdict[str, list[Stored]] = defaultdict(list)
    for row in store.journal.of_leads([record["lead_id"] for record in records], with_account=False):
        rows[row.lead_id].append(row)
    project, common = store.journal.project, _common(records)
    line = -1 if n_calls is None else n_calls - first
    entries = [
        _entry(project, record, rows[record["lead_id"]], as_of, waits, now, common=common, below=place == line)
        for place, (record, (_, as_of, waits)) in enumerate(zip(records, found.records, strict=True))
    ]
    chances = [] if n_calls is None else store.scores.first_probabilities(query, n_calls)
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
    project: Project, record: Mapping[str, Any], rows: Sequence[Stored], as_of: int, waits: int | None, now: int, *,
    common: Container[str], below: bool,
) -> Entry:  # fmt: skip
    events = happened(rows, now)
    return Entry(
        record=record,
        reasons=told_first(record["reasons"], to_call=record["score"] >= _floor(project), common=common),
        about=_about(project, rows),
        scored=max(0, now - as_of) / 1e6,
        last_event=_seconds(max((row.time for row in events), default=None), now),
        last_touch=_seconds(last_touch(project, events), now),
        waiting=_seconds(waits, now),
        verdict=last_verdict(rows),
        below=below,
    )


def _common(records: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """What is said of most leads of a page, word by word: it tells none of them from the others."""
    said = Counter(reason["text"] for record in records for reason in record["reasons"])
    return frozenset(text for text, n in said.items() if 2 * n > len(records) > 1)


def told_first(
    reasons: Sequence[Mapping[str, Any]], *, to_call: bool, common: Container[str] = ()
) -> list[Mapping[str, Any]]:
    """Choose the reasons of a row, given strongest first: of a lead to call those for it come first.

    The strongest against it is told in any case if it is worth saying (`WORTH_SAYING`), a weak one never. Texts that
    are `common` stand behind all others of the same sign.
    """
    reasons = sorted(reasons, key=lambda reason: reason["text"] in common)
    least = WORTH_SAYING * max((abs(reason["effect"]) for reason in reasons), default=0.0)
    heard = [reason for reason in reasons if reason["effect"] >= 0 or -reason["effect"] >= least]
    against = [reason for reason in heard if reason["effect"] < 0]
    others = [reason for reason in heard if reason["effect"] >= 0]
    told = [*others, *against][:N_REASONS] if to_call else heard[:N_REASONS]
    unheard = against and not any(reason["effect"] < 0 for reason in told)
    return [*told, against[0]] if unheard else told


def _floor(project: Project) -> float:
    """The least score of a lead that is to be called: that of the grade agreed upon, else of the usual or best one."""
    grades = project.grades
    return grades.get(project.sla.qualified or QUALIFIED, max(grades.values()))


def _seconds(since: int | None, now: int) -> float | None:
    return None if since is None else max(0, now - since) / 1e6


def _about(project: Project, rows: Sequence[Stored]) -> list[str]:
    profile = max((row for row in rows if row.kind == LEADS), key=lambda row: (row.known, row.seq), default=None)
    if profile is None:
        return []
    data = json.loads(profile.data)
    named = {role: data.get(project.leads.roles.get(role)) for role in ("account", "owner", "origin")}
    return [called(role, str(value)) for role, value in named.items() if value is not None]


def called(role: str | None, value: str) -> str:
    """Say a value of a profile's column: words of its own as words, names of accounts and owners as they are."""
    return value if role in ("account", "owner") else in_words(value) or value


def last_verdict(rows: Sequence[Stored]) -> Mapping[str, Any] | None:
    """Return the verdict that arrived last, None if that took back what was said before."""
    found = [row for row in rows if row.kind == VERDICT]
    last: Mapping[str, Any] | None = json.loads(max(found, key=lambda row: row.seq).data) if found else None
    return None if last is None or last["verdict"] == WITHDRAW else last
