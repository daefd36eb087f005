"""Since when a lead waits for us: since its first word that nobody answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leadscore import Project, documents
from leadscore.contacts import waiting_since
from leadscore.time import NEVER, parse_instant

SAMPLE = Path(__file__).parents[1] / "data" / "sample"
CREATED, NOW = 1, 100
SENT, OPENED = {"channel": "email", "action": "sent"}, {"channel": "email", "action": "open"}


def call(direction: str, outcome: str, minutes: int | None = None) -> dict[str, Any]:
    return {"kind": "call", "direction": direction, "outcome": outcome, "minutes": minutes}


UNANSWERED, ANSWERED = call("outbound", "no_answer"), call("outbound", "reached", 7)
WROTE = {"kind": "email", "direction": "inbound", "outcome": "replied", "minutes": None}


@pytest.fixture(scope="module")
def market() -> Project:
    """The sample: touchpoints of marketing without a direction, interactions of sales with one."""
    return Project.load(SAMPLE)


def waits(project: Project, *events: tuple[int, dict[str, Any]]) -> int | None:
    """The hour since which a lead that was created in hour 1 waits, as of hour 100."""
    tables: dict[str, list[dict[str, Any]]] = {spec.name: [] for spec in project.events}
    for hour, told in events:
        spec = project.events_named("interactions" if "direction" in told else "touchpoints")
        tables[spec.name].append({**told, spec.time: clock(hour), str(spec.known): clock(hour)})
    document = {"lead": {"lead_id": "A", "created_at": clock(CREATED)}, "events": tables}
    data, _ = documents.to_data(project, [documents.parse(project, document, now=NOW)])
    at = np.array([parse_instant(clock(NOW), "UTC")])
    [since] = waiting_since(project, data.logs, np.array([0]), at, data.leads.created).tolist()
    return None if since == NEVER else (since - parse_instant(clock(0), "UTC")) // 3_600_000_000


def clock(hour: int) -> str:
    return f"2026-01-{1 + hour // 24:02}T{hour % 24:02}:00:00Z"


def test_a_lead_waits_until_somebody_turns_to_it(market: Project) -> None:
    assert waits(market) == CREATED
    assert waits(market, (2, SENT), (3, OPENED)) == CREATED, "marketing's mail is nobody in touch"
    assert waits(market, (2, UNANSWERED)) is None
    assert waits(market, (2, UNANSWERED), (3, WROTE)) == 3
    assert waits(market, (3, WROTE), (4, UNANSWERED)) is None, "it is called back"
    assert waits(market, (3, WROTE), (NOW + 1, UNANSWERED)) == 3, "that is still to come"


def test_a_lead_that_asked_twice_waits_since_the_first_time(market: Project) -> None:
    assert waits(market, (2, ANSWERED), (3, WROTE), (5, WROTE)) == 3
    assert waits(market, (3, WROTE), (4, UNANSWERED), (5, WROTE)) == 5


def test_who_asks_for_a_demo_waits_for_us(market: Project) -> None:
    """Marketing's table holds it, so it is in no feature as a word of the lead."""
    asked, looked = {"channel": "website", "action": "demo_request"}, {"channel": "website", "action": "pricing_view"}
    assert waits(market, (2, ANSWERED), (3, asked)) == 3
    assert waits(market, (2, ANSWERED), (3, looked)) is None
    assert waits(market, (2, ANSWERED), (3, asked), (4, UNANSWERED)) is None, "it is called back"


def test_who_has_been_spoken_to_waits_no_longer(market: Project) -> None:
    assert waits(market, (2, ANSWERED)) is None
    assert waits(market, (2, UNANSWERED), (3, call("inbound", "reached", 4))) is None, "its call was answered"
    assert waits(market, (2, UNANSWERED), (3, call("inbound", "voicemail", 1))) == 3


def test_nobody_waits_where_no_table_is_of_sales(market: Project) -> None:
    touchpoints = {"touchpoints": market.raw["events"]["touchpoints"]}
    silent = Project.from_dict({**market.raw, "events": touchpoints, "reasons": {}})
    assert waits(silent, (2, OPENED)) is None
    named = Project.from_dict({**silent.raw, "sla": {"sales": ["touchpoints"]}})
    assert waits(named, (2, OPENED)) is None, "all of a table of sales without direction is from us"
    assert waits(named) == CREATED


@pytest.mark.parametrize(
    ("word", "asks"),
    [
        *[(word, True) for word in ("demo_request", "Contact-Form", "request quote", "pricing request", "chat")],
        *[(word, False) for word in ("download", "form", "requested_unsubscribe", "chatbot_shown", "", None)],
    ],
)
def test_some_touchpoints_ask_for_us(market: Project, word: str | None, asks: bool) -> None:
    assert waits(market, (2, ANSWERED), (3, {"channel": "website", "action": word})) == (3 if asks else None)
    assert waits(market, (2, ANSWERED), (3, {"channel": word, "action": "visit"})) is None, "a channel says where"
