"""Can anyone tell two sets of rows apart? If a model can, they don't come from one world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from leadscore.evaluate.metrics import evaluate
from leadscore.model.booster import load_lightgbm

MOST_ROWS = 20_000
N_FOLDS = 3
_TREES = {
    "objective": "binary",
    "learning_rate": 0.1,
    "num_leaves": 8,
    "min_data_in_leaf": 30,
    "feature_fraction": 0.5,
    "max_cat_to_onehot": 10_000,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
_N_ROUNDS = 60


@dataclass(frozen=True)
class ToldApart:
    """How well two sets are told apart, out of fold: an AUC of .5 is not at all; and by what, shares of all gain."""

    auc: float
    by: Mapping[str, float]


def tell_apart(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    *,
    names: Sequence[str],
    categorical: Sequence[int],
    groups: tuple[npt.ArrayLike, npt.ArrayLike],
    seed: int,
) -> ToldApart | None:
    """Train a small LightGBM to say which set a row is of, and judge it on rows it has not seen.

    Parameters
    ----------
    first, second : float32 (n, n_features), NaN where missing; an even sample of at most 20,000 rows of each is taken
    names : of the columns
    categorical : columns that hold codes of categories
    groups : the lead or account of each row of the two: rows of one group are never on both sides of a fold
    seed : of folds and trees

    Returns
    -------
    ToldApart, its `by` largest first; None where either set has fewer than 30 rows.
    """
    if min(len(first), len(second)) < 30:
        return None
    lightgbm = load_lightgbm()
    parts = [slice(None, None, max(1, -(-len(rows) // MOST_ROWS))) for rows in (first, second)]
    matrix = np.concatenate([first[parts[0]], second[parts[1]]])
    label = np.repeat([0, 1], [len(first[parts[0]]), len(second[parts[1]])])
    _, code = np.unique(np.concatenate([np.asarray(groups[0])[parts[0]], np.asarray(groups[1])[parts[1]]]),
                        return_inverse=True)  # fmt: skip
    fold = (np.random.default_rng(seed).permutation(int(code.max()) + 1) % N_FOLDS)[code]
    score, gain = np.full(len(label), 0.5), np.zeros(len(names))
    settings = {**_TREES, "seed": seed}
    for held in range(N_FOLDS):
        inside = fold != held
        fitting = lightgbm.Dataset(
            matrix[inside], label[inside], categorical_feature=list(categorical), params=settings
        )
        booster = lightgbm.train(settings, fitting, _N_ROUNDS)
        if not inside.all():
            score[~inside] = booster.predict(matrix[~inside])
        gain += booster.feature_importance("gain")
    shares = gain / gain.sum() if gain.sum() > 0 else gain
    by = {names[column]: float(shares[column]) for column in np.argsort(-shares, kind="stable") if shares[column] > 0}
    return ToldApart(evaluate(label, score)["auc"] or 0.5, by)
