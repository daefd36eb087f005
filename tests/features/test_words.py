"""How features read in English, with zero, one, many and never; a project's own words, and what is usual."""

from __future__ import annotations

import math

import pytest

from leadscore.features.names import FeatureName
from leadscore.features.voice import LONGEST, Usual
from leadscore.features.words import Words, readable
from leadscore.phrases.catalogue import catalogue
from leadscore.phrases.section import ReasonOptions

NAN = math.nan
WORDS = Words(roles={"account": "account_id", "origin": "source", "owner": "rep"})


def say(name: str, value: float, category: str | None = None) -> str:
    return WORDS.phrase(FeatureName.parse(name), value, category)


@pytest.mark.parametrize(
    ("name", "value", "category", "text"),
    [
        ("touchpoints.channel=webinar.count.30d", 2, None, "2 webinar touchpoints in the last 30 days"),
        ("touchpoints.channel=webinar.count.30d", 1, None, "1 webinar touchpoint in the last 30 days"),
        ("touchpoints.channel=webinar.count.30d", 0, None, "no webinar touchpoints in the last 30 days"),
        ("touchpoints.count.1d", 3, None, "3 touchpoints in the last 24 hours"),
        ("touchpoints.count.2w", 1_234, None, "1,234 touchpoints in the last 2 weeks"),
        ("touchpoints.count.12h", 1, None, "1 touchpoint in the last 12 hours"),
        ("touchpoints.count.30m", 0, None, "no touchpoints in the last 30 minutes"),
        ("touchpoints.count.all", 0, None, "no touchpoints so far"),
        ("touchpoints.channel=(missing).count.7d", 2, None, "2 touchpoints without channel in the last 7 days"),
        ("touchpoints.channel=(other).count.7d", 1, None, "1 touchpoint with other channels in the last 7 days"),
        ("touchpoints.channel=landing_page.count.all", 2, None, "2 landing page touchpoints so far"),
        ("touchpoints.cost.sum.90d", 1_234.5, None, "cost of touchpoints in the last 90 days: 1,234 in total"),
        ("touchpoints.cost.sum.90d", 0, None, "no cost in touchpoints in the last 90 days"),
        ("touchpoints.cost.mean.7d", 0.125, None, "cost of touchpoints in the last 7 days: 0.125 on average"),
        ("touchpoints.cost.mean.7d", NAN, None, "no touchpoints with cost in the last 7 days"),
        ("touchpoints.cost.min.all", 3, None, "cost of touchpoints so far: at least 3 each"),
        ("touchpoints.cost.max.all", 3, None, "cost of touchpoints so far: up to 3"),
        ("touchpoints.cost.std.all", 0, None, "cost of touchpoints so far: does not vary"),
        ("interactions.since_last", 0.5, None, "last interaction 12 hours ago"),
        ("interactions.since_last", NAN, None, "no interactions yet"),
        ("interactions.kind=demo.since_first", 1_000, None, "first demo 1,000 days ago"),
        ("touchpoints.channel.last", 2, "landing_page", "last touchpoint: channel landing page"),
        ("touchpoints.channel.last", 4, "(missing)", "last touchpoint: channel not filled in"),
        ("touchpoints.channel.last", 4, "(other)", "last touchpoint: channel other"),
        ("touchpoints.channel.last", NAN, None, "no touchpoints yet"),
        ("touchpoints.channel.previous", 0, "ads", "the touchpoint before the last: channel ads"),
        ("touchpoints.channel.previous", NAN, None, "fewer than two touchpoints yet"),
        ("touchpoints.channel.first", 0, "ads", "first touchpoint: channel ads"),
        ("touchpoints.channel.mode", 0, "ads", "touchpoints: most often channel ads"),
        ("lead.employees", 120, None, "employees: 120"),
        ("lead.employees", NAN, None, "employees: not filled in"),
        ("lead.lead_source", 0, "paid_search", "lead source: paid search"),
        ("lead.lead_source", 3, "(missing)", "lead source: not filled in"),
        ("lead.lead_source", 3, "(other)", "lead source: other"),
        ("profile.age", 1, None, "came in 24 hours ago"),
        ("profile.age", 40, None, "came in 40 days ago"),
        ("profile.age", -1.5, None, "had not come in yet"),
        ("profile.age", 0, None, "has just come in"),
        ("lead.balance", -3, None, "balance: -3"),
        ("profile.age", NAN, None, "nobody knows when it came in"),
        ("profile.missing", 0, None, "its profile is complete"),
        ("profile.missing", 2, None, "2 profile fields not filled in"),
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
        ("activities.trend.1d", -1, None, "1 fewer activity in the last 24 hours than in the 24 hours before"),
        ("activities.trend.1d", 0, None, "activities: no change in the last 24 hours from the 24 hours before"),
        ("touchpoints.channel.nunique.7d", 0, None, "no touchpoints with channel in the last 7 days"),
        ("touchpoints.decay.7d", 2.5, None, "about 3 touchpoints lately (older ones count less)"),
        ("touchpoints.decay.7d", 0.6, None, "about 1 touchpoint lately (older ones count less)"),
        ("touchpoints.decay.7d", 0.4, None, "hardly any touchpoints lately (older ones count less)"),
        ("touchpoints.decay.1d", 0, None, "no touchpoints lately"),  # of touchpoints long ago, float32 leaves 0
        ("calls.waiting", 3, None, "has not answered us for 3 days"),
        ("calls.waiting", NAN, None, "owes us no answer"),  # or was never asked
        ("account.win_rate", 0.125, None, "about 12 % of this company's decided leads were won"),
        ("origin.win_rate", 0.5, None, "about 50 % of decided leads from the same source were won"),
        ("owner.win_rate", NAN, None, "nothing is known of other leads with the same rep"),
        ("account.n_won", NAN, None, "nothing is known of other leads of this company"),
        ("account.n_won", 0, None, "no other lead of this company won yet"),
        ("origin.open_leads", 1, None, "1 other lead from the same source open"),
        ("account.touchpoints.count.7d", NAN, None, "nothing is known of other leads of this company"),
        ("account.touchpoints.since_last", NAN, None, "no touchpoints of other leads at this company known"),
        ("account.touchpoints.gap_mean", NAN, None, "fewer than two touchpoints of other leads at this company yet"),
        ("account.touchpoints.gap_std", NAN, None, "fewer than two touchpoints of other leads at this company yet"),
        (
            "account.touchpoints.channel.entropy.7d",
            NAN,
            None,
            "no touchpoints of other leads at this company with channel in the last 7 days",
        ),
    ],
)
def test_phrases(name, value, category, text):
    assert say(name, value, category) == text


def test_a_word_of_underscores_is_still_said():
    assert say("lead.code", 0, "_") == "code: _"


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (0, "less than a minute"),
        (1 / 1_440, "1 minute"),
        (89 / 1_440, "89 minutes"),
        (90 / 1_440, "2 hours"),
        (1.99, "48 hours"),
        (2, "2 days"),
        (1_500, "1,500 days"),
    ],
)
def test_durations_in_the_unit_a_person_would_choose(days, text):
    assert catalogue().duration(days) == (text, text)


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
    assert catalogue().number(value) == text


def test_names_become_words():
    assert readable("landing_page.id") == "landing page id"


@pytest.mark.parametrize(
    ("name", "low", "high", "text"),
    [
        ("touchpoints.channel=webinar.count.30d", 2, 4, "2 to 4 webinar touchpoints in the last 30 days"),
        ("touchpoints.channel=webinar.count.30d", 1, 1, "1 webinar touchpoint in the last 30 days"),
        ("touchpoints.cost.sum.90d", 0.5, 12, "cost of touchpoints in the last 90 days: 0.5 to 12 in total"),
        ("interactions.since_last", 0.5, 12, "last interaction 12 hours to 12 days ago"),
        ("touchpoints.trend.7d", -2, 1, "2 fewer to 1 more touchpoints in the last 7 days than in the 7 days before"),
        ("origin.win_rate", 0.104, 0.25, "about 10 % to 25 % of decided leads from the same source were won"),
        ("origin.win_rate", 0.104, 0.1041, "about 10 % of decided leads from the same source were won"),
        ("lead.employees", 10, 250, "employees: 10 to 250"),
    ],
)
def test_a_range_of_values_reads_as_one_phrase(name, low, high, text):
    assert WORDS.phrase_between(FeatureName.parse(name), low, high) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("touchpoints.count.30d", "touchpoints: how many, how recent"),
        ("touchpoints.channel=webinar.since_last", "webinar touchpoints"),
        ("touchpoints.channel=(missing).count.7d", "touchpoints without channel"),
        ("interactions.minutes.sum.90d", "minutes of interactions"),
        ("interactions.waiting", "answers to us in interactions"),
        ("account.touchpoints.count.30d", "touchpoints of other leads at this company: how many, how recent"),
        ("account.win_rate", "how other leads of the company fared"),
        ("owner.open_leads", "open leads of the same rep"),
        ("lead.lead_source", "lead source"),
        ("profile.age", "the age of the lead"),
        ("calendar.weekday", "the weekday"),
    ],
)
def test_what_a_feature_is_about_reads_without_its_value(name, text):
    assert WORDS.topic(FeatureName.parse(name)) == text


@pytest.mark.parametrize(
    ("name", "value", "usual", "text"),
    [
        ("calls.count.7d", 3, 0, "3 calls in the last 7 days (most leads: none)"),
        ("calls.count.7d", 0, 5, "no calls in the last 7 days (typical: 5)"),
        ("calls.count.7d", 3, 2, "3 calls in the last 7 days (typical: 2)"),
        ("calls.count.7d", 4, 3, "4 calls in the last 7 days"),
        ("calls.count.7d", 0, 0, "no calls in the last 7 days"),
        ("calls.since_last", 1 / 12, 9, "last call 2 hours ago (typical: 9 days ago)"),
        ("calls.since_last", 2, NAN, "last call 2 days ago (most leads: never)"),
        ("calls.since_last", NAN, 9, "no calls yet (typical: 9 days ago)"),
        ("calls.since_last", NAN, NAN, "no calls yet"),
        ("calls.minutes.mean.7d", NAN, 9, "no calls with minutes in the last 7 days"),
        ("calls.trend.7d", 5, 1, "5 more calls in the last 7 days than in the 7 days before"),
        ("calendar.weekday", 5, 1, "today is Saturday"),
        ("account.win_rate", 0.2, 0.1, "about 20 % of this company's decided leads were won (typical: 10 %)"),
        ("account.win_rate", NAN, 0.1, "nothing is known of other leads of this company"),
        ("account.calls.count.7d", 4, NAN, "4 calls of other leads at this company in the last 7 days"),
        ("lead.balance", -3, 3, "balance: -3 (typical: 3)"),
        ("lead.balance", -3, -4, "balance: -3"),
        ("lead.employees", 40, NAN, "employees: 40 (most leads: not filled in)"),
        ("profile.age", -1, 40, "had not come in yet"),
    ],
)
def test_a_value_stands_beside_what_is_usual_where_that_says_something(name, value, usual, text):
    voice = WORDS.voice(FeatureName.parse(name), Usual(usual))
    assert voice.say(value, compare=True) == text
    assert voice.say(value) == WORDS.phrase(FeatureName.parse(name), value)


@pytest.mark.parametrize(
    ("category", "usual", "text"),
    [
        ("ads", Usual(category="web", share=0.6), "came from ads (most leads: web)"),
        ("ads", Usual(category="web", share=0.4), "came from ads"),
        ("web", Usual(category="web", share=0.6), "came from web"),
        ("ads", Usual(category="(missing)", share=0.6), "came from ads (most leads: not filled in)"),
        ("(missing)", Usual(category="web", share=0.6), "source: not filled in"),
        ("ads", Usual(), "came from ads"),
    ],
)
def test_a_category_stands_beside_the_one_that_most_leads_have(category, usual, text):
    assert WORDS.voice(FeatureName.parse("lead.source"), usual).say(0, category, compare=True) == text


def test_a_reason_stays_one_line():
    voice = WORDS.voice(FeatureName("calls", "count", "result", "asked to be called again in the next quarter", "30d"))
    assert len(voice.say(3, compare=True)) <= LONGEST
    assert len(WORDS.phrase(FeatureName.parse("lead.note"), 0, "x" * 500)) <= LONGEST


def test_a_project_calls_things_by_its_own_names():
    own = Words(
        ReasonOptions(
            nouns={
                "touchpoints": ("contact", "contacts"),
                "touchpoints.channel=webinar": ("webinar visit", "webinar visits"),
                "touchpoints.channel": ("way", "ways"),
                "lead.employees": ("head count", "head counts"),
                "lead.source=web": ("our {site}", "our {site}"),
            }
        )
    )

    def said(name: str, value: float, category: str | None = None) -> str:
        return own.phrase(FeatureName.parse(name), value, category)

    assert said("touchpoints.count.7d", 2) == "2 contacts in the last 7 days"
    assert said("touchpoints.channel=webinar.count.7d", 1) == "1 webinar visit in the last 7 days"
    assert said("touchpoints.channel=email.count.7d", 1) == "1 email contact in the last 7 days"
    assert said("touchpoints.channel.nunique.7d", 2) == "2 different ways in contacts in the last 7 days"
    assert said("touchpoints.channel.last", 0, "webinar") == "last contact: way webinar visit"
    assert said("lead.employees", 12) == "head count: 12"
    assert said("lead.source", 0, "web") == "source: our {site}"
    assert own.topic(FeatureName.parse("touchpoints.channel=webinar.count.7d")) == "webinar visits"


def test_the_nearest_of_a_projects_phrases_is_said():
    own = Words(
        ReasonOptions(
            phrases={
                "count": {"text": "{what}{when}: {n}"},
                "calls.count": {"text": "we called {n} times{when}", "usual": ""},
                "calls.count.7d": {"text": "we called {n} times this week"},
            }
        )
    )
    names = ("mails.count.7d", "calls.count.30d", "calls.count.7d")
    voices = [own.voice(FeatureName.parse(name), Usual(9.0)) for name in names]
    assert [voice.say(2, compare=True) for voice in voices] == [
        "mails in the last 7 days: 2 (typical: 9)",
        "we called 2 times in the last 30 days",
        "we called 2 times this week",
    ]
    assert voices[1].say(0) == "no calls in the last 30 days"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("touchpoints.action=open.count.all", 11, "11 opens so far"),
        ("touchpoints.kind=Email_Open.count.7d", 1, "1 opened e-mail in the last 7 days"),
        ("interactions.kind=call.since_last", NAN, "no calls yet"),
        ("tickets.status=open.count.all", 2, "2 open tickets so far"),
    ],
)
def test_a_kind_of_event_is_a_noun_where_a_column_of_kinds_holds_it(name, value, text):
    assert say(name, value) == text


@pytest.mark.parametrize(
    ("name", "value", "named", "text"),
    [
        ("origin.win_rate", 0.07, "paid_social", "about 7 % of decided leads from paid social were won"),
        ("origin.win_rate", 0.07, "(other)", "about 7 % of decided leads from the same source were won"),
        ("origin.win_rate", NAN, "ads", "nothing is known of other leads from ads"),
        ("owner.n_won", 0, "rep-07", "no other lead with rep rep-07 won yet"),
        ("owner.open_leads", 3, None, "3 other leads with the same rep open"),
        ("account.n_won", 2, "acme", "2 other leads of this company won"),
    ],
)
def test_what_leads_have_in_common_is_named_where_it_is_known(name, value, named, text):
    assert WORDS.voice(FeatureName.parse(name)).say(value, named=named) == text


def test_a_project_that_says_how_a_value_reads_says_it_of_the_source_too():
    own = Words(ReasonOptions(phrases={"value": {"text": "its {column} is {n}"}}), {"origin": "source"})
    assert own.phrase(FeatureName.parse("lead.source"), 0, "web") == "its source is web"
