"""How trees are explained: the arithmetic behind `leadscore.explain.treeshap`, compiled.

For a leaf of value v whose path uses the features P, let o_i be 1 if the row follows every split on i, and z_i the
share of training rows that do. Its part of the effect of feature i is

    v (o_i − z_i) ∫₀¹ ∏_{j ≠ i} (z_j + t (o_j − z_j)) dt,

a polynomial in t of degree |P| − 1, so that ⌈|P| / 2⌉ Gauss nodes give it exactly. One walk down a tree multiplies the
factors at the nodes, the walk up adds leaves, and each split is met once: O(splits × nodes) a row, without a division.

A walk is a list of *steps*, rows of int64: operation, level, split, slot of the feature, start of its coefficients,
level at which an earlier split on the same feature put its mask (or −1), and the side of the child. What a step
multiplies by depends on d, whether the row goes left at the split, and on c, whether it followed every earlier split on
the same feature: ``k0 + d k1``, or ``k0 + c (k1 + d k2)``. Coefficients are laid out ``[k, node]``, nodes padded to 8.

`walk_many` walks with many rows side by side, `walk_one` with one row and all nodes side by side: the same operations
on the same numbers in the same order, so that a row's effects have the same bits however many rows come with it. That
is why no ``fastmath`` is allowed here. A small tree is walked but once for every pattern of its splits; from then on a
row is a look-up. Serial on purpose: threads run over slices of rows, outside.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from leadscore.explain.trees import NOTHING

LEAVES, DOWN, UP = 0, 1, 2
PLAIN, ZERO_IS_MISSING, OF_CODES = 0, 1, 2
LANES = 8
"""Nodes that `walk_one` takes at once, enough for paths of 16 features: coefficients are padded to a multiple of it."""
BLOCK = 128
"""Rows that are walked side by side; the fastest of 16 to 128 (training/LOG.md)."""


@njit(nogil=True, cache=True)
def goes_left(value, split, splits, threshold, words):  # type: ignore[no-untyped-def]
    """Whether a row goes left; rows of `splits` are feature, nan_left, kind, start and number of words."""
    if splits[2, split] == PLAIN:
        # & and |, not and and or: a branch that nobody can predict costs more than both sides
        return (value <= threshold[split]) | ((value != value) & (splits[1, split] != 0))
    if splits[2, split] == OF_CODES:
        if not (value > -1 and value < splits[4, split] * 32):
            return False
        code = int(value)
        return (words[splits[3, split] + code // 32] >> np.uint32(code % 32)) & np.uint32(1) != 0
    if value != value or -NOTHING <= value <= NOTHING:
        return splits[1, split] != 0
    return value <= threshold[split]


@njit(nogil=True, cache=True)
def _decide(values, split, splits, threshold, words, m, left):  # type: ignore[no-untyped-def]
    """`goes_left` of m rows at once, as 1.0 and 0.0."""
    if splits[2, split] != PLAIN:
        for r in range(m):
            left[r] = 1.0 if goes_left(values[r], split, splits, threshold, words) else 0.0
        return
    limit, of_nan = threshold[split], float(splits[1, split])
    for r in range(m):
        value = values[r]
        left[r] = of_nan if value != value else (1.0 if value <= limit else 0.0)


@njit(nogil=True, cache=True)
def walk_many(steps, coefficients, n_nodes, left, m, products, sums, masks, effects):  # type: ignore[no-untyped-def]
    """Add the effects of one tree on m rows: `left` (splits, m) → `effects` (slots, m); the rest is scratch.

    `products` and `sums` are (levels, nodes, m), `masks` (levels, m).
    """
    pad = -(-n_nodes // LANES) * LANES
    for q in range(n_nodes):
        for r in range(m):
            products[0, q, r] = 1.0
            sums[0, q, r] = 0.0
    for s in range(len(steps)):
        op, level, k, earlier = steps[s, 0], steps[s, 1], steps[s, 4], steps[s, 5]
        d, effect = left[steps[s, 2]], effects[steps[s, 3]]
        again = earlier >= 0
        c = masks[max(earlier, 0)]
        if op == LEAVES:
            n = 3 if again else 2
            for q in range(n_nodes):
                p, total = products[level, q], sums[level, q]
                a0, a1 = coefficients[k + q], coefficients[k + pad + q]
                b0, b1 = coefficients[k + n * pad + q], coefficients[k + (n + 1) * pad + q]
                if again:
                    a2, b2 = coefficients[k + 2 * pad + q], coefficients[k + 5 * pad + q]
                    for r in range(m):
                        total[r] += p[r] * (a0 + c[r] * (a1 + d[r] * a2))
                        effect[r] += p[r] * (b0 + c[r] * (b1 + d[r] * b2))
                else:
                    for r in range(m):
                        total[r] += p[r] * (a0 + d[r] * a1)
                        effect[r] += p[r] * (b0 + d[r] * b1)
        elif op == DOWN:
            for q in range(n_nodes):
                p, below, total = products[level, q], products[level + 1, q], sums[level + 1, q]
                a0, a1 = coefficients[k + q], coefficients[k + pad + q]
                if again:
                    a2 = coefficients[k + 2 * pad + q]
                    for r in range(m):
                        below[r] = p[r] * (a0 + c[r] * (a1 + d[r] * a2))
                        total[r] = 0.0
                else:
                    for r in range(m):
                        below[r] = p[r] * (a0 + d[r] * a1)
                        total[r] = 0.0
            mask = masks[level + 1]
            for r in range(m):
                mask[r] = d[r] if steps[s, 6] == 0 else 1.0 - d[r]
                if again:
                    mask[r] *= c[r]
        else:
            for q in range(n_nodes):
                below, total = sums[level + 1, q], sums[level, q]
                a0, a1 = coefficients[k + q], coefficients[k + pad + q]
                if again:
                    a2 = coefficients[k + 2 * pad + q]
                    for r in range(m):
                        effect[r] += below[r] * (a0 + c[r] * (a1 + d[r] * a2))
                        total[r] += below[r]
                else:
                    for r in range(m):
                        effect[r] += below[r] * (a0 + d[r] * a1)
                        total[r] += below[r]


@njit(nogil=True, cache=True)
def walk_one(steps, coefficients, n_nodes, left, products, sums, masks, part, effects):  # type: ignore[no-untyped-def]
    """`walk_many` of one row and at most `LANES` nodes, bit for bit: `left` (splits,) → `effects` (slots,).

    `products` and `sums` are (levels × LANES,), `masks` (levels,), `part` (LANES,). Loops of a known length over flat
    arrays are what becomes vector instructions.
    """
    products[:LANES] = 1.0
    sums[:LANES] = 0.0
    for s in range(len(steps)):
        op, i, k, earlier = steps[s, 0], steps[s, 1] * LANES, steps[s, 4], steps[s, 5]
        d = left[steps[s, 2]]
        if earlier >= 0:
            c = masks[earlier]
            if op == LEAVES:
                for q in range(LANES):
                    p, j = products[i + q], k + q
                    first = coefficients[j] + c * (coefficients[j + LANES] + d * coefficients[j + 2 * LANES])
                    sums[i + q] += p * first
                    j += 3 * LANES
                    second = coefficients[j] + c * (coefficients[j + LANES] + d * coefficients[j + 2 * LANES])
                    part[q] = p * second
            elif op == DOWN:
                for q in range(LANES):
                    factor = coefficients[k + q] + c * (
                        coefficients[k + LANES + q] + d * coefficients[k + 2 * LANES + q]
                    )
                    products[i + LANES + q] = products[i + q] * factor
                    sums[i + LANES + q] = 0.0
            else:
                for q in range(LANES):
                    factor = coefficients[k + q] + c * (
                        coefficients[k + LANES + q] + d * coefficients[k + 2 * LANES + q]
                    )
                    below = sums[i + LANES + q]
                    part[q] = below * factor
                    sums[i + q] += below
        elif op == LEAVES:
            for q in range(LANES):
                p = products[i + q]
                sums[i + q] += p * (coefficients[k + q] + d * coefficients[k + LANES + q])
                part[q] = p * (coefficients[k + 2 * LANES + q] + d * coefficients[k + 3 * LANES + q])
        elif op == DOWN:
            for q in range(LANES):
                products[i + LANES + q] = products[i + q] * (coefficients[k + q] + d * coefficients[k + LANES + q])
                sums[i + LANES + q] = 0.0
        else:
            for q in range(LANES):
                below = sums[i + LANES + q]
                part[q] = below * (coefficients[k + q] + d * coefficients[k + LANES + q])
                sums[i + q] += below
        if op == DOWN:
            mask = d if steps[s, 6] == 0 else 1.0 - d
            masks[steps[s, 1] + 1] = mask * masks[earlier] if earlier >= 0 else mask
        else:
            effect = effects[steps[s, 3]]
            for q in range(n_nodes):
                effect += part[q]
            effects[steps[s, 3]] = effect


@njit(nogil=True, cache=True)
def fill_coefficients(steps, numbers, nodes, weights, out):  # type: ignore[no-untyped-def]
    """What the steps of one tree multiply by; `numbers` are, by step, z before the split, z of the two children and,
    where they are leaves, their values (else NaN).
    """
    n_nodes = len(nodes)
    pad = -(-n_nodes // LANES) * LANES
    state = np.empty((3, 2))
    for s in range(len(steps)):
        op, k, again = steps[s, 0], steps[s, 4], steps[s, 5] >= 0
        n = 3 if again else 2
        for q in range(n_nodes):
            for place in range(n):
                followed = 0.0 if again and place == 0 else 1.0
                left = 1.0 if place == n - 1 else 0.0
                state[place, 0] = state[place, 1] = 0.0
                for side in range(2):
                    if (op == LEAVES and numbers[s, 3 + side] != numbers[s, 3 + side]) or (
                        op != LEAVES and steps[s, 6] != side
                    ):
                        continue
                    before = numbers[s, 0]
                    z, o = before * numbers[s, 1 + side], followed * (left if side == 0 else 1.0 - left)
                    old, new = before + nodes[q] * (followed - before), z + nodes[q] * (o - z)
                    ratio = new / old if old != 0 else 0.0
                    pull = weights[q] * (followed - before) / old if old != 0 else 0.0
                    if op == LEAVES:
                        value = numbers[s, 3 + side]
                        state[place, 0] += ratio * value
                        if old != 0:
                            state[place, 1] += (weights[q] * (o - z) / old - pull * ratio) * value
                    elif op == DOWN:
                        state[place, 0] += ratio
                    else:
                        state[place, 0] += (weights[q] * (o - z) / new if new != 0 else 0.0) - pull
            for table in range(2 if op == LEAVES else 1):
                for place in range(n):
                    less = state[place - 1, table] if place > 0 else 0.0
                    out[k + (table * n + place) * pad + q] = state[place, table] - less


@njit(nogil=True, cache=True)
def fill_table(steps, coefficients, n_nodes, n_levels, out):  # type: ignore[no-untyped-def]
    """Walk one tree for every pattern of its splits (bit i: left at split i); `out` is (patterns, slots)."""
    n_patterns, n_slots = out.shape
    n_splits = 0
    while 1 << n_splits < n_patterns:
        n_splits += 1
    left = np.empty((n_splits, n_patterns))
    for split in range(n_splits):
        for pattern in range(n_patterns):
            left[split, pattern] = float(pattern >> split & 1)
    shape = (n_levels, n_nodes, n_patterns)
    products, sums, masks = np.empty(shape), np.empty(shape), np.empty((n_levels, n_patterns))
    effects = np.zeros((n_slots, n_patterns))
    walk_many(steps, coefficients, n_nodes, left, n_patterns, products, sums, masks, effects)
    for pattern in range(n_patterns):
        for slot in range(n_slots):
            out[pattern, slot] = effects[slot, pattern]


@njit(nogil=True, cache=True)
def _largest(large):  # type: ignore[no-untyped-def]
    """How many splits, slots, nodes and levels any tree needs: what scratch has to hold."""
    n_splits = n_slots = n_nodes = n_levels = 1
    for tree in range(len(large)):
        n_splits = max(n_splits, large[tree, 1] - large[tree, 0])
        n_slots = max(n_slots, large[tree, 3] - large[tree, 2])
        n_nodes, n_levels = max(n_nodes, large[tree, 7]), max(n_levels, large[tree, 8])
    return n_splits, n_slots, n_nodes, n_levels


@njit(nogil=True, cache=True)
def _turn(matrix, used, start, m, turned):  # type: ignore[no-untyped-def]
    """Copy m rows of the columns in use, row by row to column by column."""
    for column in range(len(used)):
        for r in range(m):
            turned[column, r] = matrix[start + r, used[column]]


@njit(nogil=True, cache=True)
def explain_many(matrix, used, splits, threshold, words, small, tables, large, steps, coefficients, slots, out):  # type: ignore[no-untyped-def]
    """Write the effects of many rows, `BLOCK` at a time, into `out` (n, features + 1).

    Rows of `small` and `large` are trees: first split, end of them, first of `slots`, end of them; then start of the
    table, or first step, end of them, start of the coefficients, number of nodes and of levels.
    """
    n_splits, n_slots, n_nodes, n_levels = _largest(large)
    turned, sums_of = np.empty((len(used), BLOCK), matrix.dtype), np.empty((len(used), BLOCK))
    place = np.empty(BLOCK, np.int64)
    left, effects = np.empty((n_splits, BLOCK)), np.empty((n_slots, BLOCK))
    products, sums = np.empty((n_levels, n_nodes, BLOCK)), np.empty((n_levels, n_nodes, BLOCK))
    masks = np.empty((n_levels, BLOCK))
    for start in range(0, len(matrix), BLOCK):
        m = min(BLOCK, len(matrix) - start)
        _turn(matrix, used, start, m, turned)
        sums_of[:] = 0.0
        for tree in range(len(small)):
            _look_up_many(turned, small[tree], splits, threshold, words, tables, slots, m, place, sums_of)
        for tree in range(len(large)):
            first, end, first_slot, end_slot = large[tree, 0], large[tree, 1], large[tree, 2], large[tree, 3]
            for split in range(first, end):
                _decide(turned[splits[0, split]], split, splits, threshold, words, m, left[split - first])
            effects[: end_slot - first_slot, :m] = 0.0
            walk_many(
                steps[large[tree, 4] : large[tree, 5]], coefficients[large[tree, 6] :], large[tree, 7],
                left, m, products, sums, masks, effects,
            )  # fmt: skip
            for slot in range(first_slot, end_slot):
                total = sums_of[slots[slot]]
                for r in range(m):
                    total[r] += effects[slot - first_slot, r]
        for r in range(m):
            for column in range(len(used)):
                out[start + r, used[column]] = sums_of[column, r]


@njit(nogil=True, cache=True)
def _look_up_many(turned, tree, splits, threshold, words, tables, slots, m, place, sums_of):  # type: ignore[no-untyped-def]
    """Add the effects of one small tree on m rows."""
    n_slots = tree[3] - tree[2]
    for r in range(m):
        place[r] = tree[4]
    for split in range(tree[0], tree[1]):
        step = n_slots << (split - tree[0])
        values = turned[splits[0, split]]
        if splits[2, split] != PLAIN:
            for r in range(m):
                if goes_left(values[r], split, splits, threshold, words):
                    place[r] += step
            continue
        limit, of_nan = threshold[split], step * splits[1, split]
        for r in range(m):
            value = values[r]
            place[r] += of_nan if value != value else (step if value <= limit else 0)
    for slot in range(n_slots):
        total = sums_of[slots[tree[2] + slot]]
        for r in range(m):
            total[r] += tables[place[r] + slot]


@njit(nogil=True, cache=True)
def explain_few(matrix, used, splits, threshold, words, small, tables, large, steps, coefficients, slots, out):  # type: ignore[no-untyped-def]
    """`explain_many`, row by row: the same bits, without what only pays for many rows."""
    n_splits, n_slots, n_nodes, n_levels = _largest(large)
    left, effects, masks = np.empty((n_splits, 1)), np.empty((n_slots, 1)), np.empty((n_levels, 1))
    products, sums = np.empty((n_levels, n_nodes, 1)), np.empty((n_levels, n_nodes, 1))
    lanes, sums_of_lanes, part = np.empty(n_levels * LANES), np.empty(n_levels * LANES), np.empty(LANES)
    values, sums_of = np.empty(len(used), matrix.dtype), np.empty(len(used))
    feature, nan_left, kind = splits[0], splits[1], splits[2]
    for row in range(len(matrix)):
        for column in range(len(used)):
            values[column] = matrix[row, used[column]]
            sums_of[column] = 0.0
        for tree in range(len(small)):
            first, first_slot = small[tree, 0], small[tree, 2]
            n_slots = small[tree, 3] - first_slot
            pattern = 0
            for split in range(first, small[tree, 1]):
                value = values[feature[split]]
                if kind[split] == PLAIN:
                    went = (value <= threshold[split]) | ((value != value) & (nan_left[split] != 0))
                else:
                    went = goes_left(value, split, splits, threshold, words)
                pattern |= np.int64(went) << (split - first)
            place = small[tree, 4] + pattern * n_slots
            for slot in range(n_slots):
                sums_of[slots[first_slot + slot]] += tables[place + slot]
        for tree in range(len(large)):
            first, first_slot = large[tree, 0], large[tree, 2]
            for split in range(first, large[tree, 1]):
                value = values[feature[split]]
                if kind[split] == PLAIN:
                    went = (value <= threshold[split]) | ((value != value) & (nan_left[split] != 0))
                else:
                    went = goes_left(value, split, splits, threshold, words)
                left[split - first, 0] = 1.0 * went
            effects[:] = 0.0
            walked, told, n = steps[large[tree, 4] : large[tree, 5]], coefficients[large[tree, 6] :], large[tree, 7]
            if n <= LANES:
                walk_one(walked, told, n, left[:, 0], lanes, sums_of_lanes, masks[:, 0], part, effects[:, 0])
            else:
                walk_many(walked, told, n, left, 1, products, sums, masks, effects)
            for slot in range(first_slot, large[tree, 3]):
                sums_of[slots[slot]] += effects[slot - first_slot, 0]
        for column in range(len(used)):
            out[row, used[column]] = sums_of[column]
