"""A request and its answer, as what stands around the routes knows them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.datastructures import Headers

UNMATCHED = "unmatched"
"""The template of paths that are no route."""


@dataclass
class Exchange:
    """One request and its answer, as metrics and the log may know it: no path, no query, no body.

    `key` is the name of the API key, never its secret.
    """

    request_id: str
    method: str
    started: float
    route: str = UNMATCHED
    status: int = 0
    fault: str | None = None
    key: str | None = None

    @property
    def seconds(self) -> float:
        """Seconds since the request came in."""
        return time.perf_counter() - self.started


class Asked(NamedTuple):
    """The head of a request."""

    method: str
    path: str
    query: bytes
    headers: Headers


class ShortWay(NamedTuple):
    """How a request, given with its body, is answered past all layers; and the template of its route.

    `answer` returns a `Response`, and raises what `Gate` answers in its place; if it `waits`, it is to be awaited.
    """

    route: str
    answer: Callable[[Asked, bytes], Any]
    waits: bool = False


FindShortWay = Callable[[str, str], ShortWay | None]
"""From method and path to how that is answered, None where it goes through the application alone."""
