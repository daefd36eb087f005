"""What the README shows is run as it stands."""

from __future__ import annotations

import functools
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

import service as package
from service import client
from tests.service.conftest import InProcess
from tests.service.test_api import JSON

if TYPE_CHECKING:
    from tests.service.conftest import Service

README = (Path(package.__file__).parent / "README.md").read_text(encoding="utf-8")
SHELL = [shlex.split(block) for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)]
CALLS = [words for words in SHELL if "-d" in words]


@pytest.mark.parametrize("words", CALLS, ids=lambda words: urlsplit(words[1]).path)
def test_the_curls_of_the_readme_work(stored_service: Service, words: list[str]) -> None:
    name, value = words[words.index("-H") + 1].split(": ")
    content = words[words.index("-d") + 1]
    response = stored_service.post(urlsplit(words[1]).path, content=content, headers={name: value})
    assert response.status_code == 200, response.text
    if urlsplit(words[1]).path == "/v1/events":
        assert response.json()["warnings"] == []
        return
    scores = response.json().get("scores", [response.json()])
    assert [score["lead_id"] for score in scores] == ["L42", "L43"][: len(scores)]
    assert not [warning for score in scores for warning in score["warnings"] if "ignored" in warning]


def test_the_client_of_the_readme_works(stored_service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    [example] = [block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "service.client" in block]
    monkeypatch.setattr(client, "Client", functools.partial(client.Client, transport=InProcess(stored_service)))
    found: dict[str, Any] = {}
    exec(example, found)
    assert found["score"].lead_id == "L42"
    assert found["best"]
    assert "problem" not in found
    statuses = {line["status"] for line in stored_service.log_lines() if line["event"] == "request"}
    assert statuses == {200}


def test_every_public_route_has_its_curl_and_those_that_only_read_work(stored_service: Service) -> None:
    for words in CALLS:
        if "/v1/events" in words[1]:
            stored_service.post("/v1/events", content=words[words.index("-d") + 1], headers=JSON)
    for address in re.findall(r"^curl '?(http://\S+?)'?$", README, re.MULTILINE):
        path = urlsplit(address).path
        if path.startswith("/v1/"):
            assert stored_service.get(path, params=urlsplit(address).query).status_code == 200, address
    called = {urlsplit(word).path for words in SHELL for word in words if word.startswith("http://")}
    templates = stored_service.get("/openapi.json").json()["paths"]
    assert not [
        name for name in templates if not any(re.fullmatch(re.sub("{.*}", ".+", name), path) for path in called)
    ]
