from __future__ import annotations

import copy
import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from leadscore import LeadScorer
from service import contract

if TYPE_CHECKING:
    from tests.service.conftest import Service

NOW = 1_777_626_000_000_000
AS_OF = "2026-05-01T09:00:00Z"
SECRET = "zq7-secret"
JSON = {"content-type": "application/json"}


def problem(response: Any, status: int, name: str) -> dict[str, Any]:
    """Check that an answer is the named problem in full, and return it."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    found: dict[str, Any] = response.json()
    assert contract.ProblemDetails.model_validate(found, strict=True)
    assert (found["type"], found["status"]) == (f"/docs#{name}", status)
    assert found["request_id"] == response.headers["x-request-id"]
    return found


def test_one_lead_over_http_is_the_scorers_record(
    service: Service, scorer: LeadScorer, documents: list[dict[str, Any]]
) -> None:
    for document, expected in zip(documents, scorer.score_documents(documents, now=NOW), strict=True):
        response = service.post("/v1/score", json=document)
        assert response.status_code == 200, response.text
        assert response.json() == expected
        assert contract.Score.model_validate(response.json(), strict=True).lead_id == expected["lead_id"]


def test_a_batch_is_the_same_records_in_order(
    service: Service, scorer: LeadScorer, documents: list[dict[str, Any]]
) -> None:
    response = service.post("/v1/score/batch", json={"documents": documents[:20]})
    assert response.json() == {"scores": scorer.score_documents(documents[:20], now=NOW)}


def test_a_bad_document_is_an_error_entry_at_its_place(service: Service, documents: list[dict[str, Any]]) -> None:
    response = service.post("/v1/score/batch", json={"documents": [documents[0], {}, 3, documents[0]]})
    assert response.status_code == 200
    first, empty, number, last = response.json()["scores"]
    assert first == last == service.post("/v1/score", json=documents[0]).json()
    for entry in (empty, number):
        details = contract.RefusedDocument.model_validate(entry, strict=True).error
        assert (details.status, details.request_id) == (422, response.headers["x-request-id"])
    assert contract.Scores.model_validate(response.json())


def test_an_empty_batch_is_an_empty_answer(service: Service) -> None:
    assert service.post("/v1/score/batch", json={"documents": []}).json() == {"scores": []}


def test_a_large_lead_scores_as_a_small_one_does(service: Service, documents: list[dict[str, Any]]) -> None:
    large = documents[0] | {"lead": documents[0]["lead"] | {"undeclared": "x" * 100_000}}
    small = documents[0] | {"lead": documents[0]["lead"] | {"undeclared": "x"}}
    assert service.post("/v1/score", json=large).json() == service.post("/v1/score", json=small).json()


@pytest.mark.parametrize(
    "body",
    [{}, [], 1, None, {"documents": {}}, {"documents": None}, {"documents": [], "more": 1}, {"document": []}],
)
def test_another_shape_than_a_batch_is_refused(service: Service, body: Any) -> None:
    found = problem(service.post("/v1/score/batch", content=json.dumps(body), headers=JSON), 422, "invalid-document")
    assert found["errors"]


def test_too_many_documents_are_refused_and_the_limit_is_named(service: Service) -> None:
    found = problem(service.post("/v1/score/batch", json={"documents": [{}] * 21}), 422, "invalid-document")
    assert f"at most {service.limits.documents}" in found["errors"][0]["message"]


def test_a_document_that_cannot_be_scored_says_where_and_quotes_nothing(
    service: Service, scorer: LeadScorer, documents: list[dict[str, Any]]
) -> None:
    table = scorer.project.events[0]
    bad = copy.deepcopy(documents[0])
    bad.setdefault("events", {})[table.name] = [{table.time: AS_OF}, {table.time: SECRET}]
    found = problem(service.post("/v1/score", json=bad), 422, "invalid-document")
    assert found["errors"][0]["where"] == f"events.{table.name}[1].{table.time}"
    assert SECRET not in json.dumps(found)
    assert SECRET not in "".join(service.log)


@pytest.mark.parametrize("body", [[], 1, "text", None, {}, {"lead": []}, {"lead": None}, {"lead": {}}])
def test_what_is_no_lead_document_is_refused(service: Service, body: Any) -> None:
    found = problem(service.post("/v1/score", content=json.dumps(body), headers=JSON), 422, "invalid-document")
    assert found["errors"]


@pytest.mark.parametrize("path", ["/v1/score", "/v1/score/batch"])
@pytest.mark.parametrize(
    ("content", "headers", "status", "name"),
    [
        (b'{"lead": ', JSON, 400, "malformed-json"),
        (b'{"lead": {"a": NaN}}', JSON, 400, "malformed-json"),
        (b'{"lead": "\xff"}', JSON, 400, "malformed-json"),
        (b"[" * 50_000, JSON, 400, "malformed-json"),
        (b"{}", {"content-type": "text/plain"}, 415, "unsupported-media-type"),
        (b"{}", {}, 415, "unsupported-media-type"),
        (b"{}", JSON | {"content-encoding": "gzip"}, 415, "unsupported-media-type"),
        (b" " * 200_001, JSON, 413, "too-large"),
    ],
)
def test_bad_bodies_are_problems(
    service: Service, path: str, content: bytes, headers: dict[str, str], status: int, name: str
) -> None:
    problem(service.post(path, content=content, headers=headers), status, name)
    assert service.log_lines()[-1]["route"] == path


def test_an_unknown_route_is_a_problem(service: Service) -> None:
    problem(service.get(f"/v1/{SECRET}"), 404, "not-found")
    assert SECRET not in service.metrics() + "".join(service.log)


def test_the_document_is_made_once_per_model(service: Service, scorer: LeadScorer) -> None:
    """Whoever asks for it needs no key, and it takes long to make."""
    api = service.app.app  # type: ignore[attr-defined]
    first = api.openapi()
    assert api.openapi() is first
    service.model.use(scorer)
    assert api.openapi() is not first
    assert api.openapi() == first


@pytest.mark.parametrize("path", ["/v1/model/", "/docs/", "/v1/score/"])
def test_a_slash_too_many_leads_nowhere(service: Service, path: str) -> None:
    problem(service.get(path, headers={"host": "localhost:1"}), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/score", "POST"),
        ("DELETE", "/v1/score/batch", "POST"),
        ("POST", "/v1/model", "GET"),
        ("POST", "/healthz", "GET"),
        ("GET", "/score", "POST"),
    ],
)
def test_a_wrong_method_is_a_problem_that_names_the_right_one(
    service: Service, method: str, path: str, allowed: str
) -> None:
    response = service.call(method, path)
    problem(response, 405, "wrong-method")
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/v1/score", "/v1/score/batch", "/v1/model"])
def test_without_a_model_the_answer_is_not_ready(bare_service: Service, path: str) -> None:
    if path == "/v1/model":
        response = bare_service.get(path)
    else:
        response = bare_service.post(path, json={"documents": []} if path.endswith("batch") else {})
    problem(response, 503, "model-not-ready")
    assert response.headers["retry-after"] == "5"


def test_the_model_card_says_what_answers(service: Service, scorer: LeadScorer) -> None:
    card = contract.ModelCard.model_validate(service.get("/v1/model").json(), strict=True)
    assert (card.name, card.version, card.plan) == (scorer.name, "7", scorer.plan.hash)
    assert card.horizon == scorer.horizon
    assert card.metrics == scorer.manifest.get("metrics", {})
    assert card.limits.documents == service.limits.documents


def test_the_openapi_document_is_31_and_describes_every_public_route(service: Service) -> None:
    document = service.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1.")
    assert document["paths"].keys() == {"/v1/score", "/v1/score/batch", "/v1/model"}
    text = json.dumps(document)
    references = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert references <= document["components"]["schemas"].keys()
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["description"]
            assert all(
                content == "application/problem+json"
                for status, response in operation["responses"].items()
                if status != "200"
                for content in response["content"]
            )


def test_the_examples_of_the_openapi_document_work(service: Service) -> None:
    schemas = service.get("/openapi.json").json()["components"]["schemas"]
    [example] = schemas["LeadDocument"]["examples"]
    response = service.post("/v1/score", json=example)
    assert response.status_code == 200, response.text
    [batch] = schemas["Batch"]["examples"]
    assert service.post("/v1/score/batch", json=batch).json() == {"scores": [response.json()]}
    assert schemas["LeadDocument"]["required"] == ["lead"]


def test_the_examples_hold_nobody_of_the_golden_leads(service: Service, scorer: LeadScorer) -> None:
    text = service.get("/openapi.json").text + service.get("/docs").text
    name = scorer.project.leads.id
    for entry in scorer.golden:
        assert f'"{entry["document"]["lead"][name]}"' not in text


def test_metrics_carry_templates_and_grades(service: Service, documents: list[dict[str, Any]]) -> None:
    record = service.post("/v1/score", json=documents[0]).json()
    metrics = service.metrics()
    assert 'leadscore_requests_total{method="POST",route="/v1/score",status="200"} 1.0' in metrics
    assert f'leadscore_scores_total{{grade="{record["grade"]}"}} 1.0' in metrics


def test_a_request_is_one_log_line_with_its_id(service: Service, documents: list[dict[str, Any]]) -> None:
    service.post("/v1/score?api_key=zq7-secret", json=documents[0], headers={"x-request-id": "mine"})
    _, line = service.log_lines()
    assert (line["route"], line["status"], line["request_id"]) == ("/v1/score", 200, "mine")
    assert math.isfinite(line["ms"])
    assert SECRET not in json.dumps(line)


def test_home_leads_to_the_page(service: Service) -> None:
    response = service.get("/")
    assert (response.status_code, response.headers["location"]) == (307, "/docs")
