"""What each family of features is worth: ``python -m tests.bench.plans FOLDER…`` trains without it and compares.

Every plan goes through the whole protocol of training; all are judged on the same test snapshots. Differences are
paired, plan less the default plan, with 95 % intervals clustered by account or lead.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import leadscore as ls
from leadscore.evaluate.metrics import bootstrap, evaluate, paired_bootstrap
from leadscore.features.primitives import family_of
from leadscore.snapshots import Snapshots

FIRST = ("variety", "rhythm", "change", "response", "company")
"""What came after the first plan, which had amounts, counts, recencies, sequences, profile and calendar."""


def plans(project: ls.Project) -> dict[str, tuple[str, ...]]:
    """By name, the families that `[features] drop` leaves out."""
    there = list(dict.fromkeys(family_of(name) for name in ls.FeaturePlan.default(project).features))
    return {
        "default": (),
        "as first released": tuple(family for family in there if family in FIRST),
        "lead only": tuple(family for family in there if family != "lead"),
        **{f"without {family}": (family,) for family in there if family != "lead"},
    }


def run(folder: str, seeds: int) -> list[str]:
    """Return lines of Markdown for one project; the margins of several seeds are averaged."""
    project = ls.Project.load(folder)
    data = project.read()
    rows = ls.snapshots(data)
    lines = [
        f"### {Path(folder).name}",
        "",
        "| plan | columns | AUC | avg. prec. | log-loss | AUC less the default's | log-loss less the default's |",
        "|---|---|---|---|---|---|---|",
    ]
    default: np.ndarray | None = None
    for name, drop in plans(project).items():
        chosen = replace(project, features=replace(project.features, drop=drop))
        test, margin, n = _trained(replace(data, project=chosen), rows, seeds)
        default = margin if default is None else default
        lines.append(_row(name, n, test, margin, default))
    return lines


def _trained(data: ls.Data, rows: Snapshots, seeds: int) -> tuple[Snapshots, np.ndarray, int]:
    """Test snapshots, the mean of their calibrated margins over the seeds, and how many columns the model kept."""
    margins = []
    for seed in range(seeds):
        scorer = ls.LeadScorer(seed=seed).fit(data, rows)
        fitted = scorer.fitted
        assert fitted is not None
        test = fitted.blocks.rows["test"]
        probability = scorer.calibrator.apply(fitted.margin[test])
        margins.append(np.log(probability / (1 - probability)))
    return rows.take(test), np.mean(margins, axis=0), len(scorer.plan.features)


def _row(name: str, n: int, rows: Snapshots, margin: np.ndarray, default: np.ndarray) -> str:
    chance, usual = (1 / (1 + np.exp(-one)) for one in (margin, default))
    found = evaluate(rows.label, chance, weight=rows.weight, margin=margin)
    spans = bootstrap(rows.label, chance, rows.clusters(), seed=0, weight=rows.weight, margin=margin)
    against = paired_bootstrap(
        rows.label, chance, usual, rows.clusters(), seed=0, weight=rows.weight, margin=margin, other_margin=default
    )
    cells = [f"{found[key]:.4f} [{spans[key][0]:.3f}, {spans[key][1]:.3f}]" for key in ("auc", "average_precision")]
    cells.append(f"{found['log_loss']:.4f}")
    for key in ("auc", "log_loss"):
        pair = against.get(key)
        cells.append("–" if pair is None or name == "default" else f"{pair[0]:+.4f} [{pair[1]:+.4f}, {pair[2]:+.4f}]")
    return f"| {name} | {n} | {' | '.join(cells)} |"


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        print("\n".join(run(folder, seeds=3)), flush=True)
        print()
