"""Train, judge, track and register a scorer: section by section what a launch would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import leadscore as ls
from leadscore.errors import MissingExtraError
from leadscore.evaluate.check import Finding
from leadscore.evaluate.report import Report, importance, report
from leadscore.evaluate.report_page import report_page
from leadscore.model.artifact import to_json
from leadscore.model.booster import Progress

if TYPE_CHECKING:
    from leadscore.tracking import Registered


@dataclass(frozen=True)
class Trained:
    """A scorer, what the test says of it, and under which version it is registered (None untracked).

    `uri` is where the model is kept: it loads from anywhere, whatever the current folder and tracking server.
    `findings` are those of a check that the report shows, None if nobody looked.
    """

    scorer: ls.LeadScorer
    report: Report
    version: str | None
    uri: str | None
    run_id: str | None
    findings: Sequence[Finding] | None

    @cached_property
    def page(self) -> str | None:
        """The report as HTML, drawn when it is asked for; None without the extra that draws it."""
        try:
            return report_page(self.scorer, self.report, findings=self.findings)
        except MissingExtraError:
            return None

    def to_dict(self) -> dict[str, Any]:
        """Return what ``leadscore train --json`` prints."""
        model = {"name": self.scorer.name, "version": self.version, "uri": self.uri, "run_id": self.run_id}
        return {"model": model, **self.report.to_dict()}


def train(
    project: ls.Project,
    *,
    seed: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    track: bool = True,
    findings: Sequence[Finding] | None = None,
    data: ls.Data | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train on a project, judge on its test block, and log and register what was measured.

    Parameters
    ----------
    seed : decides everything random; default ``[model] seed``, else 0
    parameters : LightGBM parameters over the project's
    out : also save the scorer into this folder
    track : log to MLflow and register; without, `out` is the only trace
    findings : what `leadscore.evaluate.check` found in these data, for the report; None if nobody looked
    data : the project's tables, where they were read already; by default they are read here

    Raises
    ------
    LeadScoreError
        If the project can't be read, or its data can't support a model.
    """
    chosen = int(project.model.get("seed", 0)) if seed is None else seed
    if track:
        from leadscore import tracking

        tracking.require_writable(project.folder)
    ls.FeaturePlan.default(project)  # what [features] says wrongly is said before anything is read
    data = project.read() if data is None else data
    scorer = ls.LeadScorer(seed=chosen, parameters=parameters)
    scorer.fit(data, ls.snapshots(data, seed=chosen), progress=progress)
    judged = report(scorer)
    scorer.manifest |= {"verdict": judged.verdict, "metrics": dict(judged.metrics), "lists": judged.lists()}
    if out is not None:
        scorer.save(out)
    trained = Trained(scorer, judged, None, None if out is None else str(out), None, findings)
    if not track:
        return trained
    registered = register(scorer, project, judged, trained.page)
    kept = replace(trained, version=registered.version, uri=registered.location, run_id=registered.run_id)
    vars(kept)["page"] = trained.page  # it has been drawn
    return kept


def register(scorer: ls.LeadScorer, project: ls.Project, judged: Report, page: str | None) -> Registered:
    """Log a scorer that was just fitted to MLflow, with all that was measured of it, and register it as challenger."""
    from leadscore import tracking

    drivers = importance(scorer)
    fitted = scorer.fitted
    assert fitted is not None
    counts = {f"n_{name}_rows": n for name, n in fitted.snapshots.data.n_rows.items()}
    return tracking.log(
        scorer,
        project.folder,
        metrics={**judged.metrics, **_baseline_metrics(judged)},
        intervals=judged.intervals,
        parameters={
            "n_features": len(fitted.plan.features),
            "n_pruned": len(fitted.pruned),
            "windows": ",".join(project.features.windows),
            **{name: judged.snapshots[name] for name in ("n", "n_positive")},
            **counts,
        },
        tags={"verdict": judged.verdict, "rung": fitted.ladder.stands_on},
        figures=judged.judged.figures(scorer.seed, drivers),
        texts={
            "report.json": to_json(judged.to_dict()),
            "report.txt": judged.text() + "\n",
            **({} if page is None else {"report.html": page}),
        },
    )


def _baseline_metrics(judged: Report) -> dict[str, float | None]:
    return {
        f"baseline_{name}_{metric}": metrics[metric]
        for name, metrics in judged.baselines.items()
        for metric in ("auc", "average_precision", "log_loss", "brier", "calibration_slope")
    }
