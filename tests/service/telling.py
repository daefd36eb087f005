"""Scores to be told of, and a receiver that does as a test says."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from leadscore import time
from service.store import Store
from service.store.scores import Said

START = time.parse_instant("2026-05-01T09:00:00Z", "UTC")
SECOND = 1_000_000


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
    return Said(record, at, score / 10, at, "webinar", "rep-03")


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

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
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
