"""Margins have the bits of LightGBM's own, one row at a time and many."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from leadscore.explain.leaf_kernels import FEW
from leadscore.model.leaves import Leaves

MODELS = {
    "small trees": {"num_leaves": 4},
    "trees at the edge of a table": {"num_leaves": 9},
    "trees that are walked": {"num_leaves": 40, "min_data_in_leaf": 2},
    "zero is missing": {"num_leaves": 6, "zero_as_missing": True},
    "nothing is missing": {"num_leaves": 6, "use_missing": False},
    "one category against the rest": {"num_leaves": 6, "max_cat_to_onehot": 10_000},
    "no trees": {"num_leaves": 2, "min_data_in_leaf": 10_000},
    "columns that no tree asks for": {"num_leaves": 3, "feature_fraction": 0.4, "num_iterations": 2},
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", MODELS)
def test_many_rows_and_few_have_the_bits_of_lightgbm(kind, dtype) -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(3_000, 6)).astype(dtype)
    rows[:, 4] = rng.integers(-2, 90, 3_000)
    rows[:, 5] = rng.integers(0, 5, 3_000)
    rows[rng.random(rows.shape) < 0.2] = np.nan
    rows[rng.random(rows.shape) < 0.1] = 0
    label = np.nan_to_num(rows[:, 0]) + (np.nan_to_num(rows[:, 4]) % 3 == 1) + rng.normal(size=3_000) > 0.7
    data = lightgbm.Dataset(rows, label, categorical_feature=[4, 5])
    settings = {"objective": "binary", "verbosity": -1, "min_data_per_group": 2, "num_threads": 1, **MODELS[kind]}
    booster = lightgbm.train(settings, data, 30)
    asked = np.concatenate([rows, np.full((1, 6), np.nan, dtype), np.array([[1e9, -1e9, 0, 1, 1e7, -0.5]], dtype)])
    leaves = Leaves(booster.model_to_string())
    many = leaves.sums(asked)
    few = np.concatenate([leaves.sums(asked[start : start + FEW - 1]) for start in range(0, len(asked), FEW - 1)])
    assert (many == booster.predict(asked, raw_score=True)).all()
    assert (many == few).all()
    narrow = leaves.of_used().sums(np.ascontiguousarray(asked[:, leaves.used]))
    assert (many == narrow).all()
