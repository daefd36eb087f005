"""The client: what the service says, as models; what it refuses, as one exception; and patience, within bounds."""

from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.responses import Response

from leadscore import LeadScorer
from service.access import Access
from service.client import LONGEST_WAIT_SECONDS, Client, ServiceProblem
from service.contract import Batch, LeadDocument, RefusedDocument
from service.keys import ApiKeys, Key
from service.problems import BUSY, NO_KEYS, UNKNOWN_LEAD, Problem

if TYPE_CHECKING:
    from tests.service.conftest import Service

NOW = 1_777_626_000_000_000
SECRET = "zq7-secret"
BUSY_ANSWER = Problem(BUSY, "Too many requests at once", headers={"retry-after": "2"}).response("r1")


class Server(httpx.BaseTransport):
    """Answers as told, one thing after the other."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=dict(answer.headers), content=answer.body)

    def client(self, **options: Any) -> Client:
        return Client("http://localhost", SECRET, transport=self, sleep=self.slept.append, **options)


def test_a_record_comes_back_whole(service: Service, scorer: LeadScorer, documents: list[dict[str, Any]]) -> None:
    [expected] = scorer.score_documents(documents[:1], now=NOW)
    with service.client() as client:
        assert client.score(documents[0]).model_dump() == expected
        assert client.score(LeadDocument.model_validate(documents[0])).model_dump() == expected
        card = client.model()
    assert (card.version, card.plan) == ("7", scorer.plan.hash)


def test_a_batch_keeps_its_order_and_its_errors(service: Service, documents: list[dict[str, Any]]) -> None:
    with service.client() as client:
        first, refused, again = client.score_batch([documents[0], {}, LeadDocument.model_validate(documents[0])])
        assert client.score_batch(Batch.model_validate({"documents": documents[:1]})) == [first]
    assert first == again
    assert isinstance(refused, RefusedDocument)
    assert refused.error.status == 422


def test_a_problem_is_one_exception(service: Service) -> None:
    with service.client() as client, pytest.raises(ServiceProblem) as caught:
        client.score({"lead": {}})
    problem = caught.value
    assert (problem.kind, problem.status) == ("invalid-document", 422)
    assert problem.errors[0].where.startswith("lead")
    assert problem.request_id == service.log_lines()[-1]["request_id"]
    assert str(problem) == f"422 invalid-document: {problem.detail} [request {problem.request_id}]"


def test_a_key_opens_what_its_scope_does(service: Service, documents: list[dict[str, Any]]) -> None:
    key, secret = Key.mint("crm", ["score"])
    guarded = service.guarded_by(Access(ApiKeys([key], "test")))
    with guarded.client(f"{secret}\n") as client:  # as read from a file
        assert client.score(documents[0]).grade
        with pytest.raises(ServiceProblem, match="403 scope-missing"):
            client.send({})
    with guarded.client() as client, pytest.raises(ServiceProblem, match="401 unauthenticated"):
        client.model()


@pytest.mark.parametrize("secret", ["", " ", f"{SECRET}\n{SECRET}", f"{SECRET}ü"])
def test_what_is_no_key_is_refused_unquoted(secret: str) -> None:
    with pytest.raises(ValueError, match="the API key is empty or holds") as caught:
        Client("http://localhost", secret)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_busy_service_is_asked_again_when_it_says() -> None:
    server = Server(BUSY_ANSWER, BUSY_ANSWER, Problem(UNKNOWN_LEAD, "unknown").response("r2"))
    with server.client() as client, pytest.raises(ServiceProblem) as caught:
        client.score_stored("L42")
    assert (caught.value.kind, caught.value.request_id) == ("unknown-lead", "r2")
    assert server.slept == [2, 2]


def test_a_service_that_stays_busy_is_left_in_peace() -> None:
    server = Server(*[BUSY_ANSWER] * 4)
    with server.client() as client, pytest.raises(ServiceProblem, match="429 busy"):
        client.model()
    assert (len(server.requests), server.slept) == (4, [2, 2, 2])


@pytest.mark.parametrize(
    "answer",
    [
        Problem(NO_KEYS, "no keys").response("r"),
        Problem(BUSY, "busy", headers={"retry-after": str(LONGEST_WAIT_SECONDS + 1)}).response("r"),
        Problem(BUSY, "busy", headers={"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}).response("r"),
        Problem.of_status(500, {"retry-after": "1"}).response("r"),
    ],
)
def test_what_does_not_pass_soon_is_not_waited_for(answer: Response) -> None:
    server = Server(answer)
    with server.client() as client, pytest.raises(ServiceProblem):
        client.model()
    assert server.slept == []


@pytest.mark.parametrize("lost", [httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError, httpx.ConnectTimeout])
def test_a_lost_connection_is_tried_again_with_the_same_bytes(lost: Callable[[str], Exception]) -> None:
    server = Server(lost("gone"), lost("gone"), BUSY_ANSWER, lost("gone"))
    with server.client() as client, pytest.raises(lost):  # type: ignore[call-overload]
        client.send({"leads": [{"lead_id": "L42"}]})
    assert server.slept == [0.25, 0.5, 2]
    assert len({request.content for request in server.requests}) == 1


def test_a_slow_answer_is_not_asked_for_twice() -> None:
    server = Server(httpx.ReadTimeout("slow"))
    with server.client() as client, pytest.raises(httpx.ReadTimeout):
        client.model()


@pytest.mark.parametrize(("status", "body"), [(200, f"<p>{SECRET}"), (502, f"<p>{SECRET}"), (302, "")])
def test_who_is_not_the_service_is_told_and_not_quoted(status: int, body: str) -> None:
    server = Server(Response(body, status, {"location": "http://elsewhere.example"}, "text/html"))
    with server.client() as client, pytest.raises(ServiceProblem, match=r"is this .* address") as caught:
        client.model()
    assert (caught.value.kind, caught.value.status, len(server.requests)) == ("", status, 1)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_the_client_brings_neither_the_library_nor_the_server() -> None:
    code = (
        "import sys, service.client;"
        "print(sorted({'bentoml', 'fastapi', 'starlette', 'sqlalchemy', 'numpy', 'leadscore'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
