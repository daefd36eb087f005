"""Months or weeks of a span of time, and what stands out in counts over them. Calendar of UTC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leadscore.time import DAY, NEVER, Instants

WEEKS_UP_TO = 200 * DAY
MOST_PERIODS = 600
OUTLYING_SHARE = 0.001
FEWEST_PER_PERIOD = 20
JUMP, FEWEST_AT_JUMP = 5.0, 50


@dataclass(frozen=True)
class Periods:
    """Consecutive months or weeks; `starts` are ISO dates, oldest first."""

    unit: str
    first: int
    starts: tuple[str, ...]

    @classmethod
    def over(cls, start: int, end: int) -> Periods:
        """Weeks for spans up to 200 days, else months; the last 600 at most."""
        unit = "week" if end - start <= WEEKS_UP_TO else "month"
        first, last = (int(index) for index in _indices(np.array([start, end]), unit))
        first = max(first, last - MOST_PERIODS + 1)
        return cls(unit, first, tuple(_label(index, unit) for index in range(first, last + 1)))

    def place(self, instants: Instants) -> NDArray[np.int64]:
        """Position of each instant's period, −1 outside."""
        place = _indices(instants, self.unit) - self.first
        return np.where((instants == NEVER) | (place < 0) | (place >= len(self.starts)), -1, place)

    def count(self, instants: Instants) -> NDArray[np.int64]:
        """How many of the instants fall in each period."""
        place = self.place(instants)
        return np.bincount(place[place >= 0], minlength=len(self.starts))


def _indices(instants: Instants, unit: str) -> NDArray[np.int64]:
    if unit == "month":
        return np.asarray(instants.view("M8[us]").astype("M8[M]").astype(np.int64), dtype=np.int64)
    return (instants // DAY + 3) // 7  # 1970-01-01 was a Thursday; weeks start on Mondays


def _label(index: int, unit: str) -> str:
    if unit == "month":
        return str(np.datetime64(index, "M"))
    return str(np.datetime64(index * 7 - 3, "D"))


def core(instants: Instants) -> tuple[int, int] | None:
    """First and last instant without the outermost tenth of a percent on either side; None where there is none."""
    known = np.sort(instants[instants != NEVER])
    if not len(known):
        return None
    cut = int(len(known) * OUTLYING_SHARE)
    return int(known[cut]), int(known[len(known) - 1 - cut])


def empty_periods(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of empty periods between filled ones, in a series that usually holds 20 or more."""
    filled = np.flatnonzero(counts)
    if len(filled) < 3 or np.median(counts[filled]) < FEWEST_PER_PERIOD:
        return np.empty(0, dtype=np.int64)
    inside = np.arange(filled[0], filled[-1] + 1)
    return np.asarray(inside[counts[inside] == 0], dtype=np.int64)


def largest_jump(counts: NDArray[np.int64]) -> tuple[int, float, float] | None:
    """Where the medians of the three whole periods before and after differ most, five times or more.

    Returns
    -------
    (position of the first period after, median before, median after), or None. The first and the last period, which
    are seldom whole, play no part.
    """
    whole = counts[1:-1]
    found: tuple[int, float, float] | None = None
    largest = JUMP
    for place in range(3, len(whole) - 2):
        before, after = float(np.median(whole[place - 3 : place])), float(np.median(whole[place : place + 3]))
        ratio = (max(before, after)) / max(min(before, after), 1.0)
        sharp = max(whole[place], whole[place - 1]) >= JUMP * max(1, min(whole[place], whole[place - 1])) / 2
        if ratio >= largest and max(before, after) >= FEWEST_AT_JUMP and sharp:
            largest, found = ratio, (place + 1, before, after)
    return found
