"""Exact path-dependent TreeSHAP of a LightGBM model, in log-odds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import lightgbm


class TreeShap:
    """What each feature adds to the margin of each row.

    The one way to reasons: lists, requests, the pyfunc and reports all come here.
    """

    def __init__(self, booster: lightgbm.Booster) -> None:
        self._booster = booster

    def contributions(self, matrix: NDArray[Any]) -> NDArray[np.float64]:
        """Return the effects of all features and, last, the base.

        Parameters
        ----------
        matrix : (n, n_features), columns in the order of training, NaN where missing

        Returns
        -------
        ndarray of float64 (n, n_features + 1)
            Log-odds; a row sums to its margin.
        """
        if len(matrix) == 0:  # LightGBM divides by the number of rows
            return np.empty((0, matrix.shape[1] + 1))
        n_threads = 1 if len(matrix) < 64 else 0
        effects = self._booster.predict(matrix, pred_contrib=True, num_threads=n_threads)
        return np.asarray(effects, dtype=np.float64).reshape(len(matrix), -1)
