"""The paired difference of two losses on the same rows, with what chance makes of it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Paired(NamedTuple):
    """Mean loss of one less that of another (negative is better), and its standard error."""

    difference: float
    standard_error: float


def paired(losses: Array, others: Array, weight: Array, cluster: npt.NDArray[np.int64]) -> Paired:
    """Compare two losses row by row; each cluster is one observation of a ratio.

    Parameters
    ----------
    losses, others, weight : float64 (n,), some weight above 0
    cluster : codes (n,) of leads or accounts, 0 to the number of clusters less one
    """
    total = float(weight.sum())
    difference = float(np.sum(weight * (losses - others))) / total
    residual = np.bincount(cluster, weight * (losses - others - difference))
    n = len(residual)
    if n < 2:
        return Paired(difference, math.inf)
    return Paired(difference, math.sqrt(n / (n - 1) * float(np.sum(residual**2))) / total)
