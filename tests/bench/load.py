"""A bounded load on one endpoint, from a process of its own: one or several requests in turn over keep-alive sockets.

Closed loop: every connection asks again as soon as it is answered. Open loop: requests are due at a rate (Poisson),
whatever the server does. A latency counts from the moment its request was due, so that a server that stalls is
charged for everything that had to wait for it; at most `connections` are under way at once, the others wait for one.
"""

from __future__ import annotations

import collections
import contextlib
import gc
import itertools
import json
import random
import selectors
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
LAST_ANSWERS_SECONDS = 5.0
"""What answers are waited for once nothing more is sent."""


@dataclass(frozen=True)
class Target:
    """One request to one server, or one of several in turn (`paths`), and what the table calls it."""

    title: str
    url: str
    path: str
    body: Any = None
    method: str = "POST"
    paths: tuple[str, ...] = ()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    @property
    def requests(self) -> list[bytes]:
        """The bytes on the wire."""
        return [self._request(path) for path in self.paths or (self.path,)]

    def _request(self, path: str) -> bytes:
        body = b"" if self.body is None else json.dumps(self.body).encode()
        head = f"{self.method} {path} HTTP/1.1\r\nHost: {self.address[0]}\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body


@dataclass(frozen=True)
class Answers:
    """What came back: latencies in seconds by status, how long it took, what had no answer, or a 429 no advice.

    `unsent` is how much of the latency of each good answer went by before its request was sent: the load's own part.
    """

    latencies: dict[int, NDArray[np.float64]]
    unsent: NDArray[np.float64]
    seconds: float
    n_unanswered: int
    n_unadvised: int

    @property
    def good(self) -> NDArray[np.float64]:
        """Latencies of the requests that were answered with 200."""
        return self.latencies.get(200, np.empty(0))

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return len(self.good) / self.seconds

    def milliseconds(self, *quantiles: float) -> list[float]:
        """Quantiles of the good answers' latency."""
        return [float(value) for value in np.quantile(self.good, quantiles) * 1e3]


def measure(target: Target, connections: int, seconds: float, rate: float | None = None) -> Answers:
    """Put a load on a target from another process: closed loop, or open at `rate` requests a second."""
    host, port = target.address
    requests = [request.decode() for request in target.requests]
    order = {"host": host, "port": port, "requests": requests, "connections": connections}
    command = [sys.executable, "-m", "tests.bench.load"]
    sent = json.dumps(order | {"seconds": seconds, "rate": rate})
    done = subprocess.run(command, input=sent, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    latencies = {int(status): np.array(values) for status, values in found["latencies"].items()}
    return Answers(latencies, np.array(found["unsent"]), found["seconds"], found["n_unanswered"], found["n_unadvised"])


class _Load:
    """The load under way: free connections, requests that are due, answers so far.

    Plain sockets that one selector watches, for what the load takes of each answer is counted as the server's.
    """

    def __init__(self, host: str, port: int, requests: list[bytes], connections: int, seconds: float) -> None:
        self.address = (host, port)
        self.requests = itertools.cycle(requests)
        self.n_connections = connections
        self.seconds = seconds
        self.latencies: dict[int, list[float]] = collections.defaultdict(list)
        self.unsent: list[float] = []
        self.watched = selectors.DefaultSelector()
        self.free: list[_Connection] = []
        self.due: collections.deque[float] = collections.deque()
        self.n_lost = 0
        self.n_unadvised = 0
        self.n_under_way = 0

    def run(self, rate: float | None) -> dict[str, Any]:
        """Open all connections, then keep them busy (`rate` is None), or send at a rate."""
        for _ in range(self.n_connections):
            self.open()
        start = time.perf_counter()
        self.end = start + self.seconds
        self.closed_loop = rate is None
        if rate is None:
            for _ in range(self.n_connections):
                self.send(start)
            self.hear_until(self.end)
        else:
            self.keep_rate(start, rate)
        seconds = time.perf_counter() - start
        latest = time.perf_counter() + LAST_ANSWERS_SECONDS
        while (self.n_under_way or self.due) and time.perf_counter() < latest:
            self.hear(0.01)
        n_unanswered = self.n_lost + self.n_under_way + len(self.due)
        return {
            "latencies": self.latencies,
            "unsent": self.unsent,
            "seconds": seconds,
            "n_unanswered": n_unanswered,
            "n_unadvised": self.n_unadvised,
        }

    def keep_rate(self, start: float, rate: float) -> None:
        chance = random.Random(0)
        at = start
        while at < self.end:
            self.hear_until(at)
            self.send(at)
            at += chance.expovariate(rate)

    def hear_until(self, at: float) -> None:
        while (wait := at - time.perf_counter()) > 0:
            self.hear(wait)

    def hear(self, wait: float) -> None:
        if self.n_connections == self.n_under_way == 1:  # there is none other to hear
            self.only.hear()
            return
        for key, _ in self.watched.select(wait):
            key.data.hear()

    def send(self, due: float) -> None:
        if self.free:
            self.n_under_way += 1
            self.free.pop().send(due)
        else:
            self.due.append(due)

    def answered(self, connection: _Connection, status: int) -> None:
        now = time.perf_counter()
        self.latencies[status].append(now - connection.due)
        if status == 200:
            self.unsent.append(connection.sent - connection.due)
        self.n_under_way -= 1
        self.free.append(connection)
        if self.due:
            self.send(self.due.popleft())
        elif self.closed_loop and now < self.end:
            self.send(now)

    def lost(self, connection: _Connection) -> None:
        if connection in self.free:
            self.free.remove(connection)
        else:
            self.n_lost += 1
            self.n_under_way -= 1
        self.watched.unregister(connection.socket)
        connection.socket.close()
        self.open()

    def open(self) -> None:
        self.only = _Connection(self)
        self.free.append(self.only)


_PATIENCE = struct.pack("ll", int(LAST_ANSWERS_SECONDS), 0)
"""As a `timeval`: a timeout of Python's own costs a system call more for every answer."""


class _Connection:
    """One socket with at most one request under way."""

    def __init__(self, load: _Load) -> None:
        self.load = load
        self.received = b""
        self.due = self.sent = 0.0
        self.socket = socket.create_connection(load.address)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        load.watched.register(self.socket, selectors.EVENT_READ, self)

    def send(self, due: float) -> None:
        self.due, self.sent = due, time.perf_counter()
        with contextlib.suppress(OSError):  # who has gone is heard of next
            self.socket.sendall(next(self.load.requests))

    def hear(self) -> None:
        try:
            data = self.socket.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self.load.lost(self)
            return
        self.received += data
        head, ended, body = self.received.partition(b"\r\n\r\n")
        if not ended:
            return
        head = head.lower()
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self.received = b""
            status = int(head[9:12])
            self.load.n_unadvised += status == 429 and b"\r\nretry-after:" not in head
            self.load.answered(self, status)


def main() -> None:
    """Read an order from standard input, write what came back to standard output."""
    order = json.load(sys.stdin)
    gc.disable()
    requests = [request.encode() for request in order["requests"]]
    load = _Load(order["host"], order["port"], requests, order["connections"], order["seconds"])
    json.dump(load.run(order["rate"]), sys.stdout)


if __name__ == "__main__":
    main()
