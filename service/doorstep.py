"""How requests are read and answers sent: what needs no waiting is answered at once, and an answer is one write.

`Gate` would do the same from a task of the event loop, with a scope, headers and messages of its own. To be turned away
is then five times as dear, and in a flood refusals are most of what a worker does; to be scored takes a third longer.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from urllib.parse import unquote

import httptools
import uvicorn.config
from starlette.datastructures import Headers
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.exchange import Asked, Exchange, ShortWay
from service.problems import BUSY
from service.security import Gate, full, stamped

_ANSWER = tuple(b"HTTP/1.1 %d" % digit for digit in range(2, 6))
"""How the head of an answer begins; that of 100 Continue is not one."""
_LONGEST = 2**16 - 1
"""Bytes of a path and query that can be read."""
_MARK = "~"
"""Stands for a letter of the request id in an answer that is made beforehand, which has no other of it."""


def stand_before(gate: Gate) -> None:
    """Have the HTTP server that is started next read requests as `Doorstep` does, on asyncio's own loop.

    Where uvloop is installed, uvicorn would take that: who is let in during an overload then waits far longer.
    """
    uvicorn.config.LOOP_FACTORIES["auto"] = uvicorn.config.LOOP_FACTORIES["asyncio"]
    uvicorn.config.HTTP_PROTOCOLS["auto"] = type("Doorstep", (Doorstep,), {"gate": gate})  # type: ignore[assignment]


class Doorstep(HttpToolsProtocol):
    """Reads the requests of one connection; asks `gate` of each, once its headers are there."""

    gate: Gate
    _held: _Held | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send through a transport that keeps heads and bodies together."""
        super().connection_made(Whole(transport))  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """Read on; a request that was held back and isn't whole yet goes the long way."""
        super().data_received(data)
        held, self._held = self._held, None
        if held is not None and not self.transport.is_closing():
            try:
                self._let_go(held)
            except httptools.HttpParserError:  # the parser, which calls us otherwise, would find the same
                self.send_400_response("Invalid HTTP request received.")

    def on_response_complete(self) -> None:
        """Send a head that no body follows."""
        self.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()

    def on_headers_complete(self) -> None:
        """Turn a request away in one write, hold it back until it is whole, or hand it on."""
        if self._is_plain:
            path, _, query = self.url.partition(b"?")
            method = self.parser.get_method().decode("ascii")
            asked = Asked(method, unquote(path.decode("ascii")), query, Headers(raw=self.headers))
            request_id = self.gate.turn_away(asked.method, asked.path, asked.headers)
            if request_id is not None:
                self.cycle = _ANSWERED  # type: ignore[assignment]  # its body is read past
                self._send(BUSY.status, [], *_with_id(request_id))
                return
            way = self.gate.find_short_way(asked)
            if way is not None:
                self._held = _Held(asked, way)
                return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep the body of what is held back."""
        if self._held is None:
            super().on_body(body)
        else:
            self._held.body += body

    def on_message_complete(self) -> None:
        """Answer what was held back, if it need not wait for others."""
        held, self._held = self._held, None
        if held is None:
            super().on_message_complete()
            return
        exchange = self.gate.begin(held.way, held.asked)
        if exchange is None:
            self._let_go(held)
            super().on_message_complete()
        elif held.way.waits:
            cycle = self.cycle = _Cycle()  # type: ignore[assignment]
            task = self.loop.create_task(self._answer_later(cycle, exchange, held))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        else:
            self.cycle = _ANSWERED  # type: ignore[assignment]
            self._answer(exchange, self.gate.answer(exchange, held.way, held.asked, bytes(held.body)))

    async def _answer_later(self, cycle: _Cycle, exchange: Exchange, held: _Held) -> None:
        response = await self.gate.answer_later(exchange, held.way, held.asked, bytes(held.body))
        cycle.response_complete = True
        self._answer(exchange, response, keep_alive=cycle.keep_alive)

    def _let_go(self, held: _Held) -> None:
        super().on_headers_complete()
        super().on_body(bytes(held.body))

    def _answer(self, exchange: Exchange, response: Response, *, keep_alive: bool = True) -> None:
        headers = stamped(response.raw_headers, exchange.request_id)
        if not keep_alive:
            headers.append((b"connection", b"close"))
        self._send(exchange.status, headers, b"\r\n", bytes(response.body), keep_alive=keep_alive)
        self.gate.observe(exchange)

    def _send(self, status: int, headers: Sequence[tuple[bytes, bytes]], *rest: bytes, keep_alive: bool = True) -> None:
        parts = [STATUS_LINE[status]]
        for name, value in chain(self.server_state.default_headers, headers):
            parts += name, b": ", value, b"\r\n"
        self.transport.write(b"".join((*parts, *rest)))
        if not keep_alive:
            self.transport.close()  # what was sent ahead is not begun then
        self.on_response_complete()

    @property
    def _is_plain(self) -> bool:
        """Whether an answer with a body can be written at once, after which the connection goes on with what follows.

        Else something is under way or isn't read, the client wants the connection closed or changed, asks first whether
        to send its body, or would take the body of an answer to HEAD for the next answer; or it names more than a path
        and a query, or more than the server's own protocol reads.
        """
        parser = self.parser
        idle = self.cycle is None or self.cycle.response_complete
        stays = parser.get_http_version() == "1.1" and parser.should_keep_alive() and not parser.should_upgrade()
        plain = parser.get_method() != b"HEAD" and not self.expect_100_continue
        path = self.url.startswith(b"/") and self.url.isascii() and b"#" not in self.url
        return idle and stays and plain and path and len(self.url) <= _LONGEST and not self.flow.write_paused


@dataclass
class _Held:
    """A request that may go a short way, as far as it was read."""

    asked: Asked
    way: ShortWay
    body: bytearray = field(default_factory=bytearray)


class Whole:
    """A transport that sends the head of an answer with what comes first of its body: whoever waits is woken once."""

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send, or keep what is the head of an answer until more is written."""
        if not self._head and data.startswith(_ANSWER) and data.endswith(b"\r\n\r\n"):
            self._head = data
            return
        self._transport.write(self._head + data)
        self._head = b""

    def flush(self) -> None:
        """Send what was kept."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Send what was kept, then close."""
        self.flush()
        self._transport.close()


class _Cycle:
    """Stands for a request that goes no long way, as the server's own protocol looks at it."""

    disconnected = False
    keep_alive = True

    def __init__(self, *, response_complete: bool = False) -> None:
        self.response_complete = response_complete
        self.message_event = asyncio.Event()


_ANSWERED = _Cycle(response_complete=True)


def _with_id(request_id: str) -> list[bytes]:
    """Return headers and body of the refusal."""
    given = request_id.encode()
    head, between, end = _refusal(len(given))
    return [head, given, between, given, end]


@functools.lru_cache(maxsize=64)
def _refusal(n_characters: int) -> list[bytes]:
    """Return headers and body around the two places of a request id of that length."""
    mark = _MARK * n_characters
    response: Response = full().response(mark)
    lines = [b"%s: %s\r\n" % header for header in stamped(response.raw_headers, mark)]
    return b"".join((*lines, b"\r\n", bytes(response.body))).split(mark.encode())
