from __future__ import annotations

import json
from pathlib import Path

import pytest

import service
from leadscore.errors import DocumentError
from service import problems
from service.problems import KINDS, Problem

README = Path(service.__file__).parent / "README.md"


def test_a_problem_has_the_members_of_rfc_9457_and_ours() -> None:
    problem = Problem.of_document(DocumentError("is not a time", where="events.touchpoints[3].occurred_at"))
    response = problem.response("r1")
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert json.loads(bytes(response.body)) == {
        "type": "/docs#invalid-document",
        "title": "Invalid document",
        "status": 422,
        "detail": "events.touchpoints[3].occurred_at: is not a time",
        "request_id": "r1",
        "errors": [{"where": "events.touchpoints[3].occurred_at", "message": "is not a time"}],
    }


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, problems.OTHER),
        (401, problems.UNAUTHENTICATED),
        (403, problems.SCOPE_MISSING),
        (404, problems.NOT_FOUND),
        (405, problems.WRONG_METHOD),
        (413, problems.TOO_LARGE),
        (418, problems.OTHER),
        (422, problems.INVALID),
        (429, problems.BUSY),
        (500, problems.INTERNAL),
        (502, problems.INTERNAL),
        (503, problems.NOT_READY),
        (504, problems.TIMEOUT),
    ],
)
def test_a_bare_status_keeps_its_number_and_finds_its_kind(status: int, kind: problems.Kind) -> None:
    problem = Problem.of_status(status)
    assert (problem.status, problem.kind) == (status, kind)


def test_kinds_have_names_of_their_own() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_readme_tells_of_every_problem(kind: problems.Kind) -> None:
    assert f"| `{kind.name}` | {kind.status} |" in README.read_text(encoding="utf-8")
