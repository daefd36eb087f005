"""TreeSHAP gives what LightGBM's own ``pred_contrib`` gives, whatever the model and the row."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

import leadscore as ls
from leadscore.errors import ArtifactError
from leadscore.explain import tabulation
from leadscore.explain.slices import FEWEST_PER_THREAD
from leadscore.explain.tree_kernels import BLOCK
from leadscore.explain.treeshap import _FEW
from leadscore.model.booster import TreeModel

N_COLUMNS = 12
CODES = (10, 11)  # columns that hold codes of categories
BINARY = {"objective": "binary", "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5, "seed": 0}


def rows_of(rng: np.random.Generator, n: int) -> NDArray[np.float32]:
    matrix = rng.normal(size=(n, N_COLUMNS))
    matrix[:, :3] = rng.poisson(1, (n, 3))  # ties, and zeros that some models take for missing
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    matrix[:, CODES] = rng.integers(0, 40, (n, len(CODES)))
    return matrix.astype(np.float32)


def grown(
    rng: np.random.Generator, n_trees: int, *, categorical: bool = True, **parameters: Any
) -> tuple[lightgbm.Booster, NDArray[np.float32]]:
    matrix = rows_of(rng, 800)
    signal = np.nan_to_num(matrix[:, 0]) - np.nan_to_num(matrix[:, 5]) + (matrix[:, 10] % 3 == 0)
    label = (signal + rng.normal(size=len(matrix)) > 0.5).astype(int)
    codes = list(CODES) if categorical else "auto"
    data = lightgbm.Dataset(matrix, label, categorical_feature=codes, params=parameters)
    return lightgbm.train({**BINARY, **parameters}, data, n_trees), matrix


def awkward(rng: np.random.Generator, booster: lightgbm.Booster) -> NDArray[np.float32]:
    """Rows at the thresholds of the model and one step beside them, infinite, tiny, and of codes never seen."""
    rows = rows_of(rng, 300)
    frame = booster.trees_to_dataframe()
    splits = frame[frame.decision_type == "<="]
    for row, (name, threshold) in enumerate(zip(splits.split_feature[:200], splits.threshold[:200], strict=True)):
        near = np.float32(np.clip(threshold, -1e30, 1e30))
        steps = (near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf)))
        rows[row, int(name.split("_")[1])] = steps[row % 3]
    rows[200:220, :10] = np.inf
    rows[220:240, :10] = -np.inf
    rows[240:250, :10] = np.nan
    rows[250:260, :10] = rng.choice(np.array([0.0, -0.0, 1e-36, -1e-36, 1e-34], dtype=np.float32), (10, 10))
    rows[260:290, CODES] = rng.choice(np.array([np.nan, -1, -0.5, 3.7, 39, 64, 1e6, 1e12, np.inf, -np.inf]), (30, 2))
    return rows


MODELS: dict[str, dict[str, Any]] = {
    "the default": {"n_trees": 300, "num_leaves": 4, "max_depth": 2, "feature_fraction": 0.3, "path_smooth": 10.0},
    "stumps": {"n_trees": 30, "num_leaves": 2},
    "one tree": {"n_trees": 1, "num_leaves": 31},
    "large trees": {"n_trees": 40, "num_leaves": 63, "learning_rate": 0.3},
    "as many splits as are tabulated": {"n_trees": 20, "num_leaves": tabulation.MOST_TABULATED + 1},
    "one split more": {"n_trees": 20, "num_leaves": tabulation.MOST_TABULATED + 2},
    "deep chains": {"n_trees": 10, "num_leaves": 200, "min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 0.0},
    "zero is missing": {"n_trees": 30, "num_leaves": 15, "zero_as_missing": True},
    "nothing is missing": {"n_trees": 30, "num_leaves": 15, "use_missing": False},
    "categories against the rest": {"n_trees": 30, "num_leaves": 15, "max_cat_to_onehot": 10_000},
    "sets of categories": {"n_trees": 30, "num_leaves": 15, "max_cat_to_onehot": 1, "cat_smooth": 1.0},
    "no categories": {"n_trees": 30, "num_leaves": 15, "categorical": False},
    "bagged": {"n_trees": 30, "num_leaves": 15, "bagging_fraction": 0.5, "bagging_freq": 1},
    "dropped trees": {"n_trees": 30, "num_leaves": 15, "boosting": "dart"},
    "nothing to split": {"n_trees": 5, "num_leaves": 15, "min_data_in_leaf": 10_000},
    "some trees without a split": {"n_trees": 40, "num_leaves": 8, "min_gain_to_split": 12.0},
}


@pytest.mark.parametrize("parameters", MODELS.values(), ids=MODELS.keys())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_effects_are_those_of_lightgbm(parameters, dtype) -> None:
    rng = np.random.default_rng(len(str(parameters)))
    booster, matrix = grown(rng, **parameters)
    rows = np.concatenate([matrix[:200], awkward(rng, booster)]).astype(dtype)
    effects = ls.TreeShap(booster).contributions(rows)
    assert effects == pytest.approx(booster.predict(rows, pred_contrib=True), abs=1e-9)
    assert effects.sum(axis=1) == pytest.approx(booster.predict(rows, raw_score=True), abs=1e-9)


FORESTS: dict[str, dict[str, Any]] = {
    "a random forest": {"n_trees": 30, "boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1},
    "an unbalanced start": {"n_trees": 30, "num_leaves": 8, "scale_pos_weight": 20.0},
}


@pytest.mark.parametrize("parameters", [*MODELS.values(), *FORESTS.values()], ids=[*MODELS, *FORESTS])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_margin_has_the_bits_of_lightgbm(parameters, dtype) -> None:
    rng = np.random.default_rng(len(str(parameters)))
    booster, matrix = grown(rng, **parameters)
    rows = np.concatenate([matrix, awkward(rng, booster), *[rows_of(rng, 500)] * 4]).astype(dtype)
    assert len(rows) > 2 * FEWEST_PER_THREAD
    model = TreeModel.from_text(booster.model_to_string())
    for some in (rows, rows[:500], np.asfortranarray(rows[100:164])):
        assert np.array_equal(model.margin(some), model.booster.predict(some, raw_score=True))
    for row in range(0, 1_100, 9):
        assert np.array_equal(model.margin(rows[row : row + 1]), model.booster.predict(rows[[row]], raw_score=True))
    assert model.margin(rows[:0]).shape == (0,)


def test_effects_are_shapley_values_of_what_is_followed_and_what_is_averaged() -> None:
    """The definition, over all subsets of the features of a small model; where unknown, both sides are averaged."""
    from itertools import combinations
    from math import factorial

    rng = np.random.default_rng(3)
    booster, matrix = grown(rng, 3, num_leaves=6, categorical=False)
    trees = booster.dump_model()["tree_info"]

    def expected(node: dict[str, Any], row: NDArray[np.float32], known: frozenset[int]) -> float:
        if "leaf_value" in node:
            return float(node["leaf_value"])
        children = [node["left_child"], node["right_child"]]
        if node["split_feature"] in known:
            value = row[node["split_feature"]]
            missing = np.isnan(value) and node["missing_type"] == "NaN"
            left = node["default_left"] if missing else np.nan_to_num(value) <= node["threshold"]
            return expected(children[0 if left else 1], row, known)
        covers = [child.get("internal_count", child.get("leaf_count")) for child in children]
        parts = [cover * expected(child, row, known) for cover, child in zip(covers, children, strict=True)]
        return sum(parts) / node["internal_count"]

    def game(row: NDArray[np.float32], known: frozenset[int]) -> float:
        return sum(expected(tree["tree_structure"], row, known) for tree in trees)

    players = frozenset(np.flatnonzero(booster.feature_importance()).tolist())
    for row in matrix[:5]:
        (effects,) = ls.TreeShap(booster).contributions(row[None, :])
        for player in players:
            total = 0.0
            for size in range(len(players)):
                share = factorial(size) * factorial(len(players) - size - 1) / factorial(len(players))
                for others in combinations(players - {player}, size):
                    known = frozenset(others)
                    total += share * (game(row, known | {player}) - game(row, known))
            assert effects[player] == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("parameters", [MODELS["the default"], MODELS["large trees"], MODELS["deep chains"]])
def test_a_row_has_the_same_bits_however_many_come_with_it(parameters) -> None:
    rng = np.random.default_rng(1)
    booster, matrix = grown(rng, **parameters)
    rows = np.tile(matrix, (4 * FEWEST_PER_THREAD // len(matrix) + 1, 1))
    shap = ls.TreeShap(booster)
    effects = shap.contributions(rows)
    assert np.array_equal(shap.contributions(rows, threads=1), effects)
    assert np.array_equal(shap.contributions(rows, threads=5), effects)
    for n in (1, _FEW - 1, _FEW, BLOCK - 1, BLOCK, BLOCK + 1):
        assert np.array_equal(shap.contributions(rows[7 : 7 + n]), effects[7 : 7 + n])
    assert np.array_equal(shap.contributions(rows[:50].astype(np.float64)), effects[:50])
    assert np.array_equal(shap.contributions(np.asfortranarray(rows[:50])), effects[:50])


def test_it_is_laid_out_the_same_from_the_text() -> None:
    booster, _ = grown(np.random.default_rng(2), 20, num_leaves=31)
    text = booster.model_to_string()
    forests = [ls.TreeShap(booster)._forest, ls.TreeShap(text)._forest]
    forests.append(ls.TreeShap(lightgbm.Booster(model_str=text))._forest)
    for forest in forests[1:]:
        assert all(np.array_equal(one, other) for one, other in zip(forests[0], forest, strict=True))


def test_what_cannot_be_explained_is_refused() -> None:
    rng = np.random.default_rng(4)
    matrix, label = rows_of(rng, 300), rng.integers(0, 3, 300)
    classes = {"objective": "multiclass", "num_class": 3, "verbosity": -1}
    several = lightgbm.train(classes, lightgbm.Dataset(matrix, label), 2)
    with pytest.raises(ArtifactError, match="a score is one number"):
        ls.TreeShap(several)
    linear, _ = grown(rng, 2, categorical=False, linear_tree=True)
    with pytest.raises(ArtifactError, match="linear_tree = false"):
        ls.TreeShap(linear)
    with pytest.raises(ArtifactError, match="no LightGBM model"):
        ls.TreeShap("nonsense")


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("left_child=", "left_child=0 ", "other lengths"),
        ("right_child=-2", "right_child=-1", "hangs nowhere"),
        ("max_feature_idx=11", "max_feature_idx=-1", "beyond the 0 there are"),
        ("leaf_count=", "leaf_count=1 ", "how many rows"),
        ("threshold=", "threshold=x ", "could not convert"),
    ],
)
def test_a_text_that_is_no_forest_is_refused(was, becomes, says) -> None:
    booster, _ = grown(np.random.default_rng(5), 1, num_leaves=2, categorical=False)
    text = booster.model_to_string()
    assert was in text
    with pytest.raises(ArtifactError, match=says):
        ls.TreeShap(text.replace(was, becomes, 1))


@pytest.mark.parametrize("shape", [(3, N_COLUMNS - 1), (40, N_COLUMNS + 1), (N_COLUMNS,)])
def test_a_matrix_of_another_width_is_refused(shape) -> None:
    booster, _ = grown(np.random.default_rng(6), 2, num_leaves=4)
    with pytest.raises(ValueError, match=f"trained on {N_COLUMNS} columns"):
        ls.TreeShap(booster).contributions(np.zeros(shape, dtype=np.float32))
