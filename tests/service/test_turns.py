from __future__ import annotations

import asyncio
import time

from service.turns import Turns


def test_one_starts_a_round_of_the_loop_first_come_first_served() -> None:
    async def story() -> list[str]:
        turns = Turns()
        told: list[str] = []

        async def work(name: str) -> None:
            await turns.mine()
            told.append(name)
            asyncio.get_running_loop().call_soon(told.append, "round")

        await asyncio.gather(*(work(name) for name in "abc"))
        await asyncio.sleep(0)
        return told

    assert asyncio.run(story()) == ["a", "round", "b", "round", "c", "round"]


def test_the_wait_is_foretold_from_the_rounds_of_late() -> None:
    async def waits() -> list[float]:
        turns = Turns()
        before = turns.wait_seconds

        async def work() -> None:
            await turns.mine()
            time.sleep(0.003)

        for _ in range(8):
            await asyncio.gather(*(work() for _ in range(10)))
        waiting = [asyncio.create_task(work()) for _ in range(10)]
        await asyncio.sleep(0)
        during = turns.wait_seconds
        await asyncio.wait(waiting)
        return [before, during, turns.wait_seconds]

    before, during, after = asyncio.run(waits())
    assert before == after == 0
    assert during > 10 * 0.0025


def test_who_gives_up_waiting_holds_up_nobody() -> None:
    async def story() -> list[str]:
        turns = Turns()
        told: list[str] = []

        async def work(name: str) -> None:
            await turns.mine()
            told.append(name)

        waiting = [asyncio.create_task(work(name)) for name in "abc"]
        await asyncio.sleep(0)
        waiting[1].cancel()
        await asyncio.wait(waiting)
        await work("d")
        return told

    assert asyncio.run(story()) == ["a", "c", "d"]
