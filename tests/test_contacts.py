"""Who spoke to whom: one event, and every event of a table, are judged alike."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from leadscore.contacts import FROM_THEM, FROM_US, side_of, sides
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
    assert sides(replace(table, direction=None), log).tolist() == [NEITHER]


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
