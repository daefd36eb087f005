"""What came true: by origin, pooled, by age of the model, and kept beside retrained. Only matured labels count."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadscore import time
from leadscore.evaluate.metrics import Difference, Interval, bootstrap, evaluate, paired_bootstrap
from leadscore.snapshots import Snapshots
from training.backtesting.stood import BASELINE, Stood

Metrics = Mapping[str, float | None]
_TO_STANDARD_ERROR = 2 * 1.96


@dataclass(frozen=True)
class Truth:
    """What became of some scores: `n_won` counts leads, intervals are 95 %, clustered by account or lead."""

    n: int
    n_leads: int
    n_won: int
    predicted: float | None
    metrics: Metrics
    intervals: Mapping[str, Interval | None]


@dataclass(frozen=True)
class Period:
    """The time in which an origin's model was the newest, ``[origin, until)``: what it promised, and what came true."""

    origin: int
    until: int
    promise: Mapping[str, Any]
    truth: Truth
    n_immature: int


@dataclass(frozen=True)
class Beside:
    """One model less another on the same matured snapshots, paired; `of` and `other` are the metrics of each."""

    n: int
    n_won: int
    of: Metrics
    other: Metrics
    difference: Mapping[str, Difference | None]


@dataclass(frozen=True)
class Mean:
    """A mean over periods, weighted by their won leads, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Judged:
    """Everything that outcomes say.

    Attributes
    ----------
    pooled : the scores as they stood, over all periods; lists of several models are ranked by probability
    baselines : by rung, as it stood at each origin; those that every origin has
    auc : mean AUC within periods; the pooled one also ranks periods against each other
    gap : mean of what came true less what was promised, in AUC; None where neither can be told
    ages : by how many periods old a model was: against the newest one there was, on the same snapshots
    kept : the first origin's model kept to the end, against one retrained at each origin; None with one origin
    """

    periods: tuple[Period, ...]
    pooled: Truth
    baselines: Mapping[str, Beside]
    auc: Mean | None
    gap: Mean | None
    ages: Mapping[int, Beside]
    kept: Beside | None


@dataclass(frozen=True)
class Scored:
    """All later snapshots with what each origin's model said of them: `chance` and `margin` (n_origins, n), NaN before.

    `newest` (n,) is the origin whose model was in use.
    """

    rows: Snapshots
    origins: tuple[int, ...]
    chance: NDArray[np.float64]
    margin: NDArray[np.float64]
    newest: NDArray[np.int64]
    baselines: Mapping[str, NDArray[np.float64]]

    @classmethod
    def of(cls, rows: Snapshots, stood: Sequence[Stood]) -> Scored:
        """Set the origins' scores side by side; each covers the rows from its own day on."""
        origins = tuple(each.origin for each in stood)
        newest = np.searchsorted(np.array(origins), rows.at, side="right") - 1
        names = [str(name) for name in stood[0].scores if str(name).startswith(BASELINE)]
        common = [name for name in names if all(name in each.scores for each in stood)]
        wide = {name: np.full((len(stood), len(rows)), np.nan) for name in ("probability", "margin", *common)}
        for place, each in enumerate(stood):
            for name, values in wide.items():
                values[place, len(rows) - len(each.scores) :] = each.scores[name]
        in_use = np.arange(len(rows))
        baselines = {name.removeprefix(BASELINE): wide[name][newest, in_use] for name in common}
        return cls(rows, origins, wide["probability"], wide["margin"], newest, baselines)

    @property
    def settled(self) -> NDArray[np.bool_]:
        """Which rows have a label."""
        return np.asarray(self.rows.label >= 0)

    @property
    def as_they_stood(self) -> NDArray[np.float64]:
        """Of every row, the probability that the newest model gave it."""
        return np.asarray(self.chance[self.newest, np.arange(len(self.rows))])


def judge(scored: Scored, stood: Sequence[Stood], *, every: int, seed: int) -> Judged:
    """Hold scores against outcomes. `every` is the length of a period, microseconds."""
    settled, newest = scored.settled, scored.newest
    periods = []
    for place, each in enumerate(stood):
        mine = newest == place
        truth = _truth(scored, np.flatnonzero(mine & settled), scored.chance[place], scored.margin[place], seed)
        periods.append(
            Period(each.origin, each.origin + every, each.promise, truth, int((mine & ~settled).sum()))
        )  # fmt: skip
    rows = np.flatnonzero(settled)
    stands = scored.as_they_stood
    beside = {name: _beside(scored, rows, stands, other, seed) for name, other in scored.baselines.items()}
    later = np.flatnonzero(settled & (newest > 0))
    return Judged(
        periods=tuple(periods),
        pooled=_truth(scored, rows, stands, stands, seed),
        baselines=beside,
        auc=_mean([(period.truth.n_won, *_auc(period.truth), 0.0) for period in periods]),
        gap=_mean([_gap(period) for period in periods]),
        ages={age: _aged(scored, age, seed) for age in range(1, len(stood)) if (settled & (newest >= age)).any()},
        kept=_beside(scored, later, scored.chance[0], stands, seed) if len(later) else None,
    )


def _truth(
    scored: Scored, at: NDArray[np.int64], chance: NDArray[np.float64], rank: NDArray[np.float64], seed: int
) -> Truth:
    rows = scored.rows.take(at)
    said = (rows.label, chance[at])
    return Truth(
        n=len(rows),
        n_leads=len(np.unique(rows.lead)),
        n_won=_won(rows),
        predicted=float(np.average(chance[at], weights=rows.weight)) if len(rows) else None,
        metrics=dict(evaluate(*said, weight=rows.weight, margin=rank[at])),
        intervals=bootstrap(*said, rows.clusters(), seed=seed, weight=rows.weight, margin=rank[at]),
    )


def _won(rows: Snapshots) -> int:
    return len(np.unique(rows.lead[rows.label == 1]))


def _beside(
    scored: Scored, at: NDArray[np.int64], one: NDArray[np.float64], other: NDArray[np.float64], seed: int
) -> Beside:
    return _paired(scored.rows.take(at), one[at], other[at], seed)


def _paired(rows: Snapshots, one: NDArray[np.float64], other: NDArray[np.float64], seed: int) -> Beside:
    return Beside(
        n=len(rows),
        n_won=_won(rows),
        of=dict(evaluate(rows.label, one, weight=rows.weight)),
        other=dict(evaluate(rows.label, other, weight=rows.weight)),
        difference=paired_bootstrap(rows.label, one, other, rows.clusters(), seed=seed, weight=rows.weight),
    )


def _aged(scored: Scored, age: int, seed: int) -> Beside:
    """Every model that was so many periods old, against the one that was new then."""
    at = np.flatnonzero(scored.settled & (scored.newest >= age))
    newest = scored.newest[at]
    return _paired(scored.rows.take(at), scored.chance[newest - age, at], scored.chance[newest, at], seed)


def _auc(truth: Truth) -> tuple[float | None, float | None]:
    """The AUC and its standard error."""
    return truth.metrics["auc"], _standard_error(truth.intervals["auc"])


def _standard_error(interval: Sequence[float] | None) -> float | None:
    return None if interval is None else (interval[1] - interval[0]) / _TO_STANDARD_ERROR


def _gap(period: Period) -> tuple[int, float | None, float | None, float | None]:
    """Won leads, AUC less the promise, and the standard errors of truth and promise."""
    promised = period.promise["metrics"]["auc"]
    came, error = _auc(period.truth)
    gap = None if came is None or promised is None else came - promised
    return period.truth.n_won, gap, error, _standard_error(period.promise["intervals"]["auc"])


def _mean(parts: Sequence[tuple[int, float | None, float | None, float | None]]) -> Mean | None:
    """Mean by won leads. Periods err on their own; promises err together, since their tests hold the same leads."""
    defined = [part for part in parts if None not in part and part[0] > 0]
    if not defined:
        return None
    total = sum(n for n, *_ in defined)
    value = sum(n * (gap or 0.0) for n, gap, _, _ in defined) / total
    own = math.sqrt(sum((n * (error or 0.0)) ** 2 for n, _, error, _ in defined)) / total
    shared = sum(n * (error or 0.0) for n, _, _, error in defined) / total
    half = _TO_STANDARD_ERROR / 2 * math.hypot(own, shared)
    return Mean(value, value - half, value + half)


def day(instant: int) -> str:
    """Return an instant as the day it lies in."""
    return time.format_instant(instant)[:10]
