"""Which events went out and which came in: as declared, or as CRM exports write it."""

from __future__ import annotations

import pytest

from leadscore.direction import INBOUND, NEITHER, OUTBOUND, Direction, recognised
from leadscore.errors import ProjectError
from tests import builders


def direction(value: object, categorical: list[str]) -> Direction | None:
    changes = {"events.touchpoints.categorical": categorical, "events.touchpoints.direction": value}
    return builders.project(changes).events[0].direction


@pytest.mark.parametrize(
    ("column", "outbound", "inbound"),
    [
        ("direction", "outbound", "inbound"),
        ("Direction", " OUTGOING ", "Incoming"),
        ("Call Direction", "Outbound", "Inbound"),
        ("hs_call_direction", "OUTBOUND", "INBOUND"),
        ("hs_email_direction", "EMAIL", "INCOMING_EMAIL"),
        ("CallType", "Outbound", "Inbound"),
        ("Call Type", "Outbound", "Inbound"),
        ("directioncode", "True", "False"),
        ("Incoming", "false", "true"),
        ("is_inbound", "0", "1"),
        ("is_outbound", "yes", "no"),
        ("direction", "outbound-api", "inbound"),
        ("message_direction", "sent", "received"),
    ],
)
def test_exports_are_recognised(column, outbound, inbound):
    found = recognised(["kind", column])
    assert found is not None
    assert found.column == column
    assert (found.of(outbound), found.of(inbound)) == (OUTBOUND, INBOUND)
    assert found.of("internal") == found.of("") == NEITHER


@pytest.mark.parametrize("columns", [[], ["kind", "channel"], ["directions to the office"], ["type"]])
def test_other_columns_say_nothing(columns):
    assert recognised(columns) is None


def test_what_is_declared_counts_and_nothing_else():
    found = direction(
        {"column": "kind", "outbound": ["Mail sent"], "inbound": ["reply", "form"]}, ["direction", "kind"]
    )
    assert found is not None
    assert [found.of(word) for word in ("mail_SENT", "reply", "form", "outbound", "call")] == [1, 2, 2, 0, 0]
    assert direction("channel", ["direction", "channel"]).of("Inbound") == INBOUND
    assert direction(None, ["direction"]) == recognised(["direction"])
    assert Direction.from_dict(found.to_dict()) == found


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "way",
            "leadscore.toml: [events.touchpoints] takes its direction from 'way'; "
            "list that column under categorical as well",
        ),
        (
            {"column": "channel", "outbound": ["sent"]},
            'leadscore.toml: [events.touchpoints.direction] needs both, as in outbound = ["sent"], '
            'inbound = ["received"]: replies need two sides',
        ),
        (
            {"column": "channel", "outbound": ["Sent"], "inbound": ["sent "]},
            "leadscore.toml: [events.touchpoints.direction] counts 'sent' as outbound and as inbound; keep it in one",
        ),
        (
            {"column": "channel", "outgoing": ["sent"]},
            "leadscore.toml: unknown key 'outgoing' in [events.touchpoints.direction]. Did you mean 'outbound'? "
            "Known keys: column, outbound, inbound",
        ),
        (
            {"outbound": ["sent"], "inbound": ["received"]},
            'leadscore.toml: [events.touchpoints.direction] needs column = "…"; found outbound, inbound',
        ),
        (
            7,
            "leadscore.toml: [events.touchpoints.direction] must be a table, with its keys on the lines below it; "
            "found 7",
        ),
    ],
)
def test_bad_declarations(value, message):
    with pytest.raises(ProjectError) as error:
        direction(value, ["channel"])
    assert str(error.value) == message


def test_arrows_are_words_too():
    found = direction({"column": "way", "outbound": ["->", "→"], "inbound": ["<-"]}, ["way"])
    assert found is not None
    assert [found.of(word) for word in ("->", " → ", "<-", "-", "?")] == [OUTBOUND, OUTBOUND, INBOUND, NEITHER, NEITHER]
