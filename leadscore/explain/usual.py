"""What is usual: of every feature, what most leads of the reference population have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadscore.features.plan import FeaturePlan
from leadscore.features.voice import Usual


def usual_values(plan: FeaturePlan, matrix: NDArray[Any], weight: NDArray[np.float64]) -> dict[str, Usual]:
    """Learn what is usual of every feature of a plan, by its name; nothing of no rows.

    Of a number the weighted median of those that have one, the lower of two that tie; NaN, so never or unknown, where
    at least half have none. Of a category the commonest and its share among all, of those that tie the first code.

    Parameters
    ----------
    matrix : (n, n_features), in the order of the plan
    weight : (n,), above 0
    """
    if not len(matrix):
        return {}
    return {
        str(name): _commonest(plan, column, matrix[:, column], weight)
        if plan.is_categorical(name)
        else Usual(_median(matrix[:, column].astype(np.float64), weight))
        for column, name in enumerate(plan.features)
    }


def to_json(usual: Mapping[str, Usual]) -> dict[str, Any]:
    """Return what is usual as plain JSON values: a number, null, or a category with its share."""
    return {
        name: {"category": found.category, "share": found.share}
        if found.category is not None
        else None
        if math.isnan(found.value)
        else found.value
        for name, found in usual.items()
    }


def from_json(raw: Mapping[str, Any]) -> dict[str, Usual]:
    """Rebuild from `to_json`."""
    return {
        name: Usual(category=str(found["category"]), share=float(found["share"]))
        if isinstance(found, Mapping)
        else Usual(math.nan if found is None else float(found))
        for name, found in raw.items()
    }


def _median(values: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    known = ~np.isnan(values)
    if 2 * weight[known].sum() <= weight.sum():
        return math.nan
    order = np.argsort(values[known], kind="stable")
    upto = np.cumsum(weight[known][order])
    return float(values[known][order][np.searchsorted(upto, upto[-1] / 2)])


def _commonest(plan: FeaturePlan, column: int, codes: NDArray[Any], weight: NDArray[np.float64]) -> Usual:
    known = ~np.isnan(codes)
    if 2 * weight[known].sum() <= weight.sum():
        return Usual()
    weights = np.bincount(codes[known].astype(np.int64), weight[known])
    code = int(np.argmax(weights))
    return Usual(category=plan.category(plan.features[column], code), share=float(weights[code] / weight.sum()))
