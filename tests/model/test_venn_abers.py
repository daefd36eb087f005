from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from leadscore.errors import ArtifactError
from leadscore.model.calibration import CANDIDATES, choose, from_json
from leadscore.model.venn_abers import MOST_STEPS, VennAbers, fit_venn_abers


def isotonic_at(position: int, won: list[float], listed: list[float]) -> float:
    """The min-max formula of isotonic regression, as in the books."""
    n = len(won)
    return max(
        min(sum(won[a : b + 1]) / sum(listed[a : b + 1]) for b in range(position, n)) for a in range(position + 1)
    )


def naive(margin, label, weight, asked: float) -> float:
    """Venn-Abers by its definition: the lead joins the rows of the nearest margin, once as won and once as not."""
    groups = np.unique(margin)
    position = int(np.argmin(np.abs(groups - asked)))
    own = weight.mean()
    rates = []
    for as_if in (0.0, 1.0):
        won = [float((weight * label)[margin == value].sum()) for value in groups]
        listed = [float(weight[margin == value].sum()) for value in groups]
        won[position] += own * as_if
        listed[position] += own
        rates.append(isotonic_at(position, won, listed))
    p0, p1 = rates
    return p1 / (1 - p0 + p1)


@st.composite
def rows(draw):
    n = draw(st.integers(4, 25))
    margin = np.array(draw(st.lists(st.integers(-6, 6), min_size=n, max_size=n)), dtype=float)
    label = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), dtype=float)
    weight = np.array(draw(st.lists(st.integers(1, 3), min_size=n, max_size=n)), dtype=float)
    return margin, label, weight


@given(rows())
@settings(max_examples=150, deadline=None)
def test_it_equals_its_definition(drawn):
    margin, label, weight = drawn
    fitted = fit_venn_abers(margin, label, weight)
    if fitted is None:
        assert len(np.unique(margin)) == 1 or len(np.unique(label)) == 1
        return
    for asked in np.unique(margin):
        assert fitted.apply(asked) == pytest.approx(naive(margin, label, weight, asked), abs=1e-12)


def test_a_perfect_ranking_is_never_certain():
    """Isotonic regression alone would say 0 and 1."""
    margin = np.arange(20.0)
    probability = fit_venn_abers(margin, (margin >= 10).astype(float), np.ones(20)).apply(margin)
    assert probability.min() == pytest.approx((1 / 11) / (1 + 1 / 11))
    assert probability.max() == pytest.approx(1 / (1 + 1 / 11))


def test_it_finds_a_bend_that_no_straight_line_can():
    rng = np.random.default_rng(3)
    margin = rng.normal(-1.5, 1.2, 12_000)
    true = np.where(margin > -1.5, 0.4, 0.1)
    label = (rng.random(len(margin)) < true).astype(float)
    chosen = choose(margin, label, groups=np.arange(len(margin)), seed=0)
    assert chosen.calibrator.kind == "venn_abers"
    assert np.abs(chosen.calibrator.apply(margin) - true).mean() < 0.02


def test_steps_are_few_and_rise_and_the_order_of_rows_changes_nothing():
    rng = np.random.default_rng(4)
    margin = rng.normal(size=5_000)
    label = (rng.random(5_000) < expit(margin)).astype(float)
    weight = rng.integers(1, 4, 5_000).astype(float)
    fitted = fit_venn_abers(margin, label, weight)
    assert 2 < len(fitted.values) <= MOST_STEPS
    probability = fitted.apply(np.linspace(-9, 9, 4_001))
    assert (np.diff(probability) >= 0).all()
    shuffled = rng.permutation(5_000)
    again = fit_venn_abers(margin[shuffled], label[shuffled], weight[shuffled])
    np.testing.assert_allclose(again.values, fitted.values, rtol=1e-12)
    np.testing.assert_allclose(again.edges, fitted.edges, rtol=1e-12)


def test_json_nan_and_shape():
    fitted = VennAbers((-1.0, 0.5), (0.1, 0.2, 0.6))
    assert from_json(json.loads(json.dumps(fitted.to_json()))) == fitted
    assert np.isnan(fitted.apply(np.nan))
    assert fitted.apply([[-np.inf, -1.0], [0.49, np.inf]]).tolist() == [[0.1, 0.2], [0.2, 0.6]]
    assert "venn_abers" in CANDIDATES


@pytest.mark.parametrize(
    ("edges", "values"),
    [
        ([0.0], [0.1]),
        ([0.0, 0.0], [0.1, 0.2, 0.3]),
        ([0.0], [0.2, 0.1]),
        ([0.0], [0.0, 0.1]),
        ([0.0], [0.1, 1.0]),
        ([float("inf")], [0.1, 0.2]),
        (0.0, [0.1, 0.2]),
        (["0"], [0.1, 0.2]),
        ([True], [0.1, 0.2]),
    ],
)
def test_damaged_steps_are_refused(edges, values):
    with pytest.raises(ArtifactError, match=r"calibration\.json"):
        from_json({"kind": "venn_abers", "edges": edges, "values": values})
