"""The whole story in one go: train, track, register, score a list, print the best leads with reasons."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd

import leadscore as ls
from leadscore.batch import score_list, write_list, write_page
from leadscore.explain.reasons import describe
from leadscore.model.booster import Progress
from training.train import Trained, train


def demo(
    folder: str | Path, *, n_best: int = 10, progress: Progress | None = None
) -> tuple[Trained, pd.DataFrame, Path]:
    """Train on a project, score its open leads into ``scored.csv`` beside it, and return the best `n_best`.

    Returns
    -------
    (Trained, DataFrame of the best leads, path of the scored list)
    """
    project = ls.Project.load(folder)
    trained = train(project, progress=progress)
    if trained.page is not None:
        write_page(project.folder / "report.html", trained.page)
    trained.scorer.version = trained.version
    data = project.read()
    as_of = data.observed_until if project.timed else None
    scores = score_list(trained.scorer, data, as_of=as_of)
    return trained, scores.head(n_best), write_list(scores, project.folder / "scored.csv")


def table(best: pd.DataFrame) -> str:
    """Return leads as people read them: one line of numbers, the reasons below."""
    lines = [f"{'lead':<14}{'probability':>12}{'score':>7}{'grade':>7}{'fit':>6}{'intent':>8}"]
    for lead in best.to_dict("records"):
        lines.append(
            f"{lead['lead_id']:<14}{lead['probability']:>12.1%}{lead['score']:>7}{lead['grade']:>7}"
            f"{_number(lead['fit']):>6}{_number(lead['intent']):>8}"
        )
        lines.append(f"  {describe(lead['reasons'])}")
    return "\n".join(lines)


def next_steps(trained: Trained, project: ls.Project, scored: Path) -> str:
    """Return what to run next, with the commands spelled out."""
    folder = project.folder
    beside = Path(sys.executable).parent
    prefix = "" if shutil.which("leadscore") else f"{os.path.relpath(beside)}/"
    return "\n".join(
        [
            *([f"The whole report is {folder / 'report.html'}"] if trained.page is not None else []),
            f"The whole list is in {scored}; the MLflow run is {trained.run_id} in {folder / 'mlflow.db'}",
            "Next:",
            f"  {prefix}leadscore serve {folder}                         # the service, with this champion",
            f"  {prefix}mlflow ui --backend-store-uri sqlite:///{(folder / 'mlflow.db').resolve()}",
            f"  {prefix}leadscore explain {folder} --lead {_first_id(scored)}",
        ]
    )


def _number(value: Any) -> str:
    return "–" if pd.isna(value) else str(value)


def _first_id(scored: Path) -> str:
    return str(pd.read_csv(scored, nrows=1, dtype=str)["lead_id"].iloc[0])
