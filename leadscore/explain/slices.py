"""Rows of a matrix, slice by slice on several threads: for kernels that are serial and let go of the GIL."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from leadscore.threads import n_threads

FEWEST_PER_THREAD = 1_024
_SLICES_PER_THREAD = 4


def each_slice(run: Callable[[slice], Any], n_rows: int, *, least: int = 1, threads: int | None = None) -> None:
    """Run on every slice of n rows; where they are few, on one slice of all.

    Parameters
    ----------
    least : rows that a slice has at least
    threads : at most so many; default all processors
    """
    at_once = n_rows // FEWEST_PER_THREAD
    if at_once > 1:  # to ask for the processors takes longer than a row
        at_once = min(threads or n_threads(), at_once)
    if at_once < 2:
        run(slice(0, n_rows))
        return
    size = max(least, -(-n_rows // (at_once * _SLICES_PER_THREAD)))
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(run, (slice(start, start + size) for start in range(0, n_rows, size))))
