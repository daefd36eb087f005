"""Seeded random histories that sit on every edge.

Ties, redeliveries, late rows, window ends, clocks that change at midnight; leads that share an account and then leave
it, wins that are recorded late, early, twice, or after a loss.
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
from dataclasses import dataclass
from typing import Any

import pandas as pd

import leadscore as ls

DAY = 86_400_000_000
WINDOWS = {"1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "90d": 90 * DAY, "all": None}
HALF_LIVES = {"12h": DAY // 2, "7d": 7 * DAY, "30d": 30 * DAY}
HORIZON = 30 * DAY
SMOOTHING = 5
COLUMNS = {
    "touchpoints": {"categorical": ["channel", "campaign"], "numeric": ["cost", "clicks"]},
    "interactions": {"categorical": ["kind", "direction"], "numeric": ["minutes"]},
}
PROFILE = {"categorical": ["source", "industry"], "numeric": ["employees", "revenue"]}
ROLES = {"account": "account", "origin": "source", "owner": "rep"}
"""Role → its column; the origin is a profile column too."""
WON = ["won"]
LOST = ["lost", "disqualified"]
DIRECTIONS = {
    # touchpoints write the same words another way than [events.touchpoints] direction does
    "touchpoints": {"column": "channel", "outbound": ["EMAIL", "Landing Page"], "inbound": ["webinar", "A.B = C-D "]},
    "interactions": {"column": "direction", "outbound": ["outbound"], "inbound": ["inbound"]},
}
ANSWERED = {
    "touchpoints": {"column": "campaign", "words": ["C00", "c-01 "], "duration": "clicks"},
    "interactions": {"duration": "minutes"},  # nobody declares it: it is found by the column's name
}
INSTANTS = ("created_at", "updated_at", "occurred_at", "ingested_at", "closed_at", "recorded_at")
FIELDS = {
    "leads": ["lead_id", "created_at", "updated_at", "account", "rep", *PROFILE["categorical"], *PROFILE["numeric"]],
    "touchpoints": [
        "event_id",
        "lead_id",
        "occurred_at",
        "ingested_at",
        *itertools.chain(*COLUMNS["touchpoints"].values()),
    ],
    "interactions": ["lead_id", "occurred_at", *itertools.chain(*COLUMNS["interactions"].values())],
    "outcome": ["lead_id", "status", "closed_at", "recorded_at"],
}
"""The columns of each table, whether or not it has rows."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def micros(text: str) -> int:
    """2025-03-30T01:00:00Z → microseconds."""
    return (dt.datetime.fromisoformat(text) - _EPOCH) // dt.timedelta(microseconds=1)


def iso(instant: int | None) -> str | None:
    """The inverse, and null for null."""
    if instant is None:
        return None
    return (_EPOCH + dt.timedelta(microseconds=instant)).isoformat().replace("+00:00", "Z")


# Berlin's clocks go forward, then back; a leap day; ends of months in UTC and in Berlin.
ANCHORS = tuple(
    micros(text)
    for text in (
        "2024-02-29T23:59:59.999999Z",
        "2024-12-31T23:00:00Z",
        "2025-01-31T23:59:59.999999Z",
        "2025-02-01T00:00:00Z",
        "2025-03-30T01:00:00Z",
        "2025-03-31T22:00:00Z",
        "2025-10-26T00:30:00Z",
        "2025-10-26T01:00:00Z",
    )
)
CLOCKS = {
    "UTC": (),
    "Europe/Berlin": (),
    "America/Los_Angeles": ("2025-02-01T08:00:00Z", "2025-03-09T10:00:00Z", "2025-11-02T09:00:00Z"),
    "Asia/Kathmandu": ("2025-01-31T18:15:00Z",),
    # a minute past midnight back to 23:01: the day before comes again, and then this one
    "America/St_Johns": (
        *("2007-03-11T03:30:00Z", "2007-03-11T03:31:00Z", "2007-11-04T02:30:00Z"),
        *("2007-11-04T02:31:00Z", "2007-11-04T03:30:00Z"),
    ),
    # midnight doesn't exist in spring, and comes twice in autumn
    "Asia/Beirut": ("2024-03-30T22:00:00Z", "2024-10-26T20:00:00Z", "2024-10-26T21:00:00Z", "2024-10-26T22:00:00Z"),
}
"""Zone → instants at which its clocks change or strike midnight, beside the anchors."""


@dataclass
class Stream:
    """Raw rows as a person would have them, instants as integers; the library sees them as text."""

    timezone: str
    versions: bool
    leads: list[dict[str, Any]]
    events: dict[str, list[dict[str, Any]]]
    outcomes: list[dict[str, Any]]
    cutoffs: list[tuple[str, int]]
    train: list[tuple[str, int]]

    def project(self) -> ls.Project:
        return ls.Project.from_dict(project_of(self.timezone, versions=self.versions))

    def data(self) -> ls.Data:
        tables = {"leads": self.leads, "outcome": self.outcomes, **self.events}
        return ls.read(self.project(), frames={name: text_frame(rows, name) for name, rows in tables.items()})

    @property
    def tables(self) -> tuple[list[dict[str, Any]], ...]:
        """The rows of every table, to change in place."""
        return self.leads, self.outcomes, *self.events.values()


def project_of(timezone: str, *, versions: bool) -> dict[str, Any]:
    leads = {"source": "leads.csv", "id": "lead_id", "created": "created_at", **ROLES, **PROFILE}
    interactions = {"source": "i.csv", "lead": "lead_id", "time": "occurred_at", **COLUMNS["interactions"]}
    outcome = {"source": "o.csv", "lead": "lead_id", "time": "closed_at", "known": "recorded_at"}
    return {
        "name": "stream",
        "timezone": timezone,
        "leads": leads | ({"known": "updated_at"} if versions else {}),
        "events": {
            "touchpoints": {
                **{"source": "t.csv", "lead": "lead_id", "time": "occurred_at"},
                **{"known": "ingested_at", "id": "event_id", "direction": DIRECTIONS["touchpoints"]},
                "answered": ANSWERED["touchpoints"],
                **COLUMNS["touchpoints"],
            },
            # said in one word, or found by the column's name
            "interactions": interactions | ({"direction": "direction"} if versions else {}),
        },
        "outcome": outcome | {"column": "status", "won": WON, "lost": LOST},
        "task": {"horizon": "30d"},
        "features": {"windows": list(WINDOWS), "half_lives": list(HALF_LIVES), "smoothing": SMOOTHING},
    }


def text_frame(rows: list[dict[str, Any]], table: str) -> pd.DataFrame:
    texts = [{k: iso(v) if k in INSTANTS else v for k, v in row.items()} for row in rows]
    frame = pd.DataFrame(texts, columns=list(FIELDS[table]), dtype=object)
    return frame.where(frame.notna(), None)


def make(seed: int, *, n_leads: int = 7, n_cutoffs: int = 36) -> Stream:
    """One stream; the same seed gives the same rows."""
    rng = random.Random(seed)
    versions = seed % 2 == 1
    timezone = list(CLOCKS)[seed // 2 % len(CLOCKS)]
    anchors = (*ANCHORS, *map(micros, CLOCKS[timezone] * 3))
    names = [f"L{number}" for number in range(n_leads)]
    events = {
        "touchpoints": [_touchpoint(rng, anchors, name, n) for n, name in enumerate(_busy(rng, names, 18))],
        "interactions": [_interaction(rng, anchors, name) for name in _busy(rng, names, 10)],
    }
    for rows in events.values():
        rows += [dict(rng.choice(rows)) for _ in range(6)]  # exact duplicates
    events["touchpoints"] += [_redelivered(rng, rng.choice(events["touchpoints"])) for _ in range(12)]
    leads = [version for name in names for version in _versions(rng, anchors, name, many=versions)]
    outcomes = _outcomes(rng, anchors, leads)
    stream = Stream(timezone, versions, leads, events, outcomes, [], [])
    for rows in stream.tables:
        rng.shuffle(rows)
    stream.cutoffs = [(name, at) for name in names for at in _cutoffs(rng, anchors, name, stream, n_cutoffs)]
    rng.shuffle(stream.cutoffs)
    stream.train = rng.sample(stream.cutoffs, 6 * n_leads)
    return stream


def _busy(rng: random.Random, names: list[str], each: int) -> list[str]:
    """Who has an event: everybody many times, but the last lead never."""
    return [name for name in names[:-1] for _ in range(rng.randint(1, each))]


def _instant(rng: random.Random, anchors: tuple[int, ...]) -> int:
    near = rng.choice(anchors) + rng.choice((0, 0, -1, 1, 1_000_000, -DAY, DAY, 7 * DAY, -30 * DAY))
    return near if rng.random() < 0.6 else rng.choice(anchors) + rng.randint(-40 * DAY, 40 * DAY)


def _known(rng: random.Random, happened: int) -> int:
    """Mostly at once, often late, sometimes early: a meeting is known before it takes place."""
    return happened + rng.choice((0, 0, 0, 1, 3_600_000_000, 2 * DAY, 31 * DAY, -1, -DAY))


def _touchpoint(rng: random.Random, anchors: tuple[int, ...], lead: str, number: int) -> dict[str, Any]:
    happened = _instant(rng, anchors)
    return {
        "event_id": None if rng.random() < 0.1 else f"E{number}",
        "lead_id": lead,
        "occurred_at": happened,
        "ingested_at": _known(rng, happened),
        "channel": rng.choice(("email", "email", "webinar", "ads", "landing_page", "a.b=c%d", None)),
        "campaign": f"c{min(rng.randint(0, 45), rng.randint(0, 45)):02d}"
        if rng.random() < 0.9
        else rng.choice((None, "No_Answer")),
        "cost": rng.choice((None, 0.0, -2.5, 1e6 / 3, rng.uniform(0, 100), rng.uniform(0, 1e-3))),
        "clicks": rng.choice((None, None, 0, 0, 1, 2, 3)),
    }


def _interaction(rng: random.Random, anchors: tuple[int, ...], lead: str) -> dict[str, Any]:
    return {
        "lead_id": lead,
        "occurred_at": _instant(rng, anchors),
        "kind": rng.choice(("call", "call", "email", "demo", None)),
        "direction": rng.choice(("outbound", "outbound", "Outbound ", "inbound", "inbound", "internal", None)),
        "minutes": rng.choice((None, None, 0, -5, 30, 1_234.5)),
    }


def _redelivered(rng: random.Random, row: dict[str, Any]) -> dict[str, Any]:
    """The same id again, known at another time, with another content, sometimes of another time."""
    again = dict(row, ingested_at=row["ingested_at"] + rng.choice((0, 1, -1, DAY)))
    again |= {"channel": "ads", "cost": 7.0} if rng.random() < 0.5 else {}
    return again | ({"occurred_at": row["occurred_at"] + rng.choice((1, -DAY))} if rng.random() < 0.3 else {})


def _versions(rng: random.Random, anchors: tuple[int, ...], lead: str, *, many: bool) -> list[dict[str, Any]]:
    """Profiles of a lead: its account and owner may change from one to the next."""
    created = None if rng.random() < 0.1 else _instant(rng, anchors)
    versions = []
    for _ in range(rng.randint(1, 4) if many else 1):
        version = {
            "lead_id": lead,
            "created_at": created,
            "account": rng.choice(("north", "north", "north", "south", None)),
            "rep": rng.choice(("ann", "ann", "bob", None)),
            "source": rng.choice(("ads", "webinar", "referral", None)),
            "industry": rng.choice(("software", "retail", None)),
            "employees": rng.choice((None, 1, 250, 10_000)),
            "revenue": rng.choice((None, 0.1, 1e7)),
        }
        versions.append(version | ({"updated_at": _instant(rng, anchors)} if many else {}))
    return versions


def _outcomes(rng: random.Random, anchors: tuple[int, ...], leads: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """None, one or several per lead, in any order; one that nobody knows when it was recorded; and open ones."""
    created = {row["lead_id"]: row["created_at"] for row in leads}
    rows = []
    for lead, at in created.items():
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            closed = _instant(rng, anchors)
            if at is not None and rng.random() < 0.7:
                closed = at + rng.choice((0, 1, DAY, 9 * DAY, HORIZON - 1, HORIZON, HORIZON + 1, 40 * DAY, -1))
            status = rng.choice(("won", "won", "won", "lost", "disqualified", "postponed", None))
            rows.append(_outcome(lead, status, closed, _known(rng, closed)))
            if rng.random() < 0.4:  # the same, or its opposite, a little earlier, and recorded only long after
                status = rng.choice((status, "won", "lost"))
                rows.append(_outcome(lead, status, closed - rng.choice((0, 1, DAY)), closed + 31 * DAY))
    rows.append(_outcome("L0", rng.choice(("won", "lost")), ANCHORS[0], None))
    return rows + [_outcome(lead, None, None, None) for lead in rng.choices(list(created), k=20)]


def _outcome(lead: str, status: str | None, closed: int | None, recorded: int | None) -> dict[str, Any]:
    return {"lead_id": lead, "status": status, "closed_at": closed, "recorded_at": recorded}


def _cutoffs(rng: random.Random, anchors: tuple[int, ...], lead: str, stream: Stream, n_cutoffs: int) -> list[int]:
    """At every edge of the lead's events and windows, of its company's, and one microsecond beside it; some twice."""
    own, others = list(anchors), _edges_of_leads(stream)
    for row in itertools.chain(*stream.events.values()):
        edges = own if row["lead_id"] == lead else others
        edges += [row["occurred_at"], row.get("ingested_at", row["occurred_at"])]
        edges += [row["occurred_at"] + length for length in WINDOWS.values() if length]
    pools = (own, own, others)
    chosen = [rng.choice(rng.choice(pools)) + rng.choice((-1, 0, 0, 1)) for _ in range(n_cutoffs - 4)]
    return [*chosen, chosen[0], _instant(rng, anchors), ANCHORS[0] - 9_000 * DAY, ANCHORS[-1] + 4_000 * DAY]


def _edges_of_leads(stream: Stream) -> list[int]:
    """When somebody came, changed, was closed, or ran out of time; often, so that it is drawn as often as an event."""
    edges = []
    for row in stream.leads:
        edges += [row[column] for column in ("created_at", "updated_at") if row.get(column) is not None]
        edges += [row["created_at"] + HORIZON] if row["created_at"] is not None else []
    for row in stream.outcomes:
        edges += [row[column] for column in ("closed_at", "recorded_at") if row[column] is not None]
    return edges * 5
