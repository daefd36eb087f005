"""Which moves of a score are told, and when they are drawn."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest

from service.pages.moves import MOST_TICKS, chart, seen


def move(score: int, probability: float, *, at: str = "2026-05-01T09:00:00Z", grade: str = "A") -> dict[str, Any]:
    return {"as_of": at, "score": score, "grade": grade, "probability": probability}


def test_a_move_that_nobody_sees_is_not_told() -> None:
    first = move(100, 0.2404)
    assert seen([first, move(100, 0.2449)]) == [first], "24 % both"
    assert seen([]) == []


@pytest.mark.parametrize(
    "other", [move(99, 0.2404), move(100, 0.2404, grade="B"), move(100, 0.2451)], ids=["score", "grade", "percentage"]
)
def test_what_changes_anything_shown_is_told(other: dict[str, Any]) -> None:
    first = move(100, 0.2404)
    assert seen([first, other, first]) == [first, other, first]


def test_small_moves_that_add_up_are_told_when_they_show() -> None:
    drift = [move(100, 0.240 + 0.002 * step) for step in range(6)]
    assert [one["probability"] for one in seen(drift)] == pytest.approx([0.240, 0.246])


def test_a_chart_wants_two_scores() -> None:
    assert chart([]) is None
    assert chart([move(100, 0.24)]) is None
    assert chart([move(100, 0.24), move(100, 0.31)]) is None, "a flat line says nothing"


@pytest.mark.parametrize("last", ["2026-05-01T09:20:00Z", "2026-05-03T09:00:00Z", "2026-07-30T09:00:00Z"])
def test_a_chart_has_a_few_times_below_it_and_draws_without_a_warning(last: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = chart([move(40, 0.1), move(90, 0.3, at=last)])
    assert drawn is not None
    assert 2 <= len(re.findall(r'id="xtick_\d+"', drawn)) <= MOST_TICKS
