"""How many threads work on something: one a processor, fewer where several somethings are worked on side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_side_by_side: ContextVar[int] = ContextVar("side_by_side", default=1)


def n_threads() -> int:
    """Return how many threads the caller may start; results never depend on it."""
    return max(1, (os.cpu_count() or 1) // _side_by_side.get())


@contextmanager
def one_of(n: int) -> Iterator[None]:
    """Say that this thread is one of n that work side by side, so that together they start one a processor."""
    before = _side_by_side.set(n)
    try:
        yield
    finally:
        _side_by_side.reset(before)
