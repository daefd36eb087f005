"""Credit by hand, and Shapley's against its definition."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from leadscore import time
from leadscore.alignment.attribution import RULES, Paths

DAY = time.DAY


def paths(ways: list[list[tuple[int, int]]], n_channels: int) -> Paths:
    """Ways of leads as (channel, days before the end), in time order."""
    rows = [(lead, channel, days * DAY) for lead, way in enumerate(ways) for channel, days in way]
    lead, channel, before = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return Paths(lead, channel, before, tuple("abcdef"[:n_channels]), len(ways))


def test_each_rule_by_hand() -> None:
    found = paths([[(0, 14), (1, 7), (1, 0)], [(2, 3)], []], 3)
    value = np.array([1.0, 1.0, 1.0])
    assert found.credit("first_touch", value).tolist() == [1, 0, 1]
    assert found.credit("last_touch", value).tolist() == [0, 1, 1]
    assert found.credit("time_decay", value) == pytest.approx([1 / 7, 6 / 7, 1])
    assert found.credit("shapley", value).tolist() == [0.5, 0.5, 1]


@pytest.mark.parametrize("rule", RULES)
def test_credits_add_up_to_what_touched_leads_are_worth(rule: str) -> None:
    chance = np.random.default_rng(3)
    ways = [
        sorted(((int(chance.integers(4)), int(chance.integers(60))) for _ in range(chance.integers(0, 6))),
               key=lambda touch: -touch[1])
        for _ in range(200)
    ]  # fmt: skip
    value = chance.random(200)
    touched = np.array([bool(way) for way in ways])
    assert paths(ways, 4).credit(rule, value).sum() == pytest.approx(value[touched].sum())


def test_a_touch_long_before_a_late_win_still_gets_its_share() -> None:
    assert paths([[(0, 40_000), (1, 39_993)]], 2).credit("time_decay", np.ones(1)) == pytest.approx([1 / 3, 2 / 3])


@pytest.mark.parametrize("seed", range(20))
def test_shapley_is_the_mean_marginal_gain_over_all_orders(seed: int) -> None:
    chance = np.random.default_rng(seed)
    n_channels = int(chance.integers(1, 6))
    ways = [
        [(int(channel), 0) for channel in chance.integers(0, n_channels, chance.integers(0, 5))]
        for _ in range(int(chance.integers(1, 12)))
    ]
    value = chance.random(len(ways))

    def wins(channels: frozenset[int]) -> float:
        """What a set of channels brings: the leads that no other channel touched."""
        return sum(
            worth for way, worth in zip(ways, value, strict=True) if way and {channel for channel, _ in way} <= channels
        )

    expected = np.zeros(n_channels)
    for order in itertools.permutations(range(n_channels)):
        for position, channel in enumerate(order):
            before = frozenset(order[:position])
            expected[channel] += wins(before | {channel}) - wins(before)
    assert paths(ways, n_channels).credit("shapley", value) == pytest.approx(expected / math.factorial(n_channels))


def test_nothing_at_all_is_shared_out_without_a_fault() -> None:
    nothing = paths([], 0)
    assert all(len(nothing.credit(rule, np.empty(0))) == 0 for rule in RULES)
