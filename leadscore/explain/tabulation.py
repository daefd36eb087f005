"""Trees → what `leadscore.explain.tree_kernels` walks and looks up, made once per model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadscore.explain import tree_kernels as kernels
from leadscore.explain.trees import Floats, Ints, Tree

MOST_TABULATED = 8
"""Splits up to which a tree is a table of all its patterns: 256 of them, 16 KiB. Larger ones are walked."""

_NO_LEAF = float("nan")


class Forest(NamedTuple):
    """All trees as flat arrays; see `kernels.explain_many` for their columns.

    `used` are the features that any tree splits on; `splits` and `slots` name a feature by its place there.
    """

    used: Ints
    splits: Ints
    threshold: NDArray[Any]
    words: NDArray[np.uint32]
    small: Ints
    tables: Floats
    large: Ints
    steps: Ints
    coefficients: Floats
    slots: Ints

    def of_float32(self) -> Forest:
        """Return the forest with thresholds for rows of float32."""
        return self._replace(threshold=_of_float32(self.threshold))


class Paths(NamedTuple):
    """The ways through all trees to their leaves as flat arrays; see `leadscore.explain.leaf_kernels`."""

    splits: Ints
    threshold: NDArray[Any]
    words: NDArray[np.uint32]
    children: Ints
    leaves: Floats
    roots: Ints
    used: Ints
    coded: Ints
    trees: Ints
    tables: Floats
    sides: NDArray[np.int32]
    edges: Ints

    def of_float32(self) -> Paths:
        """Return the paths with thresholds for rows of float32."""
        return self._replace(threshold=_of_float32(self.threshold))

    def of_used(self) -> Paths:
        """Return the paths through rows that have the `used` features alone."""
        feature = np.searchsorted(self.used, self.splits[:1])
        coded = np.searchsorted(self.used, self.coded)
        return self._replace(
            splits=np.concatenate([feature, self.splits[1:]]), used=np.arange(len(self.used)), coded=coded
        )


def _of_float32(threshold: Floats) -> NDArray[np.float32]:
    """Thresholds that every float32 is on the same side of."""
    with np.errstate(over="ignore"):  # infinite, then one step down
        rounded = threshold.astype(np.float32)
    return np.where(rounded > threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded)


@dataclass(frozen=True)
class Walk:
    """The steps through one tree, what they multiply by, and the features that are its slots."""

    features: list[int]
    steps: Ints
    coefficients: Floats
    n_nodes: int
    n_levels: int

    def table(self, n_splits: int) -> Floats:
        """Return the effects of every pattern of the splits, flat: (patterns, slots)."""
        out = np.empty((1 << n_splits, len(self.features)))
        kernels.fill_table(self.steps, self.coefficients, self.n_nodes, self.n_levels, out)
        return out.ravel()


def tabulate(trees: Sequence[Tree]) -> Forest:
    """Lay out trees for the kernels. Trees without a split have no effects and are left out."""
    grown = [tree for tree in trees if tree.n_splits]
    walks = [walk(tree) for tree in grown]
    used = sorted({feature for each in walks for feature in each.features})
    place = {feature: column for column, feature in enumerate(used)}
    first_split = _edges([tree.n_splits for tree in grown])
    first_slot = _edges([len(each.features) for each in walks])
    begins = [
        (first_split[n], first_split[n + 1], first_slot[n], first_slot[n + 1]) for n in range(len(grown))
    ]  # where the splits and the slots of each tree begin and end
    small = [n for n, tree in enumerate(grown) if tree.n_splits <= MOST_TABULATED]
    large = [n for n, tree in enumerate(grown) if tree.n_splits > MOST_TABULATED]
    tables = [walks[n].table(grown[n].n_splits) for n in small]
    first_cell = _edges([len(table) for table in tables])
    first_step = _edges([len(walks[n].steps) for n in large])
    first_coefficient = _edges([len(walks[n].coefficients) for n in large])
    walked = [
        (*begins[n], first_step[i], first_step[i + 1], first_coefficient[i], walks[n].n_nodes, walks[n].n_levels)
        for i, n in enumerate(large)
    ]
    bits = [words for tree in grown for words in tree.bits]
    return Forest(
        used=np.array(used, dtype=np.int64),
        splits=_split_table(grown, bits, place),
        threshold=_joined([tree.threshold for tree in grown], np.float64),
        words=_joined(bits, np.uint32),
        small=_table([(*begins[n], first_cell[i]) for i, n in enumerate(small)], 5),
        tables=_joined(tables, np.float64),
        large=_table(walked, 9),
        steps=_table([row for n in large for row in walks[n].steps.tolist()], 7),
        coefficients=_joined([walks[n].coefficients for n in large], np.float64),
        slots=np.array([place[feature] for each in walks for feature in each.features], dtype=np.int64),
    )


def paths(trees: Sequence[Tree]) -> Paths:
    """Lay out trees to find leaves; those without a split are one."""
    first_split, first_leaf = _edges([tree.n_splits for tree in trees]), _edges([len(tree.value) for tree in trees])
    bits = [words for tree in trees for words in tree.bits]
    children = [
        np.where(side >= 0, side + first_split[n], side - first_leaf[n])
        for n, tree in enumerate(trees)
        for side in (tree.left, tree.right)
    ]
    splits = _split_table(trees, bits)
    of_codes = [bool(kind) for tree in trees for kind in tree.categorical]
    sides = [_sides(each) if coded else np.empty(0) for each, coded in zip(bits, of_codes, strict=True)]
    tables = [_leaf_table(tree) if tree.n_splits <= MOST_TABULATED else np.empty(0) for tree in trees]
    cells = _edges([len(table) for table in tables])
    begins = [(first_split[n], first_split[n + 1], cells[n] if len(tables[n]) else -1) for n in range(len(trees))]
    return Paths(
        splits=splits,
        threshold=_joined([tree.threshold for tree in trees], np.float64),
        words=_joined(bits, np.uint32),
        children=np.stack([_joined(children[side::2], np.int64) for side in (0, 1)]),
        leaves=_joined([tree.value for tree in trees], np.float64),
        roots=np.array([first_split[n] if tree.n_splits else ~first_leaf[n] for n, tree in enumerate(trees)]),
        used=np.unique(splits[0]),
        coded=np.unique(splits[0, splits[2] == kernels.OF_CODES]),
        trees=_table(begins, 3),
        tables=_joined(tables, np.float64),
        sides=_joined(sides, np.int32),
        edges=np.array(_edges([len(side) for side in sides])),
    )


def _sides(words: NDArray[np.uint32]) -> NDArray[np.int32]:
    """Return whether no code, every code of a bitset, and any code beyond it go left."""
    bits = np.unpackbits(words.astype("<u4").view(np.uint8), bitorder="little")
    return np.concatenate([[0], bits, [0]]).astype(np.int32)


def _leaf_table(tree: Tree) -> Floats:
    """Return the leaf of every pattern of the splits; bit k is set where a row goes left at split k."""
    values = []
    for pattern in range(1 << tree.n_splits):
        at = 0 if tree.n_splits else -1
        while at >= 0:
            at = int(tree.left[at] if pattern >> at & 1 else tree.right[at])
        values.append(tree.value[~at])
    return np.array(values, dtype=np.float64)


def walk(tree: Tree) -> Walk:
    """Return the walk through a tree that has splits; a stack and no recursion, for chains may be long."""
    slots: dict[int, int] = {}
    steps: list[list[int]] = []
    numbers: list[tuple[float, ...]] = []
    longest = deepest = 0
    # of each split on the way: its level, and by feature the share of rows and the level of the mask of its last split
    ahead: list[tuple[int, int, dict[int, tuple[float, int]]] | tuple[list[int], tuple[float, ...]]] = [(0, 0, {})]
    while ahead:
        task = ahead.pop()
        if len(task) == 2:
            steps.append(task[0])
            numbers.append(task[1])
            continue
        split, level, path = task
        feature = int(tree.feature[split])
        share, earlier = path.get(feature, (1.0, -1))
        children = (int(tree.left[split]), int(tree.right[split]))
        covers = tuple(tree.cover(child) / (tree.cover(split) or 1.0) for child in children)
        values = tuple(_NO_LEAF if child >= 0 else float(tree.value[~child]) for child in children)
        longest, deepest = max(longest, len(path) + (earlier < 0)), max(deepest, level)
        told = (share, *covers, *values)
        slot = slots.setdefault(feature, len(slots))
        if min(children) < 0:
            steps.append([kernels.LEAVES, level, split, slot, 0, earlier, 0])
            numbers.append(told)
        for side, child in reversed(list(enumerate(children))):
            if child >= 0:
                below = {**path, feature: (share * covers[side], level + 1)}
                ahead.append(([kernels.UP, level, split, slot, 0, earlier, side], told))
                ahead.append((child, level + 1, below))
                ahead.append(([kernels.DOWN, level, split, slot, 0, earlier, side], told))
    return _with_coefficients(slots, steps, numbers, n_nodes=(longest + 1) // 2, n_levels=deepest + 2)


def _with_coefficients(
    slots: dict[int, int], steps: list[list[int]], numbers: list[tuple[float, ...]], *, n_nodes: int, n_levels: int
) -> Walk:
    pad = -(-n_nodes // kernels.LANES) * kernels.LANES
    edges = _edges([pad * (3 if step[5] >= 0 else 2) * (2 if step[0] == kernels.LEAVES else 1) for step in steps])
    for step, edge in zip(steps, edges, strict=False):
        step[4] = edge
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    coefficients = np.zeros(edges[-1])
    laid_out = np.array(steps, dtype=np.int64)
    kernels.fill_coefficients(laid_out, np.array(numbers), (nodes + 1) / 2, weights / 2, coefficients)
    return Walk(list(slots), laid_out, coefficients, n_nodes, n_levels)


def _split_table(
    trees: Sequence[Tree], bits: Sequence[NDArray[np.uint32]], place: dict[int, int] | None = None
) -> Ints:
    """Of every split: its feature, or the place of it, whether NaN goes left, its kind, where its words begin and how
    many they are.
    """
    first_word = _edges([len(words) for words in bits])
    rows: list[tuple[int, ...]] = []
    for tree in trees:
        for split, feature in enumerate(tree.feature.tolist()):
            of_numbers = kernels.ZERO_IS_MISSING if tree.zero_is_missing[split] else kernels.PLAIN
            kind = kernels.OF_CODES if tree.categorical[split] else of_numbers
            word, n = first_word[len(rows)], len(bits[len(rows)])
            rows.append((feature if place is None else place[feature], int(tree.nan_left[split]), kind, word, n))
    return np.ascontiguousarray(_table(rows, 5).T)


def _edges(sizes: Sequence[int]) -> list[int]:
    """Where each of several parts begins, and where the last one ends."""
    return [0, *accumulate(sizes)]


def _table(rows: Any, width: int) -> Ints:
    return np.array(list(rows), dtype=np.int64).reshape(-1, width)


def _joined(parts: Sequence[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate([*parts, np.empty(0)]).astype(dtype)
