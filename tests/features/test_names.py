# ruff: noqa: E501  (messages stand here whole, as a user reads them)

"""The grammar of feature names and its inverse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadscore.errors import PlanError
from leadscore.features.names import FeatureName, encode
from leadscore.features.primitives import EVENT_PRIMITIVES, LEAD_PRIMITIVES

words = st.one_of(
    st.text(min_size=1, max_size=12),
    st.text("._=%- 2E5", min_size=1, max_size=8),
    st.sampled_from(["30d", "all", "count", "since_last", "lead", "%2E", "a.b=c%d", "ü", "🦄", "(other)", "7d=all"]),
)
windows = st.one_of(st.none(), st.sampled_from(["1d", "30d", "12h", "2w", "5m", "all"]))
ops = st.sampled_from(sorted(EVENT_PRIMITIVES))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("touchpoints.count.30d", FeatureName("touchpoints", "count", window="30d")),
        (
            "touchpoints.channel=webinar.count.7d",
            FeatureName("touchpoints", "count", "channel", "webinar", "7d"),
        ),
        ("interactions.minutes.sum.90d", FeatureName("interactions", "sum", "minutes", window="90d")),
        ("interactions.since_last", FeatureName("interactions", "since_last")),
        ("touchpoints.channel.last", FeatureName("touchpoints", "last", "channel")),
        ("touchpoints.channel=(other).since_last", FeatureName("touchpoints", "since_last", "channel", "(other)")),
        ("touchpoints.url=a%2Eb%3Dc%25d.count.all", FeatureName("touchpoints", "count", "url", "a.b=c%d", "all")),
        ("touchpoints.30d.sum.7d", FeatureName("touchpoints", "sum", "30d", window="7d")),
        ("touchpoints.30d=all.since_last", FeatureName("touchpoints", "since_last", "30d", "all")),
        ("touchpoints.all.last", FeatureName("touchpoints", "last", "all")),
        ("lead.employees", FeatureName("lead", "value", "employees")),
        ("lead.30d", FeatureName("lead", "value", "30d")),
        ("lead.e%2Email", FeatureName("lead", "value", "e.mail")),
        ("profile.age", FeatureName("profile", "age")),
        ("calendar.days_to_month_end", FeatureName("calendar", "days_to_month_end")),
    ],
)
def test_examples_read_and_write(text, name):
    assert FeatureName.parse(text) == name
    assert str(name) == text


@given(table=words, column=st.one_of(st.none(), words), category=st.one_of(st.none(), words), op=ops, window=windows)
def test_parse_is_the_inverse_of_writing(table, column, category, op, window):
    if table == "lead":
        table = "leads"
    name = FeatureName(table, op, column, category if column is not None else None, window)
    assert FeatureName.parse(str(name)) == name


@given(words)
def test_profile_columns_are_inverse_too(column):
    name = FeatureName("lead", "value", column)
    assert FeatureName.parse(str(name)) == name


@given(words, words)
def test_encoding_keeps_different_words_apart(one, other):
    assert (encode(one) == encode(other)) == (one == other)
    assert not set(encode(one)) & set(".=")


@pytest.mark.parametrize("name", LEAD_PRIMITIVES)
def test_names_computed_beside_events_are_in_the_grammar(name):
    assert str(FeatureName.parse(name)) == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a feature name; write table[.column[=category]].op[.window]"),
        ("touchpoints", "'touchpoints' is not a feature name; write table[.column[=category]].op[.window]"),
        ("touchpoints..count.7d", "'touchpoints..count.7d' is not a feature name; write table[.column[=category]].op[.window]"),
        ("t.a.b.count.7d", "'t.a.b.count.7d' is not a feature name; a '.' inside a column or category is written %2E"),
        ("t.a=b=c.count.7d", "'t.a=b=c.count.7d' is not a feature name; a '=' inside a column or category is written %3D"),
        ("lead.source=ads", "'lead.source=ads' is not a feature name; a profile column is lead.column"),
        ("lead.source.last", "'lead.source.last' is not a feature name; a profile column is lead.column"),
    ],
)  # fmt: skip
def test_what_is_no_name(text, message):
    with pytest.raises(PlanError) as caught:
        FeatureName.parse(text)
    assert str(caught.value) == message
