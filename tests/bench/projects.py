"""Train on project folders and print every model beside every baseline, as Markdown.

``python -m tests.bench.projects data/sample FOLDER …``
"""

from __future__ import annotations

import sys

import leadscore as ls
from leadscore.evaluate.report import Report, report

COLUMNS = ("auc", "average_precision", "log_loss", "brier", "calibration_slope", "lift_at_10pct")


def judge(folder: str) -> tuple[str, Report]:
    """Train on one project with its own settings; its name and report."""
    data = ls.Project.load(folder).read()
    scorer = ls.LeadScorer()
    scorer.fit(data, ls.snapshots(data))
    return data.project.name, report(scorer)


def details(name: str, found: Report) -> list[str]:
    """Return the model beside every baseline."""
    test = found.blocks["test"]
    lines = [
        f"#### {name}: {test['n']:,} test snapshots, {test['n_won_leads']:,} won leads, "
        f"embargo {found.blocks['embargo_days']} days",
        "",
        found.verdict,
        "",
        "| | AUC | average precision | log-loss | Brier | calibration slope | lift at 10 % |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, metrics in {"**model**": found.metrics, **found.baselines}.items():
        cells = " | ".join("–" if metrics[column] is None else f"{metrics[column]:.4f}" for column in COLUMNS)
        lines.append(f"| {title.replace('_', ' ')} | {cells} |")
    spans = (found.intervals[column] for column in COLUMNS)
    cells = " | ".join("–" if span is None else f"{span[0]:.3f} to {span[1]:.3f}" for span in spans)
    return [*lines, f"| its 95 % interval | {cells} |", ""]


if __name__ == "__main__":
    for project in sys.argv[1:] or ["data/sample"]:
        print("\n".join(details(*judge(project))), flush=True)
