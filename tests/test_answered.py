"""Which events somebody answered: as declared, or as CRM exports write it."""

from __future__ import annotations

import pytest

from leadscore.answered import NO, UNSAID, YES, Answered, recognised
from leadscore.direction import Direction
from leadscore.errors import ProjectError
from tests import builders


def answered(value: object, categorical: list[str], numeric: list[str]) -> Answered | None:
    changes = {"categorical": categorical, "numeric": numeric, "answered": value}
    project = builders.project({f"events.touchpoints.{key}": said for key, said in changes.items()})
    direction = project.events[0].direction
    assert direction is not None
    assert Direction.from_dict(direction.to_dict()) == direction
    return direction.answered


@pytest.mark.parametrize(
    ("column", "yes", "no"),
    [
        ("outcome", "reached", "no_answer"),
        ("Call Outcome", "Connected", "Left Voicemail"),
        ("CallDisposition", "answered", "Busy"),
        ("call_result", "Spoke", "Wrong number"),
        ("outcome", "held", "no-show"),
    ],
)
def test_exports_are_recognised(column, yes, no):
    found = recognised(["kind", column], ["cost", "Duration"])
    assert found is not None
    assert (found.column, found.duration) == (column, "Duration")
    assert [found.says(word) for word in (yes, no, "interested", "")] == [YES, NO, UNSAID, UNSAID]


def test_a_length_alone_tells_and_other_columns_say_nothing():
    assert recognised(["kind"], ["cost", "CallDurationInSeconds"]) == Answered(
        None, recognised([], ["minutes"]).words, "CallDurationInSeconds"
    )
    assert recognised(["kind", "outcome of the deal"], ["cost"]) is None


def test_what_is_declared_counts_and_nothing_else():
    columns = ["direction", "ergebnis", "outcome"], ["minutes"]
    found = answered({"column": "ergebnis", "words": ["Erreicht"]}, *columns)
    assert found == Answered("ergebnis", ("erreicht",), None)
    assert [found.says(word) for word in (" erreicht", "reached", "busy")] == [YES, UNSAID, NO]
    assert answered({"duration": "minutes"}, *columns).column is None
    assert answered({"column": "outcome"}, *columns).says("reached") == YES
    assert answered(None, *columns) == recognised(*columns)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"words": ["reached"]},
            'leadscore.toml: [events.touchpoints.answered] needs column = "…", where words of an outcome stand, or '
            'duration = "…" without words',
        ),
        (
            {"column": "result"},
            "leadscore.toml: [events.touchpoints.answered] speaks of 'result'; list that column under categorical "
            "as well",
        ),
        (
            {"duration": "length"},
            "leadscore.toml: [events.touchpoints.answered] speaks of 'length'; list that column under numeric as well",
        ),
    ],
)
def test_bad_declarations(value, message):
    with pytest.raises(ProjectError) as error:
        answered(value, ["direction"], ["minutes"])
    assert str(error.value) == message


def test_nothing_is_answered_where_nobody_says_who_began():
    with pytest.raises(ProjectError, match=r'and not who began; add direction = "…" as well'):
        builders.project({"events.touchpoints.answered": {"duration": "cost"}, "events.touchpoints.numeric": ["cost"]})
