"""What drives conversion here: which groups of features move the scores, which way, and in what shape."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leadscore.explain.reasons import HARD_TO_READ, Reasons
from leadscore.features.plan import FeaturePlan
from leadscore.model.scorer import LeadScorer

MOST_ROWS = 1_000
MOST_DRIVERS = 6
MOST_BANDS = 6
OFTEN = 0.1
"""Share of zeros from which on they are a band of their own: none reads otherwise than few."""


@dataclass(frozen=True)
class Band:
    """Rows whose value reads alike: how many of those looked at, and the mean effect of the group in log-odds."""

    text: str
    share: float
    effect: float


@dataclass(frozen=True)
class Driver:
    """A group of features: its share of all movement, and its mean effect by value of the feature that speaks for it.

    `direction` is ``rises``, ``falls`` or ``mixed`` with that value; categories have none.
    """

    name: str
    share: float
    direction: str | None
    bands: tuple[Band, ...]


def drivers(scorer: LeadScorer) -> tuple[Driver, ...]:
    """Return the groups that move the scores of the test block most, largest first.

    An even sample of at most 1,000 test snapshots is explained. Nothing for a scorer that was loaded, or a model that
    nothing moves.
    """
    if scorer.fitted is None:
        return ()
    test = scorer.fitted.blocks.rows["test"]
    rows = scorer.fitted.matrix[test[:: max(1, -(-len(test) // MOST_ROWS))]]
    reasons = scorer.reasons
    effects = scorer.model.contributions(rows)
    groups = reasons.group_effects(effects)
    movement = np.abs(groups).mean(axis=0)
    if not movement.sum() > 0:
        return ()
    names = reasons.group_names()
    strongest = [int(group) for group in np.argsort(-movement, kind="stable")[:MOST_DRIVERS] if movement[group] > 0]
    found = []
    for group in strongest:
        speaker = _speaker(scorer.plan, reasons.members[group], effects)
        bands, direction = _shape(reasons, speaker, rows[:, speaker], groups[:, group])
        found.append(Driver(names[group], float(movement[group] / movement.sum()), direction, bands))
    return tuple(found)


def _speaker(plan: FeaturePlan, columns: NDArray[np.int64], effects: NDArray[np.float64]) -> int:
    """The column of a group that moves most, among those that are easy to read where there are any."""
    plain = np.array([plan.features[column].op not in HARD_TO_READ for column in columns])
    columns = columns[plain] if plain.any() else columns
    return int(columns[np.argmax(np.abs(effects[:, columns]).mean(axis=0))])


def _shape(
    reasons: Reasons, column: int, values: NDArray[np.float32], effects: NDArray[np.float64]
) -> tuple[tuple[Band, ...], str | None]:
    """Mean effect by category, or by band of the number; NaN, never or unknown, is a band of its own."""
    missing = np.isnan(values)
    parts = [(reasons.text(column, np.nan), missing)] if missing.any() else []
    if column in reasons.plan.categorical:
        codes, counts = np.unique(values[~missing], return_counts=True)
        commonest = codes[np.argsort(-counts, kind="stable")][: MOST_BANDS - len(parts)]
        parts += [(reasons.text(column, float(code)), values == code) for code in commonest]
        return _bands(parts, effects), None
    parts = [*_ranges(reasons, column, values), *parts]
    return _bands(parts, effects), _direction(values[~missing], effects[~missing])


def _ranges(reasons: Reasons, column: int, values: NDArray[np.float32]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Up to four bands between quantiles; few distinct values are bands of their own."""
    known = values[~np.isnan(values)]
    distinct = np.unique(known)
    if len(distinct) <= MOST_BANDS - 1:
        return [(reasons.text(column, float(value)), values == value) for value in distinct]
    found = []
    if (known == 0).mean() >= OFTEN:
        found.append((reasons.text(column, 0.0), values == 0))
        known = known[known != 0]
        values = np.where(values == 0, np.nan, values)
    edges = np.unique(np.quantile(known, [0.25, 0.5, 0.75], method="higher"))
    limits = [-np.inf, *edges.tolist(), np.inf]
    for low, high in itertools.pairwise(limits):
        inside = (values >= low) & (values < high) if low > -np.inf else values < high
        if inside.any():
            ends = float(np.min(values[inside])), float(np.max(values[inside]))
            found.append((reasons.voices[column].between(*ends), inside))
    return found


def _bands(parts: Sequence[tuple[str, NDArray[np.bool_]]], effects: NDArray[np.float64]) -> tuple[Band, ...]:
    return tuple(
        Band(text, float(inside.mean()), float(effects[inside].mean())) for text, inside in parts if inside.any()
    )


def _direction(values: NDArray[np.float32], effects: NDArray[np.float64]) -> str:
    """Whether the effect rises or falls with the value, by rank correlation beyond one half."""
    from scipy.stats import rankdata  # a third of a second to import

    if len(np.unique(values)) < 2 or len(np.unique(effects)) < 2:
        return "mixed"
    correlation = float(np.corrcoef(rankdata(values), rankdata(effects))[0, 1])
    return "rises" if correlation > 0.5 else "falls" if correlation < -0.5 else "mixed"
