"""Where the search looks: the LightGBM parameters that decide how far trees follow noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from leadscore.model.booster import PARAMETERS

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

VERSION = 1
"""Raise it with every change of space, folds or pruning: trials that differ in those don't belong in one study."""


class Range(NamedTuple):
    """From the lowest to the highest value, both included; `log` where a factor matters, not a difference."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


SPACE: dict[str, Range] = {
    "max_depth": Range(1, 5, whole=True),
    "num_leaves": Range(2, 24, log=True, whole=True),
    "learning_rate": Range(0.01, 0.1, log=True),
    "min_data_in_leaf": Range(5, 300, log=True, whole=True),
    "feature_fraction": Range(0.05, 1.0),
    "bagging_fraction": Range(0.4, 1.0),
    "lambda_l2": Range(0.1, 200.0, log=True),
    "path_smooth": Range(0.1, 300.0, log=True),
    "min_gain_to_split": Range(0.001, 10.0, log=True),
    "max_bin": Range(15, 255, log=True, whole=True),
}
_LIGHTGBMS_OWN = {"min_gain_to_split": 0.0, "max_bin": 255}
"""What LightGBM takes where neither ``[model]`` nor `PARAMETERS` says anything."""


def distributions() -> dict[str, BaseDistribution]:
    """Return the space as Optuna takes it."""
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        name: IntDistribution(int(reach.low), int(reach.high), log=reach.log)
        if reach.whole
        else FloatDistribution(reach.low, reach.high, log=reach.log)
        for name, reach in SPACE.items()
    }


def nearest(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the point of the space that lies nearest to a project's settings, defaults filled in."""
    current = {**_LIGHTGBMS_OWN, **PARAMETERS, **settings}
    return {name: _within(current[name], reach) for name, reach in SPACE.items()}


def parameters(point: Mapping[str, Any]) -> dict[str, Any]:
    """Return the LightGBM parameters of a point: three digits are enough, and no more leaves than the depth allows."""
    rounded = {name: value if SPACE[name].whole else float(f"{value:.3g}") for name, value in point.items()}
    return {**rounded, "num_leaves": min(rounded["num_leaves"], 2 ** rounded["max_depth"]), "bagging_freq": 1}


def toml(chosen: Mapping[str, Any]) -> str:
    """Return parameters as the lines of ``leadscore.toml`` that make them the project's."""
    return "\n".join(["[model]", *(f"{name} = {value}" for name, value in chosen.items())])


def _within(value: float, reach: Range) -> float:
    unlimited = reach.high if reach.whole and value < 0 else value  # LightGBM's max_depth = -1
    clipped = min(max(unlimited, reach.low), reach.high)
    return int(clipped) if reach.whole else float(clipped)
