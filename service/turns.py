"""Whose turn it is: a few requests start per round of the event loop, which turns others away in between."""

from __future__ import annotations

import asyncio
import math
from collections import deque

SMOOTHING = 1 / 4
"""Weight of the newest round in the time that one takes."""
MOST_AT_ONCE = 32
"""Who starts in one round: about 10 ms of work, by which a refusal may be late."""


FLOOD = 4_000
"""Refusals in a second from which on they are what a worker does: they take a fifth of its time."""


class Flood:
    """Notes who is turned away, and tells a flood from a rush."""

    def __init__(self) -> None:
        self.on = False
        self._since = -math.inf
        self._n = 0

    def note(self, now: float) -> None:
        """Count a refusal (seconds, monotonic)."""
        if now >= self._since + 1:
            self.on = self._n >= FLOOD and now < self._since + 2
            self._since, self._n = now, 0
        self._n += 1
        self.on = self.on or self._n >= FLOOD


class Turns:
    """A queue before work that holds up the event loop, first come, first served.

    Without it, whatever is admitted at once is answered at once, and everybody else waits unread until the last of them
    is answered: in an overload the refusals are then as late as the answers.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._round_seconds = 0.001
        self._in_round = False
        self._n_given = 1
        self._n_expected = 0

    def __len__(self) -> int:
        """How many wait, or are about to."""
        return len(self._waiting) + self._n_expected

    def expect(self) -> None:
        """Count a request that was read, and will wait from the next round of the loop on: others are read before."""
        if not self._n_expected:
            asyncio.get_running_loop().call_soon(self._forget)
        self._n_expected += 1

    def _forget(self) -> None:
        self._n_expected = 0

    @property
    def wait_seconds(self) -> float:
        """How long who comes now will wait, beside for the next round: that many rounds, of the length of late.

        A round is a few answers and all refusals meanwhile, so that it grows with what is asked of the worker. Who
        starts in the next one is never turned away: in a flood of refusals nobody would be answered any more.
        """
        return len(self) // MOST_AT_ONCE * self._round_seconds

    @property
    def alone(self) -> bool:
        """Whether one request started in this round, and no other will be heard before it is answered."""
        return self._n_given == 1

    def take(self) -> bool:
        """Begin a round alone, if nobody came of late with another; else there are some to wait for."""
        if self._in_round or not self.alone:
            return False
        loop = asyncio.get_running_loop()
        self._in_round = True
        loop.call_soon(self._end, loop, loop.time())
        return True

    async def mine(self) -> float:
        """Wait until everybody who came before has started; return how many seconds that took."""
        if self.take():
            return 0.0
        loop = asyncio.get_running_loop()
        came_at = loop.time()
        turn = loop.create_future()
        self._waiting.append(turn)
        if not self._in_round:
            self._in_round = True
            loop.call_soon(self._give, loop)
        await turn
        return loop.time() - came_at

    def _give(self, loop: asyncio.AbstractEventLoop) -> None:
        self._n_given = min(MOST_AT_ONCE, len(self._waiting))
        for _ in range(self._n_given):
            turn = self._waiting.popleft()
            if not turn.done():  # who waits may have been cancelled
                turn.set_result(None)
        end = (self._end, loop, loop.time())
        # who starts with others is answered with them, a round of the loop later
        loop.call_soon(*(end if self._n_given == 1 else (loop.call_soon, *end)))

    def _end(self, loop: asyncio.AbstractEventLoop, given_at: float) -> None:
        # A pause of the machine counts as no more than a long round.
        last = min(loop.time() - given_at, 2 * self._round_seconds)
        self._round_seconds += SMOOTHING * (last - self._round_seconds)
        self._in_round = bool(self._waiting)
        if self._in_round:
            self._give(loop)
