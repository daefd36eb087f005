"""What a call list of a given length holds: wins found, wins expected, and whether the two agree.

A **list** is the best-ranked part of all rows. Rows are ranked by margin if given, else by probability; rows
tied at its end are on it by the share that fits, the expected value over random order, so the order of rows
never matters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from leadscore.errors import DataError
from leadscore.evaluate._measures import LIST_SHARE, Array, Rows, require_rows

# Up to here the distribution of the number of wins is summed exactly: a few milliseconds.
EXACT_UP_TO = 2000
_AT_ONCE = 1 << 20


@dataclass(frozen=True, eq=False)
class CapacityCurve:
    """What lists of growing length hold. Every field is float64, one value per share, best leads first.

    ``share`` of the weight on the list, in (0, 1]; ``wins`` found on it (weighted); ``expected_wins``, the
    sum of its probabilities (weighted); ``recall``, the share of all wins found; ``precision``, the share of
    the list that won; ``lift``, precision over the base rate. Without a win, recall and lift are NaN.
    """

    share: Array
    wins: Array
    expected_wins: Array
    recall: Array
    precision: Array
    lift: Array


@dataclass(frozen=True, slots=True)
class ExpectedWins:
    """How many of `n` listed leads will win: the expected number, and a range right in `level` of cases."""

    n: int
    expected: float
    low: int
    high: int
    level: float


@dataclass(frozen=True, slots=True)
class CallList:
    """What working the best leads of a list brings, and what it leaves.

    Attributes
    ----------
    called, missed : wins to expect among the leads on the list, and among those below the cut
    cut_off : probability of the last lead on the list; None for an empty one
    n_tied : leads that tie with the last one and are not on the list: which of them to call is a matter of taste
    curve : (length of list, expected wins), for lists from a tenth of all leads to all
    """

    called: ExpectedWins
    missed: ExpectedWins
    cut_off: float | None
    n_tied: int
    curve: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class ListCalibration:
    """Observed against expected wins on a list: the winner's curse, if there is one.

    Whoever picks the highest scores picks some that are high by luck, so the best of a list is
    over-predicted first.

    ``share`` of the weight on the list; ``listed`` weight; ``observed`` and ``expected`` wins (weighted);
    the two rates; ``ratio``, observed over expected (None if nothing was expected); ``low`` and ``high``,
    where `observed` would lie in `level` of cases if every probability were right and rows independent.
    """

    share: float
    listed: float
    observed: float
    expected: float
    observed_rate: float
    expected_rate: float
    ratio: float | None
    low: float
    high: float
    level: float

    @property
    def holds(self) -> bool:
        """Whether what was observed is within what chance allows."""
        return self.low <= self.observed <= self.high


def capacity_curve(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    margin: npt.ArrayLike | None = None,
    shares: npt.ArrayLike | None = None,
) -> CapacityCurve:
    """Return wins found and wins expected for lists of growing length.

    Parameters
    ----------
    label, probability, weight, margin
        As in `leadscore.evaluate.metrics.evaluate`.
    shares : array of float64 in (0, 1], optional
        Lengths of list, as shares of the weight; 1 %, 2 %, … 100 % if left out.

    Raises
    ------
    DataError
        If a row or a share is outside its range, or no row has weight.
    """
    share = np.arange(1, 101) / 100 if shares is None else np.asarray(shares, dtype=np.float64)
    if not np.all((share > 0) & (share <= 1)):
        raise DataError("shares of a list must be in (0, 1]; at least one is not.")
    rows = _weighted_rows(label, probability, weight, margin)
    listed = share * rows.weight.sum()
    wins = _on_list(rows, rows.label, listed)
    all_wins = float(np.sum(rows.weight * rows.label))
    undefined = np.full_like(share, np.nan)
    recall = wins / all_wins if all_wins > 0 else undefined
    return CapacityCurve(share, wins, _on_list(rows, rows.probability, listed), recall, wins / listed, recall / share)


def at_capacity(
    probability: npt.ArrayLike, n: int, *, margin: npt.ArrayLike | None = None, level: float = 0.9
) -> ExpectedWins:
    """Return how many wins to expect from calling the best `n` leads, with a range.

    The range is that of a sum of independent wins (Poisson-binomial): exact quantiles up to 2,000 leads,
    then the normal approximation. Leads of one company are not independent and probabilities are estimates,
    so the true range is somewhat wider. Leads tied at the end of the list enter with their mean probability.

    Parameters
    ----------
    probability : array of float64 in [0, 1], shape (n_leads,)
        One calibrated probability per lead that could be called.
    n : int
        How many can be called, >= 0. More than there are means all.
    margin : array of float64, shape (n_leads,), optional
        What ranks the leads; the probability if left out.
    level : float
        Coverage of the range, in (0, 1).

    Raises
    ------
    DataError
        If a probability is outside [0, 1], `n` is negative, or `level` is outside (0, 1).
    """
    _require_level(level)
    if n < 0:
        raise DataError(f"The length of a list must be >= 0; found {n}.")
    return _wins(_tied_mean(*_ranked(probability, margin))[:n], level)


def call_list(
    probability: npt.ArrayLike, n: int, *, margin: npt.ArrayLike | None = None, level: float = 0.9
) -> CallList:
    """Return what calling the best `n` leads brings, and what is missed.

    Parameters
    ----------
    probability, n, margin, level
        As in `at_capacity`, whose ranges these are.

    Raises
    ------
    DataError
        As `at_capacity`.
    """
    _require_level(level)
    if n < 0:
        raise DataError(f"The length of a list must be >= 0; found {n}.")
    ranked, rank = _ranked(probability, margin)
    chance, n_all = _tied_mean(ranked, rank), len(ranked)
    n_called = min(n, n_all)
    called, missed = (_wins(part, level) for part in (chance[:n_called], chance[n_called:]))
    upto = np.append(0.0, np.cumsum(chance))
    lengths = sorted({round(n_all * tenth / 10) for tenth in range(1, 11)} | {n_called}) if n_all else []
    curve = tuple((length, float(upto[length])) for length in lengths)
    if not n_called:
        return CallList(called, missed, None, 0, curve)
    n_tied = int(np.searchsorted(-rank, -rank[n_called - 1], side="right")) - n_called
    return CallList(called, missed, float(ranked[n_called - 1]), n_tied, curve)


def calibration_in_list(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    margin: npt.ArrayLike | None = None,
    share: float = LIST_SHARE,
    level: float = 0.95,
) -> ListCalibration:
    """Compare the wins on the best `share` of the list with the wins its probabilities promised.

    Parameters
    ----------
    label, probability, weight, margin
        As in `leadscore.evaluate.metrics.evaluate`.
    share : float
        Length of the list as a share of the weight, in (0, 1].
    level : float
        Coverage of the range, in (0, 1).

    Raises
    ------
    DataError
        If a row, the share or the level is outside its range, or no row has weight.
    """
    _require_level(level)
    curve = capacity_curve(label, probability, weight, margin=margin, shares=[share])
    rows = _weighted_rows(label, probability, weight, margin)
    listed = share * float(rows.weight.sum())
    observed, expected = float(curve.wins[0]), float(curve.expected_wins[0])
    # A row of weight w is one draw that counts w times, so its variance counts w squared.
    variance = _on_list(rows, rows.weight * rows.probability * (1 - rows.probability), np.array([listed]))
    reach = _normal_quantile((1 + level) / 2) * math.sqrt(float(variance[0]))
    return ListCalibration(
        share=share,
        listed=listed,
        observed=observed,
        expected=expected,
        observed_rate=observed / listed,
        expected_rate=expected / listed,
        ratio=observed / expected if expected > 0 else None,
        low=max(0.0, expected - reach),
        high=min(listed, expected + reach),
        level=level,
    )


def _weighted_rows(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    weight: npt.ArrayLike | None,
    margin: npt.ArrayLike | None,
) -> Rows:
    rows = Rows.of(label, probability, weight=weight, margin=margin)
    if not rows.weight.sum() > 0:
        raise DataError("A list needs at least one row with weight; found none.")
    return rows


def _on_list(rows: Rows, values: Array, listed: Array) -> Array:
    """Weighted sum of `values` over the best `listed` weight, straight between thresholds: ties share."""
    weight = np.append(0.0, np.cumsum(np.add.reduceat(rows.weight, rows.thresholds)))
    total = np.append(0.0, np.cumsum(np.add.reduceat(rows.weight * values, rows.thresholds)))
    return np.asarray(np.interp(listed, weight, total), dtype=np.float64)


def _ranked(probability: npt.ArrayLike, margin: npt.ArrayLike | None) -> tuple[Array, Array]:
    """Probabilities and what ranks them, from the best to the worst."""
    chance = np.asarray(probability, dtype=np.float64)
    rank = chance if margin is None else np.asarray(margin, dtype=np.float64)
    nothing, nobody = (np.broadcast_to(zero, np.shape(chance)) for zero in (0.0, np.int64(0)))
    require_rows(nothing, chance, nothing, rank, nobody)
    if margin is None:  # ten million leads come so: no more is held than has to be
        chance = np.sort(chance)[::-1]
        return chance, chance
    order = np.lexsort((chance, -rank))
    return chance[order], rank[order]


def _tied_mean(chance: Array, rank: Array) -> Array:
    """The probability of each of some ranked rows, averaged over rows of equal rank."""
    if chance is rank or not len(chance):
        return chance
    starts = np.flatnonzero(np.append(True, rank[1:] != rank[:-1]))
    lengths = np.diff(np.append(starts, len(chance)))
    return np.asarray(np.repeat(np.add.reduceat(chance, starts) / lengths, lengths))


def _wins(chance: Array, level: float) -> ExpectedWins:
    low, high = _range_of_wins(chance, level)
    return ExpectedWins(len(chance), float(np.sum(chance)), low, high, level)


def _range_of_wins(chance: Array, level: float) -> tuple[int, int]:
    """The central range of the number of wins: at most ``(1 - level) / 2`` lies outside at either end."""
    tail = (1 - level) / 2
    if len(chance) > EXACT_UP_TO:
        reach = _normal_quantile(1 - tail) * math.sqrt(_variance(chance))
        mean = float(np.sum(chance))
        return max(0, math.floor(mean - reach)), min(len(chance), math.ceil(mean + reach))
    below = np.cumsum(_distribution_of_wins(chance))
    return int(np.searchsorted(below, tail, side="right")), int(np.searchsorted(below, 1 - tail - 1e-12))


def _variance(chance: Array) -> float:
    """The variance of the number of wins, of so many leads at once that no copy of a long list is held."""
    some = (chance[start : start + _AT_ONCE] for start in range(0, len(chance), _AT_ONCE))
    return math.fsum(float(np.sum(part * (1 - part))) for part in some)


def _distribution_of_wins(chance: Array) -> Array:
    """Probability of 0, 1, … wins among independent leads, adding one lead at a time."""
    distribution = np.zeros(len(chance) + 1)
    distribution[0] = 1.0
    for n_before, p in enumerate(chance.tolist()):
        moved = distribution[: n_before + 1] * p
        distribution[: n_before + 1] -= moved
        distribution[1 : n_before + 2] += moved
    return distribution


def _normal_quantile(share: float) -> float:
    return NormalDist().inv_cdf(share)


def _require_level(level: float) -> None:
    if not 0 < level < 1:
        raise DataError(f"The coverage of a range must be in (0, 1); found {level}.")
