"""How features are computed: one pass over the visible events of a lead, whatever the plan.

For every cutoff t the events with ``time < t`` and ``known < t`` are gathered once, in log order. As they are ordered
by time, each window ``[t − w, t)`` is a tail of what was gathered. Each *step* of the program then writes a block of
float64 cells from them, and the cells a plan asks for are copied to its columns.

A block is laid out as ``[slot, field, window]``: a slot is a category (or the whole), a field one of the numbers that
a kernel computes together. Steps are rows of int64: kernel, column, base, n_slots, n_windows, start of the look-up.
A look-up maps ``code + 1`` (0 is null) to a slot, −1 to none.

Serial on purpose: threads run over slices of leads, outside, so that the same compiled code serves one lead in
microseconds.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from leadscore.time import DAY, FOREVER

COUNT, COUNT_BY, AMOUNTS, RECENCY, RECENCY_BY, SEQUENCE = range(6)

FIELDS: dict[int, tuple[str, ...]] = {
    COUNT: ("count",),
    COUNT_BY: ("count",),
    AMOUNTS: ("sum", "mean", "min", "max", "std"),
    RECENCY: ("since_last", "since_first"),
    RECENCY_BY: ("since_last", "since_first"),
    SEQUENCE: ("last", "previous", "first", "mode"),
}
"""What each kernel writes, in the order of its fields."""

_DAY = float(DAY)
_FOREVER = FOREVER


@njit(nogil=True, cache=True)
def fill(
    lead: NDArray[np.int64],
    cutoff: NDArray[np.int64],
    row: NDArray[np.int64],
    offsets: NDArray[np.int64],
    time: NDArray[np.int64],
    known: NDArray[np.int64],
    codes: NDArray[np.int32],
    values: NDArray[np.float64],
    windows: NDArray[np.int64],
    steps: NDArray[np.int64],
    lookups: NDArray[np.int32],
    sources: NDArray[np.int64],
    targets: NDArray[np.int64],
    n_cells: int,
    out: NDArray[np.float32],
) -> None:
    """Write one table's features of every (lead, cutoff) into ``out[row]``.

    Parameters
    ----------
    lead, cutoff, row : (n,), which lead, as of when, into which row of `out`; lead −1 has no events
    offsets, time, known, codes, values : an `EventLog`
    windows : ascending lengths in microseconds, `FOREVER` for ``all``
    steps, lookups : the program, see the module
    sources, targets : cell and column of every feature to copy
    n_cells : length of all blocks together
    out : float32 or float64 (rows, columns)
    """
    longest = 0
    for i in range(len(lead)):
        if lead[i] >= 0:
            longest = max(longest, offsets[lead[i] + 1] - offsets[lead[i]])
    seen = np.empty(longest, dtype=np.int64)
    first = np.empty(len(windows), dtype=np.int64)
    cells = np.empty(n_cells, dtype=np.float64)
    for i in range(len(lead)):
        n_seen = 0
        if lead[i] >= 0:
            n_seen = _gather(offsets[lead[i]], offsets[lead[i] + 1], time, known, cutoff[i], seen)
        _window_starts(seen, n_seen, time, cutoff[i], windows, first)
        for s in range(len(steps)):
            column, base, n_slots, n_windows = steps[s, 1], steps[s, 2], steps[s, 3], steps[s, 4]
            block = cells[base:]
            lookup = lookups[steps[s, 5] :]
            kernel = steps[s, 0]
            if kernel == COUNT:
                _count(n_seen, first, block)
            elif kernel == COUNT_BY:
                _count_by(seen, n_seen, first, codes[column], lookup, n_slots, n_windows, block)
            elif kernel == AMOUNTS:
                _amounts(seen, n_seen, first, values[column], n_windows, block)
            elif kernel == RECENCY:
                _recency(seen, n_seen, time, cutoff[i], block)
            elif kernel == RECENCY_BY:
                _recency_by(seen, n_seen, time, cutoff[i], codes[column], lookup, n_slots, block)
            elif kernel == SEQUENCE:
                _sequence(seen, n_seen, codes[column], lookup, n_slots, block)
        for c in range(len(sources)):
            out[row[i], targets[c]] = cells[sources[c]]


@njit(nogil=True, cache=True)
def _gather(start, end, time, known, cutoff, seen):  # type: ignore[no-untyped-def]
    """Positions of the events of one lead that are visible at the cutoff, oldest first."""
    n_seen = 0
    for j in range(start, end):
        if time[j] >= cutoff:
            break
        if known[j] < cutoff:
            seen[n_seen] = j
            n_seen += 1
    return n_seen


@njit(nogil=True, cache=True)
def _window_starts(seen, n_seen, time, cutoff, windows, first):  # type: ignore[no-untyped-def]
    """For each window, the first gathered event that lies in it (`n_seen` where none does)."""
    j = 0
    for w in range(len(windows) - 1, -1, -1):
        if windows[w] != _FOREVER:
            start = cutoff - windows[w]
            while j < n_seen and time[seen[j]] < start:
                j += 1
        first[w] = j


@njit(nogil=True, cache=True)
def _count(n_seen, first, block):  # type: ignore[no-untyped-def]
    for w in range(len(first)):
        block[w] = n_seen - first[w]


@njit(nogil=True, cache=True)
def _count_by(seen, n_seen, first, codes, lookup, n_slots, n_windows, block):  # type: ignore[no-untyped-def]
    """Count into the smallest window that holds the event, then add up towards the larger ones."""
    block[: n_slots * n_windows] = 0.0
    w = 0
    for j in range(n_seen - 1, -1, -1):
        while w < n_windows and j < first[w]:
            w += 1
        if w == n_windows:
            break
        slot = lookup[codes[seen[j]] + 1]
        if slot >= 0:
            block[slot * n_windows + w] += 1.0
    for slot in range(n_slots):
        for w in range(1, n_windows):
            block[slot * n_windows + w] += block[slot * n_windows + w - 1]


@njit(nogil=True, cache=True)
def _amounts(seen, n_seen, first, values, n_windows, block):  # type: ignore[no-untyped-def]
    """Sum, mean, min, max and population std of the filled values, newest first, snapped at each window's start."""
    n, total, mean, spread = 0, 0.0, 0.0, 0.0
    low, high = np.inf, -np.inf
    j = n_seen - 1
    for w in range(n_windows):
        while j >= first[w]:
            value = values[seen[j]]
            if not np.isnan(value):
                n += 1
                total += value
                step = value - mean
                mean += step / n
                spread += step * (value - mean)
                low = min(low, value)
                high = max(high, value)
            j -= 1
        block[w] = total
        block[n_windows + w] = mean if n else np.nan
        block[2 * n_windows + w] = low if n else np.nan
        block[3 * n_windows + w] = high if n else np.nan
        block[4 * n_windows + w] = np.sqrt(max(spread, 0.0) / n) if n else np.nan


@njit(nogil=True, cache=True)
def _recency(seen, n_seen, time, cutoff, block):  # type: ignore[no-untyped-def]
    block[0] = (cutoff - time[seen[n_seen - 1]]) / _DAY if n_seen else np.nan
    block[1] = (cutoff - time[seen[0]]) / _DAY if n_seen else np.nan


@njit(nogil=True, cache=True)
def _recency_by(seen, n_seen, time, cutoff, codes, lookup, n_slots, block):  # type: ignore[no-untyped-def]
    block[: 2 * n_slots] = np.nan
    for j in range(n_seen):
        slot = lookup[codes[seen[j]] + 1]
        if slot >= 0:
            days = (cutoff - time[seen[j]]) / _DAY
            block[2 * slot] = days
            if np.isnan(block[2 * slot + 1]):
                block[2 * slot + 1] = days


@njit(nogil=True, cache=True)
def _sequence(seen, n_seen, codes, lookup, n_slots, block):  # type: ignore[no-untyped-def]
    """Last, previous, first and commonest category; a tie of the commonest goes to the one seen last."""
    for f in range(4):
        block[f] = np.nan
    if n_seen == 0:
        return
    block[0] = lookup[codes[seen[n_seen - 1]] + 1]
    if n_seen > 1:
        block[1] = lookup[codes[seen[n_seen - 2]] + 1]
    block[2] = lookup[codes[seen[0]] + 1]
    tally = np.zeros(n_slots, dtype=np.int64)
    for j in range(n_seen):
        tally[lookup[codes[seen[j]] + 1]] += 1
    most = tally.max()
    for j in range(n_seen - 1, -1, -1):
        slot = lookup[codes[seen[j]] + 1]
        if tally[slot] == most:
            block[3] = slot
            break


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
        version[i] = -1
        if lead[i] >= 0:
            for j in range(offsets[lead[i]], offsets[lead[i] + 1]):
                if known[j] >= cutoff[i]:
                    break
                version[i] = j
