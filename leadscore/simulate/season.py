"""The calendar of the simulated market: weekdays, holidays, quiet months, quarter ends, running campaigns."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from leadscore.simulate.market import CAMPAIGNS, NO_CAMPAIGN, Floats, Ints, Market

HOLIDAYS = frozenset({(1, 1), (5, 1), (12, 24), (12, 25), (12, 26), (12, 31)})
"""Month and day of those that don't move."""
AFTER_EASTER = frozenset({-2, 1, 39, 50})
"""Days from Easter Sunday: Good Friday, Easter Monday, Ascension, Whit Monday."""
QUIET_MONTHS = np.array([0.95, 1.0, 1.05, 1.0, 1.0, 1.0, 0.85, 0.75, 1.1, 1.1, 1.1, 0.75])
BROWSING = np.array([1.1, 1.15, 1.15, 1.1, 0.9, 0.35, 0.4])  # Monday to Sunday, as those below
MAILING = np.array([0.8, 2.0, 1.2, 2.0, 0.8, 0.05, 0.05])
SELLING = np.array([1.3, 1.4, 1.4, 1.4, 1.2, 0.05, 0.02])
BUYING = np.array([1.2, 1.35, 1.35, 1.35, 1.3, 0.15, 0.1])
QUARTER_END_RUSH = 1.5  # on the last ten days of a quarter


@dataclass(frozen=True)
class Season:
    """Factors on what is done, mailed, sold and bought, for every day of the history, shape (n_days,)."""

    browsing: Floats
    mailing: Floats
    selling: Floats
    buying: Floats
    running: dict[str, tuple[Ints, Ints]]  # channel → campaigns that run (n_days, most at once), how many do

    @classmethod
    def of(cls, market: Market) -> Season:
        """Lay out the days of a market."""
        days = [market.first_day + dt.timedelta(days=i) for i in range(market.n_days)]
        weekday = np.array([day.weekday() for day in days])
        is_holiday = np.array([_is_holiday(day) for day in days])
        quiet = QUIET_MONTHS[np.array([day.month - 1 for day in days])]
        rush = np.where([_closes_a_quarter(day) for day in days], QUARTER_END_RUSH, 1.0)
        drift = np.exp(market.win_drift * np.arange(market.n_days) / market.n_days)
        return cls(
            browsing=BROWSING[weekday] * np.where(is_holiday, 0.4, 1.0) * quiet,
            mailing=MAILING[weekday] * np.where(is_holiday, 0.1, 1.0),
            selling=SELLING[weekday] * np.where(is_holiday, 0.03, 1.0),
            buying=BUYING[weekday] * np.where(is_holiday, 0.1, 1.0) * quiet * rush * drift,
            running={channel: _running(channel, days) for channel in {c.channel for c in CAMPAIGNS}},
        )


def _is_holiday(day: dt.date) -> bool:
    """Tell whether people rest on `day`, whatever the weekday."""
    return (day.month, day.day) in HOLIDAYS or (day - _easter(day.year)).days in AFTER_EASTER


def _easter(year: int) -> dt.date:
    """Return Easter Sunday of the Gregorian calendar (Meeus, Jones and Butcher)."""
    golden, (century, rest) = year % 19, divmod(year, 100)
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return dt.date(year, month, day + 1)


def _closes_a_quarter(day: dt.date) -> bool:
    """Tell whether `day` is among the last ten of a quarter."""
    return day.month % 3 == 0 and (day + dt.timedelta(days=10)).month != day.month


def _running(channel: str, days: list[dt.date]) -> tuple[Ints, Ints]:
    """List a channel's campaigns by day, and count them."""
    codes = [code for code, campaign in enumerate(CAMPAIGNS) if campaign.channel == channel]
    table = np.full((len(days), len(codes)), NO_CAMPAIGN)
    counts = np.zeros(len(days), dtype=np.int64)
    for row, day in enumerate(days):
        for code in codes:
            first, last = CAMPAIGNS[code].season
            if first <= day.timetuple().tm_yday <= last:
                table[row, counts[row]] = code
                counts[row] += 1
    return table, counts
