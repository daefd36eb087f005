"""Seeded random histories that sit on every edge: ties, redeliveries, late rows, window ends, clocks that change."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from typing import Any

import pandas as pd

import leadscore as ls

DAY = 86_400_000_000
WINDOWS = {"1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "90d": 90 * DAY, "all": None}
COLUMNS = {
    "touchpoints": {"categorical": ["channel", "campaign"], "numeric": ["cost", "clicks"]},
    "interactions": {"categorical": ["kind"], "numeric": ["minutes"]},
}
PROFILE = {"categorical": ["source", "industry"], "numeric": ["employees", "revenue"]}
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


@dataclass
class Stream:
    """Raw rows as a person would have them, instants as integers; the library sees them as text."""

    timezone: str
    versions: bool
    leads: list[dict[str, Any]]
    events: dict[str, list[dict[str, Any]]]
    cutoffs: list[tuple[str, int]]
    train: list[tuple[str, int]]

    def project(self) -> ls.Project:
        return ls.Project.from_dict(project_of(self.timezone, versions=self.versions))

    def data(self) -> ls.Data:
        frames = {name: text_frame(rows, ["occurred_at", "ingested_at"]) for name, rows in self.events.items()}
        frames["leads"] = text_frame(self.leads, ["created_at", "updated_at"])
        frames["outcome"] = pd.DataFrame({"lead_id": [], "closed_at": []}, dtype="str")
        return ls.read(self.project(), frames=frames)


def project_of(timezone: str, *, versions: bool) -> dict[str, Any]:
    leads = {"source": "leads.csv", "id": "lead_id", "created": "created_at", **PROFILE}
    return {
        "name": "stream",
        "timezone": timezone,
        "leads": leads | ({"known": "updated_at"} if versions else {}),
        "events": {
            "touchpoints": {
                **{"source": "t.csv", "lead": "lead_id", "time": "occurred_at"},
                **{"known": "ingested_at", "id": "event_id"},
                **COLUMNS["touchpoints"],
            },
            "interactions": {
                **{"source": "i.csv", "lead": "lead_id", "time": "occurred_at"},
                **COLUMNS["interactions"],
            },
        },
        "outcome": {"source": "o.csv", "lead": "lead_id", "time": "closed_at"},
        "task": {"horizon": "30d"},
        "features": {"windows": list(WINDOWS)},
    }


def text_frame(rows: list[dict[str, Any]], instants: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame([{k: iso(v) if k in instants else v for k, v in row.items()} for row in rows], dtype=object)
    return frame.where(frame.notna(), None)


def make(seed: int, *, n_leads: int = 7, n_cutoffs: int = 36) -> Stream:
    """One stream; the same seed gives the same rows."""
    rng = random.Random(seed)
    versions = seed % 2 == 1
    names = [f"L{number}" for number in range(n_leads)]
    events = {
        "touchpoints": [_touchpoint(rng, name, number) for number, name in enumerate(_busy(rng, names, 16))],
        "interactions": [_interaction(rng, name) for name in _busy(rng, names, 8)],
    }
    for rows in events.values():
        rows += [dict(rng.choice(rows)) for _ in range(6)]  # exact duplicates
    events["touchpoints"] += [_redelivered(rng, rng.choice(events["touchpoints"])) for _ in range(12)]
    leads = [version for name in names for version in _versions(rng, name, many=versions)]
    for rows in (leads, *events.values()):
        rng.shuffle(rows)
    cutoffs = [(name, at) for name in names for at in _cutoffs(rng, name, events, n_cutoffs)]
    rng.shuffle(cutoffs)
    timezone = ("UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu")[seed % 4]
    return Stream(timezone, versions, leads, events, cutoffs, rng.sample(cutoffs, 3 * n_leads))


def _busy(rng: random.Random, names: list[str], each: int) -> list[str]:
    """Who has an event: everybody many times, but the last lead never."""
    return [name for name in names[:-1] for _ in range(rng.randint(1, each))]


def _instant(rng: random.Random) -> int:
    near = rng.choice(ANCHORS) + rng.choice((0, 0, -1, 1, 1_000_000, -DAY, DAY, 7 * DAY, -30 * DAY))
    return near if rng.random() < 0.6 else rng.choice(ANCHORS) + rng.randint(-40 * DAY, 40 * DAY)


def _known(rng: random.Random, happened: int) -> int:
    """Mostly at once, often late, sometimes early: a meeting is known before it takes place."""
    return happened + rng.choice((0, 0, 0, 1, 3_600_000_000, 2 * DAY, 31 * DAY, -1, -DAY))


def _touchpoint(rng: random.Random, lead: str, number: int) -> dict[str, Any]:
    happened = _instant(rng)
    return {
        "event_id": None if rng.random() < 0.1 else f"E{number}",
        "lead_id": lead,
        "occurred_at": happened,
        "ingested_at": _known(rng, happened),
        "channel": rng.choice(("email", "email", "webinar", "ads", "landing_page", "a.b=c%d", None)),
        "campaign": f"c{min(rng.randint(0, 45), rng.randint(0, 45)):02d}" if rng.random() < 0.9 else None,
        "cost": rng.choice((None, 0.0, -2.5, 1e6 / 3, rng.uniform(0, 100), rng.uniform(0, 1e-3))),
        "clicks": rng.choice((None, 1, 2, 3)),
    }


def _interaction(rng: random.Random, lead: str) -> dict[str, Any]:
    return {
        "lead_id": lead,
        "occurred_at": _instant(rng),
        "kind": rng.choice(("call", "call", "email", "demo", None)),
        "minutes": rng.choice((None, 5, 30, 1_234.5)),
    }


def _redelivered(rng: random.Random, row: dict[str, Any]) -> dict[str, Any]:
    """The same id again, known at another time, with another content."""
    again = dict(row, ingested_at=row["ingested_at"] + rng.choice((0, 1, -1, DAY)))
    return again | ({"channel": "ads", "cost": 7.0} if rng.random() < 0.5 else {})


def _versions(rng: random.Random, lead: str, *, many: bool) -> list[dict[str, Any]]:
    created = None if rng.random() < 0.1 else _instant(rng)
    versions = []
    for _ in range(rng.randint(1, 4) if many else 1):
        version = {
            "lead_id": lead,
            "created_at": created,
            "source": rng.choice(("ads", "webinar", "referral", None)),
            "industry": rng.choice(("software", "retail", None)),
            "employees": rng.choice((None, 1, 250, 10_000)),
            "revenue": rng.choice((None, 0.1, 1e7)),
        }
        versions.append(version | ({"updated_at": _instant(rng)} if many else {}))
    return versions


def _cutoffs(rng: random.Random, lead: str, events: dict[str, list[dict[str, Any]]], n_cutoffs: int) -> list[int]:
    """At every edge of the lead's events and windows, and one microsecond beside it; some twice."""
    edges = list(ANCHORS)
    for rows in events.values():
        for row in rows:
            if row["lead_id"] == lead:
                edges += [row["occurred_at"], row.get("ingested_at", row["occurred_at"])]
                edges += [row["occurred_at"] + length for length in WINDOWS.values() if length]
    chosen = [rng.choice(edges) + rng.choice((-1, 0, 0, 1)) for _ in range(n_cutoffs - 4)]
    return [*chosen, chosen[0], _instant(rng), ANCHORS[0] - 4_000 * DAY, ANCHORS[-1] + 4_000 * DAY]
