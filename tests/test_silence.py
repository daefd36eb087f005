"""When a silence of events is told: what is usual, and what is longer."""

from __future__ import annotations

import numpy as np
import pytest

from leadscore import time
from leadscore.silence import LEAST, USUAL, Pulse, day_of
from leadscore.time import DAY, NEVER

END = time.parse_instant("2026-11-24T23:30:00Z", "UTC")


def pulse(*days_before: float) -> Pulse:
    """Events so many days before the end, and at the end."""
    return Pulse.of(np.array([END, *(END - int(days * DAY) for days in days_before)], dtype=np.int64))


def test_a_silence_is_longer_than_any_pause_of_the_month_before() -> None:
    weekdays = pulse(0.5, 1, 3.6, 4)
    assert weekdays.pause == int(2.6 * DAY)
    assert weekdays.silence(END + weekdays.pause) is None
    assert weekdays.silence(END + weekdays.pause + 1) == weekdays.pause + 1


def test_no_silence_of_two_days_is_told() -> None:
    assert pulse(0.1, 0.2).silence(END + LEAST) is None
    assert pulse(0.1, 0.2).silence(END + LEAST + 1) == LEAST + 1


def test_a_pause_counts_by_when_it_ended() -> None:
    assert pulse(1, 29.9, 45).pause == int(28.9 * DAY)
    assert pulse(1, 29, 45).pause == 28 * DAY
    assert pulse(1, 2, 30, 60).pause == 28 * DAY, "the one that ended 30 days before is too old"
    assert pulse(1, 2, 3, 31, 90).pause == 28 * DAY


@pytest.mark.parametrize("days_before", [(), (0.0,)])
def test_without_two_events_a_month_is_usual(days_before: tuple[float, ...]) -> None:
    assert pulse(*days_before) == Pulse(END, USUAL)
    assert pulse(*days_before).silence(END + USUAL) is None
    assert pulse(*days_before).silence(END + USUAL + 1) is not None


def test_a_project_without_events_is_never_silent() -> None:
    nothing = Pulse.of(np.empty(0, dtype=np.int64))
    assert nothing.last == NEVER
    assert nothing.silence(END) is None


def test_a_day_is_that_of_the_project_s_clock() -> None:
    assert day_of(END, "UTC") == "24 November 2026"
    assert day_of(END, "Europe/Berlin") == "25 November 2026"
