"""Is every table still fed? The silence at its end, beside the longest that was usual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leadscore.time import DAY, NEVER, Instants, format_instant
from training.monitoring.compared import Compared

USUAL = 0.999
TIMES_USUAL, FEWEST_DAYS, FEWEST_ROWS = 3.0, 1.0, 30
WEEK = 7 * DAY


@dataclass(frozen=True)
class Feed:
    """One table's rows up to `as_of`.

    Attributes
    ----------
    last : the last row, ISO 8601; None where there is none
    silent_days : from there to `as_of`
    usual_days : 99.9 % of the gaps between its instants in the year before its last were no longer; None of fewer than
        30 instants
    stopped : silent for more than three times what is usual, and more than a day
    per_week_then, per_week_now : rows a week in the model's own time, and since
    """

    table: str
    rows: str
    last: str | None
    silent_days: float | None
    usual_days: float | None
    stopped: bool
    per_week_then: float | None
    per_week_now: float | None


def look(compared: Compared) -> tuple[Feed, ...]:
    """Look at leads, every event table and the outcomes; nothing of a list without times."""
    if compared.as_of is None:
        return ()
    data, as_of = compared.data, compared.as_of
    outcomes = data.outcomes
    feeds = [_feed("leads", "leads created", data.leads.created, compared)]
    for name, log in data.logs.items():
        feeds.append(_feed(name, "events", log.time[log.known <= as_of], compared))
    closed = np.concatenate([outcomes.won_at, outcomes.lost_at])
    return (*feeds, _feed("outcome", "leads won or lost", closed, compared))


def _feed(table: str, rows: str, instants: Instants, compared: Compared) -> Feed:
    assert compared.as_of is not None
    assert compared.since is not None
    times = np.sort(instants[(instants != NEVER) & (instants <= compared.as_of)])
    if not len(times):
        return Feed(table, rows, None, None, None, stopped=True, per_week_then=None, per_week_now=None)
    last = int(times[-1])
    silent, usual = (compared.as_of - last) / DAY, _usual(times)
    start = None if compared.then is None or not len(compared.then) else int(compared.then.at.min())
    return Feed(
        table=table,
        rows=rows,
        last=format_instant(last),
        silent_days=silent,
        usual_days=usual,
        stopped=usual is not None and silent > max(TIMES_USUAL * usual, FEWEST_DAYS),
        per_week_then=None if start is None else _per_week(times, start, compared.since),
        per_week_now=_per_week(times, compared.since, compared.as_of),
    )


def _usual(times: Instants) -> float | None:
    """The longest usual gap between distinct instants of the last year, in days."""
    distinct = np.unique(times[times > times[-1] - 365 * DAY])
    if len(distinct) < FEWEST_ROWS:
        return None
    return float(np.quantile(np.diff(distinct), USUAL, method="higher")) / DAY


def _per_week(times: NDArray[np.int64], start: int, end: int) -> float | None:
    if end <= start:
        return None
    first, last = np.searchsorted(times, [start, end], side="right")
    return float(last - first) * WEEK / (end - start)
