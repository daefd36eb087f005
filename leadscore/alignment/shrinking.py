"""Rates of small groups: what was found, pulled towards the rate of all by as much as the group is small."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

LEVEL = 0.9
_STRENGTHS = np.geomspace(2.0, 20_000.0, 14)
"""How many leads the rate of all may weigh; which of them is likely is learnt from how the groups differ."""
_MEANS = np.linspace(-4.0, 4.0, 13)
"""Where the rate of all may lie around what was found, in standard errors of a sample half as large."""
_RATES = special.expit(np.linspace(-14.0, 14.0, 401))


@dataclass(frozen=True)
class Shrunk:
    """Rates of groups and where each lies in `level` of cases, all float64 (n_groups,); NaN where nothing is known."""

    rate: Floats
    low: Floats
    high: Floats
    level: float = LEVEL


def shrunk(wins: NDArray[np.int64], n: NDArray[np.int64], *, level: float = LEVEL) -> Shrunk:
    """Estimate the rate of every group from its own wins and from all groups together.

    The rates are taken as draws from one Beta distribution. Its mean and width are averaged over by how well they
    explain the groups, so that few or alike groups are pulled hard and many different ones hardly, and the interval
    holds what is not known of them either. Before anything is seen every standard deviation between groups is as
    likely as another. A group of no leads has the interval of one that nobody has seen yet.

    Parameters
    ----------
    wins, n : wins and leads of each group, 0 ≤ wins ≤ n
    level : of the interval, with equal tails
    """
    wins, n = np.asarray(wins, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if n.sum() == 0:
        nothing = np.full(len(n), np.nan)
        return Shrunk(nothing, nothing, nothing, level)
    a, b = (each.ravel() for each in _plausible(wins.sum() + 0.5, n.sum() - wins.sum() + 0.5))
    own_a, own_b = a[:, None] + wins, b[:, None] + n - wins
    # Strengths are laid out by their logarithm; by the standard deviation, 1 / √(a + b), the strong ones lie closer.
    likely = (special.betaln(own_a, own_b) - special.betaln(a, b)[:, None]).sum(axis=1) - np.log(a + b) / 2.0
    weight = np.exp(likely - likely.max())
    weight /= weight.sum()
    shown = weight > 1e-4  # the others would change nothing
    weight, own_a, own_b = weight[shown] / weight[shown].sum(), own_a[shown], own_b[shown]
    rate = weight @ (own_a / (own_a + own_b))
    tails = (1.0 - level) / 2.0, (1.0 + level) / 2.0
    edges = [
        np.interp(tails, weight @ special.betainc(own_a[:, group, None], own_b[:, group, None], _RATES), _RATES)
        for group in range(len(n))
    ]
    low, high = np.array(edges).reshape(-1, 2).T
    return Shrunk(rate, low, high, level)


def _plausible(wins: float, losses: float) -> tuple[Floats, Floats]:
    """Beta distributions around the rate of all: a and b, each (n_means, n_strengths)."""
    spread = np.sqrt(2.0 * (1.0 / wins + 1.0 / losses))
    mean = special.expit(np.log(wins / losses) + _MEANS * spread)
    return mean[:, None] * _STRENGTHS, (1.0 - mean)[:, None] * _STRENGTHS
