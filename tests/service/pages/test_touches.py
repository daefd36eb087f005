"""When a lead was last in touch, and which reasons of it are told first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leadscore import Project
from service.pages.call_list import told_first
from service.pages.touches import happened, last_touch
from service.store.arrivals import LEADS, OUTCOME
from service.store.journal import Stored

SAMPLE = Path(__file__).parents[3] / "data" / "sample"
CREATED, NOW = 1, 100
SENT, OPENED = {"channel": "email", "action": "sent"}, {"channel": "email", "action": "open"}


@pytest.fixture(scope="module")
def market() -> Project:
    """The sample: touchpoints of marketing without a direction, interactions of sales with one."""
    return Project.load(SAMPLE)


def call(direction: str, outcome: str, minutes: int | None = None) -> dict[str, Any]:
    return {"kind": "call", "direction": direction, "outcome": outcome, "minutes": minutes}


def row(kind: str, at: int, data: dict[str, Any]) -> Stored:
    return Stored(at, kind, "A", at, at, json.dumps(data))


def rows(*events: tuple[int, dict[str, Any]]) -> list[Stored]:
    found = [row("interactions" if "direction" in data else "touchpoints", at, data) for at, data in events]
    return [row(LEADS, CREATED, {}), *found]


UNANSWERED, ANSWERED = call("outbound", "no_answer"), call("outbound", "reached", 7)
WROTE = {"kind": "email", "direction": "inbound", "outcome": "replied", "minutes": None}


def test_rows_of_a_table_that_is_gone_are_no_touch(market: Project) -> None:
    found = [row(LEADS, CREATED, {}), row("touchpoints", 2, OPENED), row("chats", 3, {"kind": "chat"})]
    assert last_touch(market, happened(found, NOW)) == 2


def test_the_last_touch_is_what_the_lead_or_a_person_did(market: Project) -> None:
    told = [*rows((2, UNANSWERED), (3, OPENED), (4, SENT), (NOW + 1, OPENED)), row(OUTCOME, 9, {"status": "lost"})]
    assert last_touch(market, happened(told, NOW)) == 3
    assert last_touch(market, happened(rows((2, UNANSWERED), (4, SENT)), NOW)) == 2
    assert last_touch(market, happened(rows((4, SENT)), NOW)) is None


def reasons(*effects: float) -> list[dict[str, Any]]:
    return [{"effect": effect, "text": str(effect)} for effect in effects]


@pytest.mark.parametrize(
    ("effects", "to_call", "told"),
    [
        ((-0.5, 0.4, 0.3), True, [0.4, 0.3, -0.5]),
        ((0.5, 0.4, -0.1), True, [0.5, 0.4, -0.1]),
        ((-0.5, 0.4, -0.3), True, [0.4, -0.5]),
        ((-0.5, -0.4), True, [-0.5, -0.4]),
        ((0.5, 0.4, 0.3), True, [0.5, 0.4]),
        ((0.5, 0.4, -0.05), True, [0.5, 0.4, -0.05]),
        ((1.4, 0.4, -0.011), True, [1.4, 0.4]),
        ((1.4, -0.011, 0.01), True, [1.4, 0.01]),
        ((1.4, -0.011, 0.01), False, [1.4, 0.01]),
        ((-1.4, 0.2, -0.1), True, [0.2, -1.4]),
        ((-0.5, 0.4, 0.3), False, [-0.5, 0.4]),
        ((0.5, 0.4, -0.3), False, [0.5, 0.4, -0.3]),
        ((), True, []),
    ],
)
def test_why_to_call_comes_first_and_what_is_against_is_told_where_it_is_worth_saying(effects, to_call, told):
    assert [reason["effect"] for reason in told_first(reasons(*effects), to_call=to_call)] == told


def test_what_is_said_of_most_leads_stands_behind_what_tells_them_apart():
    said = [{"text": text, "effect": effect} for text, effect in (("us", 0.5), ("visits", 0.4), ("calls", 0.3))]
    assert [reason["text"] for reason in told_first(said, to_call=True, common={"us"})] == ["visits", "calls"]
    assert [reason["text"] for reason in told_first(said[:2], to_call=True, common={"us"})] == ["visits", "us"]
