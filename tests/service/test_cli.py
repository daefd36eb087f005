"""``leadscore serve`` from start to end, over real HTTP."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import psutil
import pytest

from leadscore import LeadScorer

AS_OF = "2026-05-01T09:00:00Z"
SERVE = [sys.executable, "-c", "from leadscore.cli import main; main()", "serve"]


@dataclass
class Serving:
    """A running ``leadscore serve``."""

    process: subprocess.Popen[str]
    announcement: str
    temporary: Path
    log: Path

    @property
    def url(self) -> str:
        return re.findall(r"http://[\d.:]+", self.announcement)[0]

    def stop(self, number: signal.Signals) -> int:
        """Send a signal; check that every process and file is gone; return the exit code."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        assert len(family) >= 2
        self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        assert not [process for process in family if process.is_running()]
        assert list(self.temporary.iterdir()) == []
        return code


def start(tmp_path: Path, project: Path, *options: str) -> Serving:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    log = tmp_path / "log"
    command = [*SERVE, str(project), "--port", "0", *options]
    with log.open("w") as error:
        process = subprocess.Popen(
            command,
            env=os.environ | {"TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            stderr=error,
            text=True,
        )
    output: IO[str] | None = process.stdout
    assert output is not None
    announcement = output.readline()
    assert announcement, log.read_text()
    return Serving(process, announcement, temporary, log)


@pytest.fixture(scope="module")
def serving(sample_scorer_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    running = start(tmp_path_factory.mktemp("serve"), sample_scorer_folder, "--model", str(sample_scorer_folder))
    yield running
    if running.process.poll() is None:
        running.process.terminate()
        running.process.wait(timeout=60)


@pytest.fixture(scope="module")
def http(serving: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving.url, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def documents(sample_scorer_folder: Path) -> list[dict[str, Any]]:
    golden = LeadScorer.load(sample_scorer_folder, version="7").golden
    return [{"as_of": AS_OF} | dict(entry["document"]) for entry in golden]


def test_records_over_http_equal_the_scorers_to_the_last_bit(
    http: httpx.Client, sample_scorer_folder: Path, documents: list[dict[str, Any]]
) -> None:
    version = http.get("/v1/model").json()["version"]
    expected = LeadScorer.load(sample_scorer_folder, version=version).score_documents(documents, now=0)
    assert [http.post("/v1/score", json=document).json() for document in documents] == expected
    batch = {"documents": documents}
    assert http.post("/v1/score/batch", json=batch).json() == {"scores": expected}
    assert http.post("/score", json=documents).json() == {"scores": expected}


def test_the_announced_curl_works(serving: Serving) -> None:
    words = shlex.split(serving.announcement.partition("Try: ")[2])
    assert words[0] == "curl"
    headers = dict([words[words.index("-H") + 1].split(": ")])
    content = words[words.index("-d") + 1]
    response = httpx.post(words[1], content=content, headers=headers, trust_env=False)
    assert response.status_code == 200, response.text
    assert response.json()["lead_id"]


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/metrics", "/docs", "/openapi.json", "/v1/model"])
def test_every_route_answers_with_a_request_id(http: httpx.Client, path: str) -> None:
    response = http.get(path, headers={"x-request-id": "mine"})
    assert (response.status_code, response.headers["x-request-id"]) == (200, "mine")


def test_bentomls_own_pages_are_out_of_reach(http: httpx.Client) -> None:
    assert http.get("/").headers["location"] == "/docs"
    for path in ("/docs.json", "/static_content/index.css", "/assets/index.js"):
        assert http.get(path).headers["content-type"] == "application/problem+json"


def test_bentomls_own_client_scores(serving: Serving, documents: list[dict[str, Any]], tmp_path: Path) -> None:
    code = (
        "import bentoml, json, sys; client = bentoml.SyncHTTPClient(sys.argv[1], server_ready_timeout=30);"
        "print('RESULT', json.dumps(client.score(json.loads(sys.argv[2])))); client.close()"
    )
    sent = json.dumps([documents[0], {}])
    environment = os.environ | {"BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "True"}
    done = subprocess.run(
        [sys.executable, "-c", code, serving.url, sent],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = json.loads(done.stdout.partition("RESULT")[2])["scores"]
    assert (
        first["probability"]
        == httpx.post(f"{serving.url}/v1/score", json=documents[0], trust_env=False).json()["probability"]
    )
    assert second["error"]["status"] == 422


@pytest.mark.parametrize("path", ["/v1/score", "/v1/score/batch", "/score"])
def test_bad_bodies_are_problems_and_leave_nothing_in_the_log(http: httpx.Client, serving: Serving, path: str) -> None:
    headers = {"content-type": "application/json"}
    bodies = [
        b'{"lead": zq7-secret',
        b'[{"lead": {"x": NaN, "y": "zq7-secret"}}',
        b'{"lead": "zq7-secret"}',
        b'"zq7-secret"',
    ]
    for body in bodies:
        response = http.post(path, content=body, headers=headers)
        assert response.status_code in (400, 422)
        assert response.headers["content-type"] == "application/problem+json"
        assert "zq7-secret" not in response.text
    log = serving.log.read_text()
    assert "zq7-secret" not in log
    assert "Traceback" not in log


def test_a_chunked_body_above_the_limit_is_refused(http: httpx.Client, serving: Serving) -> None:
    address = serving.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=30) as connection:
        head = "POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        head += "Transfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        for _ in range(8):
            connection.sendall(chunk)
        connection.sendall(b"1\r\n \r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    assert http.get("/livez").status_code == 200


def test_metrics_hold_templates_and_no_raw_path(http: httpx.Client) -> None:
    http.get("/v1/leads/zq7-secret")
    metrics = http.get("/metrics").text
    assert 'route="unmatched",status="404"' in metrics
    assert 'leadscore_request_seconds_bucket{le="0.001",route="/v1/score"}' in metrics
    assert "leadscore_model_info{" in metrics
    assert "zq7-secret" not in metrics


def test_a_taken_port_is_a_clear_error(serving: Serving, sample_scorer_folder: Path) -> None:
    port = serving.url.rpartition(":")[2]
    command = [*SERVE, str(sample_scorer_folder.parent), "--model", str(sample_scorer_folder), "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert f"can't listen on 127.0.0.1 port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_option_is_wrong_usage() -> None:
    done = subprocess.run([*SERVE, "--port", "many"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2


def test_ctrl_c_leaves_no_process_and_no_file(serving: Serving) -> None:
    # The last test of this server.
    assert serving.stop(signal.SIGINT) == 0
    assert "Traceback" not in serving.log.read_text()


def test_a_termination_stops_two_workers_whole(sample_scorer_folder: Path, tmp_path: Path) -> None:
    running = start(tmp_path, sample_scorer_folder, "--model", str(sample_scorer_folder), "--workers", "2", "--json")
    announced = json.loads(running.announcement)
    assert announced["pid"] == running.process.pid
    assert httpx.get(announced["url"] + "/readyz", trust_env=False).status_code == 200
    assert running.stop(signal.SIGTERM) == 0


def test_a_damaged_scorer_ends_the_command_with_the_reason(sample_scorer_folder: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(sample_scorer_folder, tmp_path / "scorer")
    with (damaged / "model.txt").open("a") as model:
        model.write("\n")
    command = [*SERVE, str(tmp_path), "--model", str(damaged), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 1
    assert "model.txt was changed after the scorer was saved" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_verb_joins_the_leadscore_command() -> None:
    from importlib.metadata import entry_points

    from service.cli import commands, serve

    assert commands == [serve]
    [entry] = [entry for entry in entry_points(group="leadscore.commands") if entry.name == "service"]
    assert entry.value == "service.cli:commands"
