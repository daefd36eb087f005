"""Rows of a matrix, slice by slice on several threads: for kernels that are serial and let go of the GIL."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

FEWEST_PER_THREAD = 1_024
_SLICES_PER_THREAD = 4


def each_slice(run: Callable[[slice], Any], n_rows: int, *, least: int = 1, threads: int | None = None) -> None:
    """Run on every slice of n rows; where they are few, on one slice of all.

    Parameters
    ----------
    least : rows that a slice has at least
    threads : at most so many; default all processors
    """
    n_threads = n_rows // FEWEST_PER_THREAD
    if n_threads > 1:  # to ask for the processors takes longer than a row
        n_threads = min(threads or os.cpu_count() or 1, n_threads)
    if n_threads < 2:
        run(slice(0, n_rows))
        return
    size = max(least, -(-n_rows // (n_threads * _SLICES_PER_THREAD)))
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(run, (slice(start, start + size) for start in range(0, n_rows, size))))
