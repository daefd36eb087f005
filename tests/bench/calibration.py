"""Do the probabilities hold? Simulated markets of a size, trained by the defaults, judged on their test blocks.

``python -m tests.bench.calibration [N_LEADS] [N_SEEDS]`` (default 50,000 leads, five seeds).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import leadscore as ls
from leadscore.evaluate.report import report
from leadscore.simulate import simulate

SHOWN = ("calibration_slope", "calibration_intercept", "expected_calibration_error", "auc", "log_loss")


def run(n_leads: int, n_seeds: int) -> list[str]:
    """Return lines of Markdown: a row per market, and their mean."""
    lines = [f"| {n_leads:,} leads, seed | {' | '.join(name.replace('_', ' ') for name in SHOWN)} | calibration |"]
    lines.append("|---" * (len(SHOWN) + 2) + "|")
    found = []
    for seed in range(1, n_seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            data = ls.Project.load(simulate(Path(folder) / "market", n_leads=n_leads, seed=seed)).read()
        told = report(ls.LeadScorer().fit(data, ls.snapshots(data)))
        found.append([told.metrics[name] for name in SHOWN])
        lines.append(_row(str(seed), found[-1], told.calibration["kind"]))
    return [*lines, _row("mean", list(np.mean(np.array(found, dtype=float), axis=0)), "")]


def _row(name: str, values: list[float | None], kind: str) -> str:
    return f"| {name} | {' | '.join('–' if value is None else f'{value:.4f}' for value in values)} | {kind} |"


if __name__ == "__main__":
    sizes = [int(argument) for argument in sys.argv[1:]]
    print("\n".join(run(*(sizes + [50_000, 5][len(sizes) :]))), flush=True)
