"""Seconds and bytes of one piece of work."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def fastest_of(n: int, work: Callable[[], object]) -> float:
    """Seconds of the fastest of n runs; warm up before."""
    fastest = float("inf")
    for _ in range(n):
        start = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - start)
    return fastest


def peak_of(work: Callable[[], Result]) -> tuple[Result, int, bool]:
    """Run once; return the result, by how many bytes resident memory rose meanwhile, and whether that is exact.

    Linux keeps the high-water mark and lets a process reset it. Elsewhere it can't be reset: then a peak while loading
    hides a lower one here, and the figure is at most the truth.
    """
    gc.collect()
    _give_back()
    exact = CLEAR.exists()
    if exact:
        CLEAR.write_text("5")
    before = _field("VmRSS") if exact else _most_resident()
    result = work()
    after = _field("VmHWM") if exact else _most_resident()
    return result, after - before, exact


def _field(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def _most_resident() -> int:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _give_back() -> None:
    """Return freed memory of loading to the system, so that it isn't reused unseen."""
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
