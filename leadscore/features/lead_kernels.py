"""How what needs no events is computed: the profile known at t, the calendar of t, running totals of the company.

Steps are rows of int64: kind, column, target. A column's look-up maps ``code + 1`` (0 is null) to the plan's code of a
category.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from leadscore.time import DAY, NEVER

CATEGORY, NUMBER, N_MISSING, AGE, WEEKDAY, HOUR, DAYS_TO_MONTH_END = range(7)

_DAY = float(DAY)
_HOUR = DAY // 24
_NEVER = NEVER


@njit(nogil=True, cache=True)
def fill(
    lead: NDArray[np.int64],
    cutoff: NDArray[np.int64],
    row: NDArray[np.int64],
    offsets: NDArray[np.int64],
    known: NDArray[np.int64],
    created: NDArray[np.int64],
    codes: NDArray[np.int32],
    values: NDArray[np.float64],
    clock: tuple[NDArray[np.int64], NDArray[np.int64]],
    steps: NDArray[np.int64],
    starts: NDArray[np.int64],
    lookups: NDArray[np.int32],
    out: NDArray[np.float32],
) -> None:
    """Write the features of profile and calendar of every (lead, cutoff) into ``out[row]``.

    Parameters
    ----------
    lead, cutoff, row : (n,), which lead, as of when, into which row of `out`; lead −1 has no profile
    offsets, known, created, codes, values : of `Leads`
    clock : `leadscore.time.clock_changes` of the project's zone
    steps, lookups : see the module; the look-up of column c begins at ``lookups[starts[c]]``
    out : float32 or float64 (rows, columns)
    """
    for i in range(len(lead)):
        version = _version(lead[i], cutoff[i], offsets, known)
        day, microsecond = _local(cutoff[i], clock[0], clock[1])
        for s in range(len(steps)):
            kind, column = steps[s, 0], steps[s, 1]
            value = np.nan
            if kind == CATEGORY:
                code = codes[column, version] if version >= 0 else -1
                value = float(lookups[starts[column] + code + 1])
            elif kind == NUMBER and version >= 0:
                value = values[column, version]
            elif kind == N_MISSING:
                value = float(_n_missing(version, codes, values))
            elif kind == AGE and created[lead[i]] != _NEVER:
                value = (cutoff[i] - created[lead[i]]) / _DAY
            elif kind == WEEKDAY:
                value = float((day + 3) % 7)
            elif kind == HOUR:
                value = float(microsecond // _HOUR)
            elif kind == DAYS_TO_MONTH_END:
                value = float(_days_to_month_end(day))
            out[row[i], steps[s, 2]] = value


@njit(nogil=True, cache=True)
def _n_missing(version, codes, values):  # type: ignore[no-untyped-def]
    """How many profile columns are null; all of them where no version is known."""
    if version < 0:
        return len(codes) + len(values)
    n = 0
    for column in range(len(codes)):
        n += codes[column, version] < 0
    for column in range(len(values)):
        n += np.isnan(values[column, version])
    return n


@njit(nogil=True, cache=True)
def _local(instant, changes, ahead):  # type: ignore[no-untyped-def]
    """Local day since 1970-01-01, and microseconds since its midnight."""
    local = instant + ahead[np.searchsorted(changes, instant, side="right") - 1]
    day = local // DAY
    return day, local - day * DAY


@njit(nogil=True, cache=True)
def _days_to_month_end(day):  # type: ignore[no-untyped-def]
    """Days from a day (since 1970-01-01) to the last one of its Gregorian month.

    Counted from 1 March 2000, when a cycle of 400 years begins and a leap day would be the last of its year.
    """
    day_of_cycle = (day - 11_017) % 146_097
    century = min(day_of_cycle // 36_524, 3)
    day_of_century = day_of_cycle - century * 36_524
    day_of_four_years = day_of_century % 1_461
    day_of_year = day_of_four_years - min(day_of_four_years // 365, 3) * 365
    month = (5 * day_of_year + 2) // 153
    if month < 11:
        return (153 * (month + 1) + 2) // 5 - 1 - day_of_year
    is_leap = day_of_four_years == 1_460 or (
        day_of_four_years // 365 == 3 and (day_of_century // 1_461 < 24 or century == 3)
    )
    return (365 if is_leap else 364) - day_of_year


@njit(nogil=True, cache=True)
def _version(lead, cutoff, offsets, known):  # type: ignore[no-untyped-def]
    """The last profile version known strictly before the cutoff, −1 where there is none."""
    version = -1
    if lead >= 0:
        for j in range(offsets[lead], offsets[lead + 1]):
            if known[j] >= cutoff:
                break
            version = j
    return version


@njit(nogil=True, cache=True)
def version_at(
    lead: NDArray[np.int64],
    cutoff: NDArray[np.int64],
    offsets: NDArray[np.int64],
    known: NDArray[np.int64],
    version: NDArray[np.int64],
) -> None:
    """Write the last profile version known strictly before each cutoff, −1 where there is none."""
    for i in range(len(lead)):
        version[i] = _version(lead[i], cutoff[i], offsets, known)


@njit(nogil=True, cache=True)
def group_at(
    lead: NDArray[np.int64],
    cutoff: NDArray[np.int64],
    offsets: NDArray[np.int64],
    known: NDArray[np.int64],
    codes: NDArray[np.int32],
    group: NDArray[np.int64],
) -> None:
    """Write the code of the last profile version known strictly before each cutoff, −1 where there is none."""
    for i in range(len(lead)):
        version = _version(lead[i], cutoff[i], offsets, known)
        group[i] = codes[version] if version >= 0 else -1


@njit(nogil=True, cache=True)
def others_before(
    lead: NDArray[np.int64],
    cutoff: NDArray[np.int64],
    group: NDArray[np.int64],
    own: NDArray[np.int64],
    start: NDArray[np.int64],
    until: NDArray[np.int64],
    first: NDArray[np.int64],
    end: NDArray[np.int64],
    at: NDArray[np.int64],
    total: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Write what each group's running total was strictly before each cutoff, without the lead; NaN for group −1.

    The total counts the lead where it belongs to its `own` group, from `start` until `until`.
    """
    for i in range(len(group)):
        if group[i] < 0:
            out[i] = np.nan
            continue
        low, high = first[group[i]], end[group[i]]
        begin = low
        while low < high:
            middle = (low + high) // 2
            if at[middle] < cutoff[i]:
                low = middle + 1
            else:
                high = middle
        itself = start[lead[i]] < cutoff[i] and cutoff[i] <= until[lead[i]] and own[i] == group[i]
        out[i] = (total[low - 1] if low > begin else 0) - itself
