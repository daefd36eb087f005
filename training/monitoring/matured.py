"""What became of the leads that were scored: predicted and observed, where the outcome is settled by now."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

import leadscore as ls
from leadscore.evaluate.capacity import ListCalibration, calibration_in_list
from leadscore.evaluate.metrics import Difference, Interval, bootstrap, by_group, evaluate, paired_bootstrap
from training.monitoring.shifts import Scored

ONE_SIDED, TWO_SIDED = 1.645, 1.96


@dataclass(frozen=True)
class Change:
    """A metric then (promised) and now (found); `noise` is what chance explains of the difference, one-sided at 95 %.

    Both are uncertain, so their variances add; where the model's own test isn't at hand, the promise counts as certain.
    """

    promised: float
    found: float
    noise: float

    @classmethod
    def of(
        cls, promised: float | None, found: float | None, span: Interval | None, promised_span: Interval | None
    ) -> Change | None:
        """Set the two beside each other; None where either is undefined."""
        if promised is None or found is None or span is None:
            return None
        errors = [(high - low) / (2 * TWO_SIDED) for low, high in (span, promised_span or (0.0, 0.0))]
        return cls(promised, found, ONE_SIDED * math.hypot(*errors))

    @property
    def fall(self) -> float:
        """Promised minus found; below 0 it rose."""
        return self.promised - self.found


@dataclass(frozen=True)
class Matured:
    """Metrics of matured snapshots with 95 % intervals (clustered by account or lead), beside what was promised.

    `against_base_rate` is the log-loss minus that of the rate the model was trained at: below 0 it beats it.
    """

    n: int
    n_leads: int
    n_won_leads: int
    mean_probability: float
    metrics: dict[str, float | None]
    intervals: dict[str, Interval | None]
    against_base_rate: Difference | None
    promised: dict[str, float | None]
    auc: Change | None
    slope: Change | None
    in_list: ListCalibration
    months: tuple[dict[str, Any], ...]


def judge(scorer: ls.LeadScorer, matured: Scored, test: Scored | None, *, seed: int) -> Matured | None:
    """Judge what has matured; None where nothing has.

    Parameters
    ----------
    test : the model's own test block, which says how sure its promise was; None where the tables don't reach back
    """
    rows = matured.rows
    if not len(rows) or not rows.weight.sum() > 0:
        return None
    clusters = rows.clusters()
    metrics = evaluate(rows.label, matured.probability, weight=rows.weight, margin=matured.margin)
    intervals = bootstrap(
        rows.label, matured.probability, clusters, seed=seed, weight=rows.weight, margin=matured.margin
    )
    rate = scorer.manifest.get("latest_rate", scorer.manifest.get("train_rate"))
    against = None
    if rate is not None:
        against = paired_bootstrap(
            rows.label, matured.probability, np.full(len(rows), float(rate)), clusters, seed=seed,
            weight=rows.weight, margin=matured.margin,
        )["log_loss"]  # fmt: skip
    promised = dict(scorer.manifest.get("metrics") or {})
    if not promised and test is not None:
        promised = evaluate(test.rows.label, test.probability, weight=test.rows.weight, margin=test.margin)
    spread = _spread(test, seed)
    changes = {
        metric: Change.of(promised.get(metric), metrics[metric], intervals[metric], spread.get(metric))
        for metric in ("auc", "calibration_slope")
    }
    return Matured(
        n=len(rows),
        n_leads=len(np.unique(rows.lead)),
        n_won_leads=len(np.unique(rows.lead[rows.label == 1])),
        mean_probability=float(np.average(matured.probability, weights=rows.weight)),
        metrics=metrics,
        intervals=intervals,
        against_base_rate=against,
        promised=promised,
        auc=changes["auc"],
        slope=changes["calibration_slope"],
        in_list=calibration_in_list(rows.label, matured.probability, rows.weight, margin=matured.margin),
        months=_by_month(matured) if rows.data.project.timed else (),
    )


def _spread(test: Scored | None, seed: int) -> dict[str, Interval | None]:
    """How sure the promises were."""
    if test is None or not len(test.rows):
        return {}
    rows = test.rows
    return bootstrap(
        rows.label, test.probability, rows.clusters(), seed=seed, weight=rows.weight, margin=test.margin
    )  # fmt: skip


def _by_month(matured: Scored) -> tuple[dict[str, Any], ...]:
    rows = matured.rows
    months = rows.at.view("M8[us]").astype("M8[M]").astype(str)
    return tuple(by_group(rows.label, matured.probability, months, rows.weight, margin=matured.margin))
