"""One lead: who it is, what happened, how its score moved, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from leadscore import time
from leadscore.columns import text_value
from leadscore.direction import INBOUND, OUTBOUND
from leadscore.explain.facts import not_filled_in
from leadscore.features.names import FeatureName
from leadscore.features.words import Words, in_words, readable
from leadscore.phrases.catalogue import KIND_COLUMNS
from leadscore.project import EventsSpec, Project
from leadscore.tables import Cutoffs, Data
from leadscore.time import NEVER
from service.pages.call_list import called, last_verdict
from service.pages.moves import chart, seen
from service.problems import UNKNOWN_LEAD, Problem
from service.serving import InUse
from service.store.arrivals import ACCEPT, LEADS, OUTCOME, REJECT, STAMP, VERDICT, WITHDRAW
from service.store.journal import Stored, not_before
from service.stored import StoredLeads, closed_on

if TYPE_CHECKING:
    from markupsafe import Markup

    from leadscore import LeadScorer

MOST_ROWS = 200
MOST_REASONS = 8
"""Reasons of a side that are read at a glance; the others are a click away."""
MOST_MOVES = 10
WIDEST = 100.0
_SIDES = {OUTBOUND: "from us", INBOUND: "from them"}
_SIDE_IS = {"fit": "the profile", "intent": "what happened"}


@dataclass(frozen=True)
class Reason:
    """A reason in words; `share` is the length of its bar in percent, `seq` the newest event that it speaks of.

    `seq` is None where it speaks of the lead itself, of other leads, or of what didn't happen.
    """

    text: str
    effect: float
    share: float
    seq: int | None


@dataclass(frozen=True)
class Happening:
    """One row of the timeline: what happened in a few words, and beside it what else is known of it."""

    seq: int
    when: str
    what: str
    fields: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Standing:
    """What the score of an open lead says: `sides` are percentiles by name, `unused` what the model doesn't look at."""

    record: Mapping[str, Any]
    raising: Sequence[Reason]
    lowering: Sequence[Reason]
    sides: Sequence[tuple[str, int]]
    unused: Sequence[str]


@dataclass(frozen=True)
class Portrait:
    """Everything that is shown of a lead.

    Attributes
    ----------
    closed : that it was won or lost, and when; None while it is open
    standing : None of a closed lead, whose score says nothing any more
    """

    lead_id: str
    closed: str | None
    standing: Standing | None
    profile: Sequence[tuple[str, str]]
    missing: Sequence[str]
    timeline: Sequence[Happening]
    n_earlier: int
    moves: Sequence[Mapping[str, Any]]
    chart: Markup | None
    verdict: Mapping[str, Any] | None


def portrait(leads: StoredLeads, current: InUse, lead_id: str, *, now: int) -> Portrait:
    """Put together what is known of a lead now (UTC microseconds).

    Raises
    ------
    Problem
        404, if it is unknown.
    """
    scorer = current.scorer
    data, rows, _ = leads.read(scorer, [lead_id])
    found = np.flatnonzero(data.leads.ids == lead_id)
    if not len(found):
        raise Problem(UNKNOWN_LEAD, "No lead with this id is stored")
    lead = int(found[0])
    own = [row for row in rows if row.lead_id == lead_id]
    at = not_before(max(row.known for row in own), now)
    closed = closed_on(data, lead, at)
    moves = seen(leads.history(current, lead_id, limit=MOST_MOVES, receipts=True))
    words = Words.of(data.project)
    happened = sorted(
        (row for row in own if row.kind != LEADS), key=lambda row: (_happened(row), row.seq), reverse=True
    )
    return Portrait(
        lead_id=lead_id,
        closed=None if closed is None else "{} on {}".format(*closed).capitalize(),
        standing=None if closed else _standing(scorer, data, lead, at, own),
        profile=_profile(own, data.project),
        missing=[readable(str(name)) for name in not_filled_in(data, lead, at)],
        timeline=[_happening(row, data.project, words) for row in happened[:MOST_ROWS]],
        n_earlier=max(0, len(happened) - MOST_ROWS),
        moves=moves[::-1],
        chart=chart(moves),
        verdict=last_verdict(own),
    )


def _standing(scorer: LeadScorer, data: Data, lead: int, at: int, own: Sequence[Stored]) -> Standing:
    record = scorer.explain(data, Cutoffs(np.array([lead]), np.array([at], dtype=np.int64)))[0]
    strongest = max((abs(reason["effect"]) for reason in record["reasons"]), default=1.0)
    reasons = [_reason(reason, strongest, own, data.project) for reason in record["reasons"]]
    varies = {"fit": scorer.population.fit.varies, "intent": scorer.population.intent.varies}
    return Standing(
        record=record,
        raising=[reason for reason in reasons if reason.effect > 0],
        lowering=[reason for reason in reasons if reason.effect < 0],
        sides=[(side, record[side]) for side in varies if record[side] is not None and varies[side]],
        unused=[_SIDE_IS[side] for side in varies if record[side] is not None and not varies[side]],
    )


def _reason(reason: Mapping[str, Any], strongest: float, rows: Sequence[Stored], project: Project) -> Reason:
    share = WIDEST * abs(reason["effect"]) / strongest
    # Of none there is no event to show: one that is older than what the reason looks at would contradict it.
    seq = _newest(FeatureName.parse(reason["feature"]), rows, project) if reason["value"] else None
    return Reason(reason["text"], reason["effect"], share, seq)


def _newest(name: FeatureName, rows: Sequence[Stored], project: Project) -> int | None:
    """The newest event of the lead itself that a feature counts."""
    if name.scope is not None or name.table not in {spec.name for spec in project.events}:
        return None
    mine = [row for row in rows if row.kind == name.table]
    if name.column is not None and name.category is not None:
        mine = [row for row in mine if str(json.loads(row.data).get(name.column)) == name.category]
    return max(mine, key=lambda row: (row.time, row.seq)).seq if mine else None


def _profile(rows: Sequence[Stored], project: Project) -> list[tuple[str, str]]:
    """The fields of the newest version of a profile, as the call list says them."""
    newest = max((row for row in rows if row.kind == LEADS), key=lambda row: (row.known, row.seq))
    created = min((row.time for row in rows if row.kind == LEADS and row.time != NEVER), default=None)
    fields = [] if created is None else [("created", _when(created))]
    role_of = {column: role for role, column in project.leads.roles.items()}
    words = set(project.leads.categorical) | set(role_of)
    return fields + [
        (name, called(role_of.get(column), value) if column in words else value)
        for column, name, value in _fields(json.loads(newest.data))
    ]


def _fields(data: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The columns that are filled in: name, the name in words, and what they hold."""
    filled = {name: text for name, value in data.items() if name != STAMP and (text := text_value(value))}
    return [(name, readable(name), text) for name, text in filled.items()]


def _happening(row: Stored, project: Project, words: Words) -> Happening:
    data = json.loads(row.data)
    if row.kind == VERDICT:
        return Happening(row.seq, _when(_happened(row)), _verdict_told(data), ())
    if row.kind == OUTCOME:
        status = ", ".join(in_words(str(value)) for value in data.values())
        return Happening(row.seq, _when(_happened(row)), f"outcome: {status}" if status else "outcome", ())
    spec = project.events_named(row.kind)
    what, said, side = _event_told(spec, data, words)
    rest = {name: value for name, value in data.items() if name not in said}
    roles = {column: role for role, column in project.leads.roles.items()}
    fields = [(name, called(roles.get(column), value)) for column, name, value in _fields(rest)]
    return Happening(row.seq, _when(_happened(row)), what, [("", side), *fields] if side else fields)


def _event_told(spec: EventsSpec, data: Mapping[str, Any], words: Words) -> tuple[str, set[str], str]:
    """What an event is in a few words, the columns that are told by it, and from whom it came where that is told apart.

    It is called as the project itself calls events of one of its categories: ``missed meeting``. Of several the last in
    the order of columns counts, and none before the kind (`KIND_COLUMNS`) that says less than it. Otherwise it is
    called by its kind, and from whom: ``call from us``.
    """
    directed = "" if spec.direction is None else spec.direction.column
    side = "" if spec.direction is None else _SIDES.get(spec.direction.of(str(data.get(directed) or "")), "")
    said = {directed} if side else set()
    filled = {name: str(data[name]) for name in spec.categorical if data.get(name) is not None and name != directed}
    called_by = {name: words.event(spec.name, name, word) for name, word in filled.items()}
    kinds = [name for name in filled if name.lower() in KIND_COLUMNS]
    for name in reversed(filled):
        told = {kind for kind in kinds if called_by[kind] in called_by[name]}
        after = not kinds or list(filled).index(name) >= list(filled).index(kinds[0])
        if words.names(spec.name, name, filled[name]) and (after or told):
            return called_by[name], said | told | {name}, side
    column = next(iter([*kinds, *filled]), None)
    if column is None:
        return f"{words.event(spec.name)} {side}".strip(), said, ""
    return f"{called_by[column]} {side}".strip(), said | {column}, ""


def _verdict_told(data: Mapping[str, Any]) -> str:
    told = {ACCEPT: "accepted", REJECT: "rejected", WITHDRAW: "verdict taken back"}[data["verdict"]]
    by, reason = (f" by {data['by']}" if data.get("by") else ""), (f": {data['reason']}" if data.get("reason") else "")
    return f"{told}{by}{reason}"


def _happened(row: Stored) -> int:
    """When it was, as far as anybody said; else when it arrived."""
    return row.known if row.time == NEVER else row.time


def _when(instant: int) -> str:
    return time.format_instant(instant)[:16].replace("T", " ")
