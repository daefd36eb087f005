"""The population stability index against sums done by hand, and against what chance makes of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadscore.errors import DataError
from leadscore.evaluate.drift import MISSING, RARE, auc_by_chance, effective, of_codes, of_numbers


def codes(then, now, names, n=None):
    return of_codes(
        then, now, names=names, weights=(np.ones(len(then)), np.ones(len(now))), n=n or (len(then), len(now))
    )


def numbers(then, now, **options):
    weights = options.pop("weights", (np.ones(len(then)), np.ones(len(now))))
    return of_numbers(then, now, weights=weights, n=options.pop("n", (len(then), len(now))), **options)


def test_psi_of_two_categories_is_the_sum_done_by_hand():
    found = codes([0] * 50 + [1] * 50, [0] * 80 + [1] * 20, ["ads", "web"])
    p, q = (50.5 / 101, 50.5 / 101), (80.5 / 101, 20.5 / 101)  # half a row in each bin
    assert found.psi == pytest.approx(sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True)))
    assert found.psi == pytest.approx(0.4063, abs=1e-4)
    assert found.bins == ("ads", "web")
    assert found.now == pytest.approx(q)


def test_chance_is_the_law_of_yurdakul():
    found = codes([0] * 50 + [1] * 50, [0] * 30 + [1] * 20, ["ads", "web"])
    assert found.by_chance == pytest.approx(1 / 100 + 1 / 50)
    assert found.at_most == pytest.approx((1 / 100 + 1 / 50) * 6.6349, abs=1e-5)  # 99 % of chi-squared, 1 degree
    assert found.psi < found.at_most
    assert found.beyond == 0


def test_missing_is_a_bin_and_numbers_are_cut_at_the_quantiles_of_then():
    then = [*range(160), *[np.nan] * 40]
    found = numbers(then, [*range(80), *[np.nan] * 120])
    assert found.bins[0] == "up to 15"
    assert found.bins[-1] == MISSING
    assert found.then == pytest.approx([16.5 / 205.5] * 10 + [40.5 / 205.5])
    assert found.now == pytest.approx([16.5 / 205.5] * 5 + [0.5 / 205.5] * 5 + [120.5 / 205.5])


def test_ties_are_never_parted():
    found = numbers([0.0] * 70 + [1.0] * 20 + [5.0] * 10, [0.0] * 70 + [1.0] * 20 + [5.0] * 10)
    assert found.bins == ("up to 0", "0 to 1", "over 1")
    assert found.psi == 0


def test_a_constant_then_has_one_bin_and_no_drift_to_speak_of():
    found = numbers([3.0] * 50, [3.0] * 40)
    assert (found.psi, found.by_chance, found.at_most, found.beyond) == (0, 0, 0, 0)
    assert found.bins == ("any",)


def test_a_category_that_is_new_or_gone_is_finite():
    found = codes([0] * 100, [1] * 100, ["old", "new"])
    p, q = 100.5 / 101, 0.5 / 101
    assert found.psi == pytest.approx(2 * (p - q) * math.log(p / q))
    assert found.beyond > 1


def test_bins_too_thin_to_compare_stand_together():
    then = [0] * 90 + [1] * 6 + [2] * 4
    found = codes(then, [0] * 92 + [1] * 4 + [3] * 4, ["a", "b", "c", "d"])
    assert found.bins == ("a", "b", RARE)
    assert found.then[-1] == found.now[-1]


def test_small_samples_have_fewer_bins():
    rng = np.random.default_rng(0)
    assert len(numbers(rng.normal(size=35), rng.normal(size=1000)).bins) == 3
    assert len(numbers(rng.normal(size=12), rng.normal(size=12)).bins) == 2


def test_no_weight_is_refused():
    with pytest.raises(DataError, match="found none"):
        numbers([1.0], [2.0], weights=([1.0], [0.0]))


def test_effective_rows():
    assert effective(np.ones(10), np.arange(10)) == 10
    assert effective(np.ones(10), np.repeat([0, 1], 5)) == 2
    assert effective([1.0, 3.0], ["a", "b"]) == pytest.approx(16 / 10)
    assert effective([], []) == 0


values = st.lists(st.one_of(st.integers(-5, 5).map(float), st.just(math.nan)), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(values, values, st.integers(0, 2**31))
def test_psi_is_zero_for_the_same_and_blind_to_order_and_scale(then, now, seed):
    found = numbers(then, now)
    assert found.psi >= 0
    assert sum(found.then) == pytest.approx(1)
    assert sum(found.now) == pytest.approx(1)
    assert numbers(then, then).psi == 0
    rng = np.random.default_rng(seed)
    assert numbers(rng.permutation(then), rng.permutation(now)).psi == pytest.approx(found.psi)
    cubed = numbers(np.power(then, 3), np.power(now, 3))  # increasing, so that the bins hold the same rows
    assert cubed.psi == pytest.approx(found.psi)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(1, 4)), min_size=1, max_size=30))
def test_a_weight_of_k_is_k_copies(rows):
    values, weight = np.array([float(v) for v, _ in rows]), np.array([w for _, w in rows])
    now = np.array([0.0, 1.0, 2.0])
    n = (float(weight.sum()), 3.0)
    weighed = numbers(values, now, weights=(weight, np.ones(3)), n=n)
    copied = numbers(np.repeat(values, weight), now, n=n)
    assert weighed.psi == pytest.approx(copied.psi)
    assert weighed.bins == copied.bins


@pytest.mark.parametrize(("n", "m"), [(60, 60), (300, 80), (1000, 1000)])
def test_one_world_stays_below_at_most_as_often_as_promised(n, m):
    rng = np.random.default_rng(5)
    found = [numbers(rng.exponential(size=n), rng.exponential(size=m)) for _ in range(400)]
    assert np.mean([one.psi > one.at_most for one in found]) < 0.03
    assert np.mean([one.psi for one in found]) == pytest.approx(found[0].by_chance, rel=0.25)


def test_auc_by_chance_is_the_mann_whitney_law():
    assert auc_by_chance(100, 100) == pytest.approx(0.5 + 2.3263 * math.sqrt(201 / 120_000), abs=1e-4)
    assert auc_by_chance(1, 1) == 1
