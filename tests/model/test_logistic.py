from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from leadscore.model.logistic import fit_logistic


def rows(seed, n=2000):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(0, 1, n), rng.exponential(1, n)
    label = (rng.random(n) < expit(0.8 * x - 0.5 * z - 1)).astype(float)
    return np.stack([x, z, np.ones(n)]), label, rng.uniform(0, 3, n)


def test_the_fit_equals_sklearn_without_penalty():
    terms, label, weight = rows(0)
    oracle = LogisticRegression(C=np.inf, tol=1e-12, max_iter=5000).fit(terms[:2].T, label, weight)
    expected = [*oracle.coef_[0], oracle.intercept_[0]]
    assert fit_logistic(terms, label, weight) == pytest.approx(expected, rel=1e-4)


def test_at_the_maximum_the_gradient_is_zero_wherever_it_began():
    terms, label, weight = rows(1)
    fitted = fit_logistic(terms, label, weight)
    gradient = terms @ (weight * (label - expit(fitted @ terms)))
    assert np.abs(gradient).max() < 1e-9
    # From far off, plain steps overshoot and damped ones take over.
    for start in ([8.0, 8.0, 8.0], [-15.0, 3.0, 20.0]):
        assert fit_logistic(terms, label, weight, start=np.array(start)) == pytest.approx(fitted, rel=1e-9)


def test_an_offset_is_part_of_the_log_odds():
    terms, label, weight = rows(2)
    full = fit_logistic(terms, label, weight)
    rest = fit_logistic(terms[1:], label, weight, offset=full[0] * terms[0])
    assert rest == pytest.approx(full[1:], rel=1e-9)


def test_huge_and_tiny_terms_fit_alike():
    terms, label, weight = rows(3)
    scale = np.array([1e6, 1e-6, 1.0])
    fitted = fit_logistic(terms * scale[:, None], label, weight)
    assert fitted * scale == pytest.approx(fit_logistic(terms, label, weight), rel=1e-8)


def test_what_has_no_finite_maximum_has_no_fit():
    terms, label, weight = rows(4)
    assert fit_logistic(terms, np.ones_like(label), weight) is None
    assert fit_logistic(terms, (terms[0] > 0.3).astype(float), weight) is None
    assert fit_logistic(np.stack([terms[0], 2 * terms[0]]), label, weight) is None
    assert fit_logistic(terms, label, np.zeros_like(weight)) is None
