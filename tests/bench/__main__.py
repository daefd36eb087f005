"""Run every benchmark and print Markdown: ``python -m tests.bench``; ``make bench-features`` is the long one."""

from __future__ import annotations

import sys

from tests.bench import reading, service
from tests.bench.features.report import report
from tests.bench.features.run import run

features = run([1_000_000], ["leadscore", "duckdb", "polars"], peers_python=sys.executable, seed=0)
for lines in (reading.run(), report(features), service.run()):
    print("\n".join(lines), flush=True)
    print()
