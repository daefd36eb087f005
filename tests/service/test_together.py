from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from service.problems import STORE_DOWN, Problem
from service.together import Together
from service.turns import MOST_AT_ONCE, Turns
from tests.service.conftest import AS_OF, Service


class Doubling:
    """Doubles numbers; refuses odd ones, fails on a zero, is down for −1, and tells which groups it was asked."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []

    async def __call__(self, numbers: list[int]) -> Sequence[int | Exception]:
        self.groups.append(numbers)
        if -1 in numbers:
            raise Problem(STORE_DOWN, "down")
        if 0 in numbers:
            raise ZeroDivisionError
        return [ValueError(number) if number % 2 else 2 * number for number in numbers]


def ask(numbers: Sequence[int]) -> tuple[list[list[int]], list[int | BaseException]]:
    doubling = Doubling()

    async def story() -> list[int | BaseException]:
        turns = Turns()
        together = Together(doubling, turns)

        async def one(number: int) -> int:
            await turns.mine()
            return await together.ask(number)

        return await asyncio.gather(*map(one, numbers), return_exceptions=True)

    return doubling.groups, asyncio.run(story())


def test_the_first_waits_for_nobody_the_others_are_asked_together_and_each_has_its_own_answer() -> None:
    groups, said = ask([2, 4, 3, 6])
    assert groups == [[2], [4, 3, 6]]
    assert (said[0], said[1], said[3]) == (4, 8, 12)
    assert isinstance(said[2], ValueError)


def test_a_group_is_no_larger_than_a_round() -> None:
    groups, said = ask([2] * (2 * MOST_AT_ONCE + 1))
    assert max(map(len, groups)) <= MOST_AT_ONCE
    assert said == [4] * (2 * MOST_AT_ONCE + 1)


def test_who_fails_a_group_fails_alone() -> None:
    groups, said = ask([2, 4, 0, 6])
    assert groups == [[2], [4, 0, 6], [4], [0], [6]]
    assert (said[0], said[1], said[3]) == (4, 8, 12)
    assert isinstance(said[2], ZeroDivisionError)


def test_what_is_wrong_with_all_is_found_once() -> None:
    groups, said = ask([2, 4, -1, 6])
    assert groups == [[2], [4, -1, 6]]
    assert [type(one) for one in said] == [int, Problem, Problem, Problem]


def test_what_gathers_meanwhile_is_answered_in_groups_of_a_round() -> None:
    doubling = Doubling()

    async def story() -> list[int]:
        turns = Turns()
        turns._n_given = 2
        together = Together(doubling, turns)
        return await asyncio.gather(*map(together.ask, [2] * (2 * MOST_AT_ONCE + 1)))

    assert asyncio.run(story()) == [4] * (2 * MOST_AT_ONCE + 1)
    assert [len(group) for group in doubling.groups] == [MOST_AT_ONCE, MOST_AT_ONCE, 1]


def test_who_has_gone_keeps_nobody_from_an_answer() -> None:
    async def story() -> list[int]:
        turns = Turns()
        turns._n_given = 2
        together = Together(Doubling(), turns)
        asked = [asyncio.create_task(together.ask(number)) for number in (2, 4, 6)]
        await asyncio.sleep(0)
        asked[1].cancel()
        done = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(done[1], asyncio.CancelledError)
        return [number for number in done if isinstance(number, int)]

    assert asyncio.run(story()) == [4, 12]


@pytest.mark.parametrize("number", [0, 1])
def test_a_lone_fault_is_raised(number: int) -> None:
    _, [said] = ask([number])
    assert isinstance(said, ValueError if number else ZeroDivisionError)


def at_once(service: Service, requests: Sequence[tuple[str, str, Any]]) -> list[Any]:
    """Send requests in one round of the loop; return their answers."""

    async def story() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(service.app), base_url="http://localhost") as client:
            return await asyncio.gather(*(client.request(method, path, json=body) for method, path, body in requests))

    return [(answer.status_code, answer.json()) for answer in asyncio.run(story())]


def without_id(said: list[Any]) -> list[Any]:
    return [(status, {name: value for name, value in body.items() if name != "request_id"}) for status, body in said]


def test_documents_that_come_at_once_are_answered_as_if_each_came_alone(
    service: Service, documents: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [*documents[:9], {"lead": {}}, 3, *documents[9:12]]
    requests = [("POST", "/v1/score", body) for body in bodies]
    alone = [at_once(service, [request])[0] for request in requests]
    sizes: list[int] = []
    score = service.model.score
    monkeypatch.setattr(service.model, "score", lambda asked, now: sizes.append(len(asked)) or score(asked, now=now))
    assert without_id(at_once(service, requests)) == without_id(alone)
    assert max(sizes) > 1


def test_stored_leads_that_are_asked_for_at_once_are_answered_as_if_each_were_alone(stored_service: Service) -> None:
    ids = ["L000001", "L000002", "nobody", "L000003", "L000001", "L000500"]
    paths = [f"/v1/leads/{lead_id}/score?as_of={AS_OF}" for lead_id in ids]
    paths.append(f"/v1/leads/{ids[0]}/score?as_of=2001-01-01")
    requests = [("GET", path, None) for path in paths]
    alone = [at_once(stored_service, [request])[0] for request in requests]
    assert [status for status, _ in alone] == [200, 200, 404, 200, 200, 200, 404]
    assert without_id(at_once(stored_service, requests)) == without_id(alone)
