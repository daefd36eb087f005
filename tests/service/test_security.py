from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leadscore.errors import LeadScoreError
from service.access import Access
from service.exchange import Exchange
from service.limits import Limits
from service.security import Gate
from service.turns import FLOOD, MOST_AT_ONCE, Flood, Turns

LIMITS = Limits(body_bytes=10, in_flight=1, body_seconds=0.01, answer_seconds=0.05)
KEYLESS = Access(None, keyless=True)
HOST = [(b"host", b"localhost")]


class Recorded:
    """What one call through the gate sent, and what was observed of it."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.observed: list[Exchange] = []

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        problem: dict[str, Any] = json.loads(self.body)
        return problem


def call(
    app: ASGIApp,
    *,
    path: str = "/echo",
    method: str = "POST",
    headers: dict[str, str] | None = None,
    chunks: Iterable[bytes] = (b"{}",),
    ends: bool = True,
    leaves: bool = False,
    limits: Limits = LIMITS,
) -> Recorded:
    """Send one request through a gate, its body in chunks; an endless one stops sending but stays."""
    recorded = Recorded()
    pending = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    if ends:
        pending[-1]["more_body"] = False

    async def receive() -> Message:
        if pending:
            return pending.pop(0)
        if leaves:
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        recorded.sent.append(message)

    given = {"transfer-encoding": "chunked", "host": "localhost"} | (headers or {})
    raw = [(name.encode(), value.encode()) for name, value in given.items()]
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": raw,
        "query_string": b"q=secret",
    }
    gate = Gate(app, limits, recorded.observed.append, ["/echo"], KEYLESS)
    asyncio.run(gate(scope, receive, send))
    return recorded


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await Response(await Request(scope, receive).body())(scope, receive, send)


def answering(response: Response) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await response(scope, receive, send)

    return app


def test_a_body_within_the_limit_arrives_whole() -> None:
    answer = call(echo, chunks=[b"01234", b"56789"])
    assert (answer.status, answer.body) == (200, b"0123456789")


def test_a_chunked_body_is_refused_at_the_limit_and_read_no_further() -> None:
    answer = call(echo, chunks=[b"01234", b"56789", b"x"], ends=False)
    assert answer.problem["status"] == 413
    assert "10 bytes" in answer.problem["detail"]
    assert answer.headers["connection"] == "close"


def test_a_declared_length_is_refused_before_anything_is_read() -> None:
    answer = call(echo, headers={"content-length": "11"}, chunks=[], ends=False)
    assert answer.status == 413


def test_a_length_that_lies_is_counted_all_the_same() -> None:
    assert call(echo, headers={"content-length": "3"}, chunks=[b"x" * 11]).status == 413


def test_a_body_that_stalls_is_given_up() -> None:
    assert call(echo, chunks=[b"01"], ends=False).problem["type"] == "/docs#slow-body"


def test_a_client_that_leaves_is_counted_and_not_answered() -> None:
    answer = call(echo, chunks=[b"01"], ends=False, leaves=True)
    assert answer.sent == []
    assert answer.observed[0].status == 499


def test_a_client_that_leaves_before_its_answer_is_no_fault() -> None:
    async def gone(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    async def writes_to_nobody(message: Message) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    observed: list[Exchange] = []
    gate = Gate(answering(Response(b"{}")), LIMITS, observed.append, ["/echo"], KEYLESS)
    scope: Scope = {"type": "http", "method": "GET", "path": "/echo", "headers": [(b"host", b"localhost")]}
    asyncio.run(gate(scope, gone, writes_to_nobody))
    assert (observed[0].status, observed[0].fault) == (499, None)


@pytest.mark.parametrize("given", ["abc", "A-b_c.9", "x" * 64])
def test_a_sane_request_id_is_kept(given: str) -> None:
    answer = call(echo, headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == given
    assert answer.observed[0].request_id == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\x1b[31m", "é", "a\nb", "abc\n"])
def test_any_other_request_id_is_replaced(given: str) -> None:
    kept = call(echo, headers={"x-request-id": given}).headers["x-request-id"]
    assert len(kept) == 16
    assert int(kept, 16) >= 0


def test_every_answer_carries_the_security_headers() -> None:
    for answer in (call(echo), call(echo, chunks=[b"x" * 11])):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_an_exception_is_a_problem_and_its_message_stays_inside() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("secret")

    answer = call(fails)
    assert answer.problem["status"] == 500
    [exchange] = answer.observed
    assert exchange.fault is not None
    assert exchange.fault.startswith("ValueError at ")
    assert "secret" not in exchange.fault + answer.body.decode()


def test_an_exception_after_the_answer_began_sends_nothing_more() -> None:
    async def fails_late(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError

    answer = call(fails_late)
    assert [message["type"] for message in answer.sent] == ["http.response.start"]
    assert answer.observed[0].fault is not None


@pytest.mark.parametrize(
    ("response", "kind", "status"),
    [
        (JSONResponse([{"input": "secret"}], 400), "refused", 400),
        (PlainTextResponse("Not Found", 404), "not-found", 404),
        (JSONResponse({"error": "Too many requests"}, 429), "busy", 429),
        (PlainTextResponse("secret", 500), "internal-error", 500),
        (JSONResponse({"error": "slow"}, 504), "timeout", 504),
    ],
)
def test_errors_that_are_no_problems_become_problems(response: Response, kind: str, status: int) -> None:
    answer = call(answering(response))
    assert (answer.problem["type"], answer.status) == (f"/docs#{kind}", status)
    assert "secret" not in answer.body.decode()


def test_health_checks_are_bentomls_as_they_are() -> None:
    answer = call(answering(PlainTextResponse("no", 503)), path="/readyz", method="GET")
    assert (answer.status, answer.body) == (503, b"no")
    assert answer.observed[0].route == "/readyz"


def test_above_the_limit_requests_are_turned_away_while_health_still_answers() -> None:
    async def nested(path: str) -> int:
        statuses: list[int] = []

        async def outer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path"] == "/outer":
                inner = {"type": "http", "method": "GET", "path": path, "headers": HOST}
                await gate(inner, receive, record)
            await PlainTextResponse("ok")(scope, receive, send)

        async def record(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        gate = Gate(outer, LIMITS, lambda exchange: None, [], KEYLESS)
        await gate({"type": "http", "method": "GET", "path": "/outer", "headers": HOST}, nothing, record)
        await gate({"type": "http", "method": "GET", "path": "/after", "headers": HOST}, nothing, record)
        assert statuses[1:] == [200, 200]
        return statuses[0]

    assert asyncio.run(nested("/inner")) == 429
    assert asyncio.run(nested("/livez")) == 200


async def at_once(
    limits: Limits, n_requests: int, with_body: bool, work_seconds: float = 0.0
) -> tuple[list[str], list[int], list[Exchange]]:
    """Send requests at once to an application that takes its time; return what happened, in order."""
    story: list[str] = []
    statuses: list[int] = []
    observed: list[Exchange] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        story.append("answered")
        time.sleep(work_seconds)  # as scoring does, it holds up the loop
        await PlainTextResponse("ok")(scope, receive, send)

    async def receive() -> Message:
        if not with_body:
            await asyncio.sleep(0.001)
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
            if message["status"] == 429:
                story.append("turned away")

    gate = Gate(app, limits, observed.append, ["/echo"], KEYLESS)
    headers = [*HOST, (b"content-length", b"2")]
    scopes = [{"type": "http", "method": "POST", "path": "/echo", "headers": headers} for _ in range(n_requests)]
    await asyncio.gather(*(gate(scope, receive, send) for scope in scopes))
    return story, statuses, observed


def test_of_many_at_once_those_above_the_limit_are_turned_away_before_any_that_waits_is_answered() -> None:
    story, statuses, observed = asyncio.run(at_once(Limits(waiting=3), 10, with_body=True))
    assert story == ["answered"] + ["turned away"] * 6 + ["answered"] * 3  # the first waits for nobody
    assert sorted(statuses) == [200] * 4 + [429] * 6
    assert {(exchange.route, exchange.status) for exchange in observed} == {("/echo", 200), ("/echo", 429)}


def test_while_some_are_turned_away_others_find_a_quarter_of_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    class Waiting(Turns):
        n = 0

        def __len__(self) -> int:
            return self.n

    async def story() -> list[str | None]:
        turns = Waiting()
        gate = Gate(echo, Limits(waiting=8), lambda exchange: None, [], KEYLESS, turns)
        headers = Headers({"x-request-id": "refused"})
        found = []
        for turns.n, at in ((7, 0.0), (8, 0.0), (3, 0.5), (1, 0.5), (7, 1.4), (7, 2.5)):
            monkeypatch.setattr(time, "monotonic", lambda at=at: at)
            found.append(gate.turn_away("POST", "/echo", headers))
        return found

    assert asyncio.run(story()) == [None, "refused", "refused", None, "refused", None]


def test_in_a_flood_few_are_let_in_and_soon_after_it_more_again() -> None:
    flood = Flood()
    for number in range(FLOOD):
        assert not flood.on
        flood.note(number / FLOOD)
    assert flood.on
    flood.note(1.5)  # of the second before there were as many
    assert flood.on
    flood.note(2.6)
    assert not flood.on
    flood.note(9.0)
    assert not flood.on


def test_a_body_on_its_way_is_no_work_yet_and_is_counted_all_the_same() -> None:
    story, _, _ = asyncio.run(at_once(Limits(waiting=3), 10, with_body=False))
    assert story == ["answered"] * 10
    story, _, _ = asyncio.run(at_once(Limits(waiting=3, in_flight=4), 10, with_body=False))
    assert story == ["turned away"] * 6 + ["answered"] * 4


def test_who_is_turned_away_is_told_when_to_come_back() -> None:
    limits = dataclasses.replace(LIMITS, in_flight=0)
    answer = call(echo, limits=limits)
    assert (answer.problem["type"], answer.headers["retry-after"]) == ("/docs#busy", "1")
    assert answer.headers["x-request-id"] == answer.problem["request_id"]


def test_an_answer_that_takes_too_long_is_a_timeout() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(60)

    assert call(slow).problem["type"] == "/docs#timeout"


def test_a_timeout_inside_the_application_is_a_fault_of_its_own() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise TimeoutError

    answer = call(failing)
    assert answer.problem["type"] == "/docs#internal-error"
    assert str(answer.observed[0].fault).startswith("TimeoutError")


async def nothing() -> Message:
    raise AssertionError("nothing to receive")


def test_a_web_socket_is_closed_before_the_application_sees_it() -> None:
    sent: list[Message] = []

    async def record(message: Message) -> None:
        sent.append(message)

    async def unreachable(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    gate = Gate(unreachable, LIMITS, lambda exchange: None, [], KEYLESS)
    asyncio.run(gate({"type": "websocket", "path": "/v1/score", "headers": []}, nothing, record))
    assert sent == [{"type": "websocket.close"}]


def test_limits_come_from_the_environment() -> None:
    limits = Limits.of({"LEADSCORE_MAX_BODY_BYTES": "5", "LEADSCORE_MAX_DOCUMENTS": "6"})
    assert (limits.body_bytes, limits.documents, limits.in_flight) == (5, 6, Limits.in_flight)


@pytest.mark.parametrize("value", ["0", "-1", "many", ""])
def test_a_limit_that_is_no_number_is_refused_by_name(value: str) -> None:
    with pytest.raises(LeadScoreError, match="LEADSCORE_MAX_DOCUMENTS"):
        Limits.of({"LEADSCORE_MAX_DOCUMENTS": value})


def test_unknown_paths_share_one_route() -> None:
    routes: set[str] = set()

    for path in ("/a", "/b/c", "/v1/leads/L42"):
        routes.add(call(answering(PlainTextResponse("", 404)), path=path).observed[0].route)
    assert routes == {"unmatched"}


def test_who_was_let_in_and_waited_too_long_after_all_is_turned_away() -> None:
    """The first rounds of a worker say nothing yet of how long the next will take."""
    n = 2 * MOST_AT_ONCE
    _, statuses, _ = asyncio.run(at_once(Limits(wait_ms=50), n, with_body=True, work_seconds=0.005))
    assert statuses[:1] == [200]
    assert statuses.count(429) >= n - 1 - MOST_AT_ONCE
