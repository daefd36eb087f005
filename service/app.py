"""The BentoML service: one process image, three neighbours.

BentoML starts workers and answers health and metrics, `api` answers the public routes, and BentoML's own
clients have the native endpoint ``/score``. `Gate` stands before all of them. BentoML wants a service at
module level; nothing is loaded until a worker starts it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import bentoml
import prometheus_client
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service import contract
from service.access import HOW_TO_CONFIGURE, Access
from service.answers import Answers
from service.api import create_api
from service.doorstep import stand_before
from service.following import Follower
from service.lead_routes import LeadAnswers
from service.limits import Limits
from service.observing import Observer, to_standard_output
from service.orphans import end_with_parent, stop_server
from service.problems import INTERNAL, Problem
from service.remembering import Memory
from service.security import NATIVE_ROUTES, SYSTEM_ROUTES, Gate, fault_of
from service.serving import ModelInUse
from service.turns import Turns

RAW_PATH_METRICS = "RunnerTrafficMetricsMiddleware"
"""BentoML's own request metrics. Their label is the raw path: series without bound, that would name leads."""
TIMEOUT = "TimeoutMiddleware"
"""Leaves a timer behind with every request, for as long as it might have taken; `Gate` has one that it stops."""
TRACING = "OpenTelemetryMiddleware"
"""A third of the time of a request (0.25 of 0.7 ms), spans exported or not; on with ``LEADSCORE_TRACING=1``."""

observer = Observer(prometheus_client.REGISTRY, to_standard_output)
model = ModelInUse(observer)
limits = Limits.of(os.environ)
access = Access.of(os.environ)
turns = Turns()
answers = Answers(model, limits, turns)
memory = Memory.of(os.environ)
lead_answers = None if memory is None else LeadAnswers.of(memory, model, observer, limits, turns)
api = create_api(answers, lead_answers, access)


async def public_routes(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer by `api`; being a bare function, it is also given what matches no route."""
    await api(scope, receive, send)


@dataclass(frozen=True)
class Doors:
    """Lets requests for public routes past BentoML's layers, which take 0.1 ms and do nothing for them."""

    bentoml: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by BentoML what is BentoML's, start-up and shutdown too, and by `api` the rest."""
        path = scope.get("path")
        public = scope["type"] == "http" and path not in SYSTEM_ROUTES and path not in NATIVE_ROUTES
        await (api if public else self.bentoml)(scope, receive, send)


class GatedService(bentoml.Service):  # type: ignore[misc]  # BentoML is untyped here
    """A BentoML service behind `Gate`, without the layers that cost more than they give."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """Return the application of one worker."""
        app = super().to_asgi(is_main=is_main)
        traced = os.environ.get("LEADSCORE_TRACING") == "1"
        left_out = {RAW_PATH_METRICS, TIMEOUT} if traced else {RAW_PATH_METRICS, TIMEOUT, TRACING}
        app.user_middleware = [layer for layer in app.user_middleware if layer.cls.__name__ not in left_out]
        if traced:  # what is answered at once passes no layer that could trace it
            gate = Gate(app, limits, observer.request, api.fixed_paths, access, turns)
        else:
            gate = Gate(Doors(app), limits, observer.request, api.fixed_paths, access, turns, api.find_short_way)
        stand_before(gate)
        return gate


class LeadDocuments(bentoml.IODescriptor):  # type: ignore[misc]
    """A list of lead documents, left unparsed: what BentoML refuses to parse, it logs with all its values."""

    body: bytes = b""
    request_id: str = ""
    __root_input__ = True

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> LeadDocuments:
        """Take the body as it is."""
        return cls(body=await request.body(), request_id=request.scope["state"]["request_id"])

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the schema that clients see: a list of `contract.LeadDocument`."""
        document = contract.LeadDocument.model_json_schema(*args, **kwargs)
        return {"title": "LeadDocuments", "type": "array", "items": document, "root_input": True}


class LeadScores(BaseModel):
    """`contract.Scores`, in a shape that BentoML's clients decode: they keep the first of a union."""

    scores: list[dict[str, Any]]


@bentoml.service(
    name="leadscore",
    service_class=GatedService,
    workers=int(os.environ.get("LEADSCORE_WORKERS", "1")),
    traffic={"timeout": limits.answer_seconds},
    logging={"access": {"enabled": False}},
)
class LeadScore:
    """Lead scores with a calibrated probability and exact reasons."""

    def __init__(self) -> None:
        if access.keys is None and not access.keyless:
            observer.log("keys", {"fault": f"The service has no API keys and answers nobody. {HOW_TO_CONFIGURE}"})
        # A worker that dies is started again for ever; one that isn't ready fails its health checks.
        follower = Follower.begin(model, observer, os.environ)
        if lead_answers is not None:
            lead_answers.warm()
        follower.start()
        end_with_parent(os.environ, stop_server)

    async def __is_ready__(self) -> bool:
        return model.ready and (lead_answers is None or await lead_answers.reachable())

    @bentoml.api(  # type: ignore[untyped-decorator]
        input_spec=LeadDocuments, output_spec=LeadScores
    )
    async def score(self, documents: LeadDocuments, /) -> Response:
        """Score a list of lead documents in order."""
        try:
            content = await answers.in_thread(answers.bare, documents.body, documents.request_id)
        except Problem as problem:
            return problem.response(documents.request_id)
        except Exception as error:
            # BentoML would log the traceback with the values in it.
            observer.log("request", {"fault": fault_of(error), "request_id": documents.request_id})
            return Problem(INTERNAL, "The service failed on this request").response(documents.request_id)
        return Response(content, media_type="application/json")


LeadScore.mount_asgi_app(public_routes, path="/")  # type: ignore[attr-defined]
