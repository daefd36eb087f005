"""Run every benchmark and print Markdown: ``python -m tests.bench``."""

from __future__ import annotations

from tests.bench import documents, features, reading, service

for benchmark in (reading, features, documents, service):
    print("\n".join(benchmark.run()), flush=True)
    print()
