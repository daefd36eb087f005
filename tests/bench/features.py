"""The same named feature columns from leadscore and from DuckDB, on one generated log, values compared."""

from __future__ import annotations

import time
from collections.abc import Callable

import duckdb
import numpy as np
import pandas as pd

import leadscore as ls

N_CHANNELS = 12
WINDOWS = {"1d": 1, "7d": 7, "30d": 30, "90d": 90}
DAYS = 365


def project() -> ls.Project:
    """One event table with a categorical and a numeric column."""
    return ls.Project.from_dict(
        {
            "name": "bench",
            "leads": {"source": "leads.csv", "id": "lead_id", "created": "created_at", "numeric": ["size"]},
            "events": {
                "touchpoints": {
                    "source": "touchpoints.csv", "lead": "lead_id", "time": "occurred_at",
                    "categorical": ["channel"], "numeric": ["cost"],
                }
            },
            "outcome": {"source": "outcomes.csv", "lead": "lead_id", "time": "closed_at"},
            "task": {"horizon": "30d"},
        }
    )  # fmt: skip


def names() -> list[str]:
    """Counts per channel and window, sums per window, recency of all and per channel."""
    channels = [f"c{channel:02d}" for channel in range(N_CHANNELS)]
    counts = [f"touchpoints.channel={channel}.count.{window}" for channel in channels for window in WINDOWS]
    sums = [f"touchpoints.cost.sum.{window}" for window in WINDOWS]
    recency = ["touchpoints.since_last", *(f"touchpoints.channel={channel}.since_last" for channel in channels)]
    return counts + sums + recency


def generate(n_events: int, n_cutoffs: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Leads, events and cutoffs of a year, with ties at the day and late cutoffs."""
    rng = np.random.default_rng(seed)
    n_leads = n_events // 10
    start = np.datetime64("2025-01-01", "us")
    events = pd.DataFrame(
        {
            "lead_id": [f"L{lead}" for lead in rng.integers(0, n_leads, n_events)],
            "occurred_at": start + rng.integers(0, DAYS * 86_400, n_events).astype("m8[s]"),
            "channel": [f"c{channel:02d}" for channel in rng.integers(0, N_CHANNELS, n_events)],
            "cost": np.round(rng.gamma(2.0, 3.0, n_events), 2),
        }
    )
    leads = pd.DataFrame({"lead_id": [f"L{lead}" for lead in range(n_leads)], "created_at": start, "size": 1.0})
    cutoffs = pd.DataFrame(
        {
            "lead_id": [f"L{lead}" for lead in rng.integers(0, n_leads, n_cutoffs)],
            "cutoff": start + rng.integers(30 * 86_400, DAYS * 86_400, n_cutoffs).astype("m8[s]"),
        }
    )
    return leads, events, cutoffs


def duckdb_query() -> str:
    """Filtered aggregates over one join: the way a careful analyst would write it."""
    day = 86_400_000_000
    parts = []
    for name in names():
        pieces = name.split(".")
        filters = []
        if "=" in name:
            filters.append(f"e.channel = '{pieces[1].split('=')[1]}'")
        if pieces[-1] in WINDOWS:
            filters.append(f"e.at >= c.at - {WINDOWS[pieces[-1]] * day}")
        where = f" filter (where {' and '.join(filters)})" if filters else ""
        if "since_last" in name:
            parts.append(f'(any_value(c.at) - max(e.at){where}) / {float(day)} as "{name}"')
        elif ".sum." in name:
            parts.append(f'coalesce(sum(e.cost){where}, 0) as "{name}"')
        else:
            parts.append(f'count(e.at){where} as "{name}"')
    columns = ",\n".join(parts)
    return (
        f"select {columns} from cutoffs c left join events e on e.lead = c.lead and e.at < c.at "
        "group by c.row order by c.row"
    )


def run(n_events: int = 1_000_000, n_cutoffs: int = 200_000, seed: int = 0) -> list[str]:
    """Return lines of Markdown: times from typed tables to the finished float32 matrix."""
    leads, events, cutoffs = generate(n_events, n_cutoffs, seed)
    no_outcomes = pd.DataFrame({"lead_id": pd.Series(dtype="str"), "closed_at": pd.Series(dtype="M8[us]")})
    frames = {"leads": leads, "touchpoints": events, "outcome": no_outcomes}
    plan = ls.FeaturePlan.of(project(), names())
    data = ls.read(project(), frames=frames)
    asked = ls.Cutoffs.of(data, cutoffs)
    ours_s, ours = best_of(3, lambda: plan.transform(data, asked))
    reading_s, _ = best_of(1, lambda: ls.read(project(), frames=frames))

    connection = duckdb.connect()
    connection.execute("set threads to 2; set enable_progress_bar = false")
    for name, frame, instant in (("events", events, "occurred_at"), ("cutoffs", cutoffs, "cutoff")):
        view = frame.assign(
            lead=frame["lead_id"].str[1:].astype("int64"), at=frame[instant].astype("int64"), row=np.arange(len(frame))
        ).drop(columns=["lead_id", instant])
        connection.register(f"{name}_frame", view)
        connection.execute(f"create table {name} as select * from {name}_frame")
    query = duckdb_query()
    theirs_s, theirs = best_of(2, lambda: _matrix(connection.execute(query).fetchnumpy()))

    np.testing.assert_allclose(ours, theirs, rtol=1e-6, equal_nan=True)
    n_cells = ours.size
    return [
        f"### Features: {n_events:,} events, {n_cutoffs:,} cutoffs, {ours.shape[1]} columns; values agree",
        "",
        "| engine | seconds | ns per cell | ratio |",
        "|---|---|---|---|",
        f"| leadscore, tables in memory | {ours_s:.2f} | {ours_s / n_cells * 1e9:.1f} | 1 |",
        f"| leadscore, reading the DataFrames included | {ours_s + reading_s:.2f} | "
        f"{(ours_s + reading_s) / n_cells * 1e9:.1f} | {(ours_s + reading_s) / ours_s:.1f} |",
        f"| DuckDB, tables in memory | {theirs_s:.2f} | {theirs_s / n_cells * 1e9:.1f} | {theirs_s / ours_s:.1f} |",
    ]


def _matrix(columns: dict[str, np.ndarray]) -> np.ndarray:
    filled = [np.ma.filled(columns[name].astype(np.float64), np.nan) for name in names()]
    return np.stack(filled, axis=1).astype(np.float32)


def best_of(n: int, work: Callable[[], object]) -> tuple[float, object]:
    """Seconds of the fastest of n runs after a warm-up, and the last result."""
    result = work()
    fastest = float("inf")
    for _ in range(n):
        start = time.perf_counter()
        result = work()
        fastest = min(fastest, time.perf_counter() - start)
    return fastest, result
