"""Exact path-dependent TreeSHAP of a LightGBM model, in log-odds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from leadscore.explain.slices import each_slice
from leadscore.explain.tabulation import tabulate
from leadscore.explain.tree_kernels import BLOCK, explain_few, explain_many
from leadscore.explain.trees import read_trees

if TYPE_CHECKING:
    import lightgbm

_FEW = 16
"""Rows below which they are explained one by one; either way the same bits."""


class TreeShap:
    """What each feature adds to the margin of each row.

    The one way to reasons: lists, requests, the pyfunc and reports all come here. What LightGBM's own ``pred_contrib``
    gives in exact arithmetic, many times faster (training/LOG.md): trees are laid out once, when this is made.

    Parameters
    ----------
    booster : a trained booster, or its model text

    Raises
    ------
    ArtifactError
        If the text can't be read, or the model has several classes or lines in its leaves.
    """

    def __init__(self, booster: lightgbm.Booster | str) -> None:
        n_features, trees = read_trees(booster if isinstance(booster, str) else str(booster.model_to_string()))
        self._forest = tabulate(trees)
        self._forest_of_float32 = self._forest.of_float32()
        self.n_features = n_features
        self.base = float(np.sum([tree.expected() for tree in trees]))

    def contributions(self, matrix: NDArray[Any], *, threads: int | None = None) -> NDArray[np.float64]:
        """Return the effects of all features and, last, the base.

        Parameters
        ----------
        matrix : (n, n_features), columns in the order of training, NaN where missing
        threads : at most so many; default all processors. The result of a row depends neither on it nor on other rows

        Returns
        -------
        ndarray of float64 (n, n_features + 1)
            Log-odds; a row sums to its margin, up to 1e-9.

        Raises
        ------
        ValueError
            If the matrix has another number of columns than the model was trained on.

        Notes
        -----
        O(splits) a row for trees of up to 8 splits, O(splits × depth) for larger ones.
        """
        if matrix.ndim != 2 or matrix.shape[1] != self.n_features:  # the kernels look at no bounds
            raise ValueError(f"the model was trained on {self.n_features} columns; found a matrix {matrix.shape}")
        rows = np.ascontiguousarray(matrix, dtype=np.float32 if matrix.dtype == np.float32 else np.float64)
        forest = self._forest_of_float32 if rows.dtype == np.float32 else self._forest
        out = np.zeros((len(rows), rows.shape[1] + 1))
        out[:, -1] = self.base
        if len(rows) < _FEW:
            explain_few(rows, *forest, out)
            return out
        each_slice(lambda part: explain_many(rows[part], *forest, out[part]), len(rows), least=BLOCK, threads=threads)
        return out
