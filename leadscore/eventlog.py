"""Events of one table grouped by lead, in time order: flat arrays that the kernels walk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

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
    """

    offsets: NDArray[np.int64]
    time: Instants
    known: Instants
    codes: NDArray[np.int32]
    values: NDArray[np.float64]
    vocabularies: tuple[tuple[str, ...], ...]

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
        """Group rows by lead index (0 ≤ lead < n_leads) and put them in time order. O(n log n)."""
        order, offsets = in_order(lead.astype(np.int64), time, known, codes, values, None, n_groups=n_leads)
        in_time = time[order]
        return cls(
            offsets=offsets,
            time=in_time,
            known=in_time if known is time else known[order],
            codes=np.ascontiguousarray(codes[:, order]),
            values=np.ascontiguousarray(values[:, order]),
            vocabularies=vocabularies,
        )

    def lead_of_rows(self) -> NDArray[np.int64]:
        """Return the lead index of every row, int64 (n_events,)."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


def in_order(
    group: NDArray[np.int64],
    time: Instants,
    known: Instants,
    codes: NDArray[np.int32],
    values: NDArray[np.float64],
    rows: NDArray[np.int64] | None,
    *,
    n_groups: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort by group and time; only where both tie, by `known` and content.

    Parameters
    ----------
    group, time, known : (n,)
    codes, values : content, of row ``rows[i]`` for position i; of row i where `rows` is None
    n_groups : groups are 0 ≤ group < n_groups

    Returns
    -------
    order, offsets : int64 (n,) and (n_groups + 1,)
    """
    order, offsets, tied = _by_group_and_time(group, time, n_groups)
    if tied.any():
        ties = order[tied]
        content = ties if rows is None else rows[ties]
        keys = [*values[::-1, content], *codes[::-1, content], known[ties], time[ties], group[ties]]
        order[tied] = ties[np.lexsort(keys)]
    return order, offsets


_FEW = 24


@njit(nogil=True, cache=True)
def _by_group_and_time(
    group: NDArray[np.int64], time: Instants, n_groups: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Mask]:
    """Order, offsets, and whether a row ties with its neighbour: count the groups, then sort each by itself."""
    offsets = np.zeros(n_groups + 1, dtype=np.int64)
    for i in range(len(group)):
        offsets[group[i] + 1] += 1
    for g in range(n_groups):
        offsets[g + 1] += offsets[g]
    order = np.empty(len(group), dtype=np.int64)
    instants = np.empty(len(group), dtype=np.int64)
    free = offsets[:-1].copy()
    for i in range(len(group)):
        place = free[group[i]]
        order[place] = i
        instants[place] = time[i]
        free[group[i]] += 1
    tied = np.zeros(len(group), dtype=np.bool_)
    for g in range(n_groups):
        start, end = offsets[g], offsets[g + 1]
        if end - start > _FEW:
            again = np.argsort(instants[start:end], kind="mergesort")
            instants[start:end] = instants[start:end][again]
            order[start:end] = order[start:end][again]
        else:
            _insert(instants, order, start, end)
        for i in range(start + 1, end):
            if instants[i] == instants[i - 1]:
                tied[i - 1] = tied[i] = True
    return order, offsets, tied


@njit(nogil=True, cache=True)
def _insert(instants, order, start, end):  # type: ignore[no-untyped-def]
    """Sort a few rows by time, stably."""
    for i in range(start + 1, end):
        instant, row = instants[i], order[i]
        j = i - 1
        while j >= start and instants[j] > instant:
            instants[j + 1], order[j + 1] = instants[j], order[j]
            j -= 1
        instants[j + 1], order[j + 1] = instant, row
