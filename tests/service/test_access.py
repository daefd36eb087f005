"""Who is let in, and what the others are told, over the real routes in process."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from service.access import OPEN, SCOPE_OF, Access, is_loopback, is_page, scope_of
from service.keys import SCOPES, ApiKeys, Key
from service.limits import Limits
from service.security import NATIVE_ROUTES, SYSTEM_ROUTES, Gate

if TYPE_CHECKING:
    from tests.service.conftest import Service

MINTED = {scope: Key.mint(f"for-{scope}", [scope]) for scope in SCOPES}
EXPIRED, EXPIRED_SECRET = Key.mint("expired", SCOPES, dt.date(2020, 1, 1))
SECRET = {scope: secret for scope, (_, secret) in MINTED.items()}
KEYS = ApiKeys([*(key for key, _ in MINTED.values()), EXPIRED], "here")
NAMED = sorted(path for path in SCOPE_OF if not path.endswith("/") and not is_page(path))
BYPASSES = ["/v1/score/", "/v1/score\n\n", "//v1/score", "/V1/score", "/metrics/", "/docs\n", "/docs/", ""]


@pytest.fixture
def guarded(service: Service) -> Service:
    """The service with one key for each scope, and one that has expired."""
    return service.guarded_by(Access(KEYS))


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def reached(path: str, headers: dict[str, str], access: Access) -> tuple[int, dict[str, str]]:
    """Send a GET through a gate before an application that answers 204; return status and headers."""
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return reached_raw(path, raw, access)


def reached_raw(path: str, raw: list[tuple[bytes, bytes]], access: Access) -> tuple[int, dict[str, str]]:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def receive() -> Message:
        raise AssertionError("the body is not read")

    async def send(message: Message) -> None:
        sent.append(message)

    gate = Gate(app, Limits(), lambda exchange: None, [], access)
    asyncio.run(gate({"type": "http", "method": "GET", "path": path, "headers": raw}, receive, send))
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def kind(response: Any) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["type"].removeprefix("/docs#")


@pytest.mark.parametrize("path", sorted(OPEN))
def test_health_and_pages_need_no_key(path: str) -> None:
    for access in (Access(KEYS), Access(None)):
        for headers in ({}, bearer("unknown"), bearer(EXPIRED_SECRET)):
            assert reached(path, headers, access)[0] == 204


@pytest.mark.parametrize("path", [*NAMED, "/v1/leads/L42/score", "/v1/leads/L42/history"])
@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_opens_what_its_scope_names_and_nothing_else(path: str, scope: str) -> None:
    needed = scope_of(path)
    assert needed
    expected = 204 if scope == needed else 403
    for headers in (
        bearer(SECRET[scope]),
        {"x-api-key": SECRET[scope]},
        {"authorization": f"bEARER  {SECRET[scope]} "},
    ):
        assert reached(path, headers, Access(KEYS))[0] == expected


@pytest.mark.parametrize("path", [*NAMED, "/v1/leads/L42/score"])
def test_a_line_break_at_the_end_of_a_path_changes_no_scope(path: str) -> None:
    """Starlette matches the route all the same."""
    assert scope_of(f"{path}\n") == scope_of(path)


def test_a_key_may_have_several_scopes() -> None:
    key, secret = Key.mint("all", SCOPES)
    for path in NAMED:
        assert reached(path, bearer(secret), Access(ApiKeys([key], "here")))[0] == 204


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer("unknown"),
        bearer(EXPIRED_SECRET),
        {"authorization": SECRET["score"]},
        {"authorization": f"Basic {SECRET['score']}"},
        {"x-api-key": ""},
        {"x-api-key": f"Bearer {SECRET['score']}"},
        {"x-api-key": SECRET["score"], "authorization": f"Bearer {SECRET['write']}"},
        {"cookie": f"key={SECRET['score']}"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/score", "/metrics", "/nowhere"])
def test_without_a_valid_key_the_answer_is_401(path: str, headers: dict[str, str]) -> None:
    status, answered = reached(path, headers, Access(KEYS))
    assert (status, answered["www-authenticate"]) == (401, "Bearer")


def test_one_key_sent_twice_is_one_key() -> None:
    both = bearer(SECRET["score"]) | {"x-api-key": SECRET["score"]}
    assert reached("/v1/score", both, Access(KEYS))[0] == 204


def test_refusals_are_problems_that_name_the_remedy(guarded: Service) -> None:
    missing = guarded.post("/v1/score", json={})
    assert kind(missing) == (401, "unauthenticated")
    assert "Authorization: Bearer" in missing.json()["detail"]
    lacking = guarded.post("/v1/score", json={}, headers=bearer(SECRET["write"]))
    assert kind(lacking) == (403, "scope-missing")
    assert "scope score" in lacking.json()["detail"]
    assert "www-authenticate" not in lacking.headers


def test_an_unknown_path_is_404_with_any_key_and_401_without(guarded: Service) -> None:
    for secret in SECRET.values():
        assert kind(guarded.get("/v1/nowhere", headers=bearer(secret))) == (404, "not-found")
    assert kind(guarded.get("/v1/nowhere")) == (401, "unauthenticated")


def test_a_wrong_method_is_told_to_those_with_the_scope(guarded: Service) -> None:
    assert kind(guarded.get("/v1/score", headers=bearer(SECRET["score"]))) == (405, "wrong-method")
    assert kind(guarded.get("/v1/score")) == (401, "unauthenticated")


@pytest.mark.parametrize("path", BYPASSES)
def test_what_looks_like_a_path_of_the_table_is_none(path: str) -> None:
    assert reached(path, {}, Access(KEYS))[0] == 401
    for scope in ("score", "write"):
        assert reached(path, bearer(SECRET[scope]), Access(KEYS))[0] == 404
    assert reached(path, bearer(SECRET["admin"]), Access(KEYS))[0] == 204


def test_the_table_names_every_route_there_is(service: Service) -> None:
    documented = service.get("/openapi.json").json()["paths"].keys()
    for path in {*documented, *SYSTEM_ROUTES, *NATIVE_ROUTES} - OPEN:
        assert scope_of(path) in SCOPES, f"service.access.SCOPE_OF does not say who may call {path}"
    assert set(SCOPE_OF.values()) == set(SCOPES)


def test_a_body_is_not_read_for_nobody(guarded: Service) -> None:
    too_large = b" " * (guarded.limits.body_bytes + 1)
    assert kind(guarded.post("/v1/score", content=too_large)) == (401, "unauthenticated")


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from([b"authorization", b"x-api-key", b"host", b"x-request-id"]),
    st.sampled_from([b"", b"Bearer ", b"bearer\t", b"ls_"]),
    st.sampled_from(["/v1/score", "/metrics", "/v1/leads/L42", "/nowhere"]),
)
@example(b"\xff\x00", b"authorization", b"Bearer ", "/v1/score")
def test_whatever_is_presented_is_no_key_and_no_fault(sent: bytes, header: bytes, before: bytes, path: str) -> None:
    assert reached_raw(path, [(header, before + sent)], Access(KEYS))[0] == 401
    assert (
        reached_raw(path, [(b"host", b"localhost:3000"), (header, before + sent)], Access(None, keyless=True))[0] == 204
    )
    for access in (Access(KEYS), Access(None)):
        status = reached_raw(path, [(header, before + sent)] * 2, access)[0]
        assert status == (503 if access.keys is None else 401)


@pytest.mark.parametrize("path", [*NAMED, "/v1/leads/L42", "/nowhere"])
def test_without_keys_and_unmarked_the_service_answers_nobody(service: Service, path: str) -> None:
    closed = service.guarded_by(Access.of({}))
    answer = closed.get(path, headers=bearer("anything"))
    assert kind(answer) == (503, "no-keys")
    assert "leadscore key NAME" in answer.json()["detail"]
    assert "LEADSCORE_API_KEYS_FILE" in answer.json()["detail"]
    assert closed.get("/docs").status_code == closed.get("/openapi.json").status_code == 200


@pytest.mark.parametrize("value", ["", "1", "true", "Loopback"])
def test_only_the_exact_marker_leaves_the_keys_off(value: str) -> None:
    assert not Access.of({"LEADSCORE_KEYLESS": value}).keyless
    assert Access.of({"LEADSCORE_KEYLESS": "loopback"}).keyless


def test_keys_count_whatever_the_marker_says() -> None:
    key, _ = MINTED["score"]
    access = Access.of({"LEADSCORE_KEYLESS": "loopback", "LEADSCORE_API_KEYS": key.as_variable})
    assert reached("/v1/score", {"host": "localhost"}, access)[0] == 401


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:3000", "127.0.0.1", "127.0.0.1:3000", "127.9.9.9", "[::1]", "[::1]:3000"]
)
def test_without_keys_a_loopback_host_is_answered(host: str) -> None:
    assert reached("/v1/score", {"host": host}, Access(None, keyless=True))[0] == 204


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:127",
        "localhost@evil.example",
        "evil.example@localhost",
        "localhost:3000:3000",
        "0.0.0.0",
        "10.0.0.1",
        "[::]",
        "[::1",
        "localhost\n",
        "127.1",
        "2130706433",
    ],
)
@pytest.mark.parametrize("path", ["/v1/score", "/docs", "/nowhere"])
def test_without_keys_another_host_is_refused(host: str, path: str) -> None:
    assert reached(path, {"host": host}, Access(None, keyless=True))[0] == 403


def test_the_refusal_of_another_host_is_a_problem(service: Service) -> None:
    assert kind(service.get("/v1/model", headers={"host": "evil.example"})) == (403, "foreign-host")


def test_with_keys_any_host_will_do() -> None:
    assert reached("/v1/score", bearer(SECRET["score"]) | {"host": "scores.example"}, Access(KEYS))[0] == 204


@pytest.mark.parametrize(("host", "is_one"), [("::1", True), ("::", False), ("0.0.0.0", False), ("192.168.0.1", False)])
def test_an_address_is_loopback_or_not(host: str, is_one: bool) -> None:
    assert is_loopback(host) is is_one


def test_log_and_metrics_carry_the_name_of_the_key_and_no_secret(guarded: Service) -> None:
    guarded.get("/v1/model", headers=bearer(SECRET["score"]))
    guarded.get("/v1/model", headers=bearer(SECRET["write"]))
    guarded.get("/v1/model", headers=bearer("unknown"))
    told = [line.get("key") for line in guarded.log_lines() if line["event"] == "request"]
    assert told == ["for-score", "for-write", None]
    metrics = guarded.metrics()
    assert 'leadscore_key_requests_total{key="for-score",status="200"} 1.0' in metrics
    assert 'leadscore_key_requests_total{key="for-write",status="403"} 1.0' in metrics
    assert not [secret for secret in SECRET.values() if secret in metrics + "".join(guarded.log)]


def test_no_other_origin_is_let_in(guarded: Service) -> None:
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    for answer in (
        guarded.call("OPTIONS", "/v1/score", headers=asked),
        guarded.get("/v1/model", headers=asked | bearer(SECRET["score"])),
        guarded.get("/docs", headers=asked),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_the_openapi_document_says_what_each_route_asks(service: Service) -> None:
    document = service.get("/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    assert (schemes["bearer"]["type"], schemes["bearer"]["scheme"]) == ("http", "bearer")
    assert (schemes["header"]["type"], schemes["header"]["name"]) == ("apiKey", "X-API-Key")
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["security"] == [{"bearer": [scope_of(path)]}, {"header": [scope_of(path)]}]
            assert f"scope `{scope_of(path)}`" in operation["description"]
            assert {"401", "403", "429"} <= operation["responses"].keys()
    assert service.get("/openapi.json").json() == document
