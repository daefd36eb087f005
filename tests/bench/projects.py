"""Train on project folders and print default and tuned model beside every baseline, as Markdown, with 95 % intervals.

``python -m tests.bench.projects [--trials N] data/sample FOLDER …``; without trials nothing is tuned. All figures of a
project are of one test block, which lies after everything that was learnt and searched. ``leadforge`` in the place of
a folder is a world that this package generates: 5,000 leads, seed 1.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from shutil import copytree, ignore_patterns

import leadscore as ls
from leadscore.evaluate.metrics import bootstrap, evaluate
from leadscore.evaluate.report import report
from leadscore.model.calibration import Identity
from leadscore.model.fitting import Fitted
from tests.leadforge_world import world

LEADFORGE = "leadforge"
COLUMNS = ("auc", "average_precision", "log_loss", "brier", "calibration_slope", "lift_at_10pct")
DIGITS = {"calibration_slope": 2, "lift_at_10pct": 2}


def run(folder: str, n_trials: int) -> list[str]:
    """Return one project as lines of Markdown."""
    data = ls.Project.load(folder).read()
    scorer = ls.LeadScorer().fit(data, ls.snapshots(data))
    told, fitted = report(scorer), scorer.fitted
    assert fitted is not None
    test = told.blocks["test"]
    lines = [
        f"#### {data.project.name}: {test['n']:,} test snapshots, {test['n_won_leads']:,} won leads, "
        f"embargo {told.blocks['embargo_days']} days",
        "",
        f"{told.verdict}. {told.ladder['why']}",
        "",
        "| | AUC | average precision | log-loss | Brier | calibration slope | lift at 10 % |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = fitted.blocks.rows["test"]
    for name in fitted.baselines:
        margin = fitted.rival_margin(name, rows)
        lines.append(_row(name.replace("_", " "), fitted, margin, Identity().apply(margin)))
    margin = fitted.margin[rows]
    lines.append(
        _row(f"**default model** ({fitted.ladder.stands_on})", fitted, margin, scorer.calibrator.apply(margin))
    )
    if n_trials:
        lines.append(_tuned(folder, n_trials))
    return [*lines, ""]


def _tuned(folder: str, n_trials: int) -> str:
    """The best of a study, through the same protocol."""
    from training.tune import tune

    with tempfile.TemporaryDirectory() as temporary:
        copy = copytree(folder, Path(temporary) / Path(folder).name, ignore=ignore_patterns("ml*", "optuna*", ".*"))
        found = tune(ls.Project.load(copy), n_trials=n_trials, track=False)
        data = ls.Project.load(copy).read()
    scorer = ls.LeadScorer(parameters=found.parameters).fit(data, ls.snapshots(data))
    fitted = scorer.fitted
    assert fitted is not None
    margin = fitted.margin[fitted.blocks.rows["test"]]
    return _row(f"tuned model ({fitted.ladder.stands_on})", fitted, margin, scorer.calibrator.apply(margin))


def _row(name: str, fitted: Fitted, margin, probability) -> str:  # type: ignore[no-untyped-def]
    rows = fitted.snapshots.take(fitted.blocks.rows["test"])
    found = evaluate(rows.label, probability, weight=rows.weight, margin=margin)
    spans = bootstrap(rows.label, probability, rows.clusters(), seed=0, weight=rows.weight, margin=margin)
    cells = []
    for column in COLUMNS:
        value, span, digits = found[column], spans[column], DIGITS.get(column, 3)
        shown = "–" if value is None else f"{value:.{digits + (column == 'log_loss')}f}"
        cells.append(shown if span is None else f"{shown} [{span[0]:.{digits}f}, {span[1]:.{digits}f}]")
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=0)
    parser.add_argument("folders", nargs="*", default=["data/sample"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        for place in given.folders:
            folder = world(Path(made) / LEADFORGE, n_leads=5_000, seed=1) if place == LEADFORGE else place
            print("\n".join(run(str(folder), given.trials)), flush=True)
