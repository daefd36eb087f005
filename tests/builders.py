"""Small projects that a test can bend: a dictionary to change, tables of a few rows, a folder on disk."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pandas as pd

import leadscore as ls

RAW: dict[str, Any] = {
    "name": "small",
    "leads": {
        "source": "leads.csv",
        "id": "lead_id",
        "created": "created_at",
        "categorical": ["source"],
        "numeric": ["employees"],
    },
    "events": {
        "touchpoints": {
            "source": "touchpoints.csv",
            "lead": "lead_id",
            "time": "occurred_at",
            "known": "ingested_at",
            "id": "event_id",
            "categorical": ["channel"],
            "numeric": ["cost"],
        }
    },
    "outcome": {
        "source": "outcomes.csv",
        "lead": "lead_id",
        "time": "closed_at",
        "column": "status",
        "won": ["won"],
        "lost": ["lost"],
    },
    "task": {"horizon": "7d"},
}
LEADS = """lead_id,created_at,source,employees
a,2025-01-01T00:00:00Z,ads,10
b,2025-01-02T00:00:00Z,webinar,
c,2025-01-03T00:00:00Z,,250
"""
TOUCHPOINTS = """event_id,lead_id,occurred_at,ingested_at,channel,cost
1,a,2025-01-05T00:00:00Z,2025-01-05T00:00:00Z,email,
2,a,2025-01-06T00:00:00Z,2025-01-08T00:00:00Z,webinar,2.5
3,b,2025-01-07T00:00:00Z,2025-01-07T00:00:00Z,email,1
"""
OUTCOMES = """lead_id,closed_at,status
a,2025-01-20T00:00:00Z,won
b,2025-01-21T00:00:00Z,lost
"""
FILES = {"leads.csv": LEADS, "touchpoints.csv": TOUCHPOINTS, "outcomes.csv": OUTCOMES}

LABELLED: dict[str, Any] = {
    "name": "list",
    "leads": {"source": "list.csv", "categorical": ["source"], "numeric": ["visits"]},
    "outcome": {"source": "list.csv", "column": "converted", "won": ["1"]},
}


def raw(changes: dict[str, Any] | None = None, *, base: dict[str, Any] = RAW) -> dict[str, Any]:
    """The small project with some keys, named by dotted path, set; None takes a key away."""
    changed = copy.deepcopy(base)
    for path, value in (changes or {}).items():
        *parents, key = path.split(".")
        section = changed
        for parent in parents:
            section = section.setdefault(parent, {})
        if value is None:
            section.pop(key, None)
        else:
            section[key] = value
    return changed


def project(changes: dict[str, Any] | None = None, *, base: dict[str, Any] = RAW, folder: Any = ".") -> ls.Project:
    return ls.Project.from_dict(raw(changes, base=base), folder=folder)


def folder_of(path: Path, files: dict[str, str | bytes] | None = None) -> Path:
    """The small tables on disk, with some files replaced (None leaves one out)."""
    for name, content in {**FILES, **(files or {})}.items():
        if isinstance(content, bytes):
            (path / name).write_bytes(content)
        elif content is not None:
            (path / name).write_text(content, encoding="utf-8")
    return path


def read(
    path: Path, files: dict[str, str | bytes] | None = None, changes: dict[str, Any] | None = None, **options: Any
) -> ls.Data:
    return ls.read(project(changes, folder=folder_of(path, files)), **options)


def history(
    leads: list[tuple[str, str]],
    closed: list[tuple[str, str, str]] = (),
    events: list[tuple[str, str]] = (),
    changes: dict[str, Any] | None = None,
) -> ls.Data:
    """Data of (lead, created), (lead, closed at, status), (lead, event at); instants as text."""
    plain = {
        "leads.categorical": None,
        "leads.numeric": None,
        "events.touchpoints": {"source": "t.csv", "lead": "lead_id", "time": "at"},
    }
    frames = {
        "leads": pd.DataFrame(leads, columns=["lead_id", "created_at"], dtype=object),
        "touchpoints": pd.DataFrame(list(events), columns=["lead_id", "at"], dtype=object),
        "outcome": pd.DataFrame(list(closed), columns=["lead_id", "closed_at", "status"], dtype=object),
    }
    return ls.read(project({**plain, **(changes or {})}), frames=frames)


def labelled(n_rows: int, changes: dict[str, Any] | None = None) -> ls.Data:
    """A labelled list of so many rows, every third a win."""
    rows = [(("ads", "web")[n % 2], n, ("1", "0", "0")[n % 3]) for n in range(n_rows)]
    frame = pd.DataFrame(rows, columns=["source", "visits", "converted"])
    return ls.read(project(changes, base=LABELLED), frames={"leads": frame, "outcome": frame})
