"""Columns that are filled in for some stretch of creation only: backwards for won leads, or up to a day and no more.

========================= ============================================================================================
backfilled_stretch        of the leads created in some twelfths of all, and not in most, the won ones have a value more
                          often than the others, by five standard errors more than in the median twelfth: **severe**
                          from 50 points, **warning** from 25. Fifteen leads of either kind at least
fill_breaks               parted at the day of creation that parts them best, 50 points more leads have a value on one
                          side: **warning**. Each side holds 5 % of all leads, and 30 at least
========================= ============================================================================================
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from leadscore.evaluate.check.curves import fill_over_time
from leadscore.evaluate.check.findings import Finding, Severity, leave_out, percent, setting
from leadscore.evaluate.check.material import FEWEST, Column, Material
from leadscore.evaluate.check.suspicion import Suspicion, judged_leads
from leadscore.time import NEVER, Mask, format_instant

FEWEST_IN_STRETCH = 15
STANDARD_ERRORS = 5.0
SEVERE_GAP, SUSPICIOUS_GAP = 0.50, 0.25
MOST_OF_ALL = 2 / 3
BREAK, SMALLEST_SIDE = 0.50, 0.05


def filled_backwards(column: Column, material: Material) -> Suspicion | None:
    """Whether won leads of a stretch were filled in afterwards."""
    groups = material.groups
    if not material.project.timed or column.filled.all():
        return None
    judged = judged_leads(groups)
    won, other = (
        _tally(column, judged & groups.won, groups.stratum),
        _tally(column, judged & ~groups.won, groups.stratum),
    )
    enough = (won[0] >= FEWEST_IN_STRETCH) & (other[0] >= FEWEST_IN_STRETCH)
    n_won, n_other = np.where(enough, won[0], 1), np.where(enough, other[0], 1)
    gap = np.where(enough, won[1] / n_won - other[1] / n_other, 0.0)
    pooled = np.where(enough, won[1] + other[1], 0) / (n_won + n_other)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n_won + 1 / n_other))
    usual = float(np.median(gap[enough])) if enough.any() else 0.0
    filled = np.flatnonzero((gap >= SUSPICIOUS_GAP) & (gap - max(0.0, usual) >= STANDARD_ERRORS * error) & enough)
    if not 0 < len(filled) <= MOST_OF_ALL * enough.sum():
        return None
    inside = np.isin(groups.stratum, filled) & (material.data.leads.created != NEVER)
    span = material.data.leads.created[inside]
    evidence = (
        f"of the leads created from {_day(int(span.min()))} to {_day(int(span.max()))} it is filled in on "
        f"{percent(won[1][filled].sum() / won[0][filled].sum())} of won, "
        f"{percent(other[1][filled].sum() / other[0][filled].sum())} of others, elsewhere far less apart"
    )
    severity: Severity = "severe" if gap[filled].max() >= SEVERE_GAP else "warning"
    return Suspicion(severity, "backfilled_stretch", column, evidence)


def _tally(column: Column, leads: Mask, stratum: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many of the leads are in each stratum, and how many of them have a value."""
    size = int(stratum.max(initial=0)) + 1
    return np.bincount(stratum[leads], minlength=size), np.bincount(stratum[leads & column.filled], minlength=size)


def fill_breaks(material: Material) -> list[Finding]:
    """Judge every column by whether it is filled in all along."""
    created = material.data.leads.created
    order = np.argsort(created, kind="stable")
    order = order[created[order] != NEVER]
    if not material.project.timed or len(order) < 2 * FEWEST:
        return []
    found = []
    for column in material.columns:
        place, before, after = _best_parting(column.filled[order])
        if abs(before - after) < BREAK:
            continue
        day = _day(int(created[order[place]]))
        evidence = (
            f"filled in on {percent(before)} of the leads created before {day}, on {percent(after)} of those since: "
            "what is learnt from one side says nothing of the other"
        )
        found.append(
            Finding(
                "warning", "fill_breaks", "leads", column.name, evidence,
                _remedy(column, material, day, before < after), fill_over_time(column, material),
            )
        )  # fmt: skip
    return found


def _remedy(column: Column, material: Material, day: str, is_new: bool) -> str:
    if is_new:
        return f"Learn from the time that has it: {setting('task', 'observed_from', day)}; or leave it out until then"
    line = leave_out(material.project, "leads", column.name)
    return f"If it was filled in once, backwards, or is no longer, leave it out: {line}"


def _best_parting(filled: Mask) -> tuple[int, float, float]:
    """Where a series of filled and not parts best, with the shares before and after."""
    n = len(filled)
    n_before = np.arange(1, n)
    sums = np.cumsum(filled)[:-1]
    before, after = sums / n_before, (filled.sum() - sums) / (n - n_before)
    smallest = max(FEWEST, int(SMALLEST_SIDE * n))
    apart = (before - after) ** 2 * n_before * (n - n_before)
    apart[: smallest - 1] = 0
    apart[n - smallest :] = 0
    place = int(np.argmax(apart))
    return place + 1, float(before[place]), float(after[place])


def _day(at: int) -> str:
    return format_instant(at)[:10]
