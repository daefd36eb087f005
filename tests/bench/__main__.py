"""Run the short benchmarks and print Markdown: ``python -m tests.bench``. The long ones are ``make bench-…``."""

from __future__ import annotations

from tests.bench import documents, reading
from tests.bench.features import short as features

for benchmark in (reading, features, documents):
    print("\n".join(benchmark.run()), flush=True)
    print()
