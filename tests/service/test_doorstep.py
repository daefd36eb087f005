"""Requests on real sockets, to the HTTP server as a worker runs it, with room for nobody or for few."""

from __future__ import annotations

import asyncio
import json
import sys
import types
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.access import Access
from service.doorstep import Doorstep, stand_before
from service.exchange import Asked, Exchange, FindShortWay, ShortWay
from service.limits import LARGE_BODY_BYTES, Limits
from service.problems import INVALID, Problem
from service.security import Gate

KEYLESS = Access(None, keyless=True)
NO_ROOM = Limits(in_flight=0)
BODY = b'{"a": 1}'
CHUNKED = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
Story = Callable[[int], Coroutine[Any, Any, Any]]


def request(path: str = "/echo", *, body: bytes = BODY, extra: str = "", version: str = "1.1") -> bytes:
    head = f"POST {path} HTTP/{version}\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    message = await receive()
    await PlainTextResponse(message["body"])(scope, receive, send)


def echo_at_once(method: str, path: str) -> ShortWay | None:
    return ShortWay("/echo", lambda asked, body: PlainTextResponse(body + asked.query)) if path == "/echo" else None


def echo_later(method: str, path: str) -> ShortWay | None:
    async def later(asked: Asked, body: bytes) -> Any:
        await asyncio.sleep(0.01)
        return PlainTextResponse(body + asked.query)

    return ShortWay("/echo", later, waits=True) if path == "/echo" else None


def nothing_at_once(method: str, path: str) -> None:
    return None


def serve(
    story: Story, limits: Limits, app: ASGIApp = echo, at_once: FindShortWay = nothing_at_once
) -> tuple[Any, list[Exchange]]:
    """Run a server on a free port beside a story of its clients; return what that returns, and what was observed."""
    observed: list[Exchange] = []

    async def both() -> Any:
        gate = Gate(app, limits, observed.append, ["/echo"], KEYLESS, find_short_way=at_once)
        stand_before(gate)
        config = uvicorn.Config(gate, port=0, lifespan="off", log_config=None, server_header=False)
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            return await story(server.servers[0].sockets[0].getsockname()[1])
        finally:
            server.should_exit = True
            await running

    return asyncio.run(both()), observed


def test_the_loop_is_asyncios_own_where_another_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", types.ModuleType("uvloop"))
    stand_before(Gate(echo, Limits(), [].append, ["/echo"], KEYLESS))
    make = uvicorn.Config(echo).get_loop_factory()
    assert make is not None
    loop = make()
    loop.close()
    assert isinstance(loop, asyncio.SelectorEventLoop)


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    protocols = uvicorn.config.HTTP_PROTOCOLS
    monkeypatch.setitem(protocols, "auto", protocols["auto"])


@pytest.fixture
def made_by_tasks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of requests that went as far as a task of their own."""
    paths: list[str] = []
    call = Gate.__call__

    async def noted(gate: Gate, scope: Scope, receive: Receive, send: Send) -> None:
        paths.append(scope["path"])
        await call(gate, scope, receive, send)

    monkeypatch.setattr(Gate, "__call__", noted)
    return paths


async def _two_in_turn(port: int, first: bytes, second: bytes) -> list[Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    for sent in (first, second):
        writer.write(sent)
        answers.append(await answer(reader))
    writer.close()
    return answers


def test_who_is_too_many_gets_the_gates_own_answer_without_a_task(made_by_tasks: list[str]) -> None:
    async def ours(port: int) -> list[Any]:
        return await _two_in_turn(port, request(extra="X-Request-Id: abc-1\r\n"), request("/other?x=1"))

    [first, second], observed = serve(ours, NO_ROOM)
    assert made_by_tasks == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Doorstep, "on_headers_complete", HttpToolsProtocol.on_headers_complete)
        [expected, _], as_expected = serve(ours, NO_ROOM)
    assert made_by_tasks == ["/echo", "/other"]
    status, headers, body = first
    assert (status, headers["retry-after"], json.loads(body)["request_id"]) == (429, "1", "abc-1")
    assert (status, body) == (expected[0], expected[2])
    assert headers.keys() == expected[1].keys()
    assert {**headers, "date": ""} == {**expected[1], "date": ""}
    assert second[0] == 429
    assert second[1]["x-request-id"] == json.loads(second[2])["request_id"] != "abc-1"
    assert [(e.method, e.route, e.status) for e in observed] == [(e.method, e.route, e.status) for e in as_expected]


def test_a_connection_goes_on_past_the_body_of_who_was_turned_away() -> None:
    async def story(port: int) -> list[int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = request(body=b"x" * 200_000)
        writer.write(sent[:1_000])
        statuses = [(await answer(reader))[0]]
        for start in range(1_000, len(sent), 50_000):
            writer.write(sent[start : start + 50_000])
            await writer.drain()
        writer.write(request("/livez", body=b""))
        statuses.append((await answer(reader))[0])
        writer.close()
        return statuses

    assert serve(story, NO_ROOM)[0] == [429, 200]


@pytest.mark.parametrize("path", ["/livez", "/app/leads"])
def test_health_and_pages_are_left_to_the_gate(made_by_tasks: list[str], path: str) -> None:
    async def story(port: int) -> Any:
        return await _two_in_turn(port, request(path), request(path))

    [(status, headers, _), _], _ = serve(story, NO_ROOM)
    assert made_by_tasks == [path] * 2
    assert (status == 200) if path == "/livez" else headers["content-type"].startswith("text/html")


def test_a_refused_head_has_no_body_that_would_be_taken_for_the_next_answer() -> None:
    async def story(port: int) -> Any:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HEAD /v1/model HTTP/1.1\r\nHost: localhost\r\n\r\n")
        first = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        writer.write(request("/livez"))
        second = await answer(reader)
        writer.close()
        return first.split(b"\r\n")[0], second[0]

    assert serve(story, NO_ROOM)[0] == (b"HTTP/1.1 429 Too Many Requests", 200)


@pytest.mark.parametrize("given", ["a", "-", "x" * 64])
def test_a_request_id_of_any_length_stands_in_both_places(given: str) -> None:
    [(_, headers, body), _], _ = serve(
        lambda port: _two_in_turn(port, *[request(extra=f"X-Request-Id: {given}\r\n")] * 2), NO_ROOM
    )
    assert (headers["x-request-id"], json.loads(body)["request_id"]) == (given, given)


@pytest.mark.parametrize(
    "sent", [request(version="1.0"), request(extra="Connection: close\r\n")], ids=["HTTP/1.0", "close"]
)
def test_a_connection_that_is_not_kept_is_closed_after_the_refusal(sent: bytes) -> None:
    async def story(port: int) -> Any:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        status, headers, _ = await answer(reader)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        return status, headers["connection"]

    assert serve(story, NO_ROOM)[0] == (429, "close")


def test_requests_sent_ahead_are_answered_in_order() -> None:
    async def story(port: int) -> Any:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(request(body=b"%d" % number) for number in range(5)))
        bodies = [(await answer(reader))[2] for _ in range(5)]
        writer.close()
        return bodies

    assert serve(story, Limits())[0] == [b"0", b"1", b"2", b"3", b"4"]


async def _burst(port: int) -> list[int]:
    """Send twenty requests over as many connections, read in one round of the loop; return their statuses."""
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
    await asyncio.sleep(0.1)
    for _, writer in streams:
        writer.write(request())
    statuses = [(await answer(reader))[0] for reader, _ in streams]
    for _, writer in streams:
        writer.close()
    return statuses


def test_who_was_read_and_has_not_begun_yet_is_counted(made_by_tasks: list[str]) -> None:
    """Of a burst that is read in one round of the loop, only as many get a task as there is room for."""

    statuses, _ = serve(_burst, Limits(waiting=3))
    n_answered = statuses.count(200)
    assert statuses.count(429) == 20 - n_answered
    assert n_answered <= len(made_by_tasks) <= 3


async def _written(port: int, sent: bytes) -> list[bytes]:
    """What the client's socket is given, read by read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    found = []
    while (part := await asyncio.wait_for(reader.read(65_536), 5)) and not part.endswith(b"the end"):
        found.append(part)
    writer.close()
    return [*found, part]


def test_head_and_body_of_an_answer_come_in_one_piece() -> None:
    async def two_messages(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("the end")(scope, receive, send)

    [whole], _ = serve(lambda port: _written(port, request()), Limits(), two_messages)
    assert whole.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_a_head_without_a_body_is_sent(method: str, status: int) -> None:
    async def bodiless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body"})

    async def story(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{method} /echo HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        writer.close()
        return head

    assert serve(story, Limits(), bodiless)[0].startswith(b"HTTP/1.1 %d" % status)


def test_who_asks_whether_to_go_on_is_told_before_the_body() -> None:
    async def story(port: int) -> Any:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = request(extra="Expect: 100-continue\r\n")
        writer.write(sent[: -len(BODY)])
        told = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        writer.write(BODY)
        found = await answer(reader)
        writer.close()
        return told.split(b"\r\n")[0], found[2]

    assert serve(story, Limits())[0] == (b"HTTP/1.1 100 Continue", BODY)


def test_an_answer_that_breaks_off_is_sent_as_far_as_it_came() -> None:
    async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        raise ValueError

    async def story(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request())
        found = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return found

    found, observed = serve(story, Limits(), breaks)
    assert found.startswith(b"HTTP/1.1 200")
    assert found.endswith(b"\r\n\r\n")
    assert observed[0].fault is not None


@pytest.mark.parametrize("way", [echo_at_once, echo_later])
def test_a_short_way_leads_to_the_same_answer(made_by_tasks: list[str], way: FindShortWay) -> None:
    async def story(port: int) -> list[Any]:
        return await _two_in_turn(port, request(extra="X-Request-Id: abc-1\r\n"), request("/other"))

    [first, second], observed = serve(story, Limits(), at_once=way)
    assert made_by_tasks == ["/other"]
    [expected, _], as_expected = serve(story, Limits())
    assert (first[0], first[2]) == (expected[0], expected[2]) == (200, BODY)
    assert {**first[1], "date": ""} == {**expected[1], "date": ""}
    assert second[0] == 200
    assert [(e.request_id, e.method, e.route, e.status) for e in observed[:1]] == [
        (e.request_id, e.method, e.route, e.status) for e in as_expected[:1]
    ]


@pytest.mark.parametrize(
    ("sent", "went_long"),
    [
        ([request("/echo?x=%2F", body=b"1")], []),
        ([request("/%65cho")], []),
        ([request("http://localhost/echo")], ["/echo"]),
        ([request("/echo#part")], ["/echo"]),
        ([request(extra="Connection: close\r\n")], ["/echo"]),
        ([request(version="1.0")], ["/echo"]),
        ([request(extra="Expect: 100-continue\r\n")], ["/echo"]),
        ([request(body=b"x" * (LARGE_BODY_BYTES + 1))], ["/echo"]),
        ([request()[:-3], request()[-3:]], ["/echo"]),
        ([request()[: -len(BODY)], BODY], ["/echo"]),
        ([request()[:30], request()[30:]], []),
        ([CHUNKED], ["/echo"]),
        ([b"GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"], []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("way", [echo_at_once, echo_later])
def test_only_what_is_whole_and_plain_goes_a_short_way(
    made_by_tasks: list[str], sent: list[bytes], went_long: list[str], way: FindShortWay
) -> None:
    async def story(port: int) -> Any:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for part in sent:
            writer.write(part)
            await asyncio.sleep(0.05)
        found = await reader.readuntil(b"\r\n\r\n")
        while found.startswith(b"HTTP/1.1 100"):
            found = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return found

    found, observed = serve(story, Limits(), at_once=way)
    assert found.startswith(b"HTTP/1.1 200")
    assert made_by_tasks == went_long
    assert [exchange.status for exchange in observed] == [200]


def test_a_body_that_breaks_the_rules_is_refused_and_never_answered(made_by_tasks: list[str]) -> None:
    async def story(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request()[: -len(BODY)].replace(b"Content-Length: 8", b"Content-Length: 8x") + BODY)
        found = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return found

    found, observed = serve(story, Limits(), at_once=echo_at_once)
    assert found.startswith(b"HTTP/1.1 400")
    assert (made_by_tasks, observed) == ([], [])


def test_a_client_that_leaves_within_its_body_is_noticed() -> None:
    async def story(port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request()[:-3])
        await asyncio.sleep(0.05)
        writer.close()
        await asyncio.sleep(0.1)

    _, observed = serve(story, Limits(), at_once=echo_at_once)
    assert [exchange.status for exchange in observed] == [499]


@pytest.mark.parametrize("way", [echo_at_once, echo_later])
def test_requests_sent_ahead_are_answered_in_order_whichever_way_they_go(
    made_by_tasks: list[str], way: FindShortWay
) -> None:
    async def story(port: int) -> Any:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(request(body=b"%d" % number) for number in range(5)))
        bodies = [(await answer(reader))[2] for _ in range(5)]
        writer.close()
        return bodies

    assert serve(story, Limits(), at_once=way)[0] == [b"0", b"1", b"2", b"3", b"4"]
    assert len(made_by_tasks) == 4, "who comes in the same round has to wait"


def test_who_comes_while_others_are_there_is_not_answered_before_them(made_by_tasks: list[str]) -> None:
    assert serve(_burst, Limits(), at_once=echo_at_once)[0] == [200] * 20
    assert len(made_by_tasks) >= 10


@pytest.mark.parametrize(
    ("fault", "status"),
    [(Problem(INVALID, "no"), 422), (KeyError("a secret of the lead"), 500)],
    ids=["refused", "bug"],
)
@pytest.mark.parametrize("waits", [False, True])
def test_what_fails_on_a_short_way_is_a_problem_and_the_connection_goes_on(
    fault: Exception, status: int, waits: bool
) -> None:
    def fails(asked: Asked, body: bytes) -> Any:
        raise fault

    async def fails_later(asked: Asked, body: bytes) -> Any:
        raise fault

    async def story(port: int) -> list[Any]:
        return await _two_in_turn(port, *[request(extra="X-Request-Id: abc-1\r\n")] * 2)

    [first, second], observed = serve(
        story, Limits(), at_once=lambda method, path: ShortWay("/echo", fails_later if waits else fails, waits)
    )
    assert (first[0], json.loads(first[2])["request_id"]) == (status, "abc-1")
    assert first[1]["content-type"] == "application/problem+json"
    assert second[0] == status
    assert [exchange.fault is not None for exchange in observed] == [status == 500] * 2
    assert "secret" not in str(observed[0].fault) + first[2].decode()


def test_a_key_is_asked_for_before_anything_is_answered_at_once() -> None:
    def never(asked: Asked, body: bytes) -> Any:
        raise AssertionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "KEYLESS", Access(None))
        found, observed = serve(
            lambda port: _two_in_turn(port, request(), request()),
            Limits(),
            at_once=lambda method, path: ShortWay("/echo", never),
        )
    assert [status for status, _, _ in found] == [503, 503]
    assert [exchange.fault for exchange in observed] == [None, None]


def test_what_waits_too_long_is_given_up_and_has_its_place_back() -> None:
    async def never(asked: Asked, body: bytes) -> Any:
        await asyncio.sleep(60)

    async def story(port: int) -> list[Any]:
        return await _two_in_turn(port, request(), request())

    limits = Limits(answer_seconds=0.05, in_flight=1)
    found, observed = serve(story, limits, at_once=lambda method, path: ShortWay("/echo", never, waits=True))
    assert [status for status, _, _ in found] == [504, 504]
    assert [exchange.status for exchange in observed] == [504, 504]


def test_a_client_that_leaves_while_it_waits_harms_nobody() -> None:
    async def story(port: int) -> Any:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request())
        await asyncio.sleep(0.002)
        writer.close()
        await asyncio.sleep(0.05)
        return await _two_in_turn(port, request(), request())

    found, observed = serve(story, Limits(), at_once=echo_later)
    assert [status for status, _, _ in found] == [200, 200]
    assert [exchange.status for exchange in observed] == [200] * 3


def test_a_server_that_stops_answers_who_waits_and_closes() -> None:
    async def story(port: int) -> Any:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request())
        await asyncio.sleep(0.05)
        stopping.set()
        found = await answer(reader)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        return found

    async def later(asked: Asked, body: bytes) -> Any:
        await asyncio.wait_for(stopping.wait(), 5)
        for protocol in list(protocols):
            protocol.shutdown()
        return PlainTextResponse(body)

    stopping = asyncio.Event()
    protocols: set[Any] = set()
    made = Doorstep.connection_made

    def noted(protocol: Doorstep, transport: asyncio.BaseTransport) -> None:
        protocols.add(protocol)
        made(protocol, transport)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Doorstep, "connection_made", noted)
        (status, headers, body), _ = serve(
            story, Limits(), at_once=lambda method, path: ShortWay("/echo", later, waits=True)
        )
    assert (status, headers["connection"], body) == (200, "close", BODY)


@pytest.mark.parametrize("way", [echo_at_once, echo_later, nothing_at_once])
@pytest.mark.parametrize("room", [Limits(), NO_ROOM])
@pytest.mark.parametrize("cut", [0, 3], ids=["whole", "in two"])
def test_a_target_longer_than_can_be_read_is_refused_whichever_way(
    way: FindShortWay, room: Limits, cut: int, made_by_tasks: list[str]
) -> None:
    async def story(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = request("/echo?" + "x" * 70_000)
        writer.write(sent[: len(sent) - cut])
        await asyncio.sleep(0.05)
        writer.write(sent[len(sent) - cut :])
        found = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return found

    found, observed = serve(story, room, at_once=way)
    assert found.startswith(b"HTTP/1.1 400")
    assert (made_by_tasks, observed) == ([], [])


@pytest.mark.parametrize("target", ["/%6civez", "http://localhost/livez", "/livez#x"])
def test_a_system_route_is_let_in_however_it_is_written(target: str) -> None:
    found, _ = serve(lambda port: _two_in_turn(port, request(target), request(target)), NO_ROOM)
    assert [status for status, _, _ in found] == [200, 200]


def _while_waiting(happens: Callable[[Any], None]) -> tuple[bytes, list[Exchange], list[str]]:
    """Send a request, one more once something has happened to the server, and what came of both."""
    begun: list[str] = []

    async def later(asked: Asked, body: bytes) -> Any:
        begun.append(asked.path)
        for protocol in protocols:
            happens(protocol)
        await asyncio.sleep(0.05)
        return PlainTextResponse(body)

    async def story(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(extra="X-Request-Id: abc-1\r\n"))
        await asyncio.sleep(0.02)
        writer.write(request("/other"))
        found = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return found

    async def other(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope["path"])
        await echo(scope, receive, send)

    protocols: list[Any] = []
    made = Doorstep.connection_made

    def noted(protocol: Doorstep, transport: asyncio.BaseTransport) -> None:
        protocols.append(protocol)
        made(protocol, transport)

    def way(method: str, path: str) -> ShortWay | None:
        return ShortWay("/echo", later, waits=True) if path == "/echo" else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Doorstep, "connection_made", noted)
        found, observed = serve(story, Limits(), other, way)
    return found, observed, begun


def test_a_server_that_stops_begins_nothing_that_it_can_not_answer() -> None:
    found, observed, begun = _while_waiting(lambda protocol: protocol.shutdown())
    assert found.startswith(b"HTTP/1.1 200")
    assert found.count(b"HTTP/1.1") == 1
    assert begun == ["/echo"]
    assert [exchange.status for exchange in observed] == [200]


def test_who_still_waits_when_a_server_gives_up_is_told_and_counted() -> None:
    def give_up(protocol: Any) -> None:
        protocol.shutdown()
        for task in protocol.tasks:
            task.cancel()

    found, observed, _ = _while_waiting(give_up)
    assert found.startswith(b"HTTP/1.1 500")
    assert b"connection: close" in found
    assert json.loads(found.partition(b"\r\n\r\n")[2])["request_id"] == "abc-1"
    assert [(exchange.status, str(exchange.fault)[:14]) for exchange in observed] == [(500, "CancelledError")]
