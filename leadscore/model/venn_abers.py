"""Venn-Abers calibration: isotonic, but it admits how little it knows where wins are few.

A lead's margin is put among those of the calibrate block twice, once as if it had been won, once as if not, and
isotonic regression is fitted each time. The two answers at the lead, p0 and p1, enclose the truth as far as few
observations can; merged into one they minimise the worst log-loss: ``p1 / (1 - p0 + p1)``. Neither 0 nor 1 is ever
said, as isotonic regression alone would. It is a step function, so leads tie; the ranking stays with the margin.

References
----------
Vovk, Petej (2014), Venn-Abers predictors; Vovk, Petej, Fedorova (2015), Large-scale probabilistic predictors.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

MOST_STEPS = 200
"""Margins are gathered into at most so many groups of equal weight, without a look at the labels."""


@dataclass(frozen=True, slots=True)
class VennAbers:
    """A step function: margins in ``[edges[i - 1], edges[i])`` have the probability ``values[i]``.

    Attributes
    ----------
    edges : strictly increasing, finite, in log-odds
    values : non-decreasing, inside (0, 1); one more than edges
    """

    edges: tuple[float, ...]
    values: tuple[float, ...]
    kind: ClassVar[str] = "venn_abers"

    def __post_init__(self) -> None:
        rising = all(low < high for low, high in itertools.pairwise(self.edges))
        steps = all(low <= high for low, high in itertools.pairwise(self.values))
        inside = all(0 < value < 1 for value in self.values)
        finite = bool(np.isfinite(self.edges).all())
        if not (rising and steps and inside and finite and len(self.values) == len(self.edges) + 1):
            raise ValueError(
                "Venn-Abers calibration needs rising finite edges, and one more non-decreasing values inside (0, 1); "
                f"found {len(self.edges)} edges and {len(self.values)} values."
            )

    def apply(self, margin: npt.ArrayLike) -> Array:
        """Return the step that each margin falls on, float64, in the shape of `margin`. NaN stays NaN."""
        asked = np.asarray(margin, dtype=np.float64)
        found = np.asarray(self.values)[np.searchsorted(np.asarray(self.edges), asked, side="right")]
        return np.asarray(np.where(np.isnan(asked), np.nan, found), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return ``kind``, ``edges`` and ``values``."""
        return {"kind": self.kind, "edges": list(self.edges), "values": list(self.values)}


def fit_venn_abers(margin: Array, label: Array, weight: Array) -> VennAbers | None:
    """Fit `VennAbers`; None for one class, or margins that don't differ.

    Parameters
    ----------
    margin, label, weight : float64 (n,), finite; labels 0 or 1; a new lead counts as much as the mean row
    """
    kept = weight > 0
    margin, label, weight = margin[kept], label[kept], weight[kept]
    if len(label) == 0 or label.min() == label.max():
        return None
    edges = _edges(margin, weight)
    if len(edges) == 0:
        return None
    group = np.searchsorted(edges, margin, side="right")
    listed = np.bincount(group, weight, minlength=len(edges) + 1).astype(np.float64)
    won = np.bincount(group, weight * label, minlength=len(edges) + 1).astype(np.float64)
    own = float(weight.mean())
    p0, p1 = (_at_own_group(won, listed, own, as_if) for as_if in (0.0, 1.0))
    values = np.maximum.accumulate(p1 / (1 - p0 + p1))  # rising but for the last bit
    keep = np.flatnonzero(np.diff(values) > 0)
    return VennAbers(tuple(edges[keep].tolist()), tuple(values[[*keep, len(values) - 1]].tolist()))


def _edges(margin: Array, weight: Array) -> Array:
    """Where groups part: midway between neighbouring margins, at most `MOST_STEPS` groups of about equal weight."""
    distinct, position = np.unique(margin, return_inverse=True)
    if len(distinct) > MOST_STEPS:
        upto = np.cumsum(np.bincount(position, weight))
        step = np.minimum((upto - 1e-9 * upto[-1]) * MOST_STEPS // upto[-1], MOST_STEPS - 1)
        last = np.flatnonzero(np.diff(step) > 0)
    else:
        last = np.arange(len(distinct) - 1)
    edges = (distinct[last] + distinct[last + 1]) / 2
    return np.asarray(edges[(edges > distinct[last]) & (edges <= distinct[last + 1])], dtype=np.float64)


def _at_own_group(won: Array, listed: Array, own: float, as_if: float) -> Array:
    """Per group, the isotonic rate at a new lead of that group, counted with label `as_if`."""
    rates = np.empty(len(listed))
    for group in range(len(listed)):
        won_with, listed_with = won.copy(), listed.copy()
        won_with[group] += own * as_if
        listed_with[group] += own
        rates[group] = _isotonic(won_with / listed_with, listed_with)[group]
    return rates


def _isotonic(rates: Array, weights: Array) -> Sequence[float]:
    from scipy.optimize import isotonic_regression

    return isotonic_regression(rates, weights=weights).x  # type: ignore[no-any-return]
