"""How requests are read and answers sent: who is too many is turned away at once, and an answer is one write.

`Gate` would turn away as well, from a task of the event loop with a scope, headers and two messages of its own: five
times as dear, and in a flood refusals are most of what a worker does.
"""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import uvicorn.config
from starlette.datastructures import Headers
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.problems import BUSY
from service.security import Gate, full, stamped

_ANSWER = tuple(b"HTTP/1.1 %d" % digit for digit in range(2, 6))
"""How the head of an answer begins; that of 100 Continue is not one."""
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

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send through a transport that keeps heads and bodies together."""
        super().connection_made(Whole(transport))  # type: ignore[arg-type]

    def on_response_complete(self) -> None:
        """Send a head that no body follows."""
        self.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()

    def on_headers_complete(self) -> None:
        """Turn a request away in one write, or hand it on."""
        if self._is_plain:
            path, _, _ = self.url.partition(b"?")
            method = self.parser.get_method().decode("ascii")
            request_id = self.gate.turn_away(method, path.decode("latin-1"), Headers(raw=self.headers))
            if request_id is not None:
                self.transport.write(b"".join((*self._head, *_with_id(request_id))))
                self.cycle = _ANSWERED  # type: ignore[assignment]  # its body is read past
                self.on_response_complete()
                return
        super().on_headers_complete()

    @property
    def _is_plain(self) -> bool:
        """Whether an answer with a body can be written at once, after which the connection goes on with what follows.

        Else something is under way or isn't read, the client wants the connection closed or changed, asks first whether
        to send its body, or would take the body of an answer to HEAD for the next answer.
        """
        parser = self.parser
        idle = self.cycle is None or self.cycle.response_complete
        stays = parser.get_http_version() == "1.1" and parser.should_keep_alive() and not parser.should_upgrade()
        plain = parser.get_method() != b"HEAD" and not self.expect_100_continue
        return idle and stays and plain and not self.flow.write_paused

    @property
    def _head(self) -> list[bytes]:
        server = [part for name, value in self.server_state.default_headers for part in (name, b": ", value, b"\r\n")]
        return [STATUS_LINE[BUSY.status], *server]


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


class _Answered:
    """Stands for a request that has its answer, as the server's own protocol looks at it."""

    response_complete = True

    def __init__(self) -> None:
        self.message_event = asyncio.Event()


_ANSWERED = _Answered()


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
