"""Whose turn it is: one request starts per round of the event loop, which turns others away in between."""

from __future__ import annotations

import asyncio
from collections import deque

SMOOTHING = 1 / 16
"""Weight of the newest round in the time that a round takes."""


class Turns:
    """A queue before work that holds up the event loop, first come, first served.

    Without it, whatever is admitted at once is scored at once, and everybody else waits unread until the last of them
    is answered: in an overload the refusals are then as late as the answers.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._round_seconds = 0.001
        self._given_at: float | None = None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def wait_seconds(self) -> float:
        """How long who comes now will wait: a round for each that waits, of the length of late.

        A round is one answer and all refusals meanwhile, so that it grows with what is asked of the worker.
        """
        return len(self._waiting) * self._round_seconds

    async def mine(self) -> float:
        """Wait until everybody who came before has started; return how many seconds that took."""
        loop = asyncio.get_running_loop()
        came_at = loop.time()
        turn = loop.create_future()
        self._waiting.append(turn)
        if len(self._waiting) == 1:
            self._given_at = None
            loop.call_soon(self._give)
        await turn
        return loop.time() - came_at

    def _give(self) -> None:
        turn = self._waiting.popleft()
        loop = turn.get_loop()
        now = loop.time()
        if self._given_at is not None:
            # A pause of the machine counts as no more than a long round.
            last = min(now - self._given_at, 2 * self._round_seconds)
            self._round_seconds += SMOOTHING * (last - self._round_seconds)
        self._given_at = now
        if not turn.done():  # who waits may have been cancelled
            turn.set_result(None)
        if self._waiting:
            loop.call_soon(self._give)
