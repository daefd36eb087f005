"""Run every benchmark and print Markdown: ``python -m tests.bench``. The long one is ``make bench-features``."""

from __future__ import annotations

from tests.bench import documents, reading, service
from tests.bench.features import short as features

for benchmark in (reading, features, documents, service):
    print("\n".join(benchmark.run()), flush=True)
    print()
