"""The least that BentoML can answer: the peer of the service benchmark."""

from __future__ import annotations

from typing import Any

import bentoml


@bentoml.service(name="empty", workers=1, logging={"access": {"enabled": False}})
class Empty:
    """One endpoint that returns what it needs no time for."""

    @bentoml.api
    async def score(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return a constant."""
        return {"probability": 0.5}
