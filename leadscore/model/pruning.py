"""Which columns of a wide plan a model is spared: those that never vary, and those that say again what another says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from leadscore.features.names import FeatureName
from leadscore.features.plan import FeaturePlan
from leadscore.features.primitives import EVENT_PRIMITIVES

NEAR_DUPLICATE = 0.99
"""Absolute rank correlation from which on two columns say the same: trees see nothing but ranks."""
MOST_COMPARED = 10_000
"""Rows of the train block that columns are compared on, evenly spread over it."""

_PLAINEST_FIRST = (
    *("count", "since_last", "reply", "waiting", "since_first", "active_days", "sum", "max", "mean", "nunique"),
    *("trend", "last", "mode", "previous", "first", "gap_mean", "gap_now", "decay", "entropy", "gap_std", "min", "std"),
)
"""Of two features that say the same, the plainer stays; what isn't of events stays before what is."""


def redundant(plan: FeaturePlan, train: NDArray[np.float32]) -> dict[int, int | None]:
    """Find the columns to leave out. Profile columns that say the same all stay: they were declared one by one.

    Parameters
    ----------
    train : (n, n_features), the train block; NaN is a value of its own, below all others

    Returns
    -------
    dict
        Column → the column that says the same and stays; None for one that never varies.
    """
    left_out: dict[int, int | None] = dict.fromkeys(_constant(train), None)
    varying = [column for column in range(train.shape[1]) if column not in left_out]
    if not varying:
        left_out.pop(0, None)  # a constant model still needs a column to stand on
        return left_out
    compared = train[:: max(1, -(-len(train) // MOST_COMPARED))]
    order = sorted(varying, key=lambda column: (_plainness(plan.features[column]), column))
    same = _same(compared[:, order], [column in set(plan.categorical) for column in order])
    kept: list[int] = []
    for place, column in enumerate(order):
        twins = [other for other in kept if same[place, other] and plan.features[column].table != "lead"]
        if twins:
            left_out[column] = order[twins[0]]
        else:
            kept.append(place)
    return left_out


def _constant(train: NDArray[np.float32]) -> list[int]:
    if len(train) == 0:
        return list(range(train.shape[1]))
    unlike = (train != train[0]) & ~(np.isnan(train) & np.isnan(train[0]))
    return [int(column) for column in np.flatnonzero(~unlike.any(axis=0))]


def _same(values: NDArray[np.float32], categorical: Sequence[bool]) -> NDArray[np.bool_]:
    """Whether two columns order the rows alike, forwards or backwards; codes of categories have no order."""
    from scipy.stats import rankdata  # a third of a second to import

    ranks = rankdata(np.where(np.isnan(values), -np.inf, values), axis=0).astype(np.float32)
    ranks -= ranks.mean(axis=0)
    length = np.sqrt((ranks * ranks).sum(axis=0, dtype=np.float64)).astype(np.float32)
    ranks /= np.where(length == 0, 1, length)  # constant among the rows compared: like no other
    ordered = ~np.array(categorical, dtype=bool)
    return np.asarray((np.abs(ranks.T @ ranks) >= NEAR_DUPLICATE) & ordered & ordered[:, None])


def _plainness(name: FeatureName) -> tuple[bool, int]:
    of_events = name.op in EVENT_PRIMITIVES
    return of_events, _PLAINEST_FIRST.index(name.op) if of_events else 0
