"""A keeper over the sample's store, with a clock that a test moves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from leadscore import time
from service.keeper import Keeper
from service.store import Store
from service.store.scores import ListQuery

NOW = time.parse_instant("2026-05-01T09:00:00Z", "UTC")
MINUTE = 60_000_000


@dataclass
class Kept:
    """A keeper with a clock of its own."""

    keeper: Keeper
    store: Store
    registry: CollectorRegistry
    now: list[int]

    def settle(self) -> None:
        for _ in range(10):
            if not self.keeper.step():
                return
        raise AssertionError("there is always something to do")

    def list(self, **query: Any) -> list[dict[str, Any]]:
        return [json.loads(record) for record, *_ in self.store.scores.page(ListQuery(limit=500, **query)).records]
