"""Has a quantity moved? The population stability index, and how much of it chance makes.

**PSI** of a quantity cut into bins, with shares *p* then and *q* now: ``Σ (q − p) · ln(q ÷ p)``, in nats: 0 where the
shares are the same, the same both ways round. By old custom .1 is a shift and .25 a large one.

Bins of numbers are cut at the quantiles of *then*, each including its upper end; ties are never parted, so a quantity
that is 0 for most has few bins. A missing value is a bin of its own, and so is every category. Bins too thin to compare
(fewer than five expected in the smaller sample, Cochran's rule) are one bin together. Shares are smoothed by half a row
a bin, so that an empty bin is finite.

**By chance**: two samples of n and m rows from one world have a PSI too. It is about ``(1 ÷ n + 1 ÷ m) · χ²`` with
bins − 1 degrees of freedom (Yurdakul, Statistical Properties of Population Stability Index, Western Michigan
University 2018; Yurdakul and Naranjo, Journal of Risk Model Validation 14:4, 2020). Rows of one lead are no independent
rows: n and m are `effective` numbers. What lies above the mean of that law, and above its `level`, is `Shift.beyond`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from leadscore.errors import DataError

N_BINS = 10
ROWS_PER_BIN = 10
"""Numbers are cut into fewer than ten bins where the smaller sample would have fewer rows in each."""
FEWEST_EXPECTED = 5.0
SMOOTHING = 0.5
MISSING, RARE, REST = "(missing)", "(rare)", "(all)"
LEVEL = 0.99

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Shift:
    """How far one quantity has moved.

    Attributes
    ----------
    psi : nats, >= 0
    by_chance : the mean PSI of two such samples from one world
    at_most : the PSI that `level` of such pairs of samples stay below
    bins : what each bin holds, in words, in the order of the values
    then, now : smoothed shares of the bins, each summing to 1
    """

    psi: float
    by_chance: float
    at_most: float
    bins: tuple[str, ...]
    then: tuple[float, ...]
    now: tuple[float, ...]

    @property
    def beyond(self) -> float:
        """The part of the PSI that chance doesn't explain: 0 up to `at_most`."""
        return self.psi - self.by_chance if self.psi > self.at_most else 0.0


def effective(weight: npt.ArrayLike, cluster: npt.ArrayLike) -> float:
    """Return how many independent rows weighted rows of clusters are worth, by Kish: ``(Σ w)² ÷ Σ (w of a cluster)²``.

    This takes the rows of a cluster (a lead, an account) to be copies of each other, which alarms too seldom rather
    than too often.

    Parameters
    ----------
    weight : float64 (n,), >= 0
    cluster : int or str (n,)
    """
    _, codes = np.unique(np.asarray(cluster), return_inverse=True)
    of_cluster = np.bincount(codes, np.asarray(weight, dtype=np.float64))
    squares = float(np.sum(of_cluster**2))
    return float(of_cluster.sum()) ** 2 / squares if squares > 0 else 0.0


def of_numbers(
    then: npt.ArrayLike,
    now: npt.ArrayLike,
    *,
    weights: tuple[npt.ArrayLike, npt.ArrayLike],
    n: tuple[float, float],
    level: float = LEVEL,
) -> Shift:
    """Compare a number then and now.

    Parameters
    ----------
    then, now : float (n,) and (m,), NaN where missing; each with some weight
    weights : of the rows then and now, >= 0
    n : the `effective` numbers of rows then and now, both above 0
    level : in (0, 1), of `Shift.at_most`. Who looks at k quantities at once should ask for ``1 − (1 − level) ÷ k``

    Raises
    ------
    DataError
        If a sample has no weight.
    """
    first, second = np.asarray(then, dtype=np.float64), np.asarray(now, dtype=np.float64)
    first_weight = np.asarray(weights[0], dtype=np.float64)
    n_bins = int(np.clip(min(n) // ROWS_PER_BIN, 2, N_BINS))
    edges = _edges(first, first_weight, n_bins)
    tallies = [
        _tally(np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values)), weight, len(edges) + 2)
        for values, weight in ((first, weights[0]), (second, weights[1]))
    ]
    return _shift(tallies, _names(edges), n, level)


def of_codes(
    then: npt.ArrayLike,
    now: npt.ArrayLike,
    *,
    names: Sequence[str],
    weights: tuple[npt.ArrayLike, npt.ArrayLike],
    n: tuple[float, float],
    level: float = LEVEL,
) -> Shift:
    """Compare a category then and now; parameters as in `of_numbers`.

    Parameters
    ----------
    then, now : codes, whole numbers in ``[0, len(names))``; NaN or −1 where missing
    names : of the categories, by code
    """
    tallies = []
    for values, weight in ((then, weights[0]), (now, weights[1])):
        codes = np.asarray(values, dtype=np.float64)
        tallies.append(_tally(np.where(np.isnan(codes) | (codes < 0), len(names), codes), weight, len(names) + 1))
    return _shift(tallies, [*names, MISSING], n, level)


def auc_by_chance(n: float, m: float, *, level: float = LEVEL) -> float:
    """Return the AUC that `level` of rankings that know nothing stay below, of n rows against m.

    The Mann–Whitney statistic of equals has mean .5 and variance ``(n + m + 1) ÷ 12 n m``.
    """
    from scipy.stats import norm

    return float(min(1.0, 0.5 + norm.ppf(level) * math.sqrt((n + m + 1) / (12 * n * m))))


def _edges(values: Floats, weight: Floats, n_bins: int) -> Floats:
    """Inner edges of bins of equal weight; a value at an edge belongs below it, so ties stay together."""
    known = ~np.isnan(values)
    order = np.argsort(values[known], kind="stable")
    ranked, upto = values[known][order], np.cumsum(weight[known][order])
    if len(ranked) == 0 or not upto[-1] > 0:
        return np.empty(0)
    places = np.searchsorted(upto, upto[-1] * np.arange(1, n_bins) / n_bins * (1 - 1e-12))
    edges = np.unique(ranked[places])
    return np.asarray(edges[edges < ranked[-1]])


def _tally(bins: npt.ArrayLike, weight: npt.ArrayLike, n_bins: int) -> Floats:
    """Weight per bin, as shares."""
    counts = np.bincount(np.asarray(bins, dtype=np.int64), np.asarray(weight, dtype=np.float64), minlength=n_bins)
    if not counts.sum() > 0:
        raise DataError("Drift needs at least one row with weight then and now; found none in one of the two.")
    return np.asarray(counts / counts.sum(), dtype=np.float64)


def _shift(tallies: Sequence[Floats], names: Sequence[str], n: tuple[float, float], level: float) -> Shift:
    """Join thin bins, smooth, and set the PSI beside what chance makes."""
    from scipy.stats import chi2

    pooled = (n[0] * tallies[0] + n[1] * tallies[1]) / (n[0] + n[1])
    there, thick = pooled > 0, pooled * min(n) >= FEWEST_EXPECTED
    thin = there & ~thick
    shares = [np.append(tally[thick], tally[thin].sum()) if thin.any() else tally[thick] for tally in tallies]
    bins = [name for name, kept in zip(names, thick, strict=True) if kept]
    if thin.any():
        bins.append(RARE if thick.any() else REST)
    n_bins = len(bins)
    then, now = (
        (size * share + SMOOTHING) / (size + SMOOTHING * n_bins) for size, share in zip(n, shares, strict=True)
    )
    noise = 1 / n[0] + 1 / n[1]
    return Shift(
        psi=float(np.sum((now - then) * np.log(now / then))),
        by_chance=noise * (n_bins - 1),
        at_most=noise * float(chi2.ppf(level, n_bins - 1)) if n_bins > 1 else 0.0,
        bins=tuple(bins),
        then=tuple(then.tolist()),
        now=tuple(now.tolist()),
    )


def _names(edges: Floats) -> list[str]:
    """What each bin of numbers holds."""
    if len(edges) == 0:
        return ["any", MISSING]
    shown = [f"{edge:.4g}" for edge in edges]
    between = [f"{low} to {high}" for low, high in itertools.pairwise(shown)]
    return [f"up to {shown[0]}", *between, f"over {shown[-1]}", MISSING]
