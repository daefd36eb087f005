"""One scored lead over HTTP against an empty BentoML endpoint, taking turns on one connection each."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import leadscore as ls
from leadscore import documents
from service.process import Server

ROOT = Path(__file__).parents[2]
N_ROUNDS, PER_ROUND = 20, 100
N_EVENTS = 20


def run() -> list[str]:
    """Return lines of Markdown."""
    data = ls.Project.load(ROOT / "data" / "sample").read()
    scorer = ls.LeadScorer().fit(data, ls.snapshots(data))
    document = _document(data)
    with tempfile.TemporaryDirectory() as folder:
        saved = scorer.save(Path(folder) / "scorer")
        with Server(saved, "1", host="127.0.0.1", port=0, n_workers=1) as server, _empty() as empty:
            assert server.wait_until_ready()
            ours, theirs = _Peer(server.url, "/v1/score", document), _Peer(empty, "/score", {"document": document})
            for peer in (ours, theirs):
                peer.call(PER_ROUND)
                peer.seconds.clear()
            for _ in range(N_ROUNDS):
                ours.call(PER_ROUND)
                theirs.call(PER_ROUND)
    n_events = sum(len(events) for events in document["events"].values())
    start = time.perf_counter()
    for _ in range(200):
        scorer.score_documents([document], now=0)
    inside = (time.perf_counter() - start) / 200
    rows = [("leadscore, POST /v1/score, three reasons", ours), ("BentoML, empty endpoint", theirs)]
    lines = [
        f"### One lead over HTTP: {n_events} events, {N_ROUNDS * PER_ROUND:,} requests each on one connection",
        "",
        "| endpoint | requests/s | p50 ms | p99 ms |",
        "|---|---|---|---|",
    ]
    for title, peer in rows:
        p50, p99 = np.quantile(peer.seconds, [0.5, 0.99]) * 1e3
        lines.append(f"| {title} | {len(peer.seconds) / sum(peer.seconds):,.0f} | {p50:.2f} | {p99:.2f} |")
    rate = sum(theirs.seconds) / sum(ours.seconds)
    p50, p99 = np.quantile(ours.seconds, [0.5, 0.99])
    lines += [
        "",
        f"Ratio of rates to the empty endpoint: {rate:.2f}; p99 ÷ p50 of ours: {p99 / p50:.1f}; "
        f"scoring inside the process: {inside * 1e3:.2f} ms.",
    ]
    return lines


class _Peer:
    """One keep-alive connection that posts the same body."""

    def __init__(self, url: str, path: str, body: Any) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=30)
        self.path = path
        self.body = json.dumps(body)
        self.seconds: list[float] = []

    def call(self, times: int) -> None:
        for _ in range(times):
            start = time.perf_counter()
            self.connection.request("POST", self.path, self.body, {"Content-Type": "application/json"})
            response = self.connection.getresponse()
            answer = response.read()
            self.seconds.append(time.perf_counter() - start)
            assert response.status == 200, answer


def _document(data: ls.Data) -> dict[str, Any]:
    """The open lead of the sample whose history is nearest to twenty events."""
    at = data.observed_until
    candidates = [documents.from_data(data, lead, at) for lead in range(0, len(data.leads.ids), 5)]
    return min(candidates, key=lambda one: abs(sum(len(events) for events in one["events"].values()) - N_EVENTS))


@contextlib.contextmanager
def _empty() -> Iterator[str]:
    """Start the empty service on a free port; yield its address."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"BENTOML_HOME": home, "BENTOML_DO_NOT_TRACK": "True"}
        command = [sys.executable, "-m", "bentoml", "serve", "tests.bench.empty_service:Empty", "--host", "127.0.0.1"]
        process = subprocess.Popen(
            [*command, "--port", str(port)], cwd=ROOT, env=environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _wait(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)


def _wait(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    raise TimeoutError("the empty service did not start")
