"""A small part of ``make fuzz``, over the sockets of a server in this process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from leadscore import LeadScorer
from service.access import Access
from service.keys import SCOPES, ApiKeys, Key
from service.store import Store
from tests.fuzz.routes import fuzz
from tests.fuzz.sockets import Sender
from tests.service.conftest import Service, serving

pytestmark = pytest.mark.parametrize("kept_store", ["sqlite"], indirect=True)
KEY, SECRET = Key.mint("fuzz", SCOPES)
READER, READER_SECRET = Key.mint("reader", ["score"])


@pytest.fixture(scope="module")
def guarded(kept_store: Store, scorer: LeadScorer) -> Iterator[Service]:
    with serving(kept_store) as service:
        service.model.use(scorer)
        yield service.guarded_by(Access(ApiKeys([KEY, READER], "test")))


@pytest.fixture(scope="module")
def address(guarded: Service) -> Iterator[tuple[str, int]]:
    server = uvicorn.Server(uvicorn.Config(guarded.app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()
    server.should_exit = True
    thread.join()


def faults(service: Service) -> list[dict[str, Any]]:
    return [line for line in service.log_lines() if "fault" in line]


def test_answers_keep_to_the_document(guarded: Service, address: tuple[str, int]) -> None:
    document = guarded.get("/openapi.json").json()
    tally = fuzz(f"http://{address[0]}:{address[1]}", document, [SECRET, READER_SECRET, "", "unknown"], n_cases=4)
    assert {operation for operation, _ in tally.cases} == {
        f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods
    }
    assert {200, 404, 422} <= {status for _, status in tally.statuses}
    assert faults(guarded) == []


def test_no_bytes_stop_the_service(
    guarded: Service, address: tuple[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    example = guarded.get("/openapi.json").json()["components"]["schemas"]["LeadDocument"]["examples"][0]
    sender = Sender(address, SECRET, example)
    with caplog.at_level(logging.WARNING):
        n_sent = sender.run(50)
    assert n_sent > 250
    assert sender.statuses["200"] > 5
    assert not {status for status in sender.statuses if status.startswith("5")}
    assert faults(guarded) == []
    assert not [record for record in caplog.records if record.exc_info or "Traceback" in record.getMessage()]
