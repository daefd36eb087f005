"""How the margin of rows is computed: the leaves of all trees that a row falls into, added up, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from leadscore.explain.tree_kernels import BLOCK, OF_CODES, PLAIN, goes_left

FEW = 16
"""Rows below which each walks down the trees by itself; either way the same bits."""


@njit(nogil=True, cache=True)
def add_leaves(matrix, splits, threshold, words, children, leaves, roots, out):  # type: ignore[no-untyped-def]
    """Write into `out` (n,) the sum of the leaves that each row falls into, tree by tree, as LightGBM adds them.

    Child c >= 0 is split c of all, child c < 0 is leaf ~c of all; `roots` are the children that the trees begin with,
    `children` (2, splits) those to the left and to the right.
    """
    for row in range(len(matrix)):
        values, total = matrix[row], 0.0
        for tree in range(len(roots)):
            at = roots[tree]
            while at >= 0:
                value = values[splits[0, at]]
                if splits[2, at] == PLAIN:
                    went = (value <= threshold[at]) | ((value != value) & (splits[1, at] != 0))
                else:
                    went = goes_left(value, at, splits, threshold, words)
                at = children[1 - np.int64(went), at]
            total += leaves[~at]
        out[row] = total


@njit(nogil=True, cache=True)
def add_leaves_of_many(  # type: ignore[no-untyped-def]
    matrix, splits, threshold, words, children, leaves, roots, used, coded, trees, tables, sides, edges, out
):
    """Do what `add_leaves` does, for blocks of rows at once: no branch of a small tree depends on the data.

    `used` are the features that any split asks for, `coded` those that any asks for categories. Rows of `trees` are the
    first split of a tree, the one after its last, and where in `tables` the leaves of all patterns of its splits begin:
    bit k is set where a row goes left at split k. It is −1 for trees that are walked. For a split on categories
    ``sides[edges[split] : edges[split + 1]]`` says who goes left: what is no code, then every code, then all beyond.
    """
    columns = np.empty((matrix.shape[1], BLOCK), matrix.dtype)
    codes = np.empty((matrix.shape[1], BLOCK), np.int32)
    pattern = np.empty(BLOCK, np.int32)
    for start in range(0, len(matrix), BLOCK):
        m = min(BLOCK, len(matrix) - start)
        total = out[start : start + m]
        for r in range(m):
            total[r] = 0.0
            for feature in used:
                columns[feature, r] = matrix[start + r, feature]
        for feature in coded:
            _code(columns[feature], m, codes[feature])
        for tree in range(len(trees)):
            first, end, cell = trees[tree, 0], trees[tree, 1], trees[tree, 2]
            if cell < 0:
                for r in range(m):
                    at = roots[tree]
                    while at >= 0:
                        went = goes_left(columns[splits[0, at], r], at, splits, threshold, words)
                        at = children[1 - np.int64(went), at]
                    total[r] += leaves[~at]
                continue
            for r in range(m):
                pattern[r] = 0
            for split in range(first, end):
                feature, bit = splits[0, split], np.int32(1 << (split - first))
                if splits[2, split] == OF_CODES:
                    _mark_codes(codes[feature], sides[edges[split] : edges[split + 1]], bit, m, pattern)
                else:
                    _mark(columns[feature], split, splits, threshold, words, bit, m, pattern)
            for r in range(m):
                total[r] += tables[cell + pattern[r]]


@njit(nogil=True, cache=True)
def _code(values, m, codes):  # type: ignore[no-untyped-def]
    """Write the codes of m rows, counted from 1; 0 is none."""
    for r in range(m):
        value = values[r]
        codes[r] = np.int32(value) + 1 if value > -1 and value < 2**30 else 0


@njit(nogil=True, cache=True)
def _mark_codes(codes, sides, bit, m, pattern):  # type: ignore[no-untyped-def]
    """Set a bit of the pattern of m rows where their codes go left."""
    last = np.int32(len(sides) - 1)
    for r in range(m):
        pattern[r] |= bit * sides[min(codes[r], last)]


@njit(nogil=True, cache=True)
def _mark(values, split, splits, threshold, words, bit, m, pattern):  # type: ignore[no-untyped-def]
    """Set a bit of the pattern of m rows where their numbers go left."""
    if splits[2, split] != PLAIN:
        for r in range(m):
            pattern[r] |= bit if goes_left(values[r], split, splits, threshold, words) else np.int32(0)
        return
    limit, of_nan = threshold[split], bit if splits[1, split] != 0 else np.int32(0)
    for r in range(m):
        value = values[r]
        pattern[r] |= of_nan if value != value else (bit if value <= limit else np.int32(0))
