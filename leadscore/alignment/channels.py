"""What each channel brings: leads, wins expected and found, cost, time, and its share of the credit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadscore import time
from leadscore.alignment.attribution import RULES, Paths
from leadscore.alignment.cohort import Cohort, probabilities
from leadscore.alignment.shrinking import LEVEL, shrunk
from leadscore.errors import DataError, nearest
from leadscore.evaluate.capacity import at_capacity
from leadscore.tables import Cutoffs, Data
from leadscore.time import Mask

if TYPE_CHECKING:
    from leadscore.model.scorer import LeadScorer

ENTRY = time.DAY
"""A lead enters the comparison a day after it was created: its first touches are known, its fate is not."""
MOST = 30
"""Channels that have a row of their own; the others, fewest leads first, are one row together."""
MISSING, OTHERS = "(missing)", "(other)"
UNNAMED = (OTHERS, MISSING)
"""Rows that are no channel: the last ones wherever channels are ranked, in this order."""
_USUAL = ("channel", "campaign", "medium", "source")
_COSTS = ("cost", "costs", "spend")


@dataclass(frozen=True)
class Channels:
    """One dimension of channels, as tables that can be read and written.

    Attributes
    ----------
    by : the dimension, as ``touchpoints.channel`` or ``lead.source``
    table : a row per channel, most leads first, `UNNAMED` last
    months : a row per channel and month of creation
    leads : a row per channel and lead that it touched: the month of its creation, whether it was judged there, won
        within the horizon (of the judged), and its state: won, lost or open
    n_leads, n_immature : leads looked at, and those whose horizon has not passed: counted, not judged
    n_untouched : leads in no row of the table, because no touch is known
    n_judged, n_won, expected : the judged leads, those of them that were won and the wins to expect, each lead once
    """

    by: str
    table: pd.DataFrame
    months: pd.DataFrame
    leads: pd.DataFrame
    n_leads: int
    n_immature: int
    n_untouched: int
    n_judged: int
    n_won: int
    expected: float


def last_place(names: Iterable[str]) -> NDArray[np.int64]:
    """Return how far behind all channels each row stands, (n,): 0 for a channel, then `UNNAMED` in their order."""
    return np.array([1 + UNNAMED.index(name) if name in UNNAMED else 0 for name in names], dtype=np.int64)


def dimensions(data: Data) -> list[str]:
    """Return what leads can be told apart by: the origin, then columns of events named as channels usually are."""
    project = data.project
    found = [f"lead.{project.leads.origin}"] if project.leads.origin else []
    for spec in project.events:
        found += [f"{spec.name}.{column}" for column in spec.categorical if column.lower() in _USUAL]
    return found


def channels(data: Data, scorer: LeadScorer, *, by: str, as_of: int, since: int | None = None) -> Channels:
    """Compare channels over the leads created in ``[since, as_of)``.

    Columns of the table: **leads** that a channel touched; **judged**, those of them that it had touched when they
    entered (a day after creation, still open) and whose horizon has passed since; **won**, the judged that were won
    within the horizon, **won_rate** with its interval (shrunken towards the rate of all), and **expected** with its
    interval, what the model said on entry; **wins_so_far** and **open_expected**, wins that are known and those to
    expect of open leads; **cost** (NaN where none of its amounts is filled in), and **cost_per_win** over the
    credited wins, known and to be expected; **days** from creation to win (quartiles); **credit_…** of the wins so far
    by each rule of `attribution.RULES`.

    The interval of **won_rate** holds the true rate in nine of ten cases. That of **expected** holds chance alone:
    where many leads are judged, **won** lies outside it as soon as the model is a little off.

    A lead that several channels touched is in each one's row, so rows don't add up, but credits do.

    Parameters
    ----------
    by : a dimension, see `dimensions`: ``lead.COLUMN`` or ``TABLE.COLUMN``, categorical
    as_of, since : UTC microseconds

    Raises
    ------
    DataError
        If there is no such column, or the project has no times.
    """
    cohort = Cohort.of(data, as_of=as_of, since=since)
    paths, cost = _paths(cohort, by)
    entry, judged = _entries(cohort)
    touched, touched_early = paths.touched(), _before(paths, cohort, entry).touched()
    won = judged & (cohort.won_at >= entry) & (cohort.won_at < entry + cohort.horizon)
    expected = np.zeros(len(cohort))
    expected[judged] = probabilities(scorer, data, Cutoffs(cohort.lead[judged], entry[judged]))
    now = np.nan_to_num(cohort.chance_now(scorer))
    table = pd.DataFrame({"channel": paths.names, "leads": touched.sum(axis=1)})
    table = table.join(_rates(touched_early, judged, won, expected))
    table["wins_so_far"] = (touched & cohort.won).sum(axis=1)
    table["open_expected"] = touched @ now
    value = np.where(cohort.won, 1.0, now)
    table["cost"] = cost
    table["cost_per_win"] = _ratio(cost, paths.credit("shapley", value))
    table = table.join(_days(cohort, touched))
    for rule in RULES:
        table[f"credit_{rule}"] = paths.credit(rule, cohort.won.astype(np.float64))
    order = np.lexsort((np.array(paths.names), -table["leads"].to_numpy(), last_place(paths.names)))
    return Channels(
        by=by,
        table=table.iloc[order].reset_index(drop=True),
        months=_months(cohort, paths, touched, touched_early, judged, won, expected, order),
        leads=_leads_of(cohort, paths, touched, touched_early & judged, won, order),
        n_leads=len(cohort),
        n_immature=int((entry + cohort.horizon > as_of).sum()),
        n_untouched=int((~touched.any(axis=0)).sum()),
        n_judged=int(judged.sum()),
        n_won=int(won.sum()),
        expected=float(expected.sum()),
    )


def _entries(cohort: Cohort) -> tuple[time.Instants, Mask]:
    """When each lead enters the comparison, and whether it does: open then, and its horizon has passed since."""
    entry = cohort.created + ENTRY
    open_then = (cohort.won_at >= entry) & (cohort.lost_at >= entry)
    return entry, open_then & (entry + cohort.horizon <= cohort.as_of)


def _paths(cohort: Cohort, by: str) -> tuple[Paths, NDArray[np.float64]]:
    """The way of every lead through one dimension, and what each of its channels has cost (NaN if nobody says)."""
    table, _, column = by.partition(".")
    project = cohort.data.project
    if table == "lead" and column in (*project.leads.categorical, *project.leads.roles.values()):
        return _of_profile(cohort, column)
    if table in cohort.data.logs and column in project.events_named(table).categorical:
        return _of_events(cohort, table, column)
    known = [f"{spec.name}.{name}" for spec in project.events for name in spec.categorical]
    known = [f"lead.{name}" for name in project.leads.categorical] + known
    raise DataError(f"there is no categorical column {by!r}.{nearest(by, known)} Name one of: {', '.join(known)}")


def _of_profile(cohort: Cohort, column: str) -> tuple[Paths, NDArray[np.float64]]:
    leads, project = cohort.data.leads, cohort.data.project
    if column in project.leads.categorical:
        position = project.leads.categorical.index(column)
        codes, words = leads.codes[position], leads.vocabularies[position]
    else:
        role = next(role for role, name in project.leads.roles.items() if name == column)
        codes, words = leads.roles[role]
    last = leads.offsets[1:] - 1
    code = codes[last[cohort.lead]]
    touch = np.arange(len(cohort))
    end = np.minimum(cohort.won_at, cohort.as_of) - cohort.created
    paths = _few(touch, code, np.maximum(end, 0), words, len(cohort))
    cost, priced = np.zeros(len(cohort)), np.zeros(len(cohort), dtype=bool)
    for name, amounts in _costs(cohort).items():
        rows, lead = cohort.rows(name)
        known = ~np.isnan(amounts[rows])
        np.add.at(cost, lead[known], amounts[rows][known])
        priced[lead[known]] = True
    amounts = np.where(priced, cost, np.nan)
    return paths, _spent(paths.channel, amounts[paths.lead], len(paths.names))


def _spent(channel: NDArray[np.int64], amounts: NDArray[np.float64], n_channels: int) -> NDArray[np.float64]:
    """What each channel has cost; NaN where no amount of it is filled in: what nobody says isn't nothing."""
    known = ~np.isnan(amounts)
    spent = np.bincount(channel[known], amounts[known], minlength=n_channels).astype(np.float64)
    spent[np.bincount(channel[known], minlength=n_channels) == 0] = np.nan
    return spent


def _of_events(cohort: Cohort, table: str, column: str) -> tuple[Paths, NDArray[np.float64]]:
    log, spec = cohort.data.logs[table], cohort.data.project.events_named(table)
    position = spec.categorical.index(column)
    rows, lead = cohort.rows(table)
    end = np.minimum(cohort.won_at, cohort.as_of)[lead]
    on_the_way = log.time[rows] < end
    everything = _few(lead, log.codes[position, rows], np.maximum(end - log.time[rows], 0), log.vocabularies[position],
                      len(cohort))  # fmt: skip
    amounts = _costs(cohort).get(table)
    spent = np.full(len(everything.names), np.nan)
    if amounts is not None:
        spent = _spent(everything.channel, amounts[rows], len(everything.names))
    paths = Paths(
        everything.lead[on_the_way],
        everything.channel[on_the_way],
        everything.before[on_the_way],
        everything.names,
        len(cohort),
    )
    return paths, spent


def _costs(cohort: Cohort) -> dict[str, NDArray[np.float64]]:
    """What the rows of event tables have cost, where a numeric column says so; NaN where it isn't filled in."""
    found = {}
    for spec in cohort.data.project.events:
        column = next((position for position, name in enumerate(spec.numeric) if name.lower() in _COSTS), None)
        if column is not None:
            found[spec.name] = np.asarray(cohort.data.logs[spec.name].values[column], dtype=np.float64)
    return found


def _few(
    lead: NDArray[np.int64],
    code: NDArray[np.int32],
    before: NDArray[np.int64],
    words: tuple[str, ...],
    n_leads: int,
) -> Paths:
    """Keep the channels with the most leads by name; null is `MISSING`, the rest `OTHERS`."""
    names = np.array([*words, MISSING], dtype=object)
    code = np.where(code < 0, len(words), code).astype(np.int64)
    n_touched = np.bincount(np.unique(code * max(n_leads, 1) + lead) // max(n_leads, 1), minlength=len(names))
    kept = [c for c in sorted(range(len(names)), key=lambda c: (-n_touched[c], c))[:MOST] if n_touched[c]]
    rest = n_touched.astype(bool)
    rest[kept] = False
    place = np.full(len(names), len(kept), dtype=np.int64)
    place[kept] = np.arange(len(kept))
    called = tuple(names[kept]) + ((OTHERS,) if rest.any() else ())
    return Paths(lead, place[code], before, called, n_leads)


def _before(paths: Paths, cohort: Cohort, entry: time.Instants) -> Paths:
    """The part of every way that was behind a lead when it entered."""
    at = np.minimum(cohort.won_at, cohort.as_of)[paths.lead] - paths.before
    early = at < entry[paths.lead]
    return Paths(paths.lead[early], paths.channel[early], paths.before[early], paths.names, paths.n_leads)


def _rates(groups: Iterable[Mask], judged: Mask, won: Mask, expected: NDArray[np.float64]) -> pd.DataFrame:
    """Wins found and expected of the judged leads of every group, with intervals."""
    found = [(int((group & judged).sum()), int((group & won).sum()), expected[group & judged]) for group in groups]
    n, wins = (np.array([part[position] for part in found], dtype=np.int64) for position in (0, 1))
    rate = shrunk(wins, n)
    called = [at_capacity(chance, len(chance), level=LEVEL) for _, _, chance in found]
    return pd.DataFrame(
        {
            "judged": n,
            "won": wins,
            "won_rate": rate.rate,
            "won_rate_low": rate.low,
            "won_rate_high": rate.high,
            "expected": [wins_to_expect.expected for wins_to_expect in called],
            "expected_low": [wins_to_expect.low for wins_to_expect in called],
            "expected_high": [wins_to_expect.high for wins_to_expect in called],
        }
    )


def _days(cohort: Cohort, touched: NDArray[np.bool_]) -> pd.DataFrame:
    days = (np.where(cohort.won, cohort.won_at, 0) - cohort.created) / time.DAY
    quartiles = [
        np.quantile(days[row & cohort.won], [0.25, 0.5, 0.75]) if (row & cohort.won).any() else [np.nan] * 3
        for row in touched
    ]
    return pd.DataFrame(quartiles, columns=["days_quarter", "days_half", "days_three_quarters"])


def _months(
    cohort: Cohort, paths: Paths, touched: NDArray[np.bool_], touched_early: NDArray[np.bool_], judged: Mask,
    won: Mask, expected: NDArray[np.float64], order: NDArray[np.int64],
) -> pd.DataFrame:  # fmt: skip
    month = cohort.months()
    every = np.unique(month)
    pairs = [(channel, each) for channel in order for each in every]
    if not pairs:
        return pd.DataFrame(columns=["channel", "month"])
    in_month = (touched_early[channel] & (month == each) for channel, each in pairs)
    leads = [int((touched[channel] & (month == each)).sum()) for channel, each in pairs]
    frame = pd.DataFrame(
        {
            "channel": [paths.names[channel] for channel, _ in pairs],
            "month": [str(each) for _, each in pairs],
            "leads": leads,
        }
    ).join(_rates(in_month, judged, won, expected))
    return frame[frame["leads"] > 0].reset_index(drop=True)


def _leads_of(
    cohort: Cohort, paths: Paths, touched: NDArray[np.bool_], judged: NDArray[np.bool_], won: Mask,
    order: NDArray[np.int64],
) -> pd.DataFrame:  # fmt: skip
    """The leads of every channel, in its order."""
    place, lead = np.nonzero(touched[order])
    channel = order[place]
    return pd.DataFrame(
        {
            "channel": np.array(paths.names, dtype=object)[channel],
            "lead_id": cohort.data.leads.ids[cohort.lead[lead]],
            "month": cohort.months().astype(str)[lead],
            "judged": judged[channel, lead],
            "won": judged[channel, lead] & won[lead],
            "state": cohort.state[lead],
        }
    )


def cost_columns(data: Data) -> list[str]:
    """Return the columns that hold what events have cost, as ``touchpoints.cost``."""
    return [f"{spec.name}.{name}" for spec in data.project.events for name in spec.numeric if name.lower() in _COSTS]


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0))
