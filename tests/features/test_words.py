"""Every primitive has a phrase, with zero, one, many and never, and no phrase shows a feature name."""

from __future__ import annotations

import math
import re

import pytest

from leadscore.features.names import FeatureName
from leadscore.features.primitives import EVENT_PRIMITIVES, HISTORY_PRIMITIVES, LEAD_PRIMITIVES, SIDE_OF_ROLE
from leadscore.features.words import PHRASES, duration, number, phrase, phrase_between, readable, topic

NAN = math.nan


def say(name: str, value: float, category: str | None = None) -> str:
    return phrase(FeatureName.parse(name), value, category)


def test_every_primitive_has_a_phrase_and_no_other():
    histories = {f"{role}.{op}" for role in SIDE_OF_ROLE for op in HISTORY_PRIMITIVES}
    assert set(PHRASES) == {*EVENT_PRIMITIVES, *LEAD_PRIMITIVES, *histories, "value"}


@pytest.mark.parametrize(
    ("name", "value", "category", "text"),
    [
        ("touchpoints.channel=webinar.count.30d", 2, None, "2 webinar touchpoints in the last 30 days"),
        ("touchpoints.channel=webinar.count.30d", 1, None, "1 webinar touchpoint in the last 30 days"),
        ("touchpoints.channel=webinar.count.30d", 0, None, "no webinar touchpoints in the last 30 days"),
        ("touchpoints.count.1d", 3, None, "3 touchpoints in the last day"),
        ("touchpoints.count.2w", 1_234, None, "1,234 touchpoints in the last 2 weeks"),
        ("touchpoints.count.12h", 1, None, "1 touchpoint in the last 12 hours"),
        ("touchpoints.count.30m", 0, None, "no touchpoints in the last 30 minutes"),
        ("touchpoints.count.all", 0, None, "no touchpoints so far"),
        ("touchpoints.channel=(missing).count.7d", 2, None, "2 touchpoints without channel in the last 7 days"),
        ("touchpoints.channel=(other).count.7d", 1, None, "1 touchpoint of another channel in the last 7 days"),
        ("touchpoints.channel=landing_page.count.all", 2, None, "2 landing page touchpoints so far"),
        ("touchpoints.cost.sum.90d", 1_234.5, None, "touchpoints in the last 90 days: 1,234 cost in total"),
        ("touchpoints.cost.sum.90d", 0, None, "no cost of touchpoints in the last 90 days"),
        ("touchpoints.cost.mean.7d", 0.125, None, "touchpoints in the last 7 days: 0.125 cost on average"),
        ("touchpoints.cost.mean.7d", NAN, None, "no touchpoints with cost in the last 7 days"),
        ("touchpoints.cost.min.all", 3, None, "touchpoints so far: 3 cost or more each"),
        ("touchpoints.cost.max.all", 3, None, "touchpoints so far: up to 3 cost"),
        ("touchpoints.cost.std.all", 0, None, "touchpoints so far: cost differ by about 0"),
        ("interactions.since_last", 0.5, None, "last interaction 12 hours ago"),
        ("interactions.since_last", NAN, None, "no interactions so far"),
        ("interactions.kind=demo.since_first", 1_000, None, "first demo interaction 1,000 days ago"),
        ("touchpoints.channel.last", 2, "landing_page", "channel of the last touchpoint: landing page"),
        ("touchpoints.channel.last", 4, "(missing)", "channel of the last touchpoint: not filled in"),
        ("touchpoints.channel.last", 4, "(other)", "channel of the last touchpoint: other"),
        ("touchpoints.channel.last", NAN, None, "no touchpoints yet"),
        ("touchpoints.channel.previous", 0, "ads", "channel of the last touchpoint but one: ads"),
        ("touchpoints.channel.previous", NAN, None, "fewer than two touchpoints yet"),
        ("touchpoints.channel.first", 0, "ads", "channel of the first touchpoint: ads"),
        ("touchpoints.channel.mode", 0, "ads", "most frequent channel of touchpoints: ads"),
        ("lead.employees", 120, None, "employees: 120"),
        ("lead.employees", NAN, None, "employees is not filled in"),
        ("lead.lead_source", 0, "paid_search", "lead source: paid search"),
        ("lead.lead_source", 3, "(missing)", "lead source is not filled in"),
        ("lead.lead_source", 3, "(other)", "lead source: other"),
        ("profile.age", 1, None, "came in 24 hours ago"),
        ("profile.age", 40, None, "came in 40 days ago"),
        ("profile.age", NAN, None, "it is unknown when the lead came in"),
        ("profile.missing", 0, None, "its profile is complete"),
        ("profile.missing", 2, None, "2 of its profile fields not filled in"),
        ("calendar.weekday", 0, None, "today is Monday"),
        ("calendar.weekday", 6, None, "today is Sunday"),
        ("calendar.hour", 0, None, "it is midnight"),
        ("calendar.hour", 13, None, "it is 13 o'clock"),
        ("calendar.days_to_month_end", 0, None, "last day of the month"),
        ("calendar.days_to_month_end", 10, None, "10 days to the end of the month"),
        ("calls.outcome=no_answer.count.7d", 0, None, "no calls with outcome no answer in the last 7 days"),
        ("calls.outcome=not reached.since_last", 3, None, "last call with outcome not reached 3 days ago"),
        ("calls.outcome=noted.count.7d", 2, None, "2 noted calls in the last 7 days"),
        ("visits.page=v1%2E2.count.7d", 2, None, "2 visits with page v1.2 in the last 7 days"),
        ("visits.page=_.count.7d", 2, None, "2 visits with page _ in the last 7 days"),
        ("lead.note", 0, "first\r\n\tsecond_line", "note: first second line"),
        ("activities.since_last", 3, None, "last activity 3 days ago"),
        ("web_searches.count.7d", 1, None, "1 web search in the last 7 days"),
        ("activities.trend.7d", 2, None, "2 more activities in the last 7 days than in the 7 days before"),
        ("activities.trend.7d", 1, None, "1 more activity in the last 7 days than in the 7 days before"),
        ("activities.trend.1d", -1, None, "1 fewer activity in the last day than in the day before"),
        ("touchpoints.decay.7d", 2.5, None, "about 2.5 touchpoints lately, older ones counting less"),
        ("touchpoints.decay.1d", 0, None, "no touchpoints lately"),  # of touchpoints long ago, float32 leaves 0
        ("calls.waiting", 3, None, "has not answered us for 3 days"),
        ("calls.waiting", NAN, None, "owes us no answer"),  # or was never asked
        ("account.win_rate", 0.125, None, "an estimated 12 % of this company's leads are won"),
        ("origin.win_rate", 0.5, None, "an estimated 50 % of leads of the same origin are won"),
        ("owner.win_rate", NAN, None, "nothing is known of other leads of its owner"),
        ("account.n_won", NAN, None, "nothing is known of other leads of this company"),
        ("account.n_won", 0, None, "none of the other leads of this company won yet"),
        ("origin.open_leads", 1, None, "1 other lead of the same origin still open"),
        ("account.touchpoints.count.7d", NAN, None, "nothing is known of other leads of this company"),
        ("account.touchpoints.since_last", NAN, None, "no touchpoints of other leads of the company known"),
        ("account.touchpoints.gap_mean", NAN, None, "no rhythm in touchpoints of other leads of the company yet"),
        ("account.touchpoints.gap_std", NAN, None, "no rhythm in touchpoints of other leads of the company yet"),
        (
            "account.touchpoints.channel.entropy.7d",
            NAN,
            None,
            "no touchpoints of other leads of the company with channel in the last 7 days",
        ),
    ],
)
def test_phrases(name, value, category, text):
    assert say(name, value, category) == text


@pytest.mark.parametrize(("value", "category"), [(0, "a_b"), (1, "a_b"), (2.5, "a_b"), (1e30, "a_b"), (NAN, None)])
@pytest.mark.parametrize("op", EVENT_PRIMITIVES)
def test_no_phrase_shows_a_name(op, value, category):
    primitive = EVENT_PRIMITIVES[op]
    for subject in primitive.subjects:
        column = None if subject == "any" else "land_ing.page=id%"
        name = FeatureName(
            "web_visits",
            op,
            column,
            "sign_up" if subject == "category" else None,
            "30d" if primitive.span != "none" else None,
        )
        text = phrase(name, value, category if primitive.categorical else None)
        assert str(name) not in text
        assert not re.search(r"_|%2E|%3D|%25|nan|\{|\}|  ", text), text
        assert text == text.strip()


def test_a_word_of_underscores_is_still_said():
    assert say("lead.code", 0, "_") == "code: _"


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (0, "0 minutes"),
        (1 / 1_440, "1 minute"),
        (89 / 1_440, "89 minutes"),
        (90 / 1_440, "2 hours"),
        (1.99, "48 hours"),
        (2, "2 days"),
        (1_500, "1,500 days"),
    ],
)
def test_durations_in_the_unit_a_person_would_choose(days, text):
    assert duration(days) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (2.0, "2"),
        (2.5, "2.5"),
        (0.12345, "0.123"),
        (1e6, "1,000,000"),
        (1_234.56, "1,235"),
        (999.7, "1,000"),
        (999.4, "999"),
    ],
)
def test_numbers_as_a_person_writes_them(value, text):
    assert number(value) == text


def test_names_become_words():
    assert readable("landing_page.id") == "landing page id"


@pytest.mark.parametrize(
    ("name", "low", "high", "text"),
    [
        ("touchpoints.channel=webinar.count.30d", 2, 4, "2 to 4 webinar touchpoints in the last 30 days"),
        ("touchpoints.channel=webinar.count.30d", 1, 1, "1 webinar touchpoint in the last 30 days"),
        ("touchpoints.cost.sum.90d", 0.5, 12, "touchpoints in the last 90 days: 0.5 to 12 cost in total"),
        ("interactions.since_last", 0.5, 12, "last interaction 12 hours to 12 days ago"),
        ("touchpoints.trend.7d", -2, 1, "2 fewer to 1 more touchpoints in the last 7 days than in the 7 days before"),
        ("origin.win_rate", 0.104, 0.25, "an estimated 10 % to 25 % of leads of the same origin are won"),
        ("origin.win_rate", 0.104, 0.1041, "an estimated 10 % of leads of the same origin are won"),
        ("lead.employees", 10, 250, "employees: 10 to 250"),
    ],
)
def test_a_range_of_values_reads_as_one_phrase(name, low, high, text):
    assert phrase_between(FeatureName.parse(name), low, high) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("touchpoints.count.30d", "touchpoints: how many, how recent"),
        ("touchpoints.channel=webinar.since_last", "webinar touchpoints"),
        ("touchpoints.channel=(missing).count.7d", "touchpoints without channel"),
        ("interactions.minutes.sum.90d", "minutes of interactions"),
        ("interactions.waiting", "answers to us in interactions"),
        ("account.touchpoints.count.30d", "touchpoints of other leads of the company: how many, how recent"),
        ("account.win_rate", "how other leads of the company fared"),
        ("owner.open_leads", "open leads of the owner"),
        ("lead.lead_source", "lead source"),
        ("profile.age", "the age of the lead"),
        ("calendar.weekday", "the weekday"),
    ],
)
def test_what_a_feature_is_about_reads_without_its_value(name, text):
    assert topic(FeatureName.parse(name)) == text
