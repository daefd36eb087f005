"""What is asked at once is answered in one call: most of what a score costs is the same for one lead and many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from service.problems import Problem
from service.turns import MOST_AT_ONCE, Turns

Asked = TypeVar("Asked")
Said = TypeVar("Said")


class Together(Generic[Asked, Said]):
    """Collects what requests of one round ask, and what comes while others are being answered.

    Parameters
    ----------
    answer : answers in order; an exception stands for the answer of one
    turns : say whether there is anybody to wait for
    """

    def __init__(self, answer: Callable[[list[Asked]], Awaitable[Sequence[Said | Exception]]], turns: Turns) -> None:
        self._answer = answer
        self._turns = turns
        self._waiting: list[tuple[Asked, asyncio.Future[Said | Exception]]] = []
        self._answering: asyncio.Task[None] | None = None

    async def ask(self, one: Asked) -> Said:
        """Return the answer to one, or raise what stands for it."""
        if self._turns.alone and self._answering is None:
            [said] = await self._answer([one])
            return found(said)
        future: asyncio.Future[Said | Exception] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, future))
        if self._answering is None:
            self._answering = asyncio.create_task(self._answer_all())
        return found(await future)

    async def _answer_all(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                answers = await self._answers([one for one, _ in group])
                for (_, future), said in zip(group, answers, strict=True):
                    if not future.done():  # who asked may have gone
                        future.set_result(said)
        finally:
            self._answering = None

    async def _answers(self, group: list[Asked]) -> Sequence[Said | Exception]:
        """Answer a group; where that fails as a whole, one by one, so that nobody suffers for another.

        A problem is that of all, as of a store that is down: nobody waits until it was found for each.
        """
        try:
            return await self._answer(group)
        except Problem as problem:
            return [problem] * len(group)
        except Exception as error:
            if len(group) == 1:
                return [error]
        return [said for one in group for said in await self._answers([one])]


def found(said: Said | Exception) -> Said:
    """Return what was said, or raise it if it stands for an answer."""
    if isinstance(said, Exception):
        raise said
    return said
