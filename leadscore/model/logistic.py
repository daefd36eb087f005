"""Logistic regression on a few columns by Newton's method: weighted, unpenalised, deterministic."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Newton settles a regular problem in under twelve steps. On separable data each step gains about a factor e,
# so with these two numbers it never looks settled there, and the fit is refused instead of returned huge.
MAX_STEPS = 25
SETTLED = 1e-14


def fit_logistic(
    columns: Array,
    label: Array,
    weight: Array,
    *,
    offset: Array | None = None,
    start: Array | None = None,
) -> Array | None:
    """Maximise the weighted Bernoulli likelihood of ``expit(columns @ coefficients + offset)``.

    Parameters
    ----------
    columns : ndarray of float64, shape (n, k)
        The design, with a column of ones if an intercept is wanted. Finite.
    label, weight : ndarray of float64, shape (n,)
        0 or 1, and how much each row counts (>= 0).
    offset : ndarray of float64, shape (n,), optional
        A fixed part of the log-odds; 0 if left out.
    start : ndarray of float64, shape (k,), optional
        Where to begin; zeros if left out.

    Returns
    -------
    ndarray of float64, shape (k,), or None
        None if no finite maximum was found: separable data, collinear columns, no weight.

    Notes
    -----
    The result depends on the order of rows in the last bits only. O(n k²) a step.
    """
    from scipy.special import expit

    fixed = np.zeros(len(label)) if offset is None else offset
    coefficients = np.zeros(columns.shape[1]) if start is None else start.astype(np.float64)
    total = float(weight.sum())
    log_odds = columns @ coefficients + fixed
    loss = _loss(log_odds, label, weight)
    for _ in range(MAX_STEPS):
        chance = expit(log_odds)
        gradient = columns.T @ (weight * (label - chance))
        curvature = (columns * (weight * chance * (1 - chance))[:, None]).T @ columns
        step = _solve(curvature, gradient)
        if step is None:
            return None
        gain = float(gradient @ step)
        if gain <= SETTLED * total:
            # One full step past the tolerance is free accuracy: convergence is quadratic here.
            return coefficients + step
        for _ in range(30):
            trial = coefficients + step
            log_odds = columns @ trial + fixed
            trial_loss = _loss(log_odds, label, weight)
            if trial_loss <= loss:
                break
            step = step / 2
        else:
            return None
        coefficients, loss = trial, trial_loss
    return None


def _loss(log_odds: Array, label: Array, weight: Array) -> float:
    """Weighted negative log-likelihood, without forming a probability that could round to 0 or 1."""
    from scipy.special import log_expit

    return -float(weight @ log_expit(np.where(label > 0.5, log_odds, -log_odds)))


def _solve(curvature: Array, gradient: Array) -> Array | None:
    """Newton's step, or None where the curvature can't carry one."""
    scale = np.sqrt(np.diag(curvature))
    if not np.all(np.isfinite(scale)) or np.any(scale <= 0):
        return None
    correlation = curvature / np.outer(scale, scale)
    if np.linalg.eigvalsh(correlation)[0] < 1e-13:
        return None
    return np.asarray(np.linalg.solve(correlation, gradient / scale) / scale, dtype=np.float64)
