"""The public routes: one FastAPI application, mounted in the BentoML service.

Handlers read the raw body, parse it once and answer prebuilt JSON; pydantic stays off the hot path. The
OpenAPI document is declared from `contract` all the same.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import Any

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from service import contract, payload, problems
from service.access import PAGES, Access, scope_of
from service.answers import Answers
from service.exchange import Asked, ShortWay
from service.lead_routes import LeadAnswers
from service.limits import LARGE_BODY_BYTES
from service.pages import docs as described
from service.pages.desk import add_desk
from service.pages.refusals import respond
from service.problems import NOT_FOUND, WRONG_METHOD, Problem
from service.security import NATIVE_ROUTES, SYSTEM_ROUTES
from service.serving import InUse, ModelInUse

_STORED_SCORE = re.compile("/v1/leads/((?s:.*))/score")
REFUSED = (400, 408, 413, 415, 422, 500, 503)

SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, as `Authorization: Bearer KEY`"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key"},
}


class BareRoute(APIRoute):
    """A route that hands the request and what its path names to the endpoint: there is nothing else to look for."""

    def __init__(self, path: str, endpoint: Callable[..., Awaitable[Response]], **options: Any) -> None:
        super().__init__(path, endpoint, **options)

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            response = await endpoint(Request(scope, receive, send), **scope["path_params"])
            await response(scope, receive, send)

        self.app = answer


class AnyText(PathConvertor):
    """An id of a lead: text with slashes, and with line breaks, which Starlette's own convertor leaves out."""

    regex = "(?s:.*)"


register_url_convertor("text", AnyText())


class Api(FastAPI):
    """FastAPI with our OpenAPI document: the contract's models, an example that the model in use accepts."""

    model_in_use: ModelInUse
    short_ways: dict[tuple[str, str], ShortWay]
    to_stored: Callable[[str], ShortWay] | None = None
    _described: tuple[InUse | None, dict[str, Any]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer past FastAPI's own layers, which take a tenth of a millisecond for what `Gate` does."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        scope["app"], scope["path_params"] = self, {}
        try:
            await self._fixed.get((scope["method"], scope["path"]), self.router)(scope, receive, send)
            return
        except Problem as found:
            problem = found
        except HTTPException as error:
            problem = _problem_of_status(scope["path"], error)
        await respond(problem, scope["path"], _request_id(scope))(scope, receive, send)

    @cached_property
    def _fixed(self) -> dict[tuple[str, str], ASGIApp]:
        """What answers each method and path without parameters: a router would try one route after the other."""
        routes = (route for route in self.routes if isinstance(route, BareRoute) and "{" not in route.path)
        return {(method, route.path): route.app for route in routes for method in route.methods or ()}

    def find_short_way(self, method: str, path: str) -> ShortWay | None:
        """Return how a request is answered past FastAPI, None for most."""
        if method == "GET" and self.to_stored is not None and (of_lead := _STORED_SCORE.fullmatch(path)):
            return self.to_stored(of_lead[1])
        return self.short_ways.get((method, path))

    @property
    def fixed_paths(self) -> frozenset[str]:
        """Routes without parameters."""
        paths = (route.path for route in self.routes if isinstance(route, Route))
        return frozenset(path for path in paths if "{" not in path)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI 3.1 document, made once per model: it takes 40 ms, and whoever asks needs no key."""
        current = self.model_in_use.current if self.model_in_use.ready else None
        if self._described is None or self._described[0] is not current:
            self._described = current, self._describe(current)
        return self._described[1]

    def _describe(self, current: InUse | None) -> dict[str, Any]:
        schemas = contract.component_schemas()
        if current is not None:
            example = contract.example_document(current.scorer.project)
            schemas["LeadDocument"]["examples"] = [example]
            schemas["Batch"]["examples"] = [{"documents": [example]}]
            schemas["Arrivals"]["examples"] = [contract.example_arrivals(current.scorer.project)]
        document = super().openapi()
        paths = {path: _with_keys(path, operations) for path, operations in document["paths"].items()}
        components = {"schemas": schemas, "securitySchemes": SECURITY_SCHEMES}
        return {**document, "paths": paths, "components": components}


def create_api(answers: Answers, leads: LeadAnswers | None = None, access: Access | None = None) -> Api:
    """Return the application; while it has no model, routes that need one answer 503.

    Without a store (`leads`) it has no routes over one, and no pages. `access` is who may sign in there.
    """
    api = Api(
        title="leadscore",
        version="1",
        summary="Lead scores with a calibrated probability and exact reasons",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would lead to whatever Host says
    )
    api.router.route_class = BareRoute
    api.model_in_use = answers.model
    api.short_ways = {}
    _add_scoring(api, answers)
    if leads is not None:
        _add_leads(api, leads)
        add_desk(api, leads, access or Access(None))
    _add_model_card(api, answers)
    _add_pages(api, "/docs" if leads is None else PAGES, keyless=access is not None and access.keyless)
    return api


def _add_scoring(api: Api, answers: Answers) -> None:
    async def score(request: Request) -> Response:
        """Score one lead document. Nothing is stored."""
        body = await _json_body(request)
        if len(body) > LARGE_BODY_BYTES:
            return _json(await answers.in_thread(answers.alone, body))
        # Less than a millisecond: less than a thread would cost.
        return _json(await answers.one(body))

    def score_at_once(asked: Asked, body: bytes) -> Response:
        _require_json(asked.headers)
        return _json(answers.alone(body))

    api.short_ways["POST", "/v1/score"] = ShortWay("/v1/score", score_at_once)

    async def score_batch(request: Request) -> Response:
        """Score lead documents in order. One that can't be scored is an error entry at its place."""
        body = await _json_body(request)
        return _json(await answers.in_thread(answers.batch, body, _request_id(request.scope)))

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


def _add_leads(api: Api, leads: LeadAnswers) -> None:
    async def events(request: Request) -> Response:
        """Store leads, events, outcomes and verdicts: all of a body or nothing, each once however often it is sent."""
        return await leads.events(await _json_body(request))

    async def lead_score(request: Request, lead_id: str) -> Response:
        """Score a stored lead, now or as it would have been scored at an earlier instant."""
        return await leads.score(lead_id, request.query_params)

    async def call_list(request: Request) -> Response:
        """List open leads, the best first, with the score of the last round and its age."""
        return await leads.call_list(request)

    async def history(request: Request, lead_id: str) -> Response:
        """Tell how the score of a lead moved, and what moved it."""
        return await leads.history(lead_id, request.query_params)

    score = leads.score_at_once if leads.local else leads.score_alone

    def to_stored(lead_id: str) -> ShortWay:
        def answer(asked: Asked, body: bytes) -> Any:
            return score(lead_id, QueryParams(asked.query))

        return ShortWay("/v1/leads/{lead_id}/score", answer, waits=not leads.local)

    api.to_stored = to_stored
    takes = {"requestBody": {"required": True, "content": _content("application/json", "Arrivals")}}
    routes: tuple[tuple[str, Any, str, str, dict[str, Any], tuple[int, ...]], ...] = (
        ("/v1/events", events, "POST", "Acknowledgement", takes, (400, 408, 413, 415, 422, 500, 503)),
        ("/v1/leads", call_list, "GET", "CallList", {"parameters": contract.LIST_PARAMETERS}, (422, 500, 503)),
        ("/v1/leads/{lead_id:text}/score", lead_score, "GET", "Score", {"parameters": contract.SCORE_PARAMETERS},
         (404, 422, 500, 503)),
        ("/v1/leads/{lead_id:text}/history", history, "GET", "History", {"parameters": contract.HISTORY_PARAMETERS},
         (404, 422, 500, 503)),
    )  # fmt: skip
    for path, endpoint, method, gives, extra, refused in routes:
        responses = _responses(gives, refused)
        if gives == "CallList":
            responses[304] = {"description": "Nothing has changed since the answer with this `ETag`"}
        api.add_api_route(
            path,
            endpoint,
            methods=[method],
            tags=["leads"],
            response_class=Response,
            responses=responses,
            openapi_extra=extra,
        )


def _add_model_card(api: Api, answers: Answers) -> None:
    async def model(request: Request) -> Response:
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


def _add_pages(api: Api, first: str, *, keyless: bool) -> None:
    async def docs(request: Request) -> Response:
        """Answer the page that describes every route."""
        page = described.render(api.openapi(), problems.KINDS, keyless=keyless)
        return HTMLResponse(page, headers={"content-security-policy": described.CONTENT_SECURITY_POLICY})

    async def home(request: Request) -> Response:
        """Lead to the pages for people; BentoML's own index page would load a tag manager."""
        return RedirectResponse(first)

    api.add_api_route("/docs", docs, include_in_schema=False, response_class=HTMLResponse)
    api.add_api_route("/", home, include_in_schema=False, response_class=RedirectResponse)


def _problem_of_status(path: str, error: HTTPException) -> Problem:
    # BentoML's routes match their own method before this application is asked.
    method = SYSTEM_ROUTES.get(path) or NATIVE_ROUTES.get(path) or (error.headers or {}).get("Allow")
    if error.status_code in (404, 405) and method:
        return Problem(WRONG_METHOD, f"This route takes {method}", headers={"allow": method})
    if error.status_code == 404:
        return Problem(NOT_FOUND, "No such route. /docs lists them")
    return Problem.of_status(error.status_code, error.headers)


async def _json_body(request: Request) -> bytes:
    _require_json(request.headers)
    return await request.body()


def _require_json(headers: Headers) -> None:
    payload.require_json(headers.get("content-type", ""), headers.get("content-encoding", ""))


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")


def _request_id(scope: Scope) -> str:
    return str(scope.get("state", {}).get("request_id", ""))


def _content(media_type: str, model: str) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": contract.REF_TEMPLATE.format(model=model)}}}


def _with_keys(path: str, operations: Mapping[str, Any]) -> dict[str, Any]:
    """Add to a path's operations what the gate asks of them all: a key, a scope, patience."""
    scope = scope_of(path) or "admin"
    return {
        method: {
            **operation,
            "description": f"{operation['description']}\n\n{described.NEEDS_KEY} with the scope `{scope}`.",
            "responses": dict(sorted({**_refusals((401, 403, 429, 504)), **operation["responses"]}.items())),
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
