"""What is usual: of every feature, what most leads of the reference population have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadscore.features.plan import FeaturePlan
from leadscore.features.voice import Usual


def usual_values(
    plan: FeaturePlan, matrix: NDArray[Any], weight: NDArray[np.float64], effects: NDArray[np.float64]
) -> dict[str, Usual]:
    """Learn what is usual of every feature of a plan, by its name; nothing of no rows.

    Of a number the weighted median of those that have one, the lower of two that tie; NaN, so never or unknown, where
    at least half have none; and whether those that have more are scored better than those that have less. Of a category
    the commonest and its share among all, of those that tie the first code.

    Parameters
    ----------
    matrix : (n, n_features), in the order of the plan
    weight : (n,), above 0
    effects : (n, n_features), what each feature, with others that say the same, does to the margin
    """
    if not len(matrix):
        return {}
    return {
        str(name): _commonest(plan, column, matrix[:, column], weight)
        if plan.is_categorical(name)
        else _usual_number(matrix[:, column].astype(np.float64), weight, effects[:, column])
        for column, name in enumerate(plan.features)
    }


def to_json(usual: Mapping[str, Usual]) -> dict[str, Any]:
    """Return what is usual as plain JSON values: a number with its way, null, or a category with its share."""
    return {
        name: {"category": found.category, "share": found.share}
        if found.category is not None
        else None
        if math.isnan(found.value)
        else {"value": found.value, "way": found.way}
        for name, found in usual.items()
    }


def from_json(raw: Mapping[str, Any]) -> dict[str, Usual]:
    """Rebuild from `to_json`; a number alone, as earlier scorers have it, has no way."""
    return {name: Usual(**found) if isinstance(found, Mapping) else _bare(found) for name, found in raw.items()}


def _bare(value: float | None) -> Usual:
    return Usual(math.nan if value is None else float(value))


def _usual_number(values: NDArray[np.float64], weight: NDArray[np.float64], effect: NDArray[np.float64]) -> Usual:
    usual = _median(values, weight)
    more, less, same = values > usual, values < usual, values == usual
    more, less = (side if side.any() else same for side in (more, less))
    if not same.any() or (more & less).any():
        return Usual(usual)
    gain = np.average(effect[more], weights=weight[more]) - np.average(effect[less], weights=weight[less])
    return Usual(usual, way=int(np.sign(gain)))


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
