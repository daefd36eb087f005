"""Events of one table grouped by lead, in time order: flat arrays that the kernels walk."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from leadscore.threads import n_threads
from leadscore.time import Instants, Mask


@dataclass(frozen=True)
class EventLog:
    """All events of one table: lead i owns rows ``offsets[i]`` to ``offsets[i + 1]``.

    Rows of a lead are ordered by time; equal times by `known`, then by content (categories as text, then numbers), so
    that the order of the input never matters.

    Attributes
    ----------
    offsets : int64 (n_leads + 1,)
    time, known : int64 (n_events,), UTC microseconds
    codes : int32 (n_categorical, n_events), index into the column's vocabulary, −1 where null
    values : float64 (n_numeric, n_events), NaN where null
    vocabularies : one sorted tuple of distinct texts per categorical column
    sides : who spoke, as `leadscore.contacts.sides` found it, by the direction that was asked about
    """

    offsets: NDArray[np.int64]
    time: Instants
    known: Instants
    codes: NDArray[np.int32]
    values: NDArray[np.float64]
    vocabularies: tuple[tuple[str, ...], ...]
    sides: dict[Any, NDArray[np.int8]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n_events(self) -> int:
        """Number of rows."""
        return len(self.time)

    @classmethod
    def group(
        cls,
        lead: NDArray[np.integer],
        time: Instants,
        known: Instants,
        codes: NDArray[np.int32],
        values: NDArray[np.float64],
        vocabularies: tuple[tuple[str, ...], ...],
        *,
        n_leads: int,
    ) -> EventLog:
        """Group rows by lead index (0 ≤ lead < n_leads) and put them in time order. O(n), but for leads of many rows.

        Long tables are first parted into stretches of leads, so that what is sorted next fits a processor's cache; two
        stretches are sorted at once.
        """
        group = lead.astype(np.int64, copy=False)
        at_once = known is time
        if len(group) < _LONG:
            order = in_order(group, time, known, codes, values, None, n_groups=n_leads)
            return cls(
                offsets=order.offsets,
                time=order.time,
                known=order.time if at_once else known[order.rows],
                codes=np.take(codes, order.rows, axis=1),
                values=np.take(values, order.rows, axis=1),
                vocabularies=vocabularies,
            )
        places, edges = _places(group, _shift(n_leads), _N_PARTS)
        with ThreadPoolExecutor(n_threads()) as pool:
            group, time, codes, values = _each(pool, _spread, places, group, time, codes, values)
            known = time if at_once else _each(pool, _spread, places, known)[0]
            order = in_order(group, time, known, codes, values, None, n_groups=n_leads, edges=edges, pool=pool)
            codes, values = _each(pool, _pick, order.rows, codes, values)
            known = order.time if at_once else _each(pool, _pick, order.rows, known)[0]
        return cls(order.offsets, order.time, known, codes, values, vocabularies)

    def lead_of_rows(self) -> NDArray[np.int64]:
        """Return the lead index of every row, int64 (n_events,)."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


def by_lead(lead: NDArray[np.int64], n_leads: int) -> NDArray[np.int64]:
    """Return the order of rows by lead (−1 first), those of one lead as they came: neighbours then share its events."""
    places, _ = _places(lead + 1, 0, n_leads + 1)
    rows = np.empty(len(lead), dtype=np.int64)
    _spread(np.arange(len(lead)), places, rows)
    return rows


class Order(NamedTuple):
    """Rows grouped and in time order: row ``rows[k]`` stands at place k and happened at ``time[k]``."""

    rows: NDArray[np.int64]
    time: Instants
    offsets: NDArray[np.int64]


def in_order(
    group: NDArray[np.int64],
    time: Instants,
    known: Instants,
    codes: NDArray[np.int32],
    values: NDArray[np.float64],
    content: NDArray[np.int64] | None,
    *,
    n_groups: int,
    edges: NDArray[np.int64] | None = None,
    pool: Executor | None = None,
) -> Order:
    """Sort by group and time; only where both tie, by `known` and content.

    Parameters
    ----------
    group, time, known : (n,)
    codes, values : content, of row ``content[i]`` for position i; of row i where `content` is None
    n_groups : groups are 0 ≤ group < n_groups
    edges, pool : where rows are parted by `_places`, where each part begins, and threads to sort parts in
    """
    n_rows = len(group)
    rows, at = np.empty(n_rows, dtype=np.int64), np.empty(n_rows, dtype=np.int64)
    tied, offsets = np.zeros(n_rows, dtype=np.bool_), np.zeros(n_groups + 1, dtype=np.int64)

    def sort(first_row: int, end_row: int, first_group: int, end_group: int) -> None:
        part = slice(first_row, end_row)
        ends = offsets[first_group + 1 : end_group + 1]
        _by_group_and_time(group[part], time[part], first_group, first_row, rows[part], at[part], tied[part], ends)

    if edges is None or pool is None:
        sort(0, n_rows, 0, n_groups)
    else:
        parts = np.linspace(0, len(edges) - 1, _N_STRETCHES + 1).astype(np.int64)
        groups = np.minimum(parts << _shift(n_groups), n_groups)
        bounds = zip(edges[parts[:-1]], edges[parts[1:]], groups[:-1], groups[1:], strict=True)
        list(pool.map(lambda bound: sort(*map(int, bound)), bounds))
    if tied.any():
        ties = rows[tied]
        chosen = ties if content is None else content[ties]
        keys = [*values[::-1, chosen], *codes[::-1, chosen], known[ties], time[ties], group[ties]]
        rows[tied] = ties[np.lexsort(keys)]
    return Order(rows, at, offsets)


_LONG = 200_000
"""Rows from which on a table is parted first."""
_N_PARTS = 1_024
_N_STRETCHES = 8


def _shift(n_groups: int) -> int:
    """How many low bits of a group don't decide its part."""
    return max(0, (max(n_groups, 1) - 1).bit_length() - (_N_PARTS - 1).bit_length())


@njit(nogil=True, cache=True)
def _places(group: NDArray[np.int64], shift: int, n_parts: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each row goes so that parts of neighbouring groups stand together, and where each part begins."""
    edges = np.zeros(n_parts + 1, dtype=np.int64)
    for i in range(len(group)):
        edges[(group[i] >> shift) + 1] += 1
    for part in range(n_parts):
        edges[part + 1] += edges[part]
    free = edges[:-1].copy()
    places = np.empty(len(group), dtype=np.int64)
    for i in range(len(group)):
        part = group[i] >> shift
        places[i] = free[part]
        free[part] += 1
    return places, edges


@njit(nogil=True, cache=True)
def _spread(column, places, moved):  # type: ignore[no-untyped-def]
    """Move every row to its place."""
    for i in range(len(column)):
        moved[places[i]] = column[i]


@njit(nogil=True, cache=True)
def _pick(column, rows, picked):  # type: ignore[no-untyped-def]
    """Take the row of every place."""
    for i in range(len(rows)):
        picked[i] = column[rows[i]]


def _each(
    pool: Executor, move: Callable[..., None], by: NDArray[np.int64], *tables: NDArray[Any]
) -> list[NDArray[Any]]:
    """Move the rows of every column, the columns side by side; a table is one column, or (n_columns, n_rows)."""
    moved = [np.empty_like(table) for table in tables]
    pairs = [
        pair
        for source, target in zip(tables, moved, strict=True)
        for pair in ([(source, target)] if source.ndim == 1 else zip(source, target, strict=True))
    ]
    list(pool.map(lambda pair: move(pair[0], by, pair[1]), pairs))
    return moved


_FEW = 24


@njit(nogil=True, cache=True)
def _by_group_and_time(
    group: NDArray[np.int64],
    time: Instants,
    first_group: int,
    first_row: int,
    rows: NDArray[np.int64],
    at: Instants,
    tied: Mask,
    ends: NDArray[np.int64],
) -> None:
    """Count the groups, then sort each by itself.

    Writes which row stands where (counted from `first_row`), its time, whether it ties with a neighbour, and where
    each group (counted from `first_group`) ends.
    """
    free = np.zeros(len(ends) + 1, dtype=np.int64)
    for i in range(len(group)):
        free[group[i] - first_group + 1] += 1
    for g in range(len(ends)):
        free[g + 1] += free[g]
        ends[g] = free[g + 1] + first_row
    for i in range(len(group)):
        place = free[group[i] - first_group]
        rows[place] = i + first_row
        at[place] = time[i]
        free[group[i] - first_group] += 1
    few_instants, few_rows = np.empty(_FEW, dtype=np.int64), np.empty(_FEW, dtype=np.int64)
    start = 0
    for g in range(len(ends)):
        end = ends[g] - first_row
        if end - start > _FEW:
            again = np.argsort(at[start:end], kind="mergesort")
            at[start:end] = at[start:end][again]
            rows[start:end] = rows[start:end][again]
        else:
            _rank(at, rows, start, end, few_instants, few_rows)
        for i in range(start + 1, end):
            if at[i] == at[i - 1]:
                tied[i - 1] = tied[i] = True
        start = end


@njit(nogil=True, cache=True)
def _rank(instants, rows, start, end, instants_before, rows_before):  # type: ignore[no-untyped-def]
    """Sort a few rows by time, stably: a row's place is how many come before it. No branch depends on the data."""
    n = end - start
    for i in range(n):
        instants_before[i] = instants[start + i]
        rows_before[i] = rows[start + i]
    for i in range(n):
        instant = instants_before[i]
        place = start
        for j in range(i):
            place += instants_before[j] <= instant
        for j in range(i + 1, n):
            place += instants_before[j] < instant
        instants[place] = instant
        rows[place] = rows_before[i]
