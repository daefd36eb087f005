"""Two servers on one PostgreSQL: what one is told the other knows, and nobody is scored twice."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.service.test_cli import Serving, start

PATIENCE = 30.0
"""Seconds that something may take that a keeper does."""


@pytest.fixture(scope="module")
def replicas(
    new_url: Callable[[str], str],
    fresh_sample: Callable[..., Path],
    sample_scorer_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[list[Serving]]:
    url, project = new_url("postgresql"), fresh_sample(every=4)
    running: list[Serving] = []
    options = ("--model", str(sample_scorer_folder), "--store", "env:REPLICA_STORE", "--json")
    for name in ("one", "two"):
        running.append(start(tmp_path_factory.mktemp(name), project, *options, REPLICA_STORE=url))
    yield running
    for serving in running:
        serving.process.terminate()
        serving.process.wait(timeout=60)


def rounds(serving: Serving) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in serving.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("event") == "rescored"]


def wait_for(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)
    return found


def test_what_one_is_told_the_other_scores_at_once_and_once(replicas: list[Serving]) -> None:
    one, two = (httpx.Client(base_url=serving.url, trust_env=False, timeout=30) for serving in replicas)
    wait_for(lambda: one.get("/v1/leads").json()["leads"])
    for number, (told, asked) in enumerate([(one, two), (two, one)]):
        lead = {"lead_id": f"new-{number}", "source": "webinar"}
        visit = {"event_id": f"visit-{number}", "lead_id": lead["lead_id"], "occurred_at": "2026-05-01T00:00:00Z"}
        assert told.get(f"/v1/leads/{lead['lead_id']}/score").status_code == 404
        told.post("/v1/events", json={"leads": [lead], "events": {"touchpoints": [visit]}}).raise_for_status()
        score = asked.get(f"/v1/leads/{lead['lead_id']}/score")
        assert score.status_code == 200
        assert score.json()["probability"] == told.get(f"/v1/leads/{lead['lead_id']}/score").json()["probability"]

        def listed(client: httpx.Client = asked, lead_id: str = lead["lead_id"]) -> bool:
            return lead_id in {record["lead_id"] for record in client.get("/v1/leads?max_age=1h").json()["leads"]}

        wait_for(listed)
    again = {"event_id": "visit-0", "lead_id": "new-0", "occurred_at": "2026-05-01T00:00:00Z"}
    assert two.post("/v1/events", json={"events": {"touchpoints": [again]}}).json()["repeated"] == 1
    assert sorted(len(rounds(serving)) for serving in replicas) == [0, 1]
    assert len(one.get("/v1/leads/new-0/history").json()["scores"]) == 1
    assert os.environ.get("REPLICA_STORE") is None


def test_a_command_that_is_killed_leaves_no_process(replicas: list[Serving]) -> None:
    # The last test of these servers.
    command = psutil.Process(replicas[1].process.pid)
    family = command.children(recursive=True)
    assert len(family) >= 3  # BentoML, its worker, the keeper
    command.kill()
    assert not psutil.wait_procs(family, timeout=PATIENCE)[1]
