"""The arithmetic behind `leadscore.evaluate.metrics`: rows sorted once, measured under many weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from leadscore.errors import DataError
from leadscore.model.logistic import fit_logistic

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Metrics = dict[str, float | None]

CLIP = 1e-15
N_BINS = 10
LIST_SHARE = 0.1


@dataclass(frozen=True)
class Rows:
    """Rows from the best rank to the worst, and all that doesn't depend on their weights."""

    order: Codes  # position of each row in the caller's arrays
    label: Array
    probability: Array
    weight: Array
    cluster: Codes
    thresholds: Codes  # first row of each distinct rank
    loss: Array  # log-loss of each row
    logit: Array  # of the clipped probability
    by_probability: Codes  # rows from the lowest probability to the highest
    probabilities: Codes  # first row of each distinct probability, there

    @classmethod
    def of(
        cls,
        label: npt.ArrayLike,
        probability: npt.ArrayLike,
        weight: npt.ArrayLike | None = None,
        margin: npt.ArrayLike | None = None,
        cluster: npt.ArrayLike | None = None,
    ) -> Rows:
        """Check the rows and sort them by everything they hold."""
        label, probability = np.asarray(label, dtype=np.float64), np.asarray(probability, dtype=np.float64)
        weight = np.ones_like(probability) if weight is None else np.asarray(weight, dtype=np.float64)
        rank = probability if margin is None else np.asarray(margin, dtype=np.float64)
        codes = np.zeros(len(probability), np.int64) if cluster is None else _codes(cluster)
        require_rows(label, probability, weight, rank, codes)
        order = np.lexsort((codes, weight, label, probability, -rank))
        label, probability, rank = label[order], probability[order], rank[order]
        by_probability = np.argsort(probability, kind="stable")
        chance = np.clip(probability, CLIP, 1 - CLIP)
        loss = -np.log(np.where(label > 0.5, chance, 1 - chance))
        logit = np.log(chance) - np.log1p(-chance)
        return cls(
            order=order,
            label=label,
            probability=probability,
            weight=weight[order],
            cluster=codes[order],
            thresholds=_starts(rank),
            loss=loss,
            logit=logit,
            by_probability=by_probability,
            probabilities=_starts(probability[by_probability]),
        )

    def slope_at(self, weight: Array, start: Array | None = None) -> Array | None:
        """Intercept and slope of the label on the logit, or None; `weight` in the order of these rows."""
        positive, negative = (self.label > 0.5) & (weight > 0), (self.label < 0.5) & (weight > 0)
        if not positive.any() or not negative.any():
            return None
        won, lost = self.logit[positive], self.logit[negative]
        if won.min() >= lost.max() or lost.min() >= won.max():
            return None
        terms = np.stack([np.ones_like(self.logit), self.logit])
        return fit_logistic(terms, self.label, weight, start=np.array([0.0, 1.0]) if start is None else start)

    def intercept_at(self, weight: Array, start: Array | None = None) -> Array | None:
        """The intercept alone, beside a slope of 1, as an array of one; None without a finite one."""
        return fit_logistic(np.ones((1, len(weight))), self.label, weight, offset=self.logit, start=start)

    @cached_property
    def slope(self) -> Array | None:
        """What `slope_at` gives of all rows: where each resample begins, for it lies close by."""
        return self.slope_at(self.weight)

    @cached_property
    def intercept(self) -> Array | None:
        """What `intercept_at` gives of all rows."""
        return self.intercept_at(self.weight)


@dataclass(frozen=True)
class Weighed:
    """Rows under one set of weights, tallied by threshold from the best to the worst."""

    rows: Rows
    weight: Array
    wins: Array
    losses: Array

    @property
    def n_wins(self) -> float:
        return float(self.wins.sum())

    @property
    def n_losses(self) -> float:
        return float(self.losses.sum())

    @property
    def one_class(self) -> bool:
        return not (self.n_wins > 0 and self.n_losses > 0)

    def mean(self, values: Array) -> float:
        return float(np.sum(self.weight * values)) / (self.n_wins + self.n_losses)


def _base_rate(w: Weighed) -> float:
    return w.n_wins / (w.n_wins + w.n_losses)


def _auc(w: Weighed) -> float | None:
    if w.one_class:
        return None
    ranked_below = w.n_losses - np.cumsum(w.losses)
    return float(np.sum(w.wins * (ranked_below + w.losses / 2))) / (w.n_wins * w.n_losses)


def _average_precision(w: Weighed) -> float | None:
    if w.one_class:
        return None
    found, listed = np.cumsum(w.wins), np.cumsum(w.wins + w.losses)
    precision = np.divide(found, listed, out=np.zeros_like(found), where=listed > 0)
    return float(np.sum(w.wins * precision)) / w.n_wins


def _log_loss(w: Weighed) -> float:
    return w.mean(w.rows.loss)


def _brier(w: Weighed) -> float:
    return w.mean((w.rows.label - w.rows.probability) ** 2)


def _calibration_slope(w: Weighed) -> float | None:
    fitted = w.rows.slope_at(w.weight, start=w.rows.slope)
    return None if fitted is None else float(fitted[1])


def _calibration_intercept(w: Weighed) -> float | None:
    if w.one_class:
        return None
    fitted = w.rows.intercept_at(w.weight, start=w.rows.intercept)
    return None if fitted is None else float(fitted[0])


def _expected_calibration_error(w: Weighed) -> float:
    rows = w.rows
    gap = w.weight * (rows.label - rows.probability)
    return float(np.abs(np.bincount(bins_of(rows, w.weight), gap)).sum() / np.sum(w.weight))


def bins_of(rows: Rows, weight: Array) -> Codes:
    """Which bin of equal weight each row is in, from the lowest probability up; ties stay together."""
    tied = np.add.reduceat(weight[rows.by_probability], rows.probabilities)
    listed = np.cumsum(tied)
    middle = (listed - tied / 2) / listed[-1]
    of_tie = np.minimum(np.floor(N_BINS * middle), N_BINS - 1).astype(np.int64)
    bins = np.empty(len(weight), np.int64)
    bins[rows.by_probability] = np.repeat(of_tie, np.diff(np.append(rows.probabilities, len(weight))))
    return bins


def _recall_at_10pct(w: Weighed) -> float | None:
    return _wins_at_10pct(w) / w.n_wins if w.n_wins > 0 else None


def _precision_at_10pct(w: Weighed) -> float:
    return _wins_at_10pct(w) / (LIST_SHARE * (w.n_wins + w.n_losses))


def _lift_at_10pct(w: Weighed) -> float | None:
    return _precision_at_10pct(w) / _base_rate(w) if w.n_wins > 0 else None


def _wins_at_10pct(w: Weighed) -> float:
    """Wins in the top tenth of the weight; the straight line between thresholds shares a tie at the edge."""
    listed = np.concatenate([[0.0], np.cumsum(w.wins + w.losses)])
    found = np.concatenate([[0.0], np.cumsum(w.wins)])
    return float(np.interp(LIST_SHARE * listed[-1], listed, found))


MEASURES: dict[str, Callable[[Weighed], float | None]] = {
    "base_rate": _base_rate,
    "auc": _auc,
    "average_precision": _average_precision,
    "log_loss": _log_loss,
    "brier": _brier,
    "calibration_slope": _calibration_slope,
    "calibration_intercept": _calibration_intercept,
    "expected_calibration_error": _expected_calibration_error,
    "lift_at_10pct": _lift_at_10pct,
    "precision_at_10pct": _precision_at_10pct,
    "recall_at_10pct": _recall_at_10pct,
}


def measure(rows: Rows, weight: Array, names: Sequence[str]) -> Metrics:
    """The named metrics under these weights, which are in the order of `rows`."""
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        raise DataError(f"Unknown metric '{unknown[0]}'; known: {', '.join(MEASURES)}.")
    if not weight.sum() > 0:
        return dict.fromkeys(names, None)
    won = weight * rows.label
    wins, losses = (np.add.reduceat(part, rows.thresholds) for part in (won, weight - won))
    weighed = Weighed(rows, weight, wins, losses)
    return {name: MEASURES[name](weighed) for name in names}


def _starts(values: Array) -> Codes:
    """Position of the first of each run of equal values."""
    if len(values) == 0:
        return np.empty(0, np.int64)
    return np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])


def _codes(cluster: npt.ArrayLike) -> Codes:
    return np.unique(np.asarray(cluster), return_inverse=True)[1].astype(np.int64)


def require_rows(label: Array, probability: Array, weight: Array, rank: Array, codes: Codes) -> None:
    """Refuse rows no metric could be right about."""
    require_one_length({"label": label, "probability": probability, "weight": weight, "margin": rank, "cluster": codes})
    for name, wanted, good in (
        ("label", "0 or 1", (label == 0) | (label == 1)),
        ("probability", "in [0, 1]", (probability >= 0) & (probability <= 1)),
        ("weight", "finite and >= 0", np.isfinite(weight) & (weight >= 0)),
        ("margin", "a number", ~np.isnan(rank)),
    ):
        if not good.all():
            raise DataError(f"{name} must be {wanted}; {int((~good).sum())} of {len(good)} rows are not.")


def require_one_length(arrays: dict[str, npt.NDArray[Any]]) -> None:
    if len({array.shape for array in arrays.values()}) > 1 or arrays["label"].ndim != 1:
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise DataError(f"Metrics need one-dimensional arrays of one length; found {found}.")
