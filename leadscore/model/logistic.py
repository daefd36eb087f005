"""Logistic regression with a few terms by Newton's method: weighted, unpenalised, deterministic."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Newton settles a regular problem in under twelve steps. On separable data each step gains about a factor e,
# so with these two numbers it never looks settled there, and the fit is refused instead of returned huge.
PLAIN_STEPS = 10
MAX_STEPS = 25
SETTLED = 1e-14
FLAT = 1e-12
SINGULAR = 1e-13
"""Smallest eigenvalue of the curvature, scaled to a unit diagonal, that a step is trusted to."""


def fit_logistic(
    terms: Array, label: Array, weight: Array, *, offset: Array | None = None, start: Array | None = None
) -> Array | None:
    """Maximise the weighted Bernoulli likelihood of ``expit(coefficients @ terms + offset)``.

    Parameters
    ----------
    terms : ndarray of float64, shape (k, n)
        One row per coefficient; a row of ones if an intercept is wanted. Finite.
    label, weight : ndarray of float64, shape (n,)
        0 or 1, and how much each column counts (>= 0).
    offset : ndarray of float64, shape (n,), optional
        A fixed part of the log-odds; 0 if left out.
    start : ndarray of float64, shape (k,), optional
        Where to begin; zeros if left out.

    Returns
    -------
    ndarray of float64, shape (k,), or None
        None if no finite maximum was found: separable data, collinear terms, certainties, no weight.

    Notes
    -----
    The result depends on the order of columns in the last bits only. O(n k^2) a step.
    """
    fixed = np.zeros(len(label)) if offset is None else offset
    zeros = np.zeros(len(terms))
    begin = zeros if start is None else start.astype(np.float64)
    # The problem is convex: where plain steps settle they are right. They nearly always do, at half the cost.
    # Where they don't, the second attempt starts at zero, where the curvature is largest and can't mislead.
    for attempt, steps, damped in ((begin, PLAIN_STEPS, False), (zeros, MAX_STEPS, True)):
        # Plain steps may run off to infinity; that ends them, and is no news.
        with np.errstate(over="ignore", invalid="ignore"):
            settled = _climb(terms, label, weight, fixed, attempt, steps=steps, damped=damped)
        if settled is not None:
            return settled
    return None


def _climb(
    terms: Array, label: Array, weight: Array, offset: Array, start: Array, *, steps: int, damped: bool
) -> Array | None:
    """Newton's steps from `start` until they settle, halved where they overshoot if `damped`."""
    from scipy.special import expit

    coefficients = start
    total = float(weight.sum())
    for _ in range(steps):
        log_odds = _log_odds(coefficients, terms, offset)
        chance = expit(log_odds)
        gradient = np.sum(terms * (weight * (label - chance)), axis=1)
        bent = terms * (weight * chance * (1 - chance))
        step = _solve(np.array([np.sum(bent * term, axis=1) for term in terms]), gradient)
        if step is None:
            return None
        if float(np.sum(gradient * step)) <= SETTLED * total:
            # Where every chance is 0 or 1 to the last bit, the likelihood is flat: anything looks settled.
            if np.sum(weight * chance * (1 - chance)) <= FLAT * total:
                return None
            # One full step past the tolerance is free accuracy: convergence is quadratic here.
            return coefficients + step
        if damped:
            loss = _loss(log_odds, label, weight)
            while _loss(_log_odds(coefficients + step, terms, offset), label, weight) > loss:
                step = step / 2
        coefficients = coefficients + step
    return None


def _log_odds(coefficients: Array, terms: Array, offset: Array) -> Array:
    # Sums and not matrix products, here and above: bits must not depend on how many threads BLAS was given.
    for coefficient, term in zip(coefficients, terms, strict=True):
        offset = offset + coefficient * term
    return offset


def _loss(log_odds: Array, label: Array, weight: Array) -> float:
    """Weighted negative log-likelihood, without forming a probability that could round to 0 or 1."""
    from scipy.special import log_expit

    return -float(np.sum(weight * log_expit(np.where(label > 0.5, log_odds, -log_odds))))


def _solve(curvature: Array, gradient: Array) -> Array | None:
    """Newton's step, or None where the curvature can't carry one."""
    scale = np.sqrt(np.diag(curvature))
    if not np.all(np.isfinite(scale)) or np.any(scale <= 0):
        return None
    if len(scale) == 1:
        return gradient / scale / scale
    correlation = curvature / np.outer(scale, scale)
    if len(scale) == 2:  # what every bootstrap asks for a thousand times
        shared, (first, second) = correlation[0, 1], gradient / scale
        if 1 - abs(shared) < SINGULAR:
            return None
        step = np.array([first - shared * second, second - shared * first])
        return np.asarray(step / ((1 - shared) * (1 + shared)) / scale)
    if np.linalg.eigvalsh(correlation)[0] < SINGULAR:
        return None
    return np.asarray(np.linalg.solve(correlation, gradient / scale) / scale, dtype=np.float64)
