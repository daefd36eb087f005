"""``leadscore serve`` from start to end, over real HTTP: one server without keys, one with."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from leadscore import LeadScorer
from leadscore.cli import main
from service.client import Client
from service.keys import SCOPES, Key, append
from service.webhooks import sign
from tests.service.running import LEADSCORE, Serving, start, wait_for
from tests.service.telling import Receiver, receiving

AS_OF = "2026-05-01T09:00:00Z"
KEYS = {scope: Key.mint(f"for-{scope}", [scope]) for scope in SCOPES}
HOOK_SECRET = "a secret that nobody reads in a log"
HOOK = '[webhooks.crm]\nurl = "{url}"\nsecret = "env:CRM_SECRET"\ngrades = ["D"]\nallow_private = true\n'
"""Leads of the sample, of which nothing was heard for long, enter D."""


def refused(*options: str, **environment: str) -> Result:
    """What ``leadscore serve`` says when it starts nothing."""
    return CliRunner(env=environment).invoke(main, ["serve", *options])


@pytest.fixture(scope="module")
def part(fresh_sample: Callable[..., Path]) -> Path:
    """A quarter of the sample."""
    return fresh_sample(every=4)


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
    assert "null" not in content


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
        head = "POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
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
    done = refused(str(sample_scorer_folder.parent), "--model", str(sample_scorer_folder), "--port", port)
    assert done.exit_code == 1
    assert f"can't listen on 127.0.0.1 port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_option_is_wrong_usage() -> None:
    assert refused("--port", "many").exit_code == 2


def test_without_keys_the_command_says_so(serving: Serving) -> None:
    assert "! No API keys" in serving.log.read_text()


def test_without_keys_a_page_with_a_rebound_name_is_refused(http: httpx.Client) -> None:
    assert http.get("/v1/model", headers={"host": "evil.example"}).status_code == 403


def test_ctrl_c_leaves_no_process_and_no_file(serving: Serving) -> None:
    # The last test of this server.
    assert serving.stop(signal.SIGINT) == 0
    assert "Traceback" not in serving.log.read_text()


def test_without_keys_the_network_is_not_served(sample_scorer_folder: Path) -> None:
    options = ("--model", str(sample_scorer_folder), "--host", "0.0.0.0", "--port", "0")
    done = refused(str(sample_scorer_folder.parent), *options)
    assert done.exit_code == 1
    assert "--host 0.0.0.0 answers more than this machine" in done.stderr
    assert "leadscore key NAME" in done.stderr


def test_a_wrong_key_ends_the_command_with_the_reason(sample_scorer_folder: Path) -> None:
    options = (str(sample_scorer_folder.parent), "--model", str(sample_scorer_folder))
    done = refused(*options, LEADSCORE_API_KEYS="crm:root:00")
    assert done.exit_code == 1
    assert "LEADSCORE_API_KEYS: key 1 (crm) has a scope that there isn't" in done.stderr


@pytest.fixture(scope="module")
def crm() -> Iterator[Receiver]:
    """Who is told of changes."""
    with receiving(500, 200) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def keyed(
    crm: Receiver, part: Path, sample_scorer_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """Two workers on every address, with a store, its keeper, a webhook, and the keys of a file."""
    home = tmp_path_factory.mktemp("keyed")
    for key, _ in KEYS.values():
        append(key, home / "keys.toml")
    file = str(home / "keys.toml")
    options = ("--model", str(sample_scorer_folder), "--workers", "2", "--json", "--host", "0.0.0.0")
    remembered = ("--store", str(home / "store.db"), "--audit", "1", "--webhooks", str(home / "webhooks.toml"))
    secrets = {"LEADSCORE_API_KEYS_FILE": file, "CRM_SECRET": HOOK_SECRET}
    (home / "webhooks.toml").write_text(HOOK.format(url=crm.url), encoding="utf-8")
    running = start(home, part, *options, *remembered, **secrets)
    yield running
    if running.process.poll() is None:
        running.process.terminate()
        running.process.wait(timeout=60)


def bearer(scope: str) -> dict[str, str]:
    return {"authorization": f"Bearer {KEYS[scope][1]}"}


def test_with_keys_each_opens_its_own_routes(keyed: Serving, documents: list[dict[str, Any]]) -> None:
    with httpx.Client(base_url=keyed.url, trust_env=False, timeout=30) as client:
        assert client.get("/readyz").status_code == 200
        for path, content in (("/v1/score", documents[0]), ("/score", documents[:1])):
            statuses = [client.post(path, json=content, headers=bearer(scope)).status_code for scope in KEYS]
            assert statuses == [200, 403, 403]
            assert client.post(path, json=content).status_code == 401
        assert [client.get("/metrics", headers=bearer(scope)).status_code for scope in KEYS] == [403, 403, 200]
        assert client.get("/nowhere", headers=bearer("write")).status_code == 404
    assert "No API keys" not in keyed.log.read_text()


def test_nothing_of_a_person_or_a_secret_is_left_behind(keyed: Serving) -> None:
    """Marks in ids, fields, names, keys, paths, queries and headers, to every route, well and badly formed."""
    mark = "zq7-secret"
    bad_query = {mark: mark, "as_of": mark, "grade": mark, "cursor": mark}
    with httpx.Client(base_url=keyed.url, trust_env=False, timeout=30) as client:
        document = client.get("/openapi.json").json()
        schemas = document["components"]["schemas"]
        example = schemas["LeadDocument"]["examples"][0]
        routes: list[tuple[str, str, Any]] = [("POST", "/score", [example])]
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                content = operation.get("requestBody", {}).get("content", {}).get("application/json")
                model = content and content["schema"]["$ref"].rpartition("/")[2]
                routes.append((method.upper(), path, schemas[model]["examples"][0] if model else None))
        seen = set()
        for method, template, content in routes:
            path = re.sub(r"{\w+}", mark, template)
            for headers in (*map(bearer, KEYS), {"authorization": f"Bearer {mark}"}, {"x-api-key": mark}, {}):
                bodies = [None] if content is None else marked(content, mark)
                good_query = {"source": mark, "owner": mark} if template == "/v1/leads" else {}
                for body, query in itertools.product(bodies, (bad_query, good_query)):
                    answer = client.request(
                        method,
                        path,
                        content=body,
                        params=query,
                        headers={"content-type": "application/json", "x-mark": mark, "user-agent": mark, **headers},
                    )
                    seen.add((template, answer.status_code))
                    assert answer.status_code < 500, (method, path, answer.text)
            client.request(method, f"{path}/{mark}", headers=bearer("admin"))
            client.request("BREW", f"{path}?{mark}", headers=bearer("admin"))
        assert {400, 401, 403, 422} <= {status for _, status in seen}
        assert {template for template, status in seen if status == 200} == {template for _, template, _ in routes}
        assert scored_by_the_keeper(keyed, mark)
        told = client.get("/metrics", headers=bearer("admin")).text + keyed.log.read_text()
    assert f'"route": "{routes[-1][1]}"' in told
    assert '"event": "rescored"' in told  # the keeper's own lines are among them
    assert '"fault"' not in told
    assert not [text for text in (mark, *(secret for _, secret in KEYS.values())) if text in told]


def marked(content: Any, mark: str) -> list[bytes]:
    """Return an example as a body with a marked id, then marked everywhere, cut off, and of the wrong type."""

    def everywhere(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: everywhere(inner) for name, inner in value.items()} | {mark: mark}
        return [everywhere(inner) for inner in value] if isinstance(value, list) else mark

    text = json.dumps(content)
    well = re.sub(r'"(L42|E1|V1|asked for a demo)"', f'"{mark}"', text)
    declared = well.replace("null", f'"{mark}"')  # categories
    everything = json.dumps(everywhere(content))
    return [body.encode() for body in (well, declared, everything, well[:-1], f'"{mark}"', mark)]


def scored_by_the_keeper(keyed: Serving, mark: str) -> bool:
    """Send a lead that is open and marked all over, and wait until the keeper has scored it."""
    lead = {
        "lead_id": f"{mark} open",
        "created_at": "2026-04-20T08:30:00Z",
        "account_id": mark,
        "source": mark,
        "rep": mark,
    }
    event = {"event_id": f"{mark} open", "lead_id": f"{mark} open", "occurred_at": "2026-04-28T10:00:00Z", "kind": mark}
    with Client(keyed.url, KEYS["write"][1]) as writer, Client(keyed.url, KEYS["score"][1]) as reader:
        writer.send({"leads": [lead], "events": {"interactions": [event]}})
        return wait_for(lambda: bool(reader.history(f"{mark} open").scores)) and bool(
            list(reader.call_list(source=mark))
        )


@pytest.mark.slow
def test_what_was_answered_comes_out_the_same_again(keyed: Serving, part: Path, sample_scorer_folder: Path) -> None:
    """The audit, over a store that is in use."""
    command = [*LEADSCORE, "audit", str(part), "--store", str(keyed.log.parent / "store.db"), "--json"]
    command += ["--model", str(sample_scorer_folder)]
    with Client(keyed.url, KEYS["score"][1]) as client:
        client.score_stored("L000001")

    def audit() -> dict[str, int]:
        return dict(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))

    assert wait_for(lambda: audit()["answers"] > 0)
    assert audit()["logic"] == 0


def test_a_webhook_is_told_and_what_failed_is_told_again(keyed: Serving, part: Path, crm: Receiver) -> None:
    command = [*LEADSCORE, "webhooks", str(part), "--store", str(keyed.log.parent / "store.db"), "--json"]

    def states() -> dict[str, int]:
        return dict(json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["webhooks"]["crm"])

    assert wait_for(lambda: len(crm.ids) > len(set(crm.ids)) and states()["pending"] == 0)
    assert states()["dead"] == 0
    assert states()["done"] == len(set(crm.ids)) == len(crm.ids) - 1  # the one that was answered with 500 came twice
    for headers, body, _ in crm.requests:
        signed = sign(HOOK_SECRET.encode(), json.loads(body)["id"], int(headers["webhook-timestamp"]), body)
        assert headers["webhook-signature"] == signed
    with httpx.Client(base_url=keyed.url, trust_env=False, timeout=30) as client:
        metrics = client.get("/metrics", headers=bearer("admin")).text
    assert f'leadscore_webhooks_total{{hook="crm",outcome="done"}} {states()["done"]}.0' in metrics
    assert HOOK_SECRET not in keyed.log.read_text()
    assert crm.url not in keyed.log.read_text()


def test_a_termination_stops_two_workers_whole(keyed: Serving) -> None:
    # The last test of this server.
    announced = json.loads(keyed.announcement)
    assert announced["pid"] == keyed.process.pid
    assert httpx.get(announced["url"] + "/readyz", trust_env=False).status_code == 200
    assert keyed.stop(signal.SIGTERM) == 0


def test_a_damaged_scorer_ends_the_command_with_the_reason(sample_scorer_folder: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(sample_scorer_folder, tmp_path / "scorer")
    with (damaged / "model.txt").open("a") as model:
        model.write("\n")
    command = [*LEADSCORE, "serve", str(tmp_path), "--model", str(damaged), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 1
    assert "model.txt was changed after the scorer was saved" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_verb_joins_the_leadscore_command() -> None:
    from importlib.metadata import entry_points

    from service.cli import audit, commands, key, serve, webhooks

    assert commands == [serve, key, audit, webhooks]
    [entry] = [entry for entry in entry_points(group="leadscore.commands") if entry.name == "service"]
    assert entry.value == "service.cli:commands"
