"""A CSV of a million events → validated, grouped tables, against pandas that only parses it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import leadscore as ls
from tests.bench.features.by_leadscore import project
from tests.bench.features.columns import CHANNELS
from tests.bench.features.log import generate
from tests.bench.features.measure import fastest_of


def run(n_events: int = 1_000_000) -> list[str]:
    """Return lines of Markdown."""
    leads, events = frames(n_events)
    no_outcomes = pd.DataFrame({"lead_id": [], "closed_at": []})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for table, frame in (("leads", leads), ("touchpoints", events), ("outcomes", no_outcomes)):
            frame.to_csv(folder / f"{table}.csv", index=False)
        declared = ls.Project.from_dict(project().raw, folder=folder)
        ours_s = fastest_of(3, lambda: ls.read(declared))
        theirs_s = fastest_of(3, lambda: pd.read_csv(folder / "touchpoints.csv", parse_dates=["occurred_at"]))
    return [
        f"### Reading a CSV of {n_events:,} events (and {len(leads):,} leads)",
        "",
        "| reader | seconds | ratio |",
        "|---|---|---|",
        f"| leadscore: parsed, validated, joined to leads, grouped and put in time order | {ours_s:.2f} | 1 |",
        f"| pandas.read_csv of the events with parsed dates, nothing else | {theirs_s:.2f} | {theirs_s / ours_s:.2f} |",
    ]


def frames(n_events: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leads and events of a generated log, as text and times."""
    log = generate(n_events, 0)
    ids = np.array([f"L{lead}" for lead in range(log.n_leads)])
    leads = pd.DataFrame({"lead_id": ids, "created_at": np.datetime64("2025-01-01", "us"), "size": 1.0})
    events = pd.DataFrame(
        {
            "lead_id": ids[log.lead],
            "occurred_at": log.time.view("M8[us]"),
            "channel": np.array(CHANNELS)[log.channel],
            "cost": log.cost,
        }
    )
    return leads, events
