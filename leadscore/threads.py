"""How many threads work on something: one a processor, fewer where several somethings are worked on side by side."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")
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


def ahead(make: Callable[[Item], Made], items: Iterable[Item], *, n: int) -> Iterator[Made]:
    """Make something of items in n threads, and yield it in their order, at most n ahead of what is asked for."""
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(n) as pool:
        for item in items:
            waiting.append(pool.submit(make, item))
            if len(waiting) > n:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
