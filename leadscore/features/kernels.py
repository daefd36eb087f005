"""How features are computed: one pass over the visible events of a lead, whatever the plan.

For every cutoff t the events with ``time < t`` and ``known < t`` are gathered once, in log order. As they are ordered
by time, each window ``[t − w, t)`` is a tail of what was gathered. Each *step* of the program then writes a block of
float64 cells from them, and the cells a plan asks for are copied to its columns.

A block is laid out as ``[slot, field, window]``, that of `COUNT_BY` as ``[window, slot]``: a slot is a category (or the
whole), a field one of the numbers that a kernel computes together. Steps are rows of int64: kernel, column, base,
n_slots, n_windows, look-up. In place of slots `AMOUNTS` is told whether means are asked for.
A look-up maps ``code + 1`` (0 is null) to a slot, −1 to none.

Events of the account's other leads are gathered by `_gather_others`; from there on they are events like any.

Serial on purpose: threads run over slices of leads, outside, so that the same compiled code serves one lead in
microseconds.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from leadscore.contacts import FROM_THEM
from leadscore.direction import OUTBOUND
from leadscore.time import DAY, FOREVER

COUNT, COUNT_BY, AMOUNTS, VARIETY, RECENCY, RECENCY_BY, DAYS, GAPS, TREND, DECAY, DECAY_BY, SEQUENCE, REPLY = range(13)

FIELDS: dict[int, tuple[str, ...]] = {
    COUNT: ("count",),
    COUNT_BY: ("count",),
    AMOUNTS: ("sum", "mean", "min", "max", "std"),
    VARIETY: ("nunique", "entropy"),
    RECENCY: ("since_last", "since_first"),
    RECENCY_BY: ("since_last", "since_first"),
    DAYS: ("active_days",),
    GAPS: ("gap_mean", "gap_std", "gap_now"),
    TREND: ("trend",),
    DECAY: ("decay",),
    DECAY_BY: ("decay",),
    SEQUENCE: ("last", "previous", "first", "mode"),
    REPLY: ("reply", "waiting"),
}
"""What each kernel writes, in the order of its fields."""

MOST_OF_ACCOUNT = 10_000
"""How many events of an account's other leads are looked at, the latest ones: what one lead may cost."""

_DAY = float(DAY)
_FOREVER = FOREVER


@njit(nogil=True, cache=True)
def fill(
    lead: NDArray[np.int64],
    cutoff: NDArray[np.int64],
    row: NDArray[np.int64],
    account: NDArray[np.int64],
    offsets: NDArray[np.int64],
    time: NDArray[np.int64],
    known: NDArray[np.int64],
    codes: NDArray[np.int32],
    values: NDArray[np.float64],
    sides: NDArray[np.int8],
    company: tuple[NDArray[np.int64], ...],
    clock: tuple[NDArray[np.int64], NDArray[np.int64]],
    windows: NDArray[np.int64],
    half_lives: NDArray[np.float64],
    steps: NDArray[np.int64],
    starts: NDArray[np.int64],
    n_words: NDArray[np.int64],
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
    account : (n,), each lead's account as of its cutoff, −1 for none: then the events are those of the account's other
        leads, and none gives NaN. Empty: the lead's own events
    offsets, time, known, codes, values : an `EventLog`
    sides : `leadscore.contacts.sides` of the log; empty where no step is `REPLY`
    company : `AccountLog.arrays`; unused where `account` is empty
    clock : `leadscore.time.clock_changes` of the project's zone
    windows : ascending lengths in microseconds, `FOREVER` for ``all``
    half_lives : in microseconds
    steps, lookups : the program, see the module; look-up l begins at ``lookups[starts[l]]``
    n_words : how many words each categorical column has
    sources, targets : cell and column of every feature to copy
    n_cells : length of all blocks together
    out : float32 or float64 (rows, columns)
    """
    of_account = len(account) > 0
    longest = _longest(account, company[0], MOST_OF_ACCOUNT) if of_account else _longest(lead, offsets, len(time))
    has_trend, has_decay, has_variety, most_words = False, False, False, 0
    for s in range(len(steps)):
        has_trend |= steps[s, 0] == TREND
        has_decay |= steps[s, 0] == DECAY or steps[s, 0] == DECAY_BY
        if steps[s, 0] == VARIETY:
            has_variety = True
            most_words = max(most_words, n_words[steps[s, 1]])
    seen = np.empty(longest, dtype=np.int64)
    first = np.empty(len(windows), dtype=np.int64)
    earlier = np.empty(len(windows), dtype=np.int64)
    weights = np.empty((len(half_lives), longest if has_decay else 0), dtype=np.float64)
    tally = np.zeros(most_words, dtype=np.int64)
    n_log_n = _n_log_n(longest if has_variety else 0)
    cells = np.empty(n_cells, dtype=np.float64)
    for i in range(len(lead)):
        if of_account and account[i] < 0:
            for c in range(len(targets)):
                out[row[i], targets[c]] = np.nan
            continue
        n_seen = 0
        if of_account:
            n_seen = _gather_others(lead[i], account[i], time, known, cutoff[i], company, seen)
        elif lead[i] >= 0:
            n_seen = _gather(offsets[lead[i]], offsets[lead[i] + 1], time, known, cutoff[i], seen)
        _window_starts(seen, n_seen, time, cutoff[i], windows, 1, first)
        if has_trend:
            _window_starts(seen, n_seen, time, cutoff[i], windows, 2, earlier)
        if has_decay:
            _weigh(seen, n_seen, time, cutoff[i], half_lives, weights)
        for s in range(len(steps)):
            kernel, column, base = steps[s, 0], steps[s, 1], steps[s, 2]
            n_slots, n_windows, start = steps[s, 3], steps[s, 4], starts[steps[s, 5]]
            if kernel == COUNT:
                _count(n_seen, first, cells, base)
            elif kernel == COUNT_BY:
                _count_by(seen, n_seen, first, codes, column, lookups, start, n_slots, n_windows, cells, base)
            elif kernel == AMOUNTS:
                _amounts(seen, n_seen, first, values, column, n_slots > 0, n_windows, cells, base)
            elif kernel == VARIETY:
                _variety(seen, n_seen, first, codes, column, n_windows, tally, n_log_n, cells, base)
            elif kernel == RECENCY:
                _recency(seen, n_seen, time, cutoff[i], cells, base)
            elif kernel == RECENCY_BY:
                _recency_by(seen, n_seen, time, cutoff[i], codes, column, lookups, start, n_slots, cells, base)
            elif kernel == DAYS:
                _days(seen, n_seen, first, time, clock[0], clock[1], cells, base)
            elif kernel == GAPS:
                _gaps(seen, n_seen, time, cutoff[i], cells, base)
            elif kernel == TREND:
                _trend(n_seen, first, earlier, cells, base)
            elif kernel == DECAY:
                _decay(n_seen, weights, cells, base)
            elif kernel == DECAY_BY:
                _decay_by(seen, n_seen, weights, codes, column, lookups, start, n_slots, cells, base)
            elif kernel == SEQUENCE:
                _sequence(seen, n_seen, codes, column, lookups, start, n_slots, cells, base)
            elif kernel == REPLY:
                _reply(seen, n_seen, time, cutoff[i], sides, cells, base)
        for c in range(len(sources)):
            out[row[i], targets[c]] = cells[sources[c]]


@njit(nogil=True, cache=True)
def _longest(group, offsets, most):  # type: ignore[no-untyped-def]
    """The largest number of events that one of these leads or accounts has, `most` at most."""
    longest = 0
    for i in range(len(group)):
        if group[i] >= 0:
            longest = max(longest, offsets[group[i] + 1] - offsets[group[i]])
    return min(longest, most)


@njit(nogil=True, cache=True)
def _n_log_n(most):  # type: ignore[no-untyped-def]
    """``n ln n`` for n from 0 to `most`."""
    table = np.zeros(most + 1, dtype=np.float64)
    for n in range(2, most + 1):
        table[n] = n * np.log(n)
    return table


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
def any_visible(
    lead: NDArray[np.int64],
    cutoff: NDArray[np.int64],
    offsets: NDArray[np.int64],
    time: NDArray[np.int64],
    known: NDArray[np.int64],
    found: NDArray[np.bool_],
) -> None:
    """Set `found` where an event of the lead is visible at the cutoff; what is set is not looked at again."""
    for i in range(len(lead)):
        for j in range(offsets[lead[i]], offsets[lead[i] + 1]):
            if found[i] or time[j] >= cutoff[i]:
                break
            found[i] = known[j] < cutoff[i]


@njit(nogil=True, cache=True)
def _gather_others(lead, account, time, known, cutoff, company, seen):  # type: ignore[no-untyped-def]
    """Positions of the latest visible events of an account's other members at the cutoff, oldest first."""
    offsets, rows, members, member_lead, member_from, member_until = company
    low, high = offsets[account], offsets[account + 1]
    begin = low
    while low < high:
        middle = (low + high) // 2
        if time[rows[middle]] < cutoff:
            low = middle + 1
        else:
            high = middle
    n_seen = 0
    for k in range(low - 1, begin - 1, -1):
        if n_seen == len(seen):
            break
        j, member = rows[k], members[k]
        belongs = member_from[member] < cutoff and cutoff <= member_until[member]
        if belongs and member_lead[member] != lead and known[j] < cutoff:
            seen[n_seen] = j
            n_seen += 1
    for k in range(n_seen // 2):
        seen[k], seen[n_seen - 1 - k] = seen[n_seen - 1 - k], seen[k]
    return n_seen


@njit(nogil=True, cache=True)
def _window_starts(seen, n_seen, time, cutoff, windows, times, first):  # type: ignore[no-untyped-def]
    """For each window, so many times as long, the first gathered event in it (`n_seen` where none is)."""
    j = 0
    for w in range(len(windows) - 1, -1, -1):
        if windows[w] != _FOREVER:
            start = cutoff - times * windows[w]
            while j < n_seen and time[seen[j]] < start:
                j += 1
        first[w] = j


@njit(nogil=True, cache=True)
def _weigh(seen, n_seen, time, cutoff, half_lives, weights):  # type: ignore[no-untyped-def]
    """What is left of each event after its age, by half-life."""
    for h in range(len(half_lives)):
        rate = -np.log(2.0) / half_lives[h]
        for j in range(n_seen):
            weights[h, j] = np.exp(rate * (cutoff - time[seen[j]]))


@njit(nogil=True, cache=True)
def _count(n_seen, first, cells, base):  # type: ignore[no-untyped-def]
    for w in range(len(first)):
        cells[base + w] = n_seen - first[w]


@njit(nogil=True, cache=True)
def _count_by(seen, n_seen, first, codes, column, lookups, start, n_slots, n_windows, cells, base):  # type: ignore[no-untyped-def]
    """Count into the smallest window that holds the event, then add up towards the larger ones, all slots at once."""
    for cell in range(base, base + n_slots * n_windows):
        cells[cell] = 0.0
    w = 0
    for j in range(n_seen - 1, -1, -1):
        while w < n_windows and j < first[w]:
            w += 1
        if w == n_windows:
            break
        slot = lookups[start + codes[column, seen[j]] + 1]
        if slot >= 0:
            cells[base + w * n_slots + slot] += 1.0
    for cell in range(base + n_slots, base + n_slots * n_windows):
        cells[cell] += cells[cell - n_slots]


@njit(nogil=True, cache=True)
def _amounts(seen, n_seen, first, values, column, has_mean, n_windows, cells, base):  # type: ignore[no-untyped-def]
    """Sum, mean, min, max and population std of the filled values, newest first, snapped at each window's start.

    Mean and std cost a division per event, and are left out unless `has_mean`.
    """
    n, total, mean, spread = 0, 0.0, 0.0, 0.0
    low, high = np.inf, -np.inf
    j = n_seen - 1
    for w in range(n_windows):
        while j >= first[w]:
            value = values[column, seen[j]]
            if not np.isnan(value):
                n += 1
                total += value
                low = min(low, value)
                high = max(high, value)
                if has_mean:
                    step = value - mean
                    mean += step / n
                    spread += step * (value - mean)
            j -= 1
        at = base + w
        cells[at] = total
        cells[at + 2 * n_windows] = low if n else np.nan
        cells[at + 3 * n_windows] = high if n else np.nan
        if has_mean:
            cells[at + n_windows] = mean if n else np.nan
            cells[at + 4 * n_windows] = np.sqrt(max(spread, 0.0) / n) if n else np.nan


@njit(nogil=True, cache=True)
def _variety(seen, n_seen, first, codes, column, n_windows, tally, n_log_n, cells, base):  # type: ignore[no-untyped-def]
    """Distinct raw values and their entropy; `tally` is all zero before and after."""
    n, n_distinct, total = 0, 0, 0.0
    j = n_seen - 1
    for w in range(n_windows):
        while j >= first[w]:
            code = codes[column, seen[j]]
            if code >= 0:
                n += 1
                n_distinct += tally[code] == 0
                tally[code] += 1
                total += n_log_n[tally[code]] - n_log_n[tally[code] - 1]
            j -= 1
        cells[base + w] = n_distinct
        entropy = 0.0 if n_distinct == 1 else np.nan
        if n_distinct > 1:
            entropy = (n_log_n[n] - total) / n
        cells[base + n_windows + w] = entropy
    for k in range(j + 1, n_seen):
        code = codes[column, seen[k]]
        if code >= 0:
            tally[code] = 0


@njit(nogil=True, cache=True)
def _recency(seen, n_seen, time, cutoff, cells, base):  # type: ignore[no-untyped-def]
    cells[base] = (cutoff - time[seen[n_seen - 1]]) / _DAY if n_seen else np.nan
    cells[base + 1] = (cutoff - time[seen[0]]) / _DAY if n_seen else np.nan


@njit(nogil=True, cache=True)
def _recency_by(seen, n_seen, time, cutoff, codes, column, lookups, start, n_slots, cells, base):  # type: ignore[no-untyped-def]
    for cell in range(base, base + 2 * n_slots):
        cells[cell] = np.nan
    for j in range(n_seen):
        slot = lookups[start + codes[column, seen[j]] + 1]
        if slot >= 0:
            days = (cutoff - time[seen[j]]) / _DAY
            cells[base + 2 * slot] = days
            if np.isnan(cells[base + 2 * slot + 1]):
                cells[base + 2 * slot + 1] = days


@njit(nogil=True, cache=True)
def _days(seen, n_seen, first, time, changes, ahead, cells, base):  # type: ignore[no-untyped-def]
    """Distinct local days; clocks set back just after midnight let the newer day come once more before the older."""
    n_days, oldest, newer_counted = 0, 0, False
    clock = len(changes) - 1
    j = n_seen - 1
    for w in range(len(first)):
        while j >= first[w]:
            at = time[seen[j]]
            while at < changes[clock]:
                clock -= 1
            day = (at + ahead[clock]) // DAY
            if n_days == 0 or day < oldest:
                newer_counted = n_days > 0 and day == oldest - 1
                oldest = day
                n_days += 1
            elif day > oldest and not newer_counted:
                newer_counted = True
                n_days += 1
            j -= 1
        cells[base + w] = n_days


@njit(nogil=True, cache=True)
def _gaps(seen, n_seen, time, cutoff, cells, base):  # type: ignore[no-untyped-def]
    """Mean and population std of the gaps between events, and the current gap by the mean one."""
    cells[base : base + 3] = np.nan
    if n_seen < 2:
        return
    last = time[seen[n_seen - 1]]
    length = last - time[seen[0]]
    mean = length / (n_seen - 1)
    spread = 0.0
    for j in range(1, n_seen):
        spread += ((time[seen[j]] - time[seen[j - 1]]) - mean) ** 2
    cells[base] = mean / _DAY
    cells[base + 1] = np.sqrt(spread / (n_seen - 1)) / _DAY
    if length > 0:
        cells[base + 2] = (cutoff - last) / mean


@njit(nogil=True, cache=True)
def _trend(n_seen, first, earlier, cells, base):  # type: ignore[no-untyped-def]
    for w in range(len(first)):
        cells[base + w] = (n_seen - first[w]) - (first[w] - earlier[w])


@njit(nogil=True, cache=True)
def _decay(n_seen, weights, cells, base):  # type: ignore[no-untyped-def]
    for h in range(len(weights)):
        total = 0.0
        for j in range(n_seen):
            total += weights[h, j]
        cells[base + h] = total


@njit(nogil=True, cache=True)
def _decay_by(seen, n_seen, weights, codes, column, lookups, start, n_slots, cells, base):  # type: ignore[no-untyped-def]
    n_half_lives = len(weights)
    for cell in range(base, base + n_slots * n_half_lives):
        cells[cell] = 0.0
    for j in range(n_seen):
        slot = lookups[start + codes[column, seen[j]] + 1]
        if slot >= 0:
            for h in range(n_half_lives):
                cells[base + slot * n_half_lives + h] += weights[h, j]


@njit(nogil=True, cache=True)
def _sequence(seen, n_seen, codes, column, lookups, start, n_slots, cells, base):  # type: ignore[no-untyped-def]
    """Last, previous, first and commonest category; a tie of the commonest goes to the one seen last."""
    cells[base : base + 4] = np.nan
    if n_seen == 0:
        return
    cells[base] = lookups[start + codes[column, seen[n_seen - 1]] + 1]
    if n_seen > 1:
        cells[base + 1] = lookups[start + codes[column, seen[n_seen - 2]] + 1]
    cells[base + 2] = lookups[start + codes[column, seen[0]] + 1]
    tally = np.zeros(n_slots, dtype=np.int64)
    for j in range(n_seen):
        tally[lookups[start + codes[column, seen[j]] + 1]] += 1
    most = tally.max()
    for j in range(n_seen - 1, -1, -1):
        slot = lookups[start + codes[column, seen[j]] + 1]
        if tally[slot] == most:
            cells[base + 3] = slot
            break


@njit(nogil=True, cache=True)
def _reply(seen, n_seen, time, cutoff, sides, cells, base):  # type: ignore[no-untyped-def]
    """Days that the latest answer took, and days since the first outbound that has none yet."""
    cells[base : base + 2] = np.nan
    asked, pending, waiting_since = False, np.int64(0), np.int64(0)
    for j in range(n_seen):
        from_us, from_them = sides[seen[j]] & OUTBOUND != 0, sides[seen[j]] & FROM_THEM != 0
        if from_us and not (asked and from_them):
            pending = time[seen[j]]
            waiting_since = waiting_since if asked else pending
            asked = True
        if from_them and asked:
            cells[base] = (time[seen[j]] - pending) / _DAY
            asked = False
    if asked:
        cells[base + 1] = (cutoff - waiting_since) / _DAY
