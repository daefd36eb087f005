"""Local days and hours, of every day of four centuries and of every night in which clocks change."""

from __future__ import annotations

import dataclasses
import datetime as dt
import random
import zoneinfo

import numpy as np
import pytest

import leadscore as ls
from leadscore.features.primitives import LEAD_PRIMITIVES
from tests.parity import oracle, streams
from tests.parity.proofs import cutoffs
from tests.parity.streams import DAY

CALENDAR = [name for name in LEAD_PRIMITIVES if name.startswith("calendar.")]
# a summer time that is the negative one, a fast that interrupts it, half an hour, a day left out, a day lived twice
ZONES = [
    *streams.CLOCKS,
    "Europe/Dublin",
    "Africa/Casablanca",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kwajalein",
]
NIGHTS = {
    "America/St_Johns": ["2007-11-04T02:31:00Z", "2007-03-11T03:31:00Z", "2010-11-07T02:31:00Z"],
    "Asia/Beirut": ["2024-03-30T22:00:00Z", "2024-10-26T21:00:00Z"],
    "Europe/Berlin": ["2025-03-30T01:00:00Z", "2025-10-26T01:00:00Z"],
    "Pacific/Apia": ["2011-12-30T10:00:00Z"],
    "Pacific/Kwajalein": ["1969-10-01T00:00:00Z", "1993-08-21T12:00:00Z"],
}


def calendar(timezone: str, at: list[int]) -> np.ndarray:
    stream = dataclasses.replace(streams.make(0), timezone=timezone)
    data = stream.data()
    plan = ls.FeaturePlan.of(stream.project(), CALENDAR)
    return plan.transform(data, cutoffs(data, [("L0", t) for t in at]), dtype=np.float64)


def test_the_month_ends_when_it_does_for_four_centuries():
    first = dt.date(1899, 12, 1)
    days = [first + dt.timedelta(days=n) for n in range(146_097 + 62)]
    noons = [(day - dt.date(1970, 1, 1)).days * DAY + DAY // 2 for day in days]
    until = [0]
    for day in reversed(days[1:]):
        until.append(0 if day.day == 1 else until[-1] + 1)
    expected = np.array([[day.weekday(), 12, left] for day, left in zip(days, reversed(until), strict=True)])
    found = calendar("UTC", noons)
    np.testing.assert_array_equal(found[:-31], expected[:-31])  # the last month is cut short


@pytest.mark.parametrize("timezone", ZONES)
def test_the_clock_says_what_it_says_there(timezone):
    rng = random.Random(timezone)
    local = zoneinfo.ZoneInfo(timezone)
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    changes = [streams.micros(text) for text in NIGHTS.get(timezone, [])]
    at = [
        rng.randint(streams.micros("1900-01-01T00:00:00Z"), streams.micros("2090-01-01T00:00:00Z"))
        for _ in range(1_000)
    ]
    at += [change + rng.choice((-1, 0, 1, rng.randint(-DAY, DAY))) for change in changes for _ in range(200)]
    clocks = [(epoch + dt.timedelta(microseconds=t)).astimezone(local) for t in at]
    expected = [[float(clock.weekday()), float(clock.hour)] for clock in clocks]
    assert calendar(timezone, at)[:, :2].tolist() == expected


@pytest.mark.parametrize("timezone", NIGHTS)
def test_active_days_are_days_of_the_calendar(timezone):
    """Crowded nights: every window that ends in them counts the dates a wall calendar shows, each once."""
    rng = random.Random(timezone)
    changes = [streams.micros(text) for text in NIGHTS[timezone]]
    stream = dataclasses.replace(streams.make(0), timezone=timezone)
    talks = [
        {"lead_id": f"L{rng.randint(0, 5)}", "occurred_at": at, "kind": None, "direction": None, "minutes": None}
        for change in changes
        for at in (
            change + rng.choice((rng.randint(-2 * DAY, 2 * DAY), rng.randint(-DAY // 12, DAY // 12))) for _ in range(80)
        )
    ]
    stream.events["interactions"] = talks
    pairs = [(row["lead_id"], row["occurred_at"] + rng.choice((0, 1, DAY, 7 * DAY, DAY // 9))) for row in talks * 2]
    names = [
        f"{scope}interactions.active_days.{window}" for scope in ("", "account.") for window in ("1d", "7d", "all")
    ]
    data, truth = stream.data(), oracle.Oracle(stream)
    found = ls.FeaturePlan.of(stream.project(), names).transform(data, cutoffs(data, pairs), dtype=np.float64)
    expected = [[float(truth.value(name, lead, t)) for name in names] for lead, t in pairs]
    np.testing.assert_array_equal(found, expected)
    assert np.nanmax(found) > 3
