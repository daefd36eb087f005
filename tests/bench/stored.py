"""Scores of stored leads under load, on SQLite and PostgreSQL, while events are written; ``make bench-stored``.

A simulated base of 100,000 leads with one and a half million events; the model is the sample's.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import sqlalchemy as sa

import leadscore as ls
from leadscore.simulate import simulate
from service.process import Server
from service.remembering import Memory
from tests.bench import servers
from tests.bench.load import Target
from tests.bench.service import SAMPLE, table

POSTGRESQL = "postgresql+psycopg://postgres@127.0.0.1:5432/test"
SCHEMA = "leadscore_bench"
N_ASKED = 5_000
"""Leads that are asked about, in turn."""
BATCH, BETWEEN_SECONDS = 10, 0.1
"""Events in one body, and how often one is sent."""


def run(n_leads: int) -> list[str]:
    """Return lines of Markdown."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        project, scorer = Path(folder) / "base", _scorer(Path(folder))
        simulate(project, n_leads=n_leads, seed=3)
        chosen = random.Random(1).sample(range(1, n_leads + 1), min(N_ASKED, n_leads))
        paths = tuple(f"/v1/leads/L{number:06d}/score" for number in chosen)
        empty = running.enter_context(servers.empty_bentoml())
        peer = Target("BentoML, empty endpoint", empty, "/score", {"document": {"lead": {"lead_id": "L1"}}})
        lines: list[str] = []
        for name, url in _stores(project).items():
            with _ours(project, scorer, url) as (server, told), _writing(server, n_leads):
                targets = [
                    Target("GET /v1/leads/…/score", server, "", method="GET", paths=paths),
                    Target("GET /v1/leads?limit=50", server, "/v1/leads?limit=50", method="GET"),
                ]
                title = f"{name}, {n_leads:,} leads, while {BATCH / BETWEEN_SECONDS:g} events a second are written"
                lines += [*table(title, [*targets, peer]), told, ""]
        return lines


def _scorer(folder: Path) -> Path:
    data = ls.Project.load(SAMPLE).read()
    return ls.LeadScorer().fit(data, ls.snapshots(data)).save(folder / "scorer")


def _stores(project: Path) -> dict[str, str]:
    stores = {"SQLite": str(project / "store.db")}
    engine = sa.create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 2})
    with contextlib.suppress(sa.exc.OperationalError), engine.connect() as connection:
        connection.execute(sa.text(f"drop schema if exists {SCHEMA} cascade"))
        connection.execute(sa.text(f"create schema {SCHEMA}"))
        stores["PostgreSQL"] = f"{POSTGRESQL}?options=-csearch_path%3D{SCHEMA}"
    return stores


@contextlib.contextmanager
def _ours(project: Path, scorer: Path, url: str) -> Iterator[tuple[str, str]]:
    """Fill a store, start a service on it, wait for the keeper's first round; yield its address and what that took."""
    server = Server(scorer, "1", host="127.0.0.1", port=0, n_workers=1)
    memory = Memory(url, project, server.counts, rescore_seconds=3_600)
    start = time.perf_counter()
    filled = memory.prepare(lambda done, total, best=None: None, scorer)
    seconds = time.perf_counter() - start
    server.remember(memory, measure_every=None)
    with server:
        assert server.wait_until_ready(), server.failure
        start = time.perf_counter()
        while not _get(server.url, "/v1/leads?limit=1")["leads"]:
            time.sleep(0.2)
        yield (
            server.url,
            f"{filled}, in {seconds:.0f} s; the first round over all open leads: {time.perf_counter() - start:.0f} s",
        )


def _get(url: str, path: str) -> dict[str, list[object]]:
    host, port = url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.request("GET", path)
    found: dict[str, list[object]] = json.loads(connection.getresponse().read())
    return found


@contextlib.contextmanager
def _writing(url: str, n_leads: int) -> Iterator[None]:
    """Send events at a steady rate."""
    host, port = url.removeprefix("http://").split(":")
    done, numbers, chance = threading.Event(), itertools.count(), np.random.default_rng(2)

    def write() -> None:
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        while not done.wait(BETWEEN_SECONDS):
            events = [
                {
                    "event_id": f"bench-{next(numbers)}",
                    "lead_id": f"L{lead:06d}",
                    "occurred_at": "2026-06-01T00:00:00Z",
                    "channel": "web",
                }
                for lead in chance.integers(1, n_leads, BATCH).tolist()
            ]
            body = json.dumps({"events": {"touchpoints": events}})
            connection.request("POST", "/v1/events", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            assert response.status in (200, 429), response.status

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leads", type=int, default=100_000)
    print("\n".join(run(parser.parse_args().leads)))
