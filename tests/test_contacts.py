"""Who spoke to whom: one event, and every event of a table, are judged alike."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from leadscore.contacts import FROM_THEM, FROM_US, is_bulk, sales_tables, side_of, sides
from leadscore.direction import ANSWERED, INBOUND, NEITHER, OUTBOUND
from leadscore.eventlog import EventLog
from leadscore.project import EventsSpec
from tests import builders

COLUMNS = {"categorical": ["kind", "direction", "outcome"], "numeric": ["cost", "minutes"]}
TALKED = OUTBOUND | ANSWERED


def spec(**changes: object) -> EventsSpec:
    declared = COLUMNS | changes
    return builders.project({f"events.touchpoints.{key}": value for key, value in declared.items()}).events[0]


@pytest.mark.parametrize(
    ("direction", "outcome", "minutes", "side"),
    [
        ("outbound", "reached", 5, TALKED),
        ("outbound", "reached", None, TALKED),
        ("outbound", "interested", 5, TALKED),
        ("outbound", None, 0.5, TALKED),
        ("outbound", "interested", None, OUTBOUND),
        ("outbound", "interested", 0, OUTBOUND),
        ("outbound", "no_answer", None, OUTBOUND),
        ("outbound", "voicemail", 2, OUTBOUND),
        ("outbound", "no_show", 30, OUTBOUND),
        ("outbound", None, None, OUTBOUND),
        ("outbound", None, math.nan, OUTBOUND),
        ("inbound", "reached", 5, INBOUND | ANSWERED),
        ("inbound", "replied", None, INBOUND),
        ("internal", "reached", 5, NEITHER),
        (None, "reached", 5, NEITHER),
    ],
)
def test_an_event_that_was_answered_is_of_both(direction, outcome, minutes, side):
    table = spec()
    row = {"kind": "call", "direction": direction, "outcome": outcome, "minutes": minutes}
    assert side_of(table, row) == side
    assert side_of(table, {name: value for name, value in row.items() if value is not None}) == side
    words = [("call",), *(() if word is None else (word,) for word in (direction, outcome))]
    log = EventLog(
        offsets=np.array([0, 1]),
        time=np.zeros(1, dtype=np.int64),
        known=np.zeros(1, dtype=np.int64),
        codes=np.array([[len(vocabulary) - 1] for vocabulary in words], dtype=np.int32),
        values=np.array([[9.0], [math.nan if minutes is None else minutes]]),
        vocabularies=tuple(words),
    )
    assert sides(table, log).tolist() == [side]
    assert sides(replace(table, direction=None), log).tolist() == [OUTBOUND]


@pytest.mark.parametrize(("minutes", "side"), [("5", TALKED), ("0", OUTBOUND), ("a while", OUTBOUND), ("", OUTBOUND)])
def test_a_length_that_came_as_text_is_read_as_tables_read_it(minutes, side):
    """Whoever sends events may send anything: a page of leads must not fail by one of them."""
    assert side_of(spec(), {"kind": "call", "direction": "outbound", "minutes": minutes}) == side


def test_both_spoke_in_what_was_answered():
    assert [bool(side & FROM_US) for side in (OUTBOUND, INBOUND, TALKED, INBOUND | ANSWERED)] == [
        True,
        False,
        True,
        True,
    ]
    assert [bool(side & FROM_THEM) for side in (OUTBOUND, INBOUND, TALKED)] == [False, True, True]


def test_without_such_a_column_the_direction_decides_alone():
    table = spec(categorical=["direction"], numeric=["cost"])
    assert table.direction.answered is None
    assert side_of(table, {"direction": "outbound", "outcome": "reached", "minutes": 5}) == OUTBOUND


@pytest.mark.parametrize(
    ("row", "bulk"),
    [
        ({"channel": "email", "action": "sent"}, True),
        ({"action": "Email_Sent"}, True),
        ({"action": "delivered"}, True),
        ({"channel": "ads", "action": "impression"}, True),
        ({"action": "open"}, False),
        ({"channel": "sent"}, False),
        ({"action": None}, False),
        ({}, False),
    ],
)
def test_what_is_sent_to_many_is_no_contact(row, bulk):
    columns = {"events.touchpoints.categorical": ["channel", "action"]}
    project = builders.project(columns)
    assert is_bulk(project, project.events[0], row) is bulk
    of_sales = builders.project(columns | {"sla": {"sales": ["touchpoints"]}})
    assert is_bulk(of_sales, of_sales.events[0], row) is False


def test_a_direction_says_what_marketing_sent_where_sales_has_a_table_of_its_own():
    declared = {"column": "channel", "outbound": ["mailing"], "inbound": ["form"]}
    calls = builders.RAW["events"]["touchpoints"] | {"categorical": ["direction"]}
    changes = {"events.touchpoints.direction": declared, "events.calls": calls}
    project = builders.project(changes)
    assert sales_tables(project) == ("touchpoints", "calls")
    assert not is_bulk(project, project.events[0], {"channel": "mailing"})
    project = builders.project(changes | {"sla": {"sales": ["calls"]}})
    assert sales_tables(project) == ("calls",)
    assert [is_bulk(project, project.events[0], {"channel": word}) for word in ("mailing", "form")] == [True, False]
    assert not is_bulk(project, project.events[1], {"direction": "outbound"})


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"categorical": ["kind", "direction"], "numeric": ["minutes"]}, [TALKED, OUTBOUND, OUTBOUND, NEITHER]),
        ({"categorical": ["direction", "outcome"], "numeric": ["cost"]}, [TALKED, OUTBOUND, OUTBOUND, NEITHER]),
    ],
    ids=["by its length alone", "by its outcome alone"],
)
def test_all_events_are_judged_as_each_where_a_table_has_one_of_the_columns(columns, expected):
    table = spec(**columns)
    rows = [
        {"direction": "outbound", "outcome": "reached", "minutes": 5.0},
        {"direction": "outbound", "outcome": "voicemail", "minutes": 0.0},
        {"direction": "outbound"},
        {"direction": "internal", "outcome": "reached", "minutes": 5.0},
    ]
    words = [tuple(sorted({row[name] for row in rows if name in row})) for name in table.categorical]
    codes = [
        [vocabulary.index(row[name]) if name in row else -1 for row in rows]
        for name, vocabulary in zip(table.categorical, words, strict=True)
    ]
    log = EventLog(
        offsets=np.array([0, len(rows)]),
        time=np.arange(len(rows)),
        known=np.arange(len(rows)),
        codes=np.array(codes, dtype=np.int32),
        values=np.array([[row.get(name, math.nan) for row in rows] for name in table.numeric]),
        vocabularies=tuple(words),
    )
    assert sides(table, log).tolist() == [side_of(table, row) for row in rows] == expected
