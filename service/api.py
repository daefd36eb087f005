"""The public routes: one FastAPI application, mounted in the BentoML service.

Handlers read the raw body, parse it once and answer prebuilt JSON; pydantic stays off the hot path. The
OpenAPI document is declared from `contract` all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from service import contract, pages, payload, problems
from service.access import scope_of
from service.answers import Answers
from service.problems import NOT_FOUND, WRONG_METHOD, Problem
from service.security import NATIVE_ROUTES, SYSTEM_ROUTES
from service.serving import ModelInUse

LARGE_BODY_BYTES = 64 * 2**10
"""A lead document above this is scored in a thread, so that it holds up nobody."""
REFUSED = (400, 408, 413, 415, 422, 500, 503)

SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, as `Authorization: Bearer KEY`"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key"},
}


class Api(FastAPI):
    """FastAPI with our OpenAPI document: the contract's models, an example that the model in use accepts."""

    model_in_use: ModelInUse

    @property
    def fixed_paths(self) -> frozenset[str]:
        """Routes without parameters."""
        paths = (route.path for route in self.routes if isinstance(route, Route))
        return frozenset(path for path in paths if "{" not in path)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI 3.1 document."""
        schemas = contract.component_schemas()
        if self.model_in_use.ready:
            example = contract.example_document(self.model_in_use.current.scorer.project)
            schemas["LeadDocument"]["examples"] = [example]
            schemas["Batch"]["examples"] = [{"documents": [example]}]
        document = super().openapi()
        paths = {path: _with_keys(path, operations) for path, operations in document["paths"].items()}
        components = {"schemas": schemas, "securitySchemes": SECURITY_SCHEMES}
        return {**document, "paths": paths, "components": components}


def create_api(answers: Answers) -> Api:
    """Return the application; while it has no model, routes that need one answer 503."""
    api = Api(
        title="leadscore",
        version="1",
        summary="Lead scores with a calibrated probability and exact reasons",
        docs_url=None,
        redoc_url=None,
    )
    api.model_in_use = answers.model
    _add_scoring(api, answers)
    _add_model_card(api, answers)
    _add_pages(api)
    api.add_exception_handler(Problem, _on_problem)
    api.add_exception_handler(HTTPException, _on_status)
    return api


def _add_scoring(api: Api, answers: Answers) -> None:
    async def score(request: Request) -> Response:
        """Score one lead document. Nothing is stored."""
        body = await _json_body(request)
        if len(body) > LARGE_BODY_BYTES:
            return _json(await answers.in_thread(answers.one, body, _request_id(request)))
        # About a millisecond: less than a thread would cost.
        return _json(answers.one(body, _request_id(request)))

    async def score_batch(request: Request) -> Response:
        """Score lead documents in order. One that can't be scored is an error entry at its place."""
        body = await _json_body(request)
        return _json(await answers.in_thread(answers.batch, body, _request_id(request)))

    for path, endpoint, takes, gives in (
        ("/v1/score", score, "LeadDocument", "Score"),
        ("/v1/score/batch", score_batch, "Batch", "Scores"),
    ):
        api.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            tags=["scoring"],
            response_class=Response,
            responses=_responses(gives, REFUSED),
            openapi_extra={"requestBody": {"required": True, "content": _content("application/json", takes)}},
        )


def _add_model_card(api: Api, answers: Answers) -> None:
    async def model() -> Response:
        """Say which model answers: version, plan, horizon, metrics, since when."""
        current = answers.model.current
        manifest = current.scorer.manifest
        limits = answers.limits
        card = {
            "name": current.scorer.name,
            "version": current.version,
            "plan": current.scorer.plan.hash,
            "horizon": current.scorer.horizon,
            "metrics": manifest.get("metrics", {}),
            "trained_until": manifest.get("trained_until", manifest.get("observed_until")),
            "since": current.since,
            "limits": {"body_bytes": limits.body_bytes, "documents": limits.documents},
        }
        return _json(payload.dump(card))

    responses = _responses("ModelCard", (500, 503))
    api.add_api_route("/v1/model", model, tags=["model"], response_class=Response, responses=responses)


def _add_pages(api: Api) -> None:
    async def docs() -> Response:
        """Answer the page that describes every route."""
        page = pages.render(api.openapi(), problems.KINDS)
        return HTMLResponse(page, headers={"content-security-policy": pages.CONTENT_SECURITY_POLICY})

    async def home() -> Response:
        """Lead to the page; BentoML's own index page would load a tag manager."""
        return RedirectResponse("/docs")

    api.add_api_route("/docs", docs, include_in_schema=False, response_class=HTMLResponse)
    api.add_api_route("/", home, include_in_schema=False, response_class=RedirectResponse)


async def _on_problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return problem.response(_request_id(request))


async def _on_status(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problem_of_status(request.scope["path"], error).response(_request_id(request))


def _problem_of_status(path: str, error: HTTPException) -> Problem:
    # BentoML's routes match their own method before this application is asked.
    method = SYSTEM_ROUTES.get(path) or NATIVE_ROUTES.get(path) or (error.headers or {}).get("Allow")
    if error.status_code in (404, 405) and method:
        return Problem(WRONG_METHOD, f"This route takes {method}", headers={"allow": method})
    if error.status_code == 404:
        return Problem(NOT_FOUND, "No such route. /docs lists them")
    return Problem.of_status(error.status_code, error.headers)


async def _json_body(request: Request) -> bytes:
    headers = request.headers
    payload.require_json(headers.get("content-type", ""), headers.get("content-encoding", ""))
    return await request.body()


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")


def _request_id(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))


def _content(media_type: str, model: str) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": contract.REF_TEMPLATE.format(model=model)}}}


def _with_keys(path: str, operations: Mapping[str, Any]) -> dict[str, Any]:
    """Add to a path's operations what the gate asks of them all: a key, a scope, patience."""
    scope = scope_of(path) or "admin"
    return {
        method: {
            **operation,
            "description": f"{operation['description']}\n\nNeeds an API key with the scope `{scope}`.",
            "responses": dict(sorted({**_refusals((401, 403, 429)), **operation["responses"]}.items())),
            "security": [{scheme: [scope]} for scheme in SECURITY_SCHEMES],
        }
        for method, operation in operations.items()
    }


def _responses(gives: str, refused: tuple[int, ...]) -> dict[int | str, dict[str, Any]]:
    answer = {"description": "The answer", "content": _content("application/json", gives)}
    return {200: answer} | _refusals(refused)


def _refusals(statuses: tuple[int, ...]) -> dict[int | str, dict[str, Any]]:
    return {
        str(status): {
            "description": " or ".join(kind.title for kind in problems.KINDS if kind.status == status),
            "content": _content(problems.MEDIA_TYPE, "ProblemDetails"),
        }
        for status in statuses
    }
