"""A CSV of a million events → validated, grouped tables, against pandas that only parses it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd

import leadscore as ls
from tests.bench.features import best_of, generate, project


def run(n_events: int = 1_000_000) -> list[str]:
    """Return lines of Markdown."""
    leads, events, _ = generate(n_events, 1, 0)
    no_outcomes = pd.DataFrame({"lead_id": [], "closed_at": []})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for table, frame in (("leads", leads), ("touchpoints", events), ("outcomes", no_outcomes)):
            frame.to_csv(folder / f"{table}.csv", index=False)
        declared = ls.Project.from_dict(project().raw, folder=folder)
        ours_s, _ = best_of(2, lambda: ls.read(declared))
        theirs_s, _ = best_of(2, lambda: pd.read_csv(folder / "touchpoints.csv", parse_dates=["occurred_at"]))
    return [
        f"### Reading a CSV of {n_events:,} events (and {len(leads):,} leads)",
        "",
        "| reader | seconds | ratio |",
        "|---|---|---|",
        f"| leadscore: parsed, validated, joined to leads, grouped and put in time order | {ours_s:.2f} | 1 |",
        f"| pandas.read_csv of the events with parsed dates, nothing else | {theirs_s:.2f} | {theirs_s / ours_s:.2f} |",
    ]
