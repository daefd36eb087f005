"""What a project may set beside its tables: ``[features]``, ``[model]`` and ``[grades]``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from leadscore import time
from leadscore.section import Section, checked

LARGEST = 1e300
MOST_SMOOTHING = 1e9
"""Leads that a conversion rate may be mixed with; with so many, every rate is the average."""
DEFAULT_GRADES = {"A": 90.0, "B": 70.0, "C": 40.0}
LIGHTGBM_PARAMETERS = frozenset(
    """bagging_fraction bagging_freq boosting cat_l2 cat_smooth early_stopping_rounds extra_trees feature_fraction
    feature_fraction_bynode lambda_l1 lambda_l2 learning_rate max_bin max_cat_threshold max_cat_to_onehot max_depth
    max_delta_step min_data_in_bin min_data_in_leaf min_data_per_group min_gain_to_split min_sum_hessian_in_leaf
    num_iterations num_leaves path_smooth""".split()
)


@dataclass(frozen=True)
class FeatureOptions:
    """``[features]``: what the default plan is made of.

    Attributes
    ----------
    windows, half_lives : shortest first, as written
    categories : how many categories of a column are kept; the rest is (other)
    smoothing : how many average leads a conversion rate is mixed with
    add : names of further features
    drop : names, globs of names, ops or families to leave out
    """

    windows: tuple[str, ...] = ("1d", "7d", "30d", "90d", "all")
    half_lives: tuple[str, ...] = ("1d", "7d", "30d")
    categories: int = 30
    smoothing: float = 20.0
    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


def feature_options(raw: Any) -> FeatureOptions:
    """Check ``[features]``; raises ProjectError naming the key."""
    section = Section(raw, "features", "windows half_lives categories smoothing add drop")
    default = FeatureOptions()
    smoothing = section.raw.get("smoothing", default.smoothing)
    if isinstance(smoothing, bool) or not isinstance(smoothing, int | float) or not 0 < smoothing <= MOST_SMOOTHING:
        raise section.fail(f"smoothing must be a number above 0, at most {MOST_SMOOTHING:,.0f}; found {smoothing!r}")
    return FeatureOptions(
        windows=_spans(section, "windows", time.parse_window) or default.windows,
        half_lives=_spans(section, "half_lives", time.parse_span) or default.half_lives,
        categories=section.whole("categories") or default.categories,
        smoothing=float(smoothing),
        **section.every("add drop", "texts"),
    )


def _spans(section: Section, key: str, parse: Callable[[str], int]) -> tuple[str, ...]:
    """Lengths of time as names have them, without blanks, shortest first; none where the key isn't there."""
    found = {text.strip(): None for text in section.texts(key)}
    if key in section.raw and not found:
        raise section.fail(f"{key} is empty; leave it out for the default")
    return tuple(sorted(found, key=lambda text: int(checked(parse, text, f"[features] {key}"))))


def model_options(raw: Any) -> dict[str, Any]:
    """Check ``[model]``: LightGBM parameters, seed, trials."""
    section = Section(raw, "model", " ".join(["seed", "trials", *sorted(LIGHTGBM_PARAMETERS)]))
    for key, value in section.raw.items():
        if key == "boosting":
            if value not in ("gbdt", "dart", "rf"):
                raise section.fail(f"boosting must be 'gbdt', 'dart' or 'rf', not {value!r}")
        elif key in ("seed", "trials"):
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise section.fail(f"{key} must be a whole number, 0 or above, not {value!r}")
        elif key == "extra_trees":
            if not isinstance(value, bool):
                raise section.fail(f"extra_trees must be true or false, not {value!r}")
        elif isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
            raise section.fail(f"{key} must be a number, not {value!r}")
    return dict(section.raw)


def grade_floors(raw: Any) -> dict[str, float]:
    """Check ``[grades]``: percentile floors of A, B and C; the rest is D."""
    section = Section(raw, "grades", "A B C")
    grades = {**DEFAULT_GRADES, **section.raw}
    floors = list(grades.values())
    numbers = all(isinstance(floor, int | float) and not isinstance(floor, bool) for floor in floors)
    if not numbers or not 100 > floors[0] > floors[1] > floors[2] > 0:
        shown = ", ".join(f"{name} = {floor}" for name, floor in grades.items())
        raise section.fail(f"must fall from A to C between 100 and 0, as A = 90, B = 70, C = 40 do; found {shown}")
    return grades
