"""Requests and answers as OpenAPI 3.1 has them.

Routes parse and answer plain JSON; these models are the documentation, and the tests hold every answer to it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

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
    score: int = Field(ge=0, le=100, description="Percentile in the reference population")
    grade: str
    fit: int | None = Field(description="Percentile of who they are")
    intent: int | None = Field(description="Percentile of what happened; null without events")
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


class Verdict(BaseModel):
    """What a seller made of a lead."""

    event_id: str = Field(description="Names it once and for all: sent again, it is not stored again")
    verdict: Literal["accept", "reject", "withdraw"] = Field(description="Withdraw takes back what was said before")
    reason: str | None = None
    by: str | None = Field(default=None, description="Who says so")
    at: dt.datetime | None = Field(default=None, description="When; default: the arrival")

    model_config = ConfigDict(extra="allow", json_schema_extra={"description": "And the lead's id, in its own column"})


class Arrivals(BaseModel):
    """What happened, in the project's own column names; stored whole or not at all.

    A lead's fields join what is known of it: one left out stays, null empties it. Events carry the table's id (or
    `event_id`); what is there already is left as it is. When something became known is the arrival.
    """

    model_config = ConfigDict(extra="forbid")

    leads: list[dict[str, Any]] = Field(default_factory=list)
    events: dict[str, list[dict[str, Any]]] = Field(default_factory=dict, description="Rows per event table")
    outcomes: list[dict[str, Any]] = Field(default_factory=list)
    verdicts: list[Verdict] = Field(default_factory=list)


class Acknowledgement(BaseModel):
    """What became of a body; it is durable."""

    stored: int = Field(description="Rows that are new")
    repeated: int = Field(description="Rows that were there already, or change nothing")
    outdated: int = Field(description="Profiles older than the one that is stored")
    unknown_leads: int = Field(description="Leads of which no profile is stored yet: they can't be scored")
    warnings: list[str]


class ListedScore(Score):
    """A score on the call list."""

    age_seconds: int = Field(ge=0, description="Since the lead was scored")
    waiting_seconds: int | None = Field(
        ge=0, description="Since the lead waits for us: its first word that we didn't answer. Null if it doesn't"
    )


class CallList(BaseModel):
    """A page of the open leads that nobody rejected, or of those asked for by a verdict, best first."""

    leads: list[ListedScore]
    next: str | None = Field(description="The cursor of the next page; null on the last")
    rescored_every_seconds: int = Field(description="How often all are scored; one of which news arrive is at once")


class Move(BaseModel):
    """A score that differed from the one before."""

    lead_id: str
    as_of: str
    probability: float
    score: int
    grade: str
    version: str = Field(description="Of the model")
    cause: str = Field(description="event, time or model: why it was scored then")
    moved_by: list[dict[str, Any]] | None = Field(
        description="What moved it, in parts that add up; null for the first score, where another model gave it, and "
        "where the lead turned out to have been closed by then"
    )


class History(BaseModel):
    """Scores of a lead over time, oldest first."""

    lead_id: str
    scores: list[Move]


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


def _parameter(name: str, description: str, schema: Mapping[str, Any], place: str = "query") -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "description": description,
        "schema": dict(schema),
    }


_TEXT: dict[str, Any] = {"type": "string"}
_SOUGHT = {"type": "string", "maxLength": 200}
_DURATION = {"type": "string", "pattern": r"^[0-9]{1,6}[mhdw]$", "examples": ["14d"]}
SCORE_PARAMETERS = [
    _parameter("as_of", "The cutoff; default: now", {"type": "string", "format": "date-time"}),
]
HISTORY_PARAMETERS = [
    _parameter("limit", "How many, the latest", {"type": "integer", "minimum": 1, "maximum": 200, "default": 20}),
    _parameter("receipts", "Whether to say what moved each", {"type": "boolean", "default": True}),
]
LIST_PARAMETERS = [
    _parameter("grade", "Only these grades; may be repeated", {"type": "array", "items": _TEXT}),
    _parameter("source", "Only leads of this origin", _TEXT),
    _parameter("owner", "Only leads of this owner", _TEXT),
    _parameter("search", "Only leads with this text in their id, account, owner or a categorical field", _SOUGHT),
    _parameter(
        "verdict",
        "Only leads of which this was said last, or nothing (none); any: whatever was said. Default: all but rejected",
        {"type": "string", "enum": ["none", "accept", "reject", "any"]},
    ),
    _parameter("min_age", "Only leads created longer ago", _DURATION),
    _parameter("max_age", "Only leads created since", _DURATION),
    _parameter(
        "order",
        "The best first (score), or only leads that wait for us, the longest first (waiting)",
        {"type": "string", "enum": ["score", "waiting"], "default": "score"},
    ),
    _parameter("limit", "Leads on a page", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
    _parameter("cursor", "Where the page before ended: its `next`", _TEXT),
    _parameter("If-None-Match", "The `ETag` of an earlier answer", _TEXT, "header"),
]


def component_schemas() -> dict[str, Any]:
    """Return every model's JSON Schema, keyed by name, for ``components.schemas``."""
    models = (
        *(LeadDocument, Batch, Score, Scores, ModelCard, ProblemDetails),
        *(Arrivals, Acknowledgement, CallList, History),
    )
    _, schema = models_json_schema([(model, "serialization") for model in models], ref_template=REF_TEMPLATE)
    definitions: dict[str, Any] = schema["$defs"]
    requests = {"LeadDocument": ["lead"], "Batch": ["documents"], "Verdict": ["event_id", "verdict"], "Arrivals": []}
    for name, required in requests.items():
        # In an answer a field with a default is always there; in a request it may be left out.
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


def example_arrivals(project: Project) -> dict[str, Any]:
    """Return a body for ``POST /v1/events`` that a store of the project accepts, made as `example_document` is."""
    document = example_document(project)
    lead, outcome = document["lead"], project.outcome
    events = {
        spec.name: [{spec.id or "event_id": "E1", spec.lead: "L42"} | row for row in document["events"][spec.name]]
        for spec in project.events
    }
    closing = {str(outcome.lead or project.leads.id): "L42", str(outcome.time): _instant(0)}
    if outcome.column is not None:
        closing[outcome.column] = outcome.won[0]
    verdict = {"event_id": "V1", str(project.leads.id): "L42", "verdict": "accept", "reason": "asked for a demo"}
    return {"leads": [lead], "events": events, "outcomes": [closing], "verdicts": [verdict]}


def _profile(categorical: tuple[str, ...], numeric: tuple[str, ...], taken: Mapping[str, Any]) -> dict[str, Any]:
    columns: dict[str, Any] = dict.fromkeys(categorical) | dict.fromkeys(numeric, 1)
    return {name: value for name, value in columns.items() if name not in taken}


def _instant(hours_before: int) -> str:
    instant = EXAMPLE_AS_OF - dt.timedelta(hours=hours_before)
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
