"""How good probabilities are: ranking, calibration and lift, weighted, with intervals.

Words: a **row** is a snapshot (label 0 or 1, a probability, a weight); a **threshold** is a distinct value
of what ranks the rows, the margin if given, else the probability; a **cluster** is an account or a lead,
whose rows are not independent.

Three rules hold for every metric. A weight of k equals k copies of the row. The order of rows changes
nothing, not even the last bit: rows are sorted by all they hold first, and ties are shared, never broken. A
metric that isn't defined is None, never NaN, and never a silent 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from leadscore.evaluate._measures import MEASURES, Array, Codes, Metrics, Rows, measure, require_one_length

Interval = tuple[float, float]


class Difference(NamedTuple):
    """A metric of one model minus that of another on the same rows, with its interval."""

    difference: float
    low: float
    high: float


def evaluate(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    weight: npt.ArrayLike | None = None,
    margin: npt.ArrayLike | None = None,
) -> Metrics:
    """Measure probabilities against what happened.

    Parameters
    ----------
    label : array of 0 and 1, shape (n,)
        Whether the lead converted within the horizon.
    probability : array of float64 in [0, 1], shape (n,)
        Clipped to [1e-15, 1 - 1e-15] for logarithms only.
    weight : array of float64, shape (n,), optional
        How much each row counts, >= 0; 1 if left out.
    margin : array of float64, shape (n,), optional
        What ranks the rows (auc, average_precision and the three at 10 %), so that ties of a calibrator tie
        nothing.

    Returns
    -------
    dict
        ``n`` and ``n_positive`` count rows; all others are weighted.

        - ``base_rate``: share of positives
        - ``auc``: chance that a positive ranks above a negative, ties one half; a constant has 0.5
        - ``average_precision``: mean precision over recall, one step per threshold
        - ``log_loss`` (nats), ``brier``: proper scores, lower is better
        - ``calibration_slope``: slope of a logistic regression of the label on logit(probability); 1 is
          right, below 1 is too bold. None for a constant, or where probabilities separate the classes
        - ``calibration_intercept``: the same with the slope fixed to 1; 0 is right, below 0 is too optimistic
        - ``expected_calibration_error``: mean gap of predicted and observed rate over 10 bins of equal
          weight; a tied probability lies whole in the bin of its middle
        - ``precision_at_10pct``, ``recall_at_10pct``, ``lift_at_10pct``: of the top 10 % of the weight; a
          tie at its edge counts by the share that fits, the expected value over random order

        Ranking and calibration fits are None with one class, recall and lift without a positive, and all
        rates without any weight.

    Raises
    ------
    DataError
        If lengths differ, or a value is outside its range.

    Notes
    -----
    O(n log n).
    """
    rows = Rows.of(label, probability, weight=weight, margin=margin)
    counts: Metrics = {"n": len(rows.label), "n_positive": int(rows.label.sum())}
    return counts | measure(rows, rows.weight, tuple(MEASURES))


def bootstrap(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    cluster: npt.ArrayLike,
    *,
    seed: int,
    weight: npt.ArrayLike | None = None,
    margin: npt.ArrayLike | None = None,
    n_resamples: int = 200,
    level: float = 0.95,
) -> dict[str, Interval | None]:
    """Return percentile intervals of every rate in `evaluate`, from resampling whole clusters.

    Parameters
    ----------
    label, probability, weight, margin
        As in `evaluate`.
    cluster : array of int or str, shape (n,)
        The account or lead of each row. Clusters are drawn with replacement, rows never on their own.
    seed : int
        The same seed, rows and clusters give the same intervals.
    n_resamples : int
        At least 1; 200 is steady enough for two digits of a 95 % interval.
    level : float
        Coverage, in (0, 1).

    Returns
    -------
    dict
        (low, high) per metric; None where the metric is undefined on the rows or in more than ``1 - level``
        of the resamples, or where there is a single cluster.

    Raises
    ------
    DataError
        As `evaluate`.

    Notes
    -----
    Sorts once, then O(n) per resample. A resample repeats rows, which widens the gaps within a bin: the
    interval of ``expected_calibration_error`` lies somewhat high.
    """
    rows = Rows.of(label, probability, weight=weight, margin=margin, cluster=cluster)
    point = measure(rows, rows.weight, tuple(MEASURES))
    resamples = [
        measure(rows, resampled, tuple(MEASURES))
        for resampled in resample(rows.weight, rows.cluster, n_resamples, seed)
    ]
    return {
        name: None if point[name] is None else _interval([measured[name] for measured in resamples], level)
        for name in MEASURES
    }


def paired_bootstrap(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    other: npt.ArrayLike,
    cluster: npt.ArrayLike,
    *,
    seed: int,
    weight: npt.ArrayLike | None = None,
    margin: npt.ArrayLike | None = None,
    other_margin: npt.ArrayLike | None = None,
    metrics: Sequence[str] = ("log_loss", "auc"),
    n_resamples: int = 200,
    level: float = 0.95,
) -> dict[str, Difference | None]:
    """Compare two models on the same rows: each metric of `probability` minus that of `other`.

    Both models see the same resamples, so what they share cancels: the interval is far narrower than two
    intervals held side by side. A model beats a baseline if the log-loss difference lies below 0 at its
    ``high`` end.

    Parameters
    ----------
    other, other_margin
        Probability and margin of the second model, aligned to the same rows.
    metrics : sequence of str
        Keys of `evaluate`, except the counts.
    label, probability, cluster, seed, weight, margin, n_resamples, level
        As in `bootstrap`.

    Returns
    -------
    dict
        A `Difference` per metric, or None by the rules of `bootstrap`.

    Raises
    ------
    DataError
        As `evaluate`, or if a metric is unknown.
    """
    (found,) = compare_all(
        label, probability, {"other": (other, other_margin)}, cluster, seed=seed, weight=weight, margin=margin,
        metrics=metrics, n_resamples=n_resamples, level=level,
    ).values()  # fmt: skip
    return found


def compare_all(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    others: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike | None]],
    cluster: npt.ArrayLike,
    *,
    seed: int,
    weight: npt.ArrayLike | None = None,
    margin: npt.ArrayLike | None = None,
    metrics: Sequence[str] = ("log_loss", "auc"),
    n_resamples: int = 200,
    level: float = 0.95,
) -> dict[str, dict[str, Difference | None]]:
    """Compare one model with several, as `paired_bootstrap` compares it with each; it is measured only once.

    Parameters
    ----------
    others : name → probability and margin (None: ranked by the probability) of another model, aligned to the same rows
    label, probability, cluster, seed, weight, margin, metrics, n_resamples, level
        As in `paired_bootstrap`.

    Returns
    -------
    dict
        By name what `paired_bootstrap` returns, bit for bit.
    """
    names = tuple(metrics)
    # All are sorted by the cluster too, but each in its own order; the weights are drawn in the caller's.
    model = Rows.of(label, probability, weight=weight, margin=margin, cluster=cluster)
    rivals = {
        name: Rows.of(label, chance, weight=weight, margin=rank, cluster=cluster)
        for name, (chance, rank) in others.items()
    }
    back = np.argsort(model.order)
    drawn = list(resample(model.weight[back], model.cluster[back], n_resamples, seed))

    def measured(rows: Rows) -> list[Metrics]:
        return [measure(rows, weights, names) for weights in (rows.weight, *(draw[rows.order] for draw in drawn))]

    ours = measured(model)
    found = {}
    for rival, rows in rivals.items():
        point, *resampled = map(_subtract, ours, measured(rows))
        found[rival] = {name: _difference(point[name], [row[name] for row in resampled], level) for name in names}
    return found


def by_group(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    groups: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    margin: npt.ArrayLike | None = None,
) -> list[dict[str, Any]]:
    """Measure each group on its own: months, bands of lead age, origins.

    Returns
    -------
    list of dict
        One per group in sorted order: ``group``, ``n``, ``n_positive``, ``base_rate``, ``mean_probability``,
        ``auc``, ``log_loss``, ``brier``, ``lift_at_10pct``. Undefined metrics are None.
    """
    label, probability = np.asarray(label), np.asarray(probability, dtype=np.float64)
    weights = np.ones(len(label)) if weight is None else np.asarray(weight, dtype=np.float64)
    ranks = probability if margin is None else np.asarray(margin, dtype=np.float64)
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    require_one_length({"label": label, "probability": probability, "weight": weights, "groups": codes})
    measured = []
    for code, name in enumerate(names.tolist()):
        rows = Rows.of(*(values[codes == code] for values in (label, probability, weights, ranks)))
        counts = {"group": name, "n": len(rows.label), "n_positive": int(rows.label.sum())}
        total = rows.weight.sum()
        mean = float(np.sum(rows.weight * rows.probability) / total) if total > 0 else None
        rates = measure(rows, rows.weight, ("base_rate", "auc", "log_loss", "brier", "lift_at_10pct"))
        measured.append(counts | {"base_rate": rates.pop("base_rate"), "mean_probability": mean} | rates)
    return measured


def resample(weight: Array, cluster: Codes, n_resamples: int, seed: int) -> Iterator[Array]:
    """Weights of `n_resamples` draws of all clusters, with replacement; nothing for one cluster."""
    rng = np.random.default_rng(seed)
    n_clusters = int(cluster.max()) + 1 if len(cluster) else 0
    for _ in range(n_resamples if n_clusters > 1 else 0):
        drawn = np.bincount(rng.integers(0, n_clusters, n_clusters), minlength=n_clusters)
        yield weight * drawn[cluster]


def _interval(values: Sequence[float | None], level: float) -> Interval | None:
    """Percentile interval of the defined values, if enough are."""
    defined = [value for value in values if value is not None]
    if not defined or len(defined) < level * len(values):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _subtract(first: Metrics, second: Metrics) -> Metrics:
    pairs = {name: (first[name], second[name]) for name in first}
    return {name: None if a is None or b is None else a - b for name, (a, b) in pairs.items()}


def _difference(point: float | None, resampled: Sequence[float | None], level: float) -> Difference | None:
    interval = _interval(resampled, level)
    return None if point is None or interval is None else Difference(point, *interval)
