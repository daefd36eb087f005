"""Events of one table grouped by lead, in time order: flat arrays that the kernels walk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leadscore.time import Instants


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
        order = in_order(lead, time, known, codes, values, np.arange(len(time)))
        offsets = np.zeros(n_leads + 1, dtype=np.int64)
        np.cumsum(np.bincount(lead, minlength=n_leads), out=offsets[1:])
        return cls(
            offsets=offsets,
            time=time[order],
            known=known[order],
            codes=np.ascontiguousarray(codes[:, order]),
            values=np.ascontiguousarray(values[:, order]),
            vocabularies=vocabularies,
        )

    def lead_of_rows(self) -> NDArray[np.int64]:
        """Return the lead index of every row, int64 (n_events,)."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


def in_order(
    group: NDArray[np.integer],
    time: Instants,
    known: Instants,
    codes: NDArray[np.int32],
    values: NDArray[np.float64],
    rows: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Sort by group and time; only where both tie, by `known` and content, which is ``codes[:, rows]`` and `values`."""
    order = np.lexsort((time, group))
    if len(order) < 2:
        return order
    sorted_group, sorted_time = group[order], time[order]
    same = (sorted_group[1:] == sorted_group[:-1]) & (sorted_time[1:] == sorted_time[:-1])
    if not same.any():
        return order
    tied = np.zeros(len(order), dtype=bool)
    tied[1:] |= same
    tied[:-1] |= same
    ties = order[tied]
    content = [*values[::-1, rows[ties]], *codes[::-1, rows[ties]], known[ties], time[ties], group[ties]]
    order[tied] = ties[np.lexsort(content)]
    return order
