"""Kill the server, its workers and its keeper with SIGKILL at random moments while rows arrive, again and again.

``python -m tests.bench.crash [--rounds 100] [--store URL]``: after each round every acknowledged row is there once,
every batch whole or not at all, and the store sound. Ends with 1 at the first that isn't.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import sqlalchemy as sa

import leadscore as ls
from service.store import Store, open_store
from service.store.schema import rows

ROOT = Path(__file__).parents[2]
N_CLIENTS, PER_BATCH = 4, 5
SEED = 7


def main() -> int:
    """Run the rounds and print one line for each ten."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--store", help="a database URL; default a new SQLite file")
    asked = parser.parse_args()
    rng = random.Random(SEED)
    with tempfile.TemporaryDirectory() as folder:
        project, scorer = _project(Path(folder))
        store = asked.store or str(project / "store.db")
        sent = _Sent()
        for number in range(1, asked.rounds + 1):
            _round(project, scorer, store, sent, rng.uniform(0.05, 2.0))
            opened = open_store(store, ls.Project.load(project))
            fault = _fault(opened, sent)
            opened.close()
            if fault:
                print(f"round {number}: {fault}")
                return 1
            if number % 10 == 0 or number == asked.rounds:
                n_kept = len(sent.acknowledged)
                print(f"{number} rounds: {n_kept:,} batches acknowledged, {sent.n_open} cut off, none lost", flush=True)
    return 0


class _Sent:
    """Batches that were sent, and which of them were acknowledged."""

    def __init__(self) -> None:
        self.numbers = itertools.count()
        self.acknowledged: set[int] = set()
        self.n_open = 0


def _project(folder: Path) -> tuple[Path, Path]:
    project = folder / "project"
    project.mkdir()
    for name in ("leadscore.toml", "leads.csv", "touchpoints.csv", "interactions.csv", "outcomes.csv"):
        (project / name).write_bytes((ROOT / "data" / "sample" / name).read_bytes())
    data = ls.Project.load(project).read()
    scorer = ls.LeadScorer(parameters={"num_iterations": 30}).fit(data, ls.snapshots(data))
    return project, scorer.save(folder / "scorer")


def _round(project: Path, scorer: Path, store: str, sent: _Sent, seconds: float) -> None:
    command = [sys.executable, "-c", "from leadscore.cli import main; main()", "serve", str(project)]
    command += ["--model", str(scorer), "--port", "0", "--json", "--store", "env:CRASH_STORE"]
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile("w+") as log:
        environment = os.environ | {"TMPDIR": home, "CRASH_STORE": store}
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert server.stdout is not None
        announced = server.stdout.readline()
        if '"url"' not in announced:
            log.seek(0)
            raise RuntimeError(f"the server did not start again: {announced} {log.read()[-2_000:]}")
        port = int(json.loads(announced)["url"].rpartition(":")[2])
        clients = [threading.Thread(target=_send, args=(port, sent)) for _ in range(N_CLIENTS)]
        for client in clients:
            client.start()
        time.sleep(seconds)
        family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        for process in family:
            process.send_signal(signal.SIGKILL)
        for client in clients:
            client.join()
        psutil.wait_procs(family, timeout=10)
        server.wait()


def _send(port: int, sent: _Sent) -> None:
    """Send batches until the server is gone."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    while True:
        number = next(sent.numbers)
        try:
            connection.request("POST", "/v1/events", json.dumps(_batch(number)), {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError):
            sent.n_open += 1
            return
        if response.status == 200:
            assert answer["stored"] == PER_BATCH + 1, answer
            sent.acknowledged.add(number)


def _batch(number: int) -> dict[str, object]:
    lead = f"crash-{number % 50}"
    touchpoints = [
        {"event_id": f"{number}-{place}", "lead_id": lead, "occurred_at": "2026-05-01T00:00:00Z", "channel": "web"}
        for place in range(PER_BATCH)
    ]
    profile = {"lead_id": lead, "created_at": "2026-04-01T00:00:00Z", "employees": number}
    return {"leads": [profile], "events": {"touchpoints": touchpoints}}


def _fault(store: Store, sent: _Sent) -> str | None:
    with store.database.reading() as connection:
        if connection.dialect.name == "sqlite":
            sound = connection.exec_driver_sql("pragma integrity_check").scalar()
            if sound != "ok":
                return f"the file is damaged: {sound}"
        wanted = (rows.c.kind == "touchpoints") & rows.c.lead_id.like("crash-%")
        found = Counter(
            row_id.partition("-")[0] for row_id in connection.scalars(sa.select(rows.c.row_id).where(wanted))
        )
        profiles = set(
            connection.scalars(sa.select(rows.c.data).where((rows.c.kind == "leads") & rows.c.lead_id.like("crash-%")))
        )
    lost = [number for number in sent.acknowledged if found[str(number)] != PER_BATCH]
    if lost:
        return f"{len(lost)} acknowledged batches are not whole, as {lost[:5]}"
    employees = {int(json.loads(data)["employees"]) for data in profiles}
    if not sent.acknowledged <= employees:
        return f"{len(sent.acknowledged - employees)} acknowledged profiles are gone"
    if torn := [number for number, n_rows in found.items() if n_rows != PER_BATCH]:
        return f"{len(torn)} batches are there in part, as {torn[:5]}"
    return None


if __name__ == "__main__":
    raise SystemExit(main())
