from __future__ import annotations

import asyncio
import time

import pytest

from service.turns import MOST_AT_ONCE, Turns


def starts(turns: Turns, n: int) -> list[list[int]]:
    """Who starts in each round of the loop, of so many that come at once."""

    async def story() -> list[list[int]]:
        rounds: list[list[int]] = [[]]

        async def work(number: int) -> None:
            await turns.mine()
            if not rounds[-1]:
                asyncio.get_running_loop().call_soon(rounds.append, [])
            rounds[-1].append(number)

        await asyncio.gather(*(work(number) for number in range(n)))
        return [found for found in rounds if found]

    return asyncio.run(story())


def test_who_comes_when_nobody_did_with_another_starts_at_once() -> None:
    async def story() -> bool:
        turns = Turns()
        coming = turns.mine()
        with pytest.raises(StopIteration):  # without once giving up control
            coming.send(None)
        await asyncio.sleep(0)
        return turns.alone

    assert asyncio.run(story())


def test_a_few_start_a_round_of_the_loop_first_come_first_served() -> None:
    rounds = starts(Turns(), 80)
    assert [number for found in rounds for number in found] == [*range(80)]
    assert 1 < max(map(len, rounds)) <= MOST_AT_ONCE


def test_the_wait_is_foretold_from_the_rounds_of_late() -> None:
    async def waits() -> list[float]:
        turns = Turns()
        before = turns.wait_seconds

        async def work() -> None:
            await turns.mine()
            time.sleep(0.0003)

        for _ in range(8):
            await asyncio.gather(*(work() for _ in range(3 * MOST_AT_ONCE)))
        waiting = [asyncio.create_task(work()) for _ in range(3 * MOST_AT_ONCE)]
        await asyncio.sleep(0)
        during = turns.wait_seconds
        await asyncio.wait(waiting)
        return [before, during, turns.wait_seconds]

    before, during, after = asyncio.run(waits())
    assert before == after == 0
    assert during > 2 * MOST_AT_ONCE * 0.00025


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
