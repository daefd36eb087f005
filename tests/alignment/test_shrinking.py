"""Intervals of rates of small groups hold the truth as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from leadscore.alignment.shrinking import shrunk


def covered(strength: float | None, seed: int, n_worlds: int = 60) -> float:
    """The share of groups whose true rate is in its 90 % interval, over many worlds of twelve groups."""
    chance = np.random.default_rng(seed)
    hits = []
    for _ in range(n_worlds):
        mean = chance.uniform(0.03, 0.4)
        truth = np.full(12, mean) if strength is None else chance.beta(mean * strength, (1 - mean) * strength, 12)
        n = chance.integers(5, 400, 12)
        found = shrunk(chance.binomial(n, truth), n)
        hits += ((found.low <= truth) & (truth <= found.high)).tolist()
    return float(np.mean(hits))


@pytest.mark.parametrize(
    ("strength", "seed"),
    [(60.0, 2), *(pytest.param(*rest, marks=pytest.mark.slow) for rest in ((10.0, 1), (400.0, 3)))],
)
def test_a_90_percent_interval_holds_the_truth_90_times_in_100(strength: float, seed: int) -> None:
    assert 0.85 <= covered(strength, seed) <= 0.95


def test_few_wins_are_no_reason_to_think_groups_alike() -> None:
    """Sources as they are, some forty leads of each: three wins or so, and a 90 % interval all the same."""
    truth = np.array([0.017, 0.032, 0.066, 0.066, 0.083, 0.085, 0.111, 0.13])
    chance, n = np.random.default_rng(5), np.full(8, 38)
    found = [shrunk(chance.binomial(n, truth), n) for _ in range(30)]
    assert 0.85 <= np.mean([(each.low <= truth) & (truth <= each.high) for each in found]) <= 0.95


def test_groups_that_are_all_alike_are_never_told_apart_by_chance() -> None:
    assert covered(None, 4) >= 0.9


def test_a_small_group_is_pulled_and_a_large_one_is_not() -> None:
    found = shrunk(np.array([3, 300, 50]), np.array([3, 1_000, 1_000]))
    assert 0.1 < found.rate[0] < 0.9
    assert found.rate[1] == pytest.approx(0.3, abs=0.01)
    assert found.high[0] - found.low[0] > 3 * (found.high[1] - found.low[1])


def test_a_group_of_nobody_is_as_uncertain_as_groups_differ() -> None:
    found = shrunk(np.array([0, 10, 100]), np.array([0, 200, 200]))
    assert found.low[0] < 0.06
    assert found.high[0] > 0.45


def test_without_any_lead_nothing_is_known() -> None:
    found = shrunk(np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64))
    assert np.isnan([found.rate, found.low, found.high]).all()


def test_order_does_not_matter() -> None:
    wins, n = np.array([3, 0, 12]), np.array([40, 9, 80])
    turned = shrunk(wins[::-1], n[::-1])
    assert shrunk(wins, n).low == pytest.approx(turned.low[::-1])
