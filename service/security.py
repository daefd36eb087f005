"""What stands between the network and the routes: keys, limits, request ids, headers, no way out for an exception.

`Gate` is the outermost layer of the whole process, BentoML's own routes and faults included, so that every
answer carries a request id, every error is a problem, and every request is counted and logged once.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import time
import traceback
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access import Access, authorize, is_page
from service.exchange import UNMATCHED, Asked, Exchange, FindShortWay, ShortWay
from service.keys import Key
from service.limits import LARGE_BODY_BYTES, Limits
from service.pages.refusals import respond
from service.problems import BUSY, INTERNAL, MEDIA_TYPE, SLOW_BODY, TIMEOUT, TOO_LARGE, Problem
from service.turns import Flood, Turns

SYSTEM_ROUTES = dict.fromkeys(("/healthz", "/livez", "/readyz", "/metrics", "/schema.json"), "GET")
"""Routes that BentoML answers itself, and their method."""
NATIVE_ROUTES = {"/score": "POST"}
"""BentoML's own endpoints; their errors are replaced by problems."""

SECURITY_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_STAMPS = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
_PROBLEM = MEDIA_TYPE.encode()
_CLOSED = "the handler is closed"
"""What uvloop says of a connection that has gone; asyncio's own loop says nothing."""
AGAIN_SECONDS = 1
"""When who was turned away may try again, and how long others find less room: the sooner they are answered."""
PATIENCE = 2
"""Times `wait_ms` that who was let in may wait: the round before theirs may be one of many refusals."""
_T = TypeVar("_T")
_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CHANCE = random.Random()
"""Of request ids, which are no secrets and must differ; seeded by the system, whoever seeds Python's own."""


class Gate:
    """ASGI middleware that reads bodies within limits, stamps answers, and turns every fault into a problem.

    Parameters
    ----------
    app : ASGIApp
        The whole application.
    limits : Limits
        Refusals: 429 while `waiting` others wait for their turn (a worker answers a few leads after the other), a
        quarter as many while others are being turned away, which takes time as well, a sixteenth in a flood, or fewer
        whose turns would take more than `wait_ms`, or `in_flight` requests are there, bodies still on their way
        included (which bounds memory); 413 above `body_bytes` (chunked bodies are counted as they come), 408 if a body
        takes longer than `body_seconds`, 504 if the answer takes longer than `answer_seconds`.
    observe : callable
        Called once with every finished `Exchange`.
    paths : collection of str
        The application's routes without parameters: each is its own template.
    access : Access
        Who is let in; asked before a byte of the body is read.
    turns : Turns
        Shared with what answers requests of one round together.
    find_short_way : callable
        Says which requests are answered past the application.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        observe: Callable[[Exchange], None],
        paths: Collection[str],
        access: Access,
        turns: Turns | None = None,
        find_short_way: FindShortWay = lambda method, path: None,
    ) -> None:
        self.app = app
        self.access = access
        self.limits = limits
        self.observe = observe
        self._paths = frozenset({*paths, *SYSTEM_ROUTES, *NATIVE_ROUTES})
        self._n_in_flight = 0
        self._turns = Turns() if turns is None else turns
        self._find_short_way = find_short_way
        self._refused_at = -math.inf
        self._flood = Flood()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; start-up and shutdown pass through, web sockets don't."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close"})
            else:
                await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        exchange = Exchange(_request_id(headers), scope["method"], time.perf_counter())
        scope.setdefault("state", {})["request_id"] = exchange.request_id
        answer = _Answer(exchange, send, mends_errors=scope["path"] not in SYSTEM_ROUTES and not is_page(scope["path"]))
        if scope["path"] not in SYSTEM_ROUTES and self._refuses():
            # Before anything else that costs time: in an overload most requests end here.
            await answer.refuse(full(), scope, receive)
            exchange.route = self._route_template(scope)
            self.observe(exchange)
            return
        self._n_in_flight += 1
        try:
            await self._answer(scope, headers, receive, answer)
            await answer.finish(scope, receive)
        except _ClientLeft:
            exchange.status = 499
        except Exception as error:
            await answer.refuse(_problem_of(exchange, error), scope, receive)
        finally:
            self._n_in_flight -= 1
            exchange.route = self._route_template(scope)
            self.observe(exchange)

    def turn_away(self, method: str, path: str, headers: Headers) -> str | None:
        """Return the request id of who must be turned away, or None for who may come in; `__call__` asks again.

        Pages and system routes are left to `__call__`: what they are refused with, or let in to, is their own.
        """
        if path in SYSTEM_ROUTES or is_page(path) or not self._refuses():
            self._turns.expect()
            return None
        exchange = Exchange(_request_id(headers), method, time.perf_counter(), self._known(path), BUSY.status)
        self.observe(exchange)
        return exchange.request_id

    def find_short_way(self, asked: Asked) -> ShortWay | None:
        """Return how a request with a small body is answered as soon as it is read; None if by `__call__` alone."""
        length = asked.headers.get("content-length", "0")
        if "transfer-encoding" in asked.headers or not length.isdigit():
            return None
        small = int(length) <= min(LARGE_BODY_BYTES, self.limits.body_bytes)
        return self._find_short_way(asked.method, asked.path) if small else None

    def begin(self, way: ShortWay, asked: Asked) -> Exchange | None:
        """Let a request go a short way; None if others came of late as well: then it waits for its turn in `__call__`.

        The exchange is to be observed once the answer is sent.
        """
        if not self._turns.take():
            return None
        return Exchange(_request_id(asked.headers), asked.method, time.perf_counter(), self._known(asked.path))

    def answer(self, exchange: Exchange, way: ShortWay, asked: Asked, body: bytes) -> Response:
        """Answer on the spot, as `__call__` does."""
        try:
            self._let_in(exchange, asked.path, asked.headers)
            exchange.route = way.route
            response: Response = way.answer(asked, body)
        except Exception as error:
            response = _refusal(exchange, error)
        exchange.status = response.status_code
        return response

    async def answer_later(self, exchange: Exchange, way: ShortWay, asked: Asked, body: bytes) -> Response:
        """Answer what waits, as `__call__` does."""
        self._n_in_flight += 1
        try:
            self._let_in(exchange, asked.path, asked.headers)
            exchange.route = way.route
            response: Response = await self._in_time(way.answer(asked, body))
        except (Exception, asyncio.CancelledError) as error:  # a server that stops has waited long enough
            response = _refusal(exchange, error)
        finally:
            self._n_in_flight -= 1
        exchange.status = response.status_code
        return response

    def _refuses(self) -> bool:
        """Whether whoever comes now is too many, which is remembered for a while."""
        now, room = time.monotonic(), self.limits.waiting
        if now < self._refused_at + AGAIN_SECONDS:
            room = max(1, room // (16 if self._flood.on else 4))
        refused = (
            len(self._turns) >= room
            or self._turns.wait_seconds * 1_000 >= self.limits.wait_ms
            or self._n_in_flight >= self.limits.in_flight
        )
        if refused:
            self._refused_at = now
            self._flood.note(now)
        return refused

    def _known(self, path: str) -> str:
        return path if path in self._paths else UNMATCHED

    def _route_template(self, scope: Scope) -> str:
        if scope["path"] in self._paths:
            return str(scope["path"])
        # Mounts also count as routes, and have an empty path.
        route = scope.get("route")
        return str(getattr(route, "path_format", "")) if getattr(route, "path", "") else UNMATCHED

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive, answer: _Answer) -> None:
        try:
            key = self._let_in(answer.exchange, scope["path"], headers)
            if key is not None:
                scope["state"]["key"] = key
            await self._work(scope, await _with_body(headers, receive, self.limits), answer)
        except Problem as problem:
            await answer.refuse(problem, scope, receive)

    async def _work(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        waited = await self._turns.mine()
        if waited * 1_000 > PATIENCE * self.limits.wait_ms and scope["path"] not in SYSTEM_ROUTES:
            raise full()  # the others took longer than was foreseen; who is answered at all is answered in time
        await self._in_time(self.app(scope, receive, answer.send))

    async def _in_time(self, work: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout(self.limits.answer_seconds) as deadline:
                return await work
        except TimeoutError:
            if not deadline.expired():
                raise
            raise Problem(TIMEOUT, f"There was no answer within {self.limits.answer_seconds:g} seconds") from None

    def _let_in(self, exchange: Exchange, path: str, headers: Headers) -> Key | None:
        key = self.access.identify(path, headers)
        if key is not None:
            exchange.key = key.name
            authorize(key, path)
        return key


class _Answer:
    """What is sent: stamped with headers, and mended where the application answered an error of its own."""

    def __init__(self, exchange: Exchange, send: Send, mends_errors: bool) -> None:
        self.exchange = exchange
        self._send = send
        self._mends_errors = mends_errors
        self._to_mend: Problem | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message["headers"]]
            status = message["status"]
            if self._mends_errors and status >= 400 and (b"content-type", _PROBLEM) not in headers:
                self._to_mend = Problem.of_status(status)
                return
            self.exchange.status = status
            message["headers"] = stamped(headers, self.exchange.request_id)
        if self._to_mend is None:
            try:
                await self._send(message)
            except RuntimeError as error:
                if _CLOSED in str(error):
                    raise _ClientLeft from None
                raise

    async def finish(self, scope: Scope, receive: Receive) -> None:
        """Send the problem that stands for an error of the application's own."""
        if self._to_mend is not None:
            await self.refuse(self._to_mend, scope, receive)

    async def refuse(self, problem: Problem, scope: Scope, receive: Receive) -> None:
        """Send a problem, unless an answer has begun already."""
        if not self.exchange.status:
            self._to_mend = None
            await respond(problem, scope["path"], self.exchange.request_id)(scope, receive, self.send)


def stamped(headers: Sequence[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer with what every answer carries."""
    there = {name for name, _ in headers}
    ours = [stamp for stamp in _STAMPS if stamp[0] not in there]
    return [*headers, *ours, (b"x-request-id", request_id.encode())]


def full() -> Problem:
    """Return the problem of who comes while too many are there."""
    return Problem(BUSY, "Too many requests at once", headers={"retry-after": str(AGAIN_SECONDS)})


def _refusal(exchange: Exchange, error: BaseException) -> Response:
    problem = error if isinstance(error, Problem) else _problem_of(exchange, error)
    return problem.response(exchange.request_id)


def _problem_of(exchange: Exchange, error: BaseException) -> Problem:
    """Note a fault of ours, and return what is said of it."""
    exchange.fault = fault_of(error)
    return Problem(INTERNAL, "The service failed on this request")


class _ClientLeft(Exception):  # noqa: N818 - not an error
    """The client closed the connection before its body, or the answer, was whole."""


async def _with_body(headers: Headers, receive: Receive, limits: Limits) -> Receive:
    """Read the body within limits; return a `receive` that gives it in one piece."""
    if "content-length" not in headers and "transfer-encoding" not in headers:
        return receive
    declared = headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limits.body_bytes:
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.body_seconds):
            body = await _read(receive, limits)
    except TimeoutError:
        problem = Problem(SLOW_BODY, f"The body did not arrive within {limits.body_seconds:g} seconds")
        raise problem from None
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


async def _read(receive: Receive, limits: Limits) -> bytes:
    chunks: list[bytes] = []
    n_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientLeft
        chunk = message.get("body", b"")
        n_bytes += len(chunk)
        if n_bytes > limits.body_bytes:
            raise _too_large(limits)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def fault_of(error: BaseException) -> str:
    """Return the type of an exception and where it was raised: its message might quote a lead."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return f"{type(error).__name__} at {places}"


def _too_large(limits: Limits) -> Problem:
    # The rest of the body is not read, so the connection can't be used again.
    detail = f"The body is larger than {limits.body_bytes} bytes. Send fewer documents at once"
    return Problem(TOO_LARGE, detail, headers={"connection": "close"})


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if given and _SANE_REQUEST_ID.fullmatch(given) else f"{_CHANCE.getrandbits(64):016x}"
