"""How well one column, or all together, tell won from not won: out of fold, so that a column of ids tells nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
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
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "min_data_per_group": 20,
    "cat_smooth": 20.0,
    "max_bin": 63,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
_N_ROUNDS = 50


def auc(label: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Chance that a won lead scores above another, ties one half; 0.5 where there is only one kind."""
    n_won, n_other = int(label.sum()), int((~label).sum())
    if n_won == 0 or n_other == 0:
        return 0.5
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2
    return float((rank[inverse][label].sum() - n_won * (n_won + 1) / 2) / (n_won * n_other))


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


class Ablation:
    """A small LightGBM on some of the columns, out of fold, to see what a column adds to all the others."""

    def __init__(
        self, columns: Sequence[Column], label: NDArray[np.bool_], leads: NDArray[np.int64], seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(leads, MOST_ROWS, replace=False)) if len(leads) > MOST_ROWS else leads
        self.label = label[rows]
        self.fold = rng.permutation(len(rows)) % 2
        self.names = tuple(column.name for column in columns)
        self.categorical = [not len(column.values) for column in columns]
        self.matrix = np.stack([_as_float(column, rows) for column in columns], axis=1)
        self.seed = seed

    def auc(self, names: Sequence[str]) -> float:
        """AUC of a model that may use these columns only."""
        return auc(self.label, self._fitted(names)[0]) if names else 0.5

    def strongest(self, names: Sequence[str]) -> str:
        """Return the column whose splits gain the model most."""
        return names[int(np.argmax(self._fitted(names)[1]))]

    def _fitted(self, names: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scores (n,) of each half from a model of the other, and gains (n_names,)."""
        lightgbm = load_lightgbm()

        chosen = [self.names.index(name) for name in names]
        matrix = self.matrix[:, chosen]
        categorical = [place for place, column in enumerate(chosen) if self.categorical[column]]
        settings = {**_TREES, "seed": self.seed}
        score, gain = np.zeros(len(self.label)), np.zeros(len(names))
        for half in (0, 1):
            inside = self.fold != half
            fitting = lightgbm.Dataset(
                matrix[inside], self.label[inside], categorical_feature=categorical, params=settings
            )
            booster = lightgbm.train(settings, fitting, _N_ROUNDS)
            score[~inside] = booster.predict(matrix[~inside], num_threads=1)
            gain += booster.feature_importance("gain")
        return score, gain


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
