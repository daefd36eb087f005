"""Requests and answers as OpenAPI 3.1 has them.

Routes parse and answer plain JSON; these models are the documentation, and the tests hold every answer to it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

if TYPE_CHECKING:
    from leadscore.project import Project

REF_TEMPLATE = "#/components/schemas/{model}"
EXAMPLE_AS_OF = dt.datetime(2026, 5, 1, 9, 0, tzinfo=dt.UTC)

EXAMPLE_DOCUMENT: dict[str, Any] = {
    "lead": {"lead_id": "L42", "created_at": "2026-04-20T08:30:00Z", "source": "webinar", "employees": 120},
    "events": {
        "touchpoints": [{"occurred_at": "2026-04-28T14:05:00Z", "channel": "email", "action": "click"}],
        "interactions": [],
    },
    "as_of": "2026-05-01T09:00:00Z",
}
EXAMPLE_SCORE: dict[str, Any] = {
    "lead_id": "L42",
    "as_of": "2026-05-01T09:00:00Z",
    "probability": 0.183,
    "score": 91,
    "grade": "A",
    "fit": 74,
    "intent": 95,
    "horizon": "30d",
    "reasons": [
        {
            "feature": "touchpoints.channel=webinar.count.30d",
            "value": 2,
            "text": "2 webinar touchpoints in the last 30 days",
            "effect": 0.42,
        }
    ],
    "warnings": [],
    "model": {"name": "leadscore", "version": "7", "plan": "9f3c"},
}


class LeadDocument(BaseModel):
    """One lead as it was known at `as_of`, in the project's own column names."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE_DOCUMENT]})

    lead: dict[str, Any] = Field(description="The lead's row: its id, when it was created, its profile")
    events: dict[str, list[dict[str, Any]]] = Field(
        default_factory=dict, description="Rows per event table, in any order; the lead's id may be left out"
    )
    as_of: dt.datetime | None = Field(
        default=None,
        description="The cutoff: only what was known before it counts. Default: now",
    )
    context: dict[str, float | None] = Field(
        default_factory=dict, description="Features that one document can't hold, by feature name"
    )


class Batch(BaseModel):
    """Lead documents, scored in order; those without `as_of` share one instant."""

    documents: list[LeadDocument]


class Reason(BaseModel):
    """One thing the history says, and what it adds to or takes from the score."""

    feature: str
    value: Any = Field(description="The feature's value; null if there was nothing to measure")
    text: str = Field(description="As a seller reads it")
    effect: float = Field(description="Exact TreeSHAP, in log-odds; negative lowers the score")


class ModelReference(BaseModel):
    """Which model gave a score."""

    name: str
    version: str
    plan: str = Field(description="Hash of the ordered features")


class Score(BaseModel):
    """How likely a lead is to convert within the horizon, how it ranks, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_SCORE]})

    lead_id: str | None = Field(description="Null where the project's leads have no id and none was given")
    as_of: str | None = Field(description="ISO 8601, UTC; null where the project's outcome has no time")
    probability: float = Field(ge=0, le=1, description="Calibrated, of a win within `horizon` from `as_of`")
    score: float = Field(ge=0, le=100, description="Percentile in the reference population")
    grade: str
    fit: float | None = Field(description="Percentile of who they are")
    intent: float | None = Field(description="Percentile of what happened; null without events")
    horizon: str | None
    reasons: list[Reason]
    warnings: list[str]
    model: ModelReference


class FieldProblem(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(description="The field, as `events.touchpoints[3].occurred_at`; empty for the whole")
    message: str


class ProblemDetails(BaseModel):
    """RFC 9457: what was refused and why."""

    type: str = Field(description="A URI reference that names the problem")
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldProblem]


class RefusedDocument(BaseModel):
    """Stands in a batch at the place of a document that can't be scored."""

    error: ProblemDetails


class Scores(BaseModel):
    """One entry per document, in order."""

    scores: list[Score | RefusedDocument]


class LimitsCard(BaseModel):
    """What one request may ask for."""

    body_bytes: int
    documents: int


class ModelCard(BaseModel):
    """The model in use."""

    name: str
    version: str
    plan: str = Field(description="Hash of the ordered features")
    horizon: str | None
    metrics: dict[str, Any] = Field(description="As measured on the test block when it was trained")
    trained_until: str | None = Field(description="The last instant that training saw, ISO 8601 UTC")
    since: str = Field(description="From when the answering process has used it, ISO 8601 UTC")
    limits: LimitsCard


def component_schemas() -> dict[str, Any]:
    """Return every model's JSON Schema, keyed by name, for ``components.schemas``."""
    models = (LeadDocument, Batch, Score, Scores, ModelCard, ProblemDetails)
    _, schema = models_json_schema([(model, "serialization") for model in models], ref_template=REF_TEMPLATE)
    definitions: dict[str, Any] = schema["$defs"]
    for name in ("LeadDocument", "Batch"):
        # In an answer a field with a default is always there; in a request it may be left out.
        required = {"LeadDocument": ["lead"], "Batch": ["documents"]}[name]
        definitions[name]["required"] = required
    return definitions


def example_document(project: Project) -> dict[str, Any]:
    """Return a lead document in a project's own column names that its scorer accepts.

    Built from ``leadscore.toml`` alone: golden leads are real people. Categories are null: their values
    may be names of people too.
    """
    leads = project.leads
    lead: dict[str, Any] = {}
    if leads.id is not None:
        lead[leads.id] = "L42"
    if leads.created is not None:
        lead[leads.created] = _instant(11 * 24)
    lead |= _profile(leads.categorical, leads.numeric, taken=lead)
    events = {
        table.name: [{table.time: _instant(70)} | _profile(table.categorical, table.numeric, taken={})]
        for table in project.events
    }
    document: dict[str, Any] = {"lead": lead, "events": events} if events else {"lead": lead}
    return document | ({"as_of": _instant(0)} if project.timed else {})


def _profile(categorical: tuple[str, ...], numeric: tuple[str, ...], taken: Mapping[str, Any]) -> dict[str, Any]:
    columns: dict[str, Any] = dict.fromkeys(categorical) | dict.fromkeys(numeric, 1)
    return {name: value for name, value in columns.items() if name not in taken}


def _instant(hours_before: int) -> str:
    instant = EXAMPLE_AS_OF - dt.timedelta(hours=hours_before)
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
