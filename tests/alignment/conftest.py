"""A market of six leads whose every number can be worked out by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore.reading import read
from leadscore.tables import Cutoffs

PROJECT = {
    "name": "tiny",
    "timezone": "Europe/Berlin",
    "leads": {
        "source": "leads.csv",
        "id": "lead_id",
        "created": "created_at",
        "origin": "source",
        "owner": "rep",
        "categorical": ["source"],
    },
    "events": {
        "touchpoints": {
            "source": "touchpoints.csv",
            "lead": "lead_id",
            "time": "at",
            "known": "known",
            "categorical": ["channel"],
            "numeric": ["cost"],
        },
        "calls": {
            "source": "calls.csv",
            "lead": "lead_id",
            "time": "at",
            "categorical": ["direction"],
        },
    },
    "outcome": {
        "source": "outcomes.csv",
        "lead": "lead_id",
        "time": "at",
        "column": "status",
        "won": ["won"],
        "lost": ["lost"],
    },
    "task": {"horizon": "10d", "observed_until": "2026-03-01T00:00:00Z"},
    "sla": {
        "qualified": "B",
        "leads": {"*": 31, "ads": 28},
        "respond": {"A": "2h", "B": "1d"},
        "attempts": {"B": 2},
        "within": "5d",
        "verdict": "3d",
    },
}
LEADS = [
    ("L1", "2026-01-05T08:00:00Z", "ads", "eva"),
    ("L2", "2026-01-06T08:00:00Z", "ads", "eva"),
    ("L3", "2026-01-07T08:00:00Z", "web", "ben"),
    ("L4", "2026-01-12T08:00:00Z", "web", "ben"),
    ("L5", "2026-02-02T08:00:00Z", "web", None),
    ("L6", "2026-02-27T08:00:00Z", "ads", "eva"),
]
TOUCHES = [
    ("L1", "2026-01-05T09:00:00Z", "2026-01-05T09:00:00Z", "ads", 2.0),
    ("L1", "2026-01-07T09:00:00Z", "2026-01-07T09:00:00Z", "email", 1.0),
    ("L1", "2026-01-08T09:00:00Z", "2026-01-08T09:00:00Z", "email", 1.0),
    ("L2", "2026-01-06T09:00:00Z", "2026-01-06T12:00:00Z", "ads", 2.0),
    ("L3", "2026-01-07T09:00:00Z", "2026-01-07T09:00:00Z", "web", None),
    ("L4", "2026-01-12T09:00:00Z", "2026-01-12T09:00:00Z", "web", None),
    ("L4", "2026-01-30T09:00:00Z", "2026-01-30T09:00:00Z", "email", 1.0),
    ("L6", "2026-02-27T09:00:00Z", "2026-02-27T09:00:00Z", None, 2.0),
    ("L6", "2026-02-28T09:00:00Z", "2026-03-02T09:00:00Z", "email", 1.0),
]
CALLS = [
    ("L1", "2026-01-05T10:00:00Z", "outbound"),
    ("L1", "2026-01-05T11:00:00Z", "inbound"),
    ("L2", "2026-01-08T10:00:00Z", "outbound"),
    ("L3", "2026-01-07T10:00:00Z", "outbound"),
    ("L3", "2026-01-08T10:00:00Z", "outbound"),
]
OUTCOMES = [("L1", "2026-01-10T08:00:00Z", "won"), ("L2", "2026-01-20T08:00:00Z", "lost")]


@pytest.fixture
def tiny() -> ls.Data:
    """The tables of six leads: L1 won, L2 lost, four open."""
    frames = {
        "leads": pd.DataFrame(LEADS, columns=["lead_id", "created_at", "source", "rep"]),
        "touchpoints": pd.DataFrame(TOUCHES, columns=["lead_id", "at", "known", "channel", "cost"]),
        "calls": pd.DataFrame(CALLS, columns=["lead_id", "at", "direction"]),
        "outcome": pd.DataFrame(OUTCOMES, columns=["lead_id", "at", "status"]),
    }
    return read(ls.Project.from_dict(PROJECT), frames=frames)


class ByTouches:
    """Scores by what can be counted on fingers: 0.1 and grade C without a touch, then 0.2 and B, 0.4 and A."""

    def score_rows(self, data: ls.Data, asked: Cutoffs, *, n_reasons: int) -> Any:
        """Score leads at cutoffs by how many of their touches are visible."""
        assert n_reasons == 0
        log = data.logs["touchpoints"]
        seen = np.array(
            [
                int(((log.time[rows] < at) & (log.known[rows] < at)).sum())
                for lead, at in zip(asked.lead.tolist(), asked.at.tolist(), strict=True)
                for rows in [slice(log.offsets[lead], log.offsets[lead + 1])]
            ],
            dtype=np.int64,
        )
        step = np.minimum(seen, 2)
        return SimpleNamespace(
            probability=np.array([0.1, 0.2, 0.4])[step],
            score=np.array([50, 75, 95])[step],
            grade=[["C", "B", "A"][one] for one in step.tolist()],
        )


@pytest.fixture
def by_touches() -> Any:
    """A scorer whose answers can be worked out by hand."""
    return ByTouches()
