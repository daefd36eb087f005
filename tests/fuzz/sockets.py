"""Bytes that are no HTTP, or hardly: each on a connection of its own, after which the service must still be well."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

WAIT_SECONDS = 0.2
"""After what could still become a request, an answer need not come."""
MORE_SECONDS = 0.02
END_SECONDS = 20.0
"""Within which a connection ends that was ended on our side: a `TimeoutError` is a service that hangs."""
SLOW_SECONDS = 0.05
TARGETS = [
    *(
        "/v1/score",
        "/v1/score/batch",
        "/score",
        "/v1/events",
        "/v1/leads",
        "/v1/leads/L42/score",
        "/v1/leads/L42/history",
    ),
    *(
        "/v1/model",
        "/metrics",
        "/readyz",
        "/docs",
        "/openapi.json",
        "/schema.json",
        "/nowhere",
        "*",
        "/%00",
        "/v1/score%0A",
    ),
]
ODD_TARGETS = [
    *("/v1/leads/%ff%fe/score", "/v1/leads/%ed%a0%80/score", "/v1/leads/%/score", "/v1/leads/%zz/history", "/\xff\xfe"),
    *("/v1/leads?limit=%ff", "/v1/leads?grade=%00", "/v1/leads?" + "&" * 5_000, "/v1/leads?" + "grade=A&" * 5_000),
    *("/v1/leads/" + "a/" * 5_000 + "score", "/v1/leads/../../v1/model", "//v1//score", "/v1/score?" + "x" * 30_000),
    *(
        "http://elsewhere.example/v1/score",
        "http://[::1/v1/score",
        "/v1/leads/L42/score?as_of=%F0%9F%99%82",
        "",
        "?",
        "#",
    ),
]
METHODS = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "CONNECT", "BREW", "get", "P\x00ST", "X" * 5_000]
VERSIONS = ["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/9", "HTTP", "", "HTTP/1.1 HTTP/1.1"]
ODD_HEADERS = [
    *("Host: elsewhere.example", "Host:", "Host: a\r\nHost: b", "X: " + "y" * 70_000, "X" * 70_000 + ": y", ": y", "X"),
    *(
        "X : y",
        " X: y",
        "X: \x00",
        "X: \xff\xfe",
        "X\xff: y",
        "X: y\r\n continued",
        "X: y\n",
        "\r",
        "Connection: Upgrade",
    ),
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + "A" * 22 + "==",
    *("Expect: 100-continue", "Expect: a-miracle", "Cookie: " + "a=b; " * 2_000, "Accept: \t", "If-None-Match: *"),
    *("Authorization: Bearer \xff", "Authorization: Bearer", "Authorization: Basic Og==", "X-Request-ID: " + "a" * 65),
    *("X-Request-ID: a\tb", "Content-Encoding: gzip", "Content-Encoding: \xff", "Range: bytes=0-", "X: y\r\n" * 500),
]
ODD_TYPES = [
    *("application/json; charset=utf-16", "application/json; charset=", "text/plain", "multipart/form-data", ""),
    *("application/x-www-form-urlencoded", "application/json;;;", "application/json\xff", "application/" + "j" * 9_000),
]
ODD_BODIES = [
    *(
        b"",
        b"\x00",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"{}\x00",
        b"nul",
        b"NaN",
        b"[1e999]",
        b"[" + b"9" * 100_000 + b"]",
        b"1" * 5_000,
    ),
    *(
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"[" * 21 + b"]" * 21,
        b'{"lead": {"lead_id": "\xed\xa0\x80"}}',
        b'{"\\ud800": 1}',
        b'{"lead": {"lead_id": "\\udfff\\ud800"}}',
    ),
    *(
        b'{"lead": {}, "lead": {}}',
        b'{"lead": {"lead_id": "a", "created_at": -9e99}}',
        b'"\\u0000"',
        "{}".encode("utf-16"),
    ),
    *(
        b'{"leads": [' + b"{}," * 20_000 + b"{}]}",
        b'{"documents": [' + b"0," * 2_000 + b"0]}",
        b'{"events": {"\\u0000": []}}',
    ),
    *(b"\x1f\x8b\x08\x00" + b"\x00" * 50, b'{"as_of": 1e308, "lead": {"lead_id": "a"}}', b"[" + b"-" * 1_000 + b"]"),
]
ODD_LENGTHS = ["-1", "+5", "5, 5", "5, 6", "0x5", "5.0", "9" * 30, "", "\xb2", " 5 ", "18446744073709551617", "abc"]
ODD_CHUNKS = [
    *(
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}",
        b"2\r\n{}0\r\n\r\n",
        b"2;ext=\x00\r\n{}\r\n0\r\n\r\n",
    ),
    *(
        b"f" * 20 + b"\r\n{}\r\n",
        b"2\n{}\n0\n\n",
        b"0\r\nTrailer: x\r\n\r\n",
        b"0\r\n\r\n",
        b"\r\n\r\n",
        b"2\r\n{}\r\n0\r\nX" * 99,
    ),
    *(b"1\r\n{\r\n" * 2_000 + b"0\r\n\r\n", b"2;" + b"x" * 70_000 + b"\r\n{}\r\n0\r\n\r\n"),
]
RAW = [
    *(
        b"\r\n\r\n",
        b"\n",
        b"\x00" * 100,
        b"\xff" * 100,
        b"GET",
        b"GET /",
        b"GET / HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    ),
    *(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n",
        b" / HTTP/1.1\r\n\r\n",
        b"A" * 200_000,
    ),
    *(
        b"GET /v1/model\r\n\r\n",
        b"GET\t/v1/model\tHTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\r\n" * 5_000,
        b"SSH-2.0-x\r\n",
    ),
]


class Sender:
    """Sends messages to an address; `good` tells whether the service answers a good request."""

    def __init__(self, address: tuple[str, int], secret: str | None, example: Any, seed: int = 0) -> None:
        self._address = address
        self._key = f"Authorization: Bearer {secret}\r\n" if secret else ""
        self._example = json.dumps(example).encode()
        self._random = random.Random(seed)
        self.statuses: Counter[str] = Counter()

    def good(self) -> bool:
        """Send a lead document as it should be."""
        head = f"POST /v1/score HTTP/1.1\r\nHost: localhost\r\n{self._key}Content-Type: application/json\r\n"
        head += f"Connection: close\r\nContent-Length: {len(self._example)}\r\n\r\n"
        return self.send([head.encode() + self._example], 30.0).startswith(b"HTTP/1.1 200 ")

    def run(self, n_random: int) -> int:
        """Send every message of the lists, and so many put together by chance; returns how many there were."""
        n_sent = 0
        for parts in (*self.listed(), *self.drawn(n_random)):
            answer = self.send(parts, WAIT_SECONDS)
            self.statuses[answer[9:12].decode("latin-1") if answer.startswith(b"HTTP/") else "none"] += 1
            n_sent += 1
            if n_sent % 50 == 0:
                assert self.good(), f"no good answer after message {n_sent}"
        assert self.good()
        return n_sent

    def send(self, parts: list[bytes], wait_seconds: float) -> bytes:
        """Send pieces one after the other, read what comes, then end our side, and read until theirs has ended too."""
        answer = b""
        with contextlib.suppress(ConnectionError), socket.create_connection(self._address, END_SECONDS) as connection:
            for place, part in enumerate(parts):
                if place:
                    time.sleep(SLOW_SECONDS)
                connection.sendall(part)
            connection.settimeout(wait_seconds)
            with contextlib.suppress(TimeoutError):
                while received := connection.recv(65_536):
                    answer += received
                    connection.settimeout(MORE_SECONDS)
            connection.settimeout(END_SECONDS)
            with contextlib.suppress(OSError):  # it has gone already
                connection.shutdown(socket.SHUT_WR)
            while received := connection.recv(65_536):
                answer += received
        return answer

    @contextlib.contextmanager
    def crowd(self, n: int) -> Iterator[None]:
        """Hold so many connections open whose requests never end, in their heads and in their bodies."""
        with contextlib.ExitStack() as connections:
            for number in range(n):
                connection = connections.enter_context(socket.create_connection(self._address, timeout=END_SECONDS))
                head = self._head("POST", "/v1/score", length=100)
                connection.sendall(head[:-4] if number % 4 else head + b"{")
            yield

    def listed(self) -> Iterator[list[bytes]]:
        """Each oddity once, on a request that is good but for it."""
        body = self._example
        for raw in RAW:
            yield [raw]
        for target in (*TARGETS, *ODD_TARGETS):
            yield [self._head("GET", target)]
        for method in METHODS:
            yield [self._head(method, "/v1/score")]
        for version in VERSIONS:
            yield [self._head("GET", "/v1/model", version=version)]
        for header in ODD_HEADERS:
            yield [self._head("POST", "/v1/score", header, length=len(body)) + body]
        for media_type in ODD_TYPES:
            yield [self._head("POST", "/v1/score", media_type=media_type, length=len(body)) + body]
        for target in ("/v1/score", "/v1/score/batch", "/score", "/v1/events"):
            for odd in ODD_BODIES:
                yield [self._head("POST", target, length=len(odd)) + odd]
        for length in ODD_LENGTHS:
            yield [self._head("POST", "/v1/score", length=length) + body]
        for chunks in ODD_CHUNKS:
            yield [self._head("POST", "/v1/score", "Transfer-Encoding: chunked") + chunks]
        for smuggled in (
            "Transfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: \x0bchunked",
        ):
            yield [self._head("POST", "/v1/score", smuggled, length=3) + b"0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n"]
        for difference in (-1, 1, 1_000, 10**7):
            yield [self._head("POST", "/v1/score", length=len(body) + difference) + body]
        yield [
            self._head("POST", "/v1/score", length=len(body)),
            *(body[at : at + 40] for at in range(0, len(body), 40)),
        ]
        yield [self._head("GET", "/v1/model") * 20 + self._head("POST", "/v1/score", length=len(body)) + body]
        yield [(self._head("POST", "/v1/score", length=len(body)) + body) * 10 + b"GARBAGE\r\n\r\n"]

    def drawn(self, n: int) -> Iterator[list[bytes]]:
        """Oddities put together by chance, cut off, flipped and split."""
        choose = self._random.choice
        for _ in range(n):
            odd = self._random.random
            body = choose([self._example, choose(ODD_BODIES)])
            message = self._head(
                choose(METHODS) if odd() < 0.3 else "POST",
                choose([*TARGETS, *ODD_TARGETS]),
                *(self._random.sample(ODD_HEADERS, self._random.randrange(3)) if odd() < 0.5 else []),
                media_type=choose(ODD_TYPES) if odd() < 0.2 else "application/json",
                length=choose(ODD_LENGTHS) if odd() < 0.2 else len(body),
                version=choose(VERSIONS) if odd() < 0.1 else "HTTP/1.1",
            )
            message += choose(ODD_CHUNKS) if odd() < 0.1 else body
            if odd() < 0.3:
                message = message[: self._random.randrange(1, len(message))]
            if odd() < 0.3:
                flipped = bytearray(message)
                for _ in range(self._random.randrange(1, 6)):
                    flipped[self._random.randrange(len(flipped))] = self._random.randrange(256)
                message = bytes(flipped)
            middle = self._random.randrange(len(message))
            yield [message[:middle], message[middle:]] if odd() < 0.1 else [message]

    def _head(
        self,
        method: str,
        target: str,
        *headers: str,
        media_type: str = "application/json",
        length: Any = None,
        version: str = "HTTP/1.1",
    ) -> bytes:
        lines = [f"{method} {target} {version}", "Host: localhost", *headers, f"Content-Type: {media_type}"]
        lines += [] if length is None else [f"Content-Length: {length}"]
        return ("\r\n".join(lines) + f"\r\n{self._key}\r\n").encode("latin-1")
