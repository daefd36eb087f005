"""The margin of a row: the sum of the leaves it falls into, in the bits of LightGBM's own ``predict``."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadscore.explain.leaf_kernels import FEW, add_leaves, add_leaves_of_many
from leadscore.explain.slices import each_slice
from leadscore.explain.tabulation import Paths, paths
from leadscore.explain.tree_kernels import BLOCK
from leadscore.explain.trees import read_trees


class Leaves:
    """The trees of a model text, laid out to find leaves.

    For a single row LightGBM's ``predict`` takes several times as long: 34 µs against 8 for the model of data/sample.

    Raises
    ------
    ArtifactError
        If the text can't be read, or the model has several classes or lines in its leaves.
    """

    def __init__(self, text: str) -> None:
        self.n_features, trees = read_trees(text)
        self._lay_out(paths(trees))

    def _lay_out(self, ways: Paths) -> None:
        self._paths, self._paths_of_float32 = ways, ways.of_float32()

    @property
    def used(self) -> list[int]:
        """The columns that any split asks for, ascending."""
        return [*map(int, self._paths.used)]

    def of_used(self) -> Leaves:
        """Return the same leaves for a matrix that has the `used` columns alone."""
        narrow = copy.copy(self)
        narrow.n_features = len(self.used)
        narrow._lay_out(self._paths.of_used())
        return narrow

    def sums(self, matrix: NDArray[Any]) -> NDArray[np.float64]:
        """Return the sum of each row, (n,), of a matrix (n, n_features) of float32 or float64.

        The result of a row doesn't depend on the others.

        Raises
        ------
        ValueError
            If the matrix has another number of columns than the model was trained on.
        """
        if matrix.ndim != 2 or matrix.shape[1] != self.n_features:  # the kernel looks at no bounds
            raise ValueError(f"the model was trained on {self.n_features} columns; found a matrix {matrix.shape}")
        ways = self._paths_of_float32 if matrix.dtype == np.float32 else self._paths
        out = np.empty(len(matrix))
        if len(matrix) < FEW:
            splits, threshold, words, children, leaves, roots, *_ = ways
            add_leaves(matrix, splits, threshold, words, children, leaves, roots, out)
            return out
        each_slice(lambda part: add_leaves_of_many(matrix[part], *ways, out[part]), len(matrix), least=BLOCK)
        return out
