"""LightGBM's model text → trees as arrays: the splits, the values of the leaves and how many rows each part covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadscore.errors import ArtifactError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NOTHING = float(np.float32(1e-35))
"""LightGBM takes anything of this size or less for 0."""

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_IS_ZERO, _MISSING_IS_NAN = 1, 2


@dataclass(frozen=True)
class Tree:
    """One tree; child c >= 0 is split c, child c < 0 is leaf ~c. A tree without a split is a single leaf.

    Attributes
    ----------
    feature, threshold : of each split; left if value <= threshold. Of a categorical split, threshold is unused
    nan_left, zero_is_missing, categorical : of each split; where missing values go, and what counts as one
    left, right : children of each split
    value : of each leaf, in log-odds
    split_cover, leaf_cover : rows of training that each covers
    bits : of each split the uint32 words of the bitset of codes that go left; empty of a numerical one
    """

    feature: Ints
    threshold: Floats
    nan_left: NDArray[np.bool_]
    zero_is_missing: NDArray[np.bool_]
    categorical: NDArray[np.bool_]
    left: Ints
    right: Ints
    value: Floats
    split_cover: Floats
    leaf_cover: Floats
    bits: list[NDArray[np.uint32]]

    @property
    def n_splits(self) -> int:
        """How many splits; the leaves are one more."""
        return len(self.feature)

    def cover(self, child: int) -> float:
        """Return how many rows of training a child covers."""
        return float(self.split_cover[child] if child >= 0 else self.leaf_cover[~child])

    def expected(self) -> float:
        """Return the mean value over the rows of training."""
        if self.n_splits == 0:
            return float(self.value[0])
        return float(np.sum(self.leaf_cover / self.split_cover[0] * self.value))


def read_trees(text: str) -> tuple[int, list[Tree]]:
    """Read LightGBM's model text: how many features it was trained on, and its trees.

    Raises
    ------
    ArtifactError
        If it isn't one, or holds what can't be explained exactly: several classes, or lines in the leaves.
    """
    head, *blocks = text.split("\nTree=")
    if _fields(head).get("num_tree_per_iteration") != "1":
        raise ArtifactError("the model gives several numbers a row, or is no LightGBM model; a score is one number")
    try:
        n_features = int(_fields(head)["max_feature_idx"]) + 1
        trees = [_tree(_fields(block.split("\n\n", 1)[0])) for block in blocks]
        for tree in trees:
            _check(tree, n_features)
        return n_features, trees
    except (KeyError, ValueError, IndexError) as error:
        raise ArtifactError(f"a tree of the LightGBM model can't be read ({error!r})") from None


def _fields(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _tree(fields: dict[str, str]) -> Tree:
    if fields.get("is_linear", "0") != "0":
        raise ArtifactError("the model has lines in its leaves; set linear_tree = false in [model] and train anew")
    kind = _numbers(fields, "decision_type", np.int64)
    threshold = _numbers(fields, "threshold", np.float64)
    categorical = (kind & _CATEGORICAL) != 0
    missing = kind >> 2 & 3
    default_left = (kind & _DEFAULT_LEFT) != 0
    # where LightGBM knows no missing values, it takes NaN for 0
    nan_left = np.where(missing == 0, threshold >= 0, default_left) & ~categorical
    return Tree(
        feature=_numbers(fields, "split_feature", np.int64),
        threshold=_beside_zero(threshold),
        nan_left=nan_left,
        zero_is_missing=(missing == _MISSING_IS_ZERO) & ~categorical,
        categorical=categorical,
        left=_numbers(fields, "left_child", np.int64),
        right=_numbers(fields, "right_child", np.int64),
        value=_numbers(fields, "leaf_value", np.float64),
        split_cover=_numbers(fields, "internal_count", np.float64),
        leaf_cover=_numbers(fields, "leaf_count", np.float64),
        bits=_bits(fields, threshold, categorical),
    )


def _check(tree: Tree, n_features: int) -> None:
    """Raise ValueError if a tree is no tree, or splits on what isn't there: the kernels look at no bounds."""
    n_splits, n_leaves = tree.n_splits, len(tree.value)
    of_splits = (tree.threshold, tree.left, tree.right, tree.split_cover, tree.bits)
    if n_leaves != n_splits + 1 or any(len(part) != n_splits for part in of_splits):
        raise ValueError("its parts have other lengths than its splits and leaves")
    if n_splits and len(tree.leaf_cover) != n_leaves:
        raise ValueError("not every leaf says how many rows it covers")
    children = sorted([*tree.left.tolist(), *tree.right.tolist()])
    if children != [*range(-n_leaves, 0), *range(1, n_splits)] * (n_splits > 0):
        raise ValueError("a split or a leaf hangs nowhere, or in two places")
    if ((tree.feature < 0) | (tree.feature >= n_features)).any():
        raise ValueError(f"it splits on a feature beyond the {n_features} there are")


def _beside_zero(threshold: Floats) -> Floats:
    """Move thresholds out of what LightGBM takes for 0, so that all of it goes where 0 goes."""
    below = np.nextafter(-NOTHING, -np.inf)
    return np.where(np.abs(threshold) > NOTHING, threshold, np.where(threshold < 0, below, NOTHING))


def _bits(fields: dict[str, str], threshold: Floats, categorical: NDArray[np.bool_]) -> list[NDArray[np.uint32]]:
    words, edges = _numbers(fields, "cat_threshold", np.uint32), _numbers(fields, "cat_boundaries", np.int64)
    nothing = np.empty(0, dtype=np.uint32)
    return [
        words[edges[int(place)] : edges[int(place) + 1]] if of_category else nothing
        for place, of_category in zip(threshold, categorical, strict=True)
    ]


def _numbers(fields: dict[str, str], name: str, dtype: Any) -> NDArray[Any]:
    return np.array(fields.get(name, "").split(), dtype=np.float64).astype(dtype)
