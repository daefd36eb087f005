from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import binom

from leadscore.errors import DataError
from leadscore.evaluate.capacity import at_capacity, calibration_in_list, call_list, capacity_curve
from leadscore.evaluate.metrics import evaluate

ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.9]), st.integers(1, 4)),
    min_size=2,
    max_size=30,
)


def market(seed, n, *, base=-2.0, spread=1.2):
    rng = np.random.default_rng(seed)
    margin = rng.normal(base, spread, n)
    return (rng.random(n) < expit(margin)).astype(int), expit(margin), margin, rng


def test_the_curve_by_hand():
    curve = capacity_curve([1, 0, 1, 0], [0.9, 0.6, 0.3, 0.2], shares=[0.25, 0.5, 0.75, 1.0])
    assert curve.wins.tolist() == [1, 1, 2, 2]
    assert curve.expected_wins == pytest.approx([0.9, 1.5, 1.8, 2.0])
    assert curve.recall.tolist() == [0.5, 0.5, 1, 1]
    assert curve.precision == pytest.approx([1, 0.5, 2 / 3, 0.5])
    assert curve.lift == pytest.approx([2, 1, 4 / 3, 1])


def test_ties_are_the_mean_over_every_order():
    label, probability = np.array([1, 0, 0, 1, 1]), np.array([0.2, 0.2, 0.2, 0.2, 0.7])
    wins = [
        label[np.lexsort((order, -probability))][:k].sum()
        for order in itertools.permutations(range(5))
        for k in (1, 2, 3, 4, 5)
    ]
    curve = capacity_curve(label, probability, shares=np.arange(1, 6) / 5)
    assert curve.wins == pytest.approx(np.reshape(wins, (-1, 5)).mean(axis=0))


@given(ROWS)
@settings(max_examples=100, deadline=None)
def test_a_weight_of_k_is_k_copies_and_order_is_nothing(rows):
    label, probability, weight = map(np.array, zip(*rows, strict=True))
    first = capacity_curve(label, probability, weight)
    copied = capacity_curve(np.repeat(label, weight), np.repeat(probability, weight))
    turned = capacity_curve(label[::-1], probability[::-1], weight[::-1])
    for name in ("wins", "expected_wins", "recall", "precision", "lift"):
        np.testing.assert_allclose(getattr(first, name), getattr(copied, name), rtol=1e-9)
        np.testing.assert_array_equal(getattr(first, name), getattr(turned, name))


def test_the_curve_agrees_with_the_metrics_and_ends_with_everything():
    label, probability, margin, rng = market(1, 3000)
    weight = rng.uniform(1, 4, 3000)
    curve = capacity_curve(label, np.round(probability, 1), weight, margin=margin)
    measured = evaluate(label, np.round(probability, 1), weight=weight, margin=margin)
    assert curve.share[9] == 0.1
    assert curve.lift[9] == pytest.approx(measured["lift_at_10pct"])
    assert curve.recall[9] == pytest.approx(measured["recall_at_10pct"])
    assert curve.precision[9] == pytest.approx(measured["precision_at_10pct"])
    assert (curve.recall[-1], curve.lift[-1]) == pytest.approx((1, 1))
    assert np.all(np.diff(curve.wins) >= 0)


def test_without_a_win_recall_and_lift_are_not_numbers():
    curve = capacity_curve([0, 0], [0.1, 0.2])
    assert np.isnan(curve.lift).all()
    assert np.isnan(curve.recall).all()
    assert curve.precision.tolist() == [0] * 100


def test_expected_wins_of_equal_leads_are_binomial():
    for n, p in ((1, 0.3), (20, 0.05), (200, 0.2), (1999, 0.4)):
        wins = at_capacity(np.full(3000, p), n, level=0.9)
        assert wins.expected == pytest.approx(n * p)
        assert (wins.low, wins.high) == (binom.ppf(0.05, n, p), binom.ppf(0.95, n, p))


def test_the_range_is_that_of_the_enumerated_distribution():
    chance = np.array([0.9, 0.5, 0.35, 0.1])
    distribution = np.zeros(5)
    for won in itertools.product([0, 1], repeat=4):
        distribution[sum(won)] += np.prod(np.where(won, chance, 1 - chance))
    below = np.cumsum(distribution)
    wins = at_capacity(chance, 4, level=0.8)
    assert wins.low == next(k for k in range(5) if below[k] > 0.1)
    assert wins.high == next(k for k in range(5) if below[k] >= 0.9)
    assert wins.expected == pytest.approx(1.85)


def test_the_range_covers_at_its_level_on_both_sides_of_the_approximation():
    for n in (300, 2500):
        _, probability, _, rng = market(2, 4000)
        wins = at_capacity(probability, n, level=0.9)
        best = np.sort(probability)[::-1][:n]
        won = (rng.random((1000, n)) < best).sum(axis=1)
        assert 0.87 <= np.mean((won >= wins.low) & (won <= wins.high)) <= 0.96


def test_the_best_are_called_and_ties_at_the_end_share():
    wins = at_capacity([0.1, 0.4, 0.2, 0.3], 2)
    assert (wins.n, wins.expected) == (2, pytest.approx(0.7))
    by_margin = at_capacity([0.2, 0.4, 0.6], 2, margin=[2.0, 1.0, 1.0])
    assert by_margin.expected == pytest.approx(0.2 + 0.5)
    assert at_capacity([0.2, 0.4], 10).n == 2
    nobody = at_capacity([0.2, 0.4], 0)
    assert (nobody.expected, nobody.low, nobody.high) == (0, 0, 0)
    assert at_capacity([], 5).n == 0
    assert at_capacity([1.0, 1.0, 0.0], 3).low == at_capacity([1.0, 1.0, 0.0], 3).high == 2


def test_true_probabilities_hold_in_the_list_at_their_level():
    held = 0
    for seed in range(300):
        label, probability, _, rng = market([3, seed], 1000)
        held += calibration_in_list(label, probability, rng.integers(1, 4, 1000), level=0.9).holds
    assert 0.86 <= held / 300 <= 0.94


def test_the_winners_curse_is_seen():
    label, probability, margin, rng = market(4, 50_000)
    noisy = expit(margin + rng.normal(0, 0.8, 50_000))
    cursed = calibration_in_list(label, noisy)
    assert cursed.ratio < 0.8
    assert not cursed.holds
    assert cursed.observed < cursed.low < cursed.expected < cursed.high
    honest = calibration_in_list(label, probability)
    assert honest.holds
    assert honest.ratio == pytest.approx(1, abs=0.05)
    assert honest.observed_rate == pytest.approx(evaluate(label, probability)["precision_at_10pct"])
    assert honest.listed == 5000


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: at_capacity([0.1], -1), "length of a list"),
        (lambda: at_capacity([1.1], 1), "probability"),
        (lambda: at_capacity([0.1], 1, level=1.0), "coverage"),
        (lambda: capacity_curve([0, 1], [0.1, 0.2], shares=[0.0]), "shares"),
        (lambda: capacity_curve([], []), "at least one row"),
        (lambda: calibration_in_list([0, 1], [0.1, 0.2], [0, 0]), "at least one row"),
        (lambda: calibration_in_list([0, 1], [0.1, 0.2], share=2), "shares"),
    ],
)
def test_what_has_no_answer_is_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()


def test_a_call_list_says_what_it_brings_and_leaves():
    found = call_list([0.5, 0.2, 0.2, 0.1], 2)
    assert (found.called.n, found.missed.n) == (2, 2)
    assert found.called.expected == pytest.approx(0.7)
    assert found.missed.expected == pytest.approx(0.3)
    assert found.cut_off == 0.2
    assert found.n_tied == 1  # two leads tie at the cut, one of them is called
    assert found.curve[-1] == (4, pytest.approx(1.0))
    assert dict(found.curve)[2] == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("chances", "n", "called", "missed", "cut_off", "n_tied"),
    [
        ([0.5, 0.1], 0, 0.0, 0.6, None, 0),
        ([0.5, 0.1], 9, 0.6, 0.0, 0.1, 0),
        ([], 3, 0.0, 0.0, None, 0),
        ([1.0, 1.0, 0.0], 1, 1.0, 1.0, 1.0, 1),
        ([0.3, 0.3, 0.3], 3, 0.9, 0.0, 0.3, 0),
    ],
)
def test_call_lists_at_their_ends(chances, n, called, missed, cut_off, n_tied):
    found = call_list(chances, n)
    assert (found.called.expected, found.missed.expected) == pytest.approx((called, missed))
    assert (found.cut_off, found.n_tied) == (cut_off, n_tied)
    if set(chances) <= {0.0, 1.0}:
        assert found.called.low == found.called.high == called
