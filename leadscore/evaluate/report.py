"""The verdict on a scorer: metrics with intervals, beside every baseline, on what came after training."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from leadscore import time
from leadscore.errors import TrainingError
from leadscore.evaluate import warnings as warn
from leadscore.evaluate.capacity import calibration_in_list, capacity_curve
from leadscore.evaluate.metrics import Difference, Interval, bootstrap, compare_all, evaluate, paired_bootstrap
from leadscore.evaluate.segments import by_acquaintance, segments
from leadscore.evaluate.verdict import verdict
from leadscore.model.calibration import Candidate, Identity
from leadscore.model.fitting import Fitted
from leadscore.model.ladder import words
from leadscore.model.scorer import LeadScorer
from leadscore.snapshots import BLOCKS, Snapshots, snapshots
from leadscore.tables import Data

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Metrics = dict[str, float | None]
LIST_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Lengths of list that a report speaks of, as shares of all leads."""


@dataclass(frozen=True)
class Judged:
    """Snapshots with what was said of them: all (n,)."""

    snapshots: Snapshots
    margin: NDArray[np.float64]
    probability: NDArray[np.float64]

    def metrics(self) -> Metrics:
        """Return the point metrics."""
        rows = self.snapshots
        return dict(evaluate(rows.label, self.probability, weight=rows.weight, margin=self.margin))

    def intervals(self, seed: int) -> dict[str, Interval | None]:
        """Return 95 % intervals, clustered by account or lead."""
        rows = self.snapshots
        return bootstrap(
            rows.label, self.probability, rows.clusters(), seed=seed, weight=rows.weight, margin=self.margin
        )

    def figures(self, seed: int, importance: Mapping[str, float]) -> dict[str, Figure]:
        """Draw reliability, capacity and importance; needs matplotlib."""
        from leadscore.evaluate import plots

        rows = self.snapshots
        drawn = {}
        if any(importance.values()):  # a base rate that stands in for the model is moved by nothing
            drawn["importance"] = plots.importance(list(importance), list(importance.values()))
        if rows.label.any():
            drawn["reliability"] = plots.reliability(
                rows.label, self.probability, seed=seed, weight=rows.weight, cluster=rows.clusters()
            )
            drawn["lift"] = plots.capacity(rows.label, self.probability, weight=rows.weight, margin=self.margin)
        return drawn


@dataclass(frozen=True)
class Report:
    """What a reader must know of a scorer, the verdict first. `to_dict` is what ``--json`` prints."""

    verdict: str
    metrics: Metrics
    intervals: Mapping[str, Interval | None]
    baselines: Mapping[str, Metrics]
    against: Mapping[str, Mapping[str, Difference | None]]
    snapshots: Mapping[str, int | float]
    blocks: Mapping[str, Any]
    groups: Mapping[str, list[dict[str, Any]]]
    ladder: Mapping[str, Any]
    calibration: Mapping[str, Any]
    features: Mapping[str, Any]
    warnings: tuple[str, ...]
    judged: Judged

    def lists(self) -> list[dict[str, float]]:
        """Return what lists of several lengths held on the test: share, precision, recall, lift; none without a win."""
        rows = self.judged.snapshots
        if not (rows.weight * rows.label).sum() > 0:
            return []
        curve = capacity_curve(
            rows.label, self.judged.probability, rows.weight, margin=self.judged.margin, shares=LIST_SHARES
        )
        columns = {name: getattr(curve, name).tolist() for name in ("share", "precision", "recall", "lift")}
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the rows, as plain JSON values; what is undefined is null."""
        return {
            "verdict": self.verdict,
            "metrics": dict(self.metrics),
            "intervals": {name: None if pair is None else list(pair) for name, pair in self.intervals.items()},
            "baselines": {name: dict(metrics) for name, metrics in self.baselines.items()},
            "against_baselines": {
                name: {metric: None if found is None else found._asdict() for metric, found in pairs.items()}
                for name, pairs in self.against.items()
            },
            "snapshots": dict(self.snapshots),
            "blocks": dict(self.blocks),
            "groups": dict(self.groups),
            "ladder": dict(self.ladder),
            "calibration": dict(self.calibration),
            "features": dict(self.features),
            "warnings": list(self.warnings),
        }

    def text(self) -> str:
        """Return the report for a terminal: verdict, warnings, one table."""
        lines = [self.verdict, *(f"! {warning}" for warning in self.warnings), "", self._judged_on(), ""]
        shown = ("auc", "average_precision", "log_loss", "brier", "calibration_slope", "lift_at_10pct")
        titles = ("AUC", "avg. prec.", "log-loss", "Brier", "calib. slope", "lift at 10%")
        lines.append(f"{'':22}" + "".join(f"{title:>14}" for title in titles))
        rows = {"the model": self.metrics, **self.baselines}
        for name, metrics in rows.items():
            cells = "".join(f"{_cell(metrics.get(metric)):>14}" for metric in shown)
            lines.append(f"{words(name):22}{cells}")
            if metrics is self.metrics:
                cells = "".join(f"{_span(self.intervals.get(metric)):>14}" for metric in shown)
                lines.append(f"{'  its 95% interval':22}{cells}")
        lines += ["", *textwrap.wrap(self.ladder.get("why", ""), 110), self._promised(), *self._made_of()]
        return "\n".join(lines)

    def _judged_on(self) -> str:
        """Say what was judged: how many snapshots of which time."""
        rows = self.judged.snapshots
        n_won = len(np.unique(rows.lead[rows.label == 1]))
        text = f"Judged on {len(rows):,} snapshots of {len(np.unique(rows.lead)):,} leads, {n_won:,} of them won"
        if rows.data.project.timed and len(rows):
            text += f", with cutoffs from {time.format_instant(rows.at.min())} to {time.format_instant(rows.at.max())}"
        embargo = self.blocks.get("embargo_days")
        return text + (f", {embargo:g} days after all that was learnt" if embargo is not None else "")

    def _made_of(self) -> list[str]:
        """Say how many features the model was given, and what it was spared."""
        left_out = self.features.get("left_out")
        if left_out is None:
            return []
        alike = [(name, twin) for name, twin in left_out.items() if twin is not None]
        n_constant = len(left_out) - len(alike)
        of = "1 feature" if self.features["n"] == 1 else f"{self.features['n']:,} features"
        text = f"Made of {of}; left out: {n_constant:,} that never vary on train"
        if alike:
            more = ", …" if len(alike) > 1 else ""
            text += f", {len(alike):,} that order leads as a plainer one does ({alike[0][0]} as {alike[0][1]}{more})"
        return [text]

    def _promised(self) -> str:
        """Say whether the probabilities hold, in all and where it matters."""
        mean = float(np.average(self.judged.probability, weights=self.judged.snapshots.weight))
        text = f"Predicted {mean:.1%} on average, observed {self.metrics['base_rate'] or 0.0:.1%}"
        listed = self.calibration["in_top_10pct"]
        if listed is None:
            return text
        return (
            f"{text}; in the best 10 % predicted {listed['expected_rate']:.1%}, observed {listed['observed_rate']:.1%}"
        )


def report(scorer: LeadScorer) -> Report:
    """Judge a scorer that was just fitted, on its test block.

    Raises
    ------
    TrainingError
        If the scorer was loaded, not fitted: its snapshots are gone; use `judge`.
    """
    fitted = scorer.fitted
    if fitted is None:
        raise TrainingError("this scorer was loaded, not fitted; judge it on data with leadscore evaluate --model M")
    test = fitted.blocks.rows["test"]
    rows = fitted.snapshots.take(test)
    judged = Judged(rows, fitted.margin[test], scorer.calibrator.apply(fitted.margin[test]))
    baselines, against = _compare(judged, fitted, test, scorer.seed)
    intervals = judged.intervals(scorer.seed)
    warnings = [*fitted.blocks.warnings, *warn.off_level(intervals), *warn.counted_on_reading(fitted.snapshots.data)]
    warnings += warn.added_in_vain(fitted) + warn.without_direction(fitted)
    earlier = np.concatenate([fitted.blocks.rows[block] for block in BLOCKS[:-1]])
    of_accounts = by_acquaintance(rows, judged.probability, judged.margin, fitted.snapshots.lead[earlier])
    return Report(
        **_measured(judged, baselines, against, intervals, rung=fitted.ladder.stands_on),
        snapshots=_counts(fitted.snapshots),
        blocks=_blocks(fitted),
        groups=segments(rows, judged.probability, judged.margin) | of_accounts,
        ladder=fitted.ladder.to_dict(),
        calibration=_calibration(fitted.calibration.calibrator.kind, fitted.calibration.candidates, judged),
        features={"n": len(fitted.plan.features), "left_out": dict(fitted.pruned)},
        warnings=tuple(warnings),
    )


def judge(scorer: LeadScorer, data: Data, *, seed: int = 0) -> Report:
    """Judge a scorer on all mature snapshots of a project: how a hold-out is judged.

    Raises
    ------
    TrainingError
        If there is no mature snapshot.
    """
    rows = snapshots(data, seed=seed)
    if len(rows) == 0:
        raise TrainingError(f"no mature snapshot to judge on ({_counts(rows)})")
    margin = scorer.model.margin(scorer.plan.transform(data, rows.cutoffs))
    judged = Judged(rows, margin, scorer.calibrator.apply(margin))
    rate = scorer.manifest.get("latest_rate", scorer.manifest.get("train_rate"))
    baselines: dict[str, Metrics] = {}
    against: dict[str, dict[str, Difference | None]] = {}
    if rate is not None:
        constant = np.full(len(rows), float(rate))
        baselines["base_rate"] = dict(evaluate(rows.label, constant, weight=rows.weight))
        against["base_rate"] = paired_bootstrap(
            rows.label, judged.probability, constant, rows.clusters(), seed=seed, weight=rows.weight, margin=margin
        )
    intervals = judged.intervals(seed)
    rung = scorer.manifest.get("rung")
    return Report(
        **_measured(judged, baselines, against, intervals, rung=rung),
        snapshots=_counts(rows),
        blocks={},
        groups=segments(rows, judged.probability, judged.margin),
        ladder={} if rung is None else {"rung": rung},
        calibration=_calibration(scorer.calibrator.kind, (), judged),
        features={"n": len(scorer.plan.features)},
        warnings=(
            *warn.seen_in_training(scorer, data),
            *warn.without_times(rows),
            *warn.off_level(intervals),
            *warn.counted_on_reading(data),
        ),
    )


def importance(scorer: LeadScorer, *, most_rows: int = 500) -> dict[str, float]:
    """Return the mean absolute effect, in log-odds, of every group of features on the test block, largest first.

    An even sample of at most `most_rows` snapshots is explained.
    """
    fitted = scorer.fitted
    if fitted is None:
        return {}
    test = fitted.blocks.rows["test"]
    return scorer.group_importance(fitted.matrix[test[:: max(1, -(-len(test) // most_rows))]])


def _measured(
    judged: Judged,
    baselines: Mapping[str, Metrics],
    against: Mapping[str, Mapping[str, Difference | None]],
    intervals: Mapping[str, Interval | None],
    *,
    rung: str | None,
) -> dict[str, Any]:
    """What every report says of the rows it judged."""
    losses = {name: metrics["log_loss"] or 0.0 for name, metrics in baselines.items()}
    return {
        "verdict": verdict(rung, losses, against, any_win=bool(judged.snapshots.label.any())),
        "metrics": judged.metrics(),
        "intervals": intervals,
        "baselines": baselines,
        "against": against,
        "judged": judged,
    }


def _compare(
    judged: Judged, fitted: Fitted, test: NDArray[np.int64], seed: int
) -> tuple[dict[str, Metrics], dict[str, dict[str, Difference | None]]]:
    """Metrics of every baseline, and the paired difference of the model to each but itself."""
    rows = judged.snapshots
    said = {}
    for name in fitted.baselines:
        own = name == fitted.ladder.stands_on
        margin = judged.margin if own else fitted.rival_margin(name, test)
        said[name] = (judged.probability if own else Identity().apply(margin), margin)
    metrics = {
        name: dict(evaluate(rows.label, probability, weight=rows.weight, margin=margin))
        for name, (probability, margin) in said.items()
    }
    rivals = {name: pair for name, pair in said.items() if name != fitted.ladder.stands_on}
    against = compare_all(
        rows.label, judged.probability, rivals, rows.clusters(), seed=seed, weight=rows.weight, margin=judged.margin
    )
    return metrics, against


def _counts(rows: Snapshots) -> dict[str, int | float]:
    return {
        "n": len(rows),
        "n_positive": int(rows.label.sum()),
        "n_leads": len(np.unique(rows.lead)),
        "n_won_leads": len(np.unique(rows.lead[rows.label == 1])),
        "weight": float(rows.weight.sum()),
        **rows.counts,
    }


def _blocks(fitted: Fitted) -> dict[str, Any]:
    rows = fitted.snapshots
    timed = rows.data.project.timed
    described: dict[str, Any] = {}
    for block in BLOCKS:
        members = rows.take(fitted.blocks.rows[block])
        described[block] = {
            "n": len(members),
            "n_positive": int(members.label.sum()),
            "n_won_leads": len(np.unique(members.lead[members.label == 1])),
            "base_rate": float(np.average(members.label, weights=members.weight)) if len(members) else None,
            "from": time.format_instant(int(members.at.min())) if timed and len(members) else None,
            "to": time.format_instant(int(members.at.max())) if timed and len(members) else None,
        }
    embargo = fitted.blocks.embargo
    described["embargo_days"] = None if embargo is None else embargo / time.DAY
    described["n_dropped"] = fitted.blocks.n_dropped
    return described


def _calibration(kind: str, candidates: tuple[Candidate, ...], judged: Judged) -> dict[str, Any]:
    listed: dict[str, Any] | None = None
    if judged.snapshots.weight.sum() > 0:
        rows = judged.snapshots
        listed = asdict(calibration_in_list(rows.label, judged.probability, rows.weight, margin=judged.margin))
    return {"kind": kind, "candidates": [asdict(candidate) for candidate in candidates], "in_top_10pct": listed}


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _span(pair: Interval | None) -> str:
    return "–" if pair is None else f"{pair[0]:.3f}–{pair[1]:.3f}"
