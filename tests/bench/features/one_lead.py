"""One lead with fifty events and the full default plan of the sample: what a single request waits for."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import leadscore as ls
from leadscore import documents
from leadscore.tables import Cutoffs, Data

ROOT = Path(__file__).parents[3]
N_EVENTS = 50
N_ROUNDS = 2_000


def run() -> tuple[list[str], dict[str, Any]]:
    """Return lines of Markdown, and the figures."""
    data, asked, plan = prepare()
    out = plan.transform(data, asked)
    fills = plan._fills(data, asked, out)
    rows = np.arange(1)

    def kernels() -> None:
        for fill in fills:
            fill(rows)

    n_events = sum(log.n_events for log in data.logs.values())
    transform, bare = _microseconds(lambda: plan.transform(data, asked)), _microseconds(kernels)
    lines = [
        f"### One lead: {n_events} events in {len(data.logs)} tables, the sample's full plan of {out.shape[1]} columns",
        "",
        "| | p50 µs | minimum µs |",
        "|---|---|---|",
        f"| `plan.transform` of one lead, data prepared | {transform[0]:.0f} | {transform[1]:.0f} |",
        f"| of it the kernels, called with everything bound | {bare[0]:.1f} | {bare[1]:.1f} |",
        "",
        f"{N_ROUNDS:,} calls each after a warm-up, one thread. Other leads' features come from the document's context.",
        "",
    ]
    figures = {"n_events": n_events, "n_columns": out.shape[1], "transform_us": transform, "kernels_us": bare}
    return lines, figures


def prepare() -> tuple[Data, Cutoffs, ls.FeaturePlan]:
    """The lead of the sample whose history is nearest to fifty events, as a document brings it."""
    data = ls.Project.load(ROOT / "data" / "sample").read()
    plan = ls.FeaturePlan.default(data.project).fit(data, ls.snapshots(data).cutoffs)
    sizes = sum(np.diff(log.offsets) for log in data.logs.values())
    lead, at = int(np.argmin(np.abs(sizes - N_EVENTS))), data.observed_until
    (context,) = plan.context(data, Cutoffs(np.array([lead]), np.array([at])))
    document = documents.parse(data.project, documents.from_data(data, lead, at, context), now=at)
    one, cutoffs = documents.to_data(data.project, [document])
    return one, Cutoffs(np.zeros(1, dtype=np.int64), cutoffs), plan


def _microseconds(work: Callable[[], object]) -> tuple[float, float]:
    """Median and minimum of many single calls."""
    seconds = np.empty(N_ROUNDS)
    for i in range(-100, N_ROUNDS):
        start = time.perf_counter()
        work()
        seconds[max(i, 0)] = time.perf_counter() - start
    return float(np.median(seconds)) * 1e6, float(seconds.min()) * 1e6
