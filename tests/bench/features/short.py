"""What ``make bench`` runs: one size, and the engines that need no environment of their own."""

from __future__ import annotations

import sys

from tests.bench.features.report import report
from tests.bench.features.run import run as measure


def run(n_events: int = 1_000_000) -> list[str]:
    """Return lines of Markdown."""
    return report(measure([n_events], ["leadscore", "duckdb", "polars"], peers_python=sys.executable, seed=0))
