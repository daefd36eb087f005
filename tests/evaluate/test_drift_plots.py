"""Figures of then and now say in their titles what they show."""

from __future__ import annotations

import numpy as np
import pytest

from leadscore.errors import DataError
from leadscore.evaluate.drift import of_numbers
from leadscore.evaluate.drift_plots import grades_over_time, reliability_then_and_now, then_and_now


def judged(n: int, shift: float = 0.0, seed: int = 0):
    rng = np.random.default_rng(seed)
    chance = rng.uniform(0.05, 0.4, n)
    return (rng.random(n) < chance + shift).astype(int), chance, np.ones(n), np.arange(n)


def words(figure) -> str:
    from matplotlib.text import Text

    return " | ".join(text.get_text() for text in figure.findobj(Text))


def test_reliability_holds_both_lines_and_the_rates():
    label, chance, *_ = now = judged(400, 0.1)
    told = words(reliability_then_and_now(now, judged(300, seed=1), seed=0, n_resamples=20))
    assert f"{chance.mean():.1%}".replace("%", " %") in told
    assert f"{label.mean():.1%}".replace("%", " %") in told
    assert "its own test" in told
    assert "matured since" in told
    assert "its own test" not in words(reliability_then_and_now(now, None, seed=0, n_resamples=20))
    with pytest.raises(DataError, match="at least one row"):
        reliability_then_and_now((label, chance, np.zeros(400), np.arange(400)), None, seed=0)


def test_grades_name_then_and_the_last_month():
    then = {"A": 0.1, "B": 0.2, "C": 0.3, "D": 0.4}
    months = [(f"2026-{month:02}", {**then, "A": 0.04, "D": 0.46}) for month in range(1, 4)]
    told = words(grades_over_time(then, months))
    assert "Grade A: 10 % of the leads then, 4 % in 2026-03" in told
    assert "2026-01" in told
    assert "10 % of the leads then" in words(grades_over_time(then, []))


def test_a_feature_shows_its_bins_and_its_psi():
    rng = np.random.default_rng(0)
    then, now = rng.normal(size=500), rng.normal(1, size=500)
    shift = of_numbers(then, now, weights=(np.ones(500), np.ones(500)), n=(500, 500))
    told = words(then_and_now("lead.employees", shift))
    assert "lead.employees" in told
    assert f"PSI {shift.psi:.2f}; chance makes {shift.by_chance:.2f}" in told
    assert all(name in told for name in shift.bins)
