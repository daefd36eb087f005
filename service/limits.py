"""What one request may ask for, and how many may be there at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from leadscore.errors import LeadScoreError

LARGE_BODY_BYTES = 64 * 2**10
"""A lead document above this is scored in a thread, so that it holds up nobody."""


@dataclass(frozen=True)
class Limits:
    """What one request may ask for; read from the environment by `of`."""

    body_bytes: int = 8 * 2**20
    documents: int = 1_000
    rows: int = 10_000
    in_flight: int = 200
    waiting: int = 64
    wait_ms: int = 150
    body_seconds: float = 30.0
    answer_seconds: float = 30.0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Limits:
        """Read ``LEADSCORE_MAX_…``: ``BODY_BYTES``, ``DOCUMENTS``, ``ROWS``, ``IN_FLIGHT``, ``WAITING``, ``WAIT_MS``.

        Raises
        ------
        LeadScoreError
            If one of them is no whole number above 0.
        """
        return cls(
            body_bytes=_positive(environment, "LEADSCORE_MAX_BODY_BYTES", cls.body_bytes),
            documents=_positive(environment, "LEADSCORE_MAX_DOCUMENTS", cls.documents),
            rows=_positive(environment, "LEADSCORE_MAX_ROWS", cls.rows),
            in_flight=_positive(environment, "LEADSCORE_MAX_IN_FLIGHT", cls.in_flight),
            waiting=_positive(environment, "LEADSCORE_MAX_WAITING", cls.waiting),
            wait_ms=_positive(environment, "LEADSCORE_MAX_WAIT_MS", cls.wait_ms),
        )


def _positive(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    if not text.isdigit() or int(text) < 1:
        raise LeadScoreError(f"{name} must be a whole number above 0; unset it for {default}")
    return int(text)
