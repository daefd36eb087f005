"""How well one column, or all together, tell won from not won: out of fold, so that a column of ids tells nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from leadscore.evaluate.check.material import Column
from leadscore.model.booster import load_lightgbm

N_FOLDS = 5
SMOOTHING = 20.0
MOST_ROWS = 20_000
MOST_CATEGORIES = 60
_TREES = {
    "objective": "binary",
    "learning_rate": 0.1,
    "num_leaves": 4,
    "min_data_in_leaf": 20,
    "min_data_per_group": 20,
    "lambda_l2": 5.0,
    "cat_smooth": 20.0,
    "max_bin": 63,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
"""Small trees: on leadforge's worlds they see 1.5 times as much of a weak column as trees of 15 leaves do."""
_N_ROUNDS = 100


@dataclass(frozen=True)
class Ranking:
    """How often a won lead stands above another, ties one half, and how much each row has moved that.

    Attributes
    ----------
    auc : of all folds, each by its number of wins; 0.5 where there is only one kind
    influence : float64 (n,), sums to 0; its squares, summed by cluster, sum to the variance of `auc`
    """

    auc: float
    influence: NDArray[np.float64]

    @classmethod
    def of(cls, label: npt.NDArray[np.bool_], score: npt.NDArray[np.float64]) -> Ranking:
        """Rank one set of rows."""
        n_won, n_other = int(label.sum()), int((~label).sum())
        if n_won == 0 or n_other == 0:
            return cls(0.5, np.zeros(len(label)))
        _, value = np.unique(score, return_inverse=True)
        n_values = int(value.max()) + 1
        won, other = (np.bincount(value[rows], minlength=n_values) for rows in (label, ~label))
        below = (np.cumsum(other) - other / 2)[value[label]] / n_other
        above = (n_won - np.cumsum(won) + won / 2)[value[~label]] / n_won
        auc = float(below.mean())
        influence = np.empty(len(label))
        influence[label], influence[~label] = (below - auc) / n_won, (above - auc) / n_other
        return cls(auc, influence)

    @classmethod
    def within(cls, label: npt.NDArray[np.bool_], score: npt.NDArray[np.float64], fold: npt.ArrayLike) -> Ranking:
        """Rank each fold by itself: models of different folds have different levels."""
        total, auc, influence = max(1, int(label.sum())), 0.0, np.zeros(len(label))
        folds = np.asarray(fold)
        for one in np.unique(folds):
            rows = folds == one
            part, share = cls.of(label[rows], score[rows]), label[rows].sum() / total
            auc, influence[rows] = auc + share * part.auc, share * part.influence
        return cls(auc if label.any() else 0.5, influence)

    def error(self, cluster: NDArray[np.int64] | None = None) -> float:
        """Return the standard error; rows of one cluster (a lead, an account) count as one."""
        return _error(self.influence, cluster)

    def gain_over(self, other: Ranking, cluster: NDArray[np.int64] | None = None) -> tuple[float, float]:
        """Return by how much this AUC is above another of the same rows, and the standard error of that."""
        return self.auc - other.auc, _error(self.influence - other.influence, cluster)


def _error(influence: NDArray[np.float64], cluster: NDArray[np.int64] | None) -> float:
    summed: NDArray[np.float64] = influence
    if cluster is not None:
        summed = np.bincount(np.unique(cluster, return_inverse=True)[1], weights=influence).astype(np.float64)
    return float(np.sqrt((summed**2).sum()))


def auc(label: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Chance that a won lead scores above another, ties one half; 0.5 where there is only one kind."""
    return Ranking.of(label, score).auc


def column_auc(codes: NDArray[np.int32], label: NDArray[np.bool_], *, seed: int) -> float:
    """AUC of one column: each lead scored by the smoothed win rate of its value among the leads of other folds."""
    fold = np.random.default_rng(seed).permutation(len(label)) % N_FOLDS
    value = codes.astype(np.int64) + 1
    size = int(value.max(initial=0)) + 1
    cell = fold * size + value
    n_rows = np.bincount(cell, minlength=N_FOLDS * size).reshape(N_FOLDS, size)
    n_won = np.bincount(cell[label], minlength=N_FOLDS * size).reshape(N_FOLDS, size)
    others, won = n_rows.sum(axis=0) - n_rows, n_won.sum(axis=0) - n_won
    base = (won.sum(axis=1) / np.maximum(others.sum(axis=1), 1))[:, None]
    rate = (won + SMOOTHING * base) / (others + SMOOTHING)
    # a fold's own base rate differs by chance; only the distance to it speaks
    return auc(label, (rate - base)[fold, value])


Folds = Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
"""Positions to learn from and positions to judge, of each fold."""


@dataclass(frozen=True)
class Fit:
    """What small trees reached on the rows they had not seen: scores (NaN where no fold judges) and gains by column."""

    score: NDArray[np.float64]
    gain: NDArray[np.float64]


def fit_out_of_fold(
    matrix: NDArray[np.floating], label: NDArray[np.bool_], folds: Folds, *,
    categorical: Sequence[int], seed: int, feature_fraction: float = 1.0,
) -> Fit:  # fmt: skip
    """Train a small LightGBM on one side of each fold and score the other."""
    lightgbm = load_lightgbm()
    settings = {**_TREES, "seed": seed, "feature_fraction": feature_fraction}
    score, gain = np.full(len(label), np.nan), np.zeros(matrix.shape[1])
    for learnt, judged in folds:
        rows = lightgbm.Dataset(matrix[learnt], label[learnt], categorical_feature=list(categorical), params=settings)
        booster = lightgbm.train(settings, rows, _N_ROUNDS)
        score[judged] = booster.predict(matrix[judged], num_threads=1)
        gain += booster.feature_importance("gain")
    return Fit(score, gain)


class Ablation:
    """A small LightGBM on some of the columns, out of fold, to see what a column adds to all the others."""

    def __init__(
        self, columns: Sequence[Column], label: NDArray[np.bool_], leads: NDArray[np.int64], seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(leads, MOST_ROWS, replace=False)) if len(leads) > MOST_ROWS else leads
        self.label = label[rows]
        self.fold = rng.permutation(len(rows)) % N_FOLDS
        self.names = tuple(column.name for column in columns)
        self.categorical = [not len(column.values) for column in columns]
        self.matrix = np.stack([_as_float(column, rows) for column in columns], axis=1)
        self.seed = seed
        self._fits: dict[tuple[str, ...], Fit] = {}

    def auc(self, names: Sequence[str]) -> float:
        """AUC of a model that may use these columns only."""
        return self.ranking(names).auc

    def ranking(self, names: Sequence[str]) -> Ranking:
        """How a model that may use these columns only ranks."""
        if not names:
            return Ranking(0.5, np.zeros(len(self.label)))
        return Ranking.within(self.label, self._fitted(names).score, self.fold)

    def by_gain(self, names: Sequence[str]) -> list[str]:
        """Return the columns, those first whose splits gain the model most."""
        return [names[place] for place in np.argsort(-self._fitted(names).gain, kind="stable")]

    @cached_property
    def _folds(self) -> Folds:
        return [(np.flatnonzero(self.fold != one), np.flatnonzero(self.fold == one)) for one in range(N_FOLDS)]

    def _fitted(self, names: Sequence[str]) -> Fit:
        key = tuple(names)
        if key not in self._fits:
            chosen = [self.names.index(name) for name in names]
            categorical = [place for place, column in enumerate(chosen) if self.categorical[column]]
            self._fits[key] = fit_out_of_fold(
                self.matrix[:, chosen], self.label, self._folds, categorical=categorical, seed=self.seed
            )
        return self._fits[key]


def _as_float(column: Column, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Numbers as they are; the commonest categories as ranks; NaN where missing."""
    if len(column.values):
        return column.values[rows]
    codes = column.codes[rows]
    counts = np.bincount(codes[codes >= 0], minlength=len(column.vocabulary) or 1)
    rank = np.empty(len(counts))
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    ranks = np.where(codes >= 0, np.minimum(rank[codes], MOST_CATEGORIES), np.nan)
    return np.asarray(ranks, dtype=np.float64)
