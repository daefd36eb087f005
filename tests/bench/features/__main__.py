"""``python -m tests.bench.features``: measure, print, and write report.md, features.png and results.json."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path

from tests.bench.features import one_lead, plot
from tests.bench.features.report import faults, report
from tests.bench.features.run import ENGINES, run


def main() -> int:
    """Exit with 1 if values differ or an engine failed."""
    asked = _arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    engines = ["leadscore", *(engine for engine in asked.engines if engine != "leadscore")]
    results = run(sorted(asked.events), engines, peers_python=asked.peers_python, seed=asked.seed)
    lines, figures = one_lead.run()
    lines = [
        f"## Features: leadscore and its peers, {os.cpu_count()} processors, Python {platform.python_version()}",
        "",
        *report(results),
        *lines,
    ]
    print("\n".join(lines))
    (asked.out / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = {"results": [asdict(result) for result in results], "one_lead": figures}
    (asked.out / "results.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    plot.save(results, asked.out / "features.png")
    print(f"\nwritten: report.md, features.png and results.json in {asked.out}", file=sys.stderr)
    return 1 if faults(results) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.features", description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000], metavar="N")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--out", type=Path, default=Path("build/bench-features"), metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--peers-python",
        default=os.environ.get("BENCH_PEERS_PYTHON", sys.executable),
        metavar="PYTHON",
        help="interpreter that has featuretools and getml (default: $BENCH_PEERS_PYTHON, else this one)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
