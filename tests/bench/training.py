"""Training's own overhead: `train` against its bare parts, in one run.

``python -m tests.bench.training [FOLDER…]`` (default: data/sample and a simulated market of 20,000 leads). Bare are:
reading the tables, computing the features of the plan, and one LightGBM fit on the resulting matrix. All that makes a
model trustworthy comes on top: baselines, ladder, calibration, reference population, golden leads, intervals and, in
the last column, the page and logging to MLflow. The median of three runs each, in turn, after one that warms up.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from shutil import copytree, ignore_patterns

import leadscore as ls
from leadscore.model import booster
from leadscore.simulate import simulate
from training.train import train

N_RUNS = 3


def bare(folder: Path) -> Callable[[], None]:
    """Return what reads, computes the features and fits the trees, and nothing else."""
    project = ls.Project.load(folder)
    data = project.read()
    fitted = ls.LeadScorer().fit(data, ls.snapshots(data)).fitted
    assert fitted is not None
    train_rows, tune_rows = (fitted.blocks.rows[name] for name in ("train", "tune"))

    def run() -> None:
        again = project.read()
        rows = ls.snapshots(again)
        plan = ls.FeaturePlan.default(project).fit(again, rows.take(train_rows).cutoffs)
        matrix = plan.transform(again, rows.cutoffs)
        blocks = [booster.Block(matrix[part], rows.label[part], rows.weight[part]) for part in (train_rows, tune_rows)]
        booster.train(*blocks, categorical=plan.categorical, parameters={}, seed=0)

    return run


def run(folders: list[str] | None = None) -> list[str]:
    """Return lines of Markdown."""
    lines = [
        "### Training: overhead over its bare parts",
        "",
        "| project | bare | `train` untracked | ratio | `train`, logged to MLflow | ratio |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as temporary:
        places = [Path(folder) for folder in folders or ["data/sample"]]
        if folders is None:
            places.append(simulate(Path(temporary) / "20,000 leads", n_leads=20_000, seed=3))
        for place in places:
            copy = Path(copytree(place, Path(temporary) / "copy" / place.name, ignore=ignore_patterns("ml*", ".*")))
            lines.append(_row(place.name, copy))
    return lines


def _row(name: str, folder: Path) -> str:
    project, plain = ls.Project.load(folder), bare(folder)
    steps: list[Callable[[], object]] = [
        plain,
        lambda: train(project, track=False, out=folder.parent / "scorer"),
        lambda: train(project),
    ]
    for step in steps:
        step()
    seconds: list[list[float]] = [[] for _ in steps]
    for _ in range(N_RUNS):
        for place, step in enumerate(steps):
            began = time.perf_counter()
            step()
            seconds[place].append(time.perf_counter() - began)
    least, untracked, tracked = map(statistics.median, seconds)
    cells = f"{least:.2f} s | {untracked:.2f} s | {untracked / least:.2f} | {tracked:.2f} s | {tracked / least:.2f}"
    return f"| {name} | {cells} |"


if __name__ == "__main__":
    print("\n".join(run(sys.argv[1:] or None)), flush=True)
