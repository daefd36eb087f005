"""What is answered as it is read, beside what a task of the event loop answers to it: nothing may tell them apart."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import pytest
from starlette.datastructures import Headers

from service.access import Access
from service.exchange import Asked
from service.security import Gate
from tests.service.conftest import AS_OF, Service

JSON = {"Content-Type": "application/json"}
HOST = {"Host": "localhost"}


def at_once(service: Service, method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
    """Answer at once; None if this can't be."""
    path, _, query = path.partition("?")
    lengths = {"Content-Length": str(len(body))} if body else {}
    asked = Asked(method, path, query.encode(), Headers(HOST | headers | lengths))
    found = service.app.find_short_way(asked)
    if found is None:
        return None

    async def answer() -> Any:
        exchange = service.app.begin(found, asked)
        assert exchange is not None
        told = exchange, found, asked, body
        response = await service.app.answer_later(*told) if found.waits else service.app.answer(*told)
        service.observer.request(exchange)
        return response

    return asyncio.run(answer())


def lines(service: Service) -> list[dict[str, Any]]:
    """What was logged of requests so far, without what differs from one to the next."""
    found = [line for line in service.log_lines() if line["event"] == "request"]
    service.log.clear()
    return [{**line, "at": "", "ms": 0, "request_id": ""} for line in found]


def both(service: Service, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, Any]:
    """Ask both ways; hold both to be the same; return status and content."""
    headers = headers | {"X-Request-Id": "abc-1"}
    asked = service.call(method, path, headers=headers, content=body)
    logged = lines(service)
    answered = at_once(service, method, path, headers, body)
    assert lines(service) == logged
    assert (answered.status_code, answered.body) == (asked.status_code, asked.content)
    differing = asked.headers.items() - Headers(raw=answered.raw_headers).items()
    assert {name for name, _ in differing} <= {
        "cache-control", "content-security-policy", "referrer-policy", "x-content-type-options", "x-request-id"
    }, "what `stamped` adds to all"  # fmt: skip
    return asked.status_code, json.loads(asked.content)


def test_every_golden_lead_is_scored_alike(service: Service, documents: list[dict[str, Any]]) -> None:
    for document in documents:
        status, record = both(service, "POST", "/v1/score", JSON, json.dumps(document).encode())
        assert (status, record["lead_id"]) == (200, document["lead"]["lead_id"])
    [*_, counted] = [line for line in service.metrics().splitlines() if line.startswith("leadscore_requests_total{")]
    assert float(counted.split()[-1]) == 2 * len(documents)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (JSON, b"{", 400),
        (JSON, b"\xff", 400),
        (JSON, b'{"lead": {"lead_id": 1e999}}', 400),
        (JSON, b"[]", 422),
        (JSON, b'{"lead": {}}', 422),
        ({"Content-Type": "text/plain"}, b"{}", 415),
        (JSON | {"Content-Encoding": "gzip"}, b"{}", 415),
        (JSON | {"Host": "elsewhere.example"}, b"{}", 403),
    ],
)
def test_what_is_refused_is_refused_alike(service: Service, headers: dict[str, str], body: bytes, status: int) -> None:
    assert both(service, "POST", "/v1/score", headers, body)[0] == status


def test_without_a_model_nothing_is_scored_either_way(bare_service: Service) -> None:
    assert both(bare_service, "POST", "/v1/score", JSON, b"{}")[0] == 503


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/v1/leads/{{}}/score?as_of={AS_OF}", 200),
        ("/v1/leads/{}/score?as_of=2026-05-01T09%3A00%3A00Z", 200),
        ("/v1/leads/nobody/score", 404),
        ("/v1/leads//score", 404),
        ("/v1/leads/{}/score?as_of=1900-01-01T00:00:00Z", 404),
        ("/v1/leads/{}/score?as_of=soon", 422),
        ("/v1/leads/{}/score?at=1", 422),
    ],
)
def test_stored_leads_are_scored_alike(
    stored_service: Service, documents: list[dict[str, Any]], path: str, status: int
) -> None:
    path = path.format(documents[0]["lead"]["lead_id"])
    assert both(stored_service, "GET", path, {})[0] == status


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/score"),
        ("POST", "/v1/score/"),
        ("POST", "/v1/score/batch"),
        ("GET", "/v1/leads"),
        ("GET", "/v1/leads/score"),
        ("GET", "/v1/leads/a/score/"),
        ("GET", "/v1/leads/a/history"),
        ("POST", "/v1/leads/a/score"),
        ("GET", "/healthz"),
    ],
)
def test_nothing_else_is_answered_at_once(stored_service: Service, method: str, path: str) -> None:
    assert at_once(stored_service, method, path, JSON, b"") is None


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "wrong"}])
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/score"), ("GET", "/v1/leads/L1/score")])
def test_who_has_no_key_is_refused_and_logged_alike(
    stored_service: Service, headers: dict[str, str], method: str, path: str
) -> None:
    api, limits, observe = stored_service.app.app, stored_service.limits, stored_service.observer.request
    gate = Gate(api, limits, observe, api.fixed_paths, Access(None), find_short_way=api.find_short_way)  # type: ignore[attr-defined]
    guarded = dataclasses.replace(stored_service, app=gate)
    assert both(guarded, method, path, JSON | headers, b"{}" if method == "POST" else b"")[0] == 503
