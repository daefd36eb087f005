"""Scores to be told of, a receiver that does as a test says, and a courier with a clock that a test moves."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from leadscore import time
from service.hooks import Hook
from service.observing import Observer
from service.store import Rule, Store
from service.store.scores import Said
from service.webhooks import Courier

START = time.parse_instant("2026-05-01T09:00:00Z", "UTC")
SECOND = 1_000_000
SECRET = b"0123456789abcdef0123456789abcdef"


def said(lead_id: str, score: int, grade: str, at: int = START, version: str = "7") -> Said:
    """A score as the keeper keeps it."""
    record = {
        "lead_id": lead_id,
        "as_of": time.format_instant(at),
        "probability": score / 200,
        "score": score,
        "grade": grade,
        "fit": 50,
        "intent": 50,
        "horizon": "30d",
        "reasons": [{"feature": "lead.source", "value": "webinar", "text": "source is webinar", "effect": 0.4}],
        "warnings": [],
        "model": {"name": "leadscore", "version": version, "plan": "9f3c"},
    }
    return Said(record, at, score / 10, at, "webinar", "rep-03", lead_id.lower(), None)


def keep(store: Store, *scores: Said, closed: tuple[str, ...] = ()) -> None:
    store.scores.keep(scores, closed, cause="event")


@dataclass
class Receiver:
    """What arrived, and what is answered: a status, perhaps headers, or a function; the last one again and again."""

    port: int
    script: list[Any]
    requests: list[tuple[dict[str, str], bytes, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/leads?token=t0ken"

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _, _ in self.requests]


@contextmanager
def receiving(*script: Any, wrap: Callable[[Any], Any] = lambda server: server) -> Iterator[Receiver]:
    """Answer on a free port of this machine; `wrap` may put TLS around the server's socket."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.requests.append(({name.lower(): value for name, value in self.headers.items()}, body, self.path))
            step = found.script.pop(0) if len(found.script) > 1 else found.script[0]
            if callable(step):
                step(self)
                return
            status, headers = step if isinstance(step, tuple) else (step, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 128  # its own 5 let the last of those who call at once wait for a second

    server = Server(("127.0.0.1", 0), Handler)
    wrap(server)
    found = Receiver(server.server_port, list(script))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Sending:
    """A courier with a clock of its own, its metrics and its log."""

    def __init__(self, store: Store, url: str, *, private: bool = True, holder: str = "one", **options: Any) -> None:
        self.registry, self.now = CollectorRegistry(), [START]
        self.log: list[str] = []
        observer = Observer(self.registry, self.log.append)
        hook = Hook(Rule("crm", ("A",)), httpx.URL(url), SECRET, private)
        self.store = store
        self.courier = Courier(hook, store, observer, holder, lambda: self.now[0], **options)

    def step(self, after: int = 0) -> bool:
        self.now[0] += after
        return self.courier.step()

    def statuses(self) -> list[str]:
        return [json.loads(line)["status"] for line in self.log]

    def counts(self) -> tuple[int, int, int]:
        counted = self.store.outbox.counts()["crm"]
        return counted["pending"], counted["done"], counted["dead"]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"hook": "crm", **labels})
