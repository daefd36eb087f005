"""Reasons add up to the score, name both sides, and group what says one thing."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import leadscore as ls
from leadscore.explain.reasons import NOISE, Reasons, describe, group_of, json_number
from leadscore.features.names import FeatureName
from leadscore.features.words import Words
from leadscore.phrases.section import ReasonOptions
from leadscore.snapshots import open_leads
from leadscore.tables import Cutoffs
from leadscore.time import parse_instant
from tests import builders

NAMES = [
    "touchpoints.count.7d",
    "touchpoints.count.30d",
    "touchpoints.since_last",
    "touchpoints.cost.sum.7d",
    "touchpoints.channel=email.count.7d",
    "lead.employees",
    "profile.age",
]


@pytest.fixture(scope="module")
def reasons() -> Reasons:
    return Reasons(ls.FeaturePlan.of(builders.project(), NAMES))


@pytest.fixture(scope="module")
def explained(sample: ls.Data, sample_scorer: ls.LeadScorer):
    rows = np.arange(0, 2_000, 10)
    asked = Cutoffs(rows, np.full(len(rows), parse_instant("2026-02-01", "UTC")))
    return asked, sample_scorer.explain(sample, asked)


def of_row(reasons: Reasons, effects: list[float], n_reasons: int = 3, values: list[float] | None = None):
    contributions = np.array([*effects, 0.0])
    groups = reasons.group_effects(contributions[None, :])[0]
    values = np.array([values or [1.0] * len(NAMES)])
    return reasons.of_rows(values, contributions[None, :], groups[None, :], n_reasons)[0]


def test_groups_and_base_sum_to_the_margin(sample, sample_scorer, explained):
    asked, records = explained
    margin = sample_scorer.model.margin(sample_scorer.plan.transform(sample, asked))
    for record, expected in zip(records, margin, strict=True):
        assert record["margin"] == pytest.approx(expected, abs=1e-9)
        assert record["base"] + record["fit_effect"] + record["intent_effect"] + record[
            "context_effect"
        ] == pytest.approx(expected, abs=1e-9)
        rest = expected - record["base"] - sum(reason["effect"] for reason in record["reasons"])
        assert abs(rest) <= NOISE * 60  # what is left is noise, group by group


def test_all_groups_of_all_features_sum_to_the_margin(sample, sample_scorer):
    asked = Cutoffs(np.arange(300), np.full(300, parse_instant("2026-02-01", "UTC")))
    matrix = sample_scorer.plan.transform(sample, asked)
    effects = sample_scorer.model.contributions(matrix)
    shown = Reasons(sample_scorer.plan)
    groups = shown.group_effects(effects)
    assert groups.sum(axis=1) + effects[:, -1] == pytest.approx(sample_scorer.model.margin(matrix), abs=1e-9)
    sides = sum(shown.side_effects(groups, side) for side in ("fit", "intent", "context"))
    assert sides == pytest.approx(groups.sum(axis=1), abs=1e-9)


def test_probability_is_the_calibrated_margin(sample_scorer, explained):
    _, records = explained
    margins = np.array([record["margin"] for record in records])
    expected = sample_scorer.calibrator.apply(margins)
    assert [record["probability"] for record in records] == pytest.approx(expected.tolist(), abs=1e-9)


def test_both_sides_are_heard(sample, sample_scorer):
    scores = sample_scorer.score(sample, as_of="2026-02-01", n_reasons=3)
    both = [{reason["effect"] > 0 for reason in row} == {True, False} for row in scores["reasons"] if len(row) == 3]
    assert np.mean(both) > 0.95


def test_reasons_are_the_strongest_first(explained):
    _, records = explained
    for record in records:
        strengths = [abs(reason["effect"]) for reason in record["reasons"]]
        assert strengths == sorted(strengths, reverse=True)
        assert min(strengths, default=1) >= NOISE


def test_reasons_are_for_people(explained):
    _, records = explained
    for record in records:
        for reason in record["reasons"]:
            assert set(reason) == {"feature", "value", "text", "effect"}
            assert FeatureName.parse(reason["feature"])
            assert reason["feature"] not in reason["text"]
            assert "_" not in reason["text"]
            assert not isinstance(reason["value"], float) or math.isfinite(reason["value"])


def test_features_that_say_one_thing_are_one_reason(reasons):
    found = of_row(reasons, [0.2, 0.3, 0.25, 0.0, 0.0, -0.1, 0.0])
    assert [(reason["feature"], round(reason["effect"], 9)) for reason in found] == [
        ("touchpoints.count.30d", 0.75),
        ("lead.employees", -0.1),
    ]


def test_the_feature_that_speaks_pulls_the_way_of_its_group(reasons):
    (found,) = of_row(reasons, [-0.9, 0.5, 0.6, 0, 0, 0, 0], n_reasons=1)
    assert (found["feature"], round(found["effect"], 9)) == ("touchpoints.since_last", 0.2)


def test_a_trend_of_nothing_lets_another_speak():
    shown = Reasons(ls.FeaturePlan.of(builders.project(), ["touchpoints.trend.7d", "touchpoints.count.30d"]))
    effects = np.array([-0.5, -0.1, 0.0])
    for values, text in (([0.0, 0.0], "no touchpoints in the last 30 days"), ([-2.0, 1.0], "2 fewer touchpoints")):
        ((found,),) = shown.of_rows(np.array([values]), effects[None, :], np.array([[-0.6]]), 1)
        assert found["text"].startswith(text)


def test_the_strongest_against_takes_the_last_place(reasons):
    effects = [0.5, 0, 0, 0.4, 0.3, -0.05, 0.2]
    assert [reason["feature"] for reason in of_row(reasons, effects)] == [
        "touchpoints.count.7d", "touchpoints.cost.sum.7d", "lead.employees",
    ]  # fmt: skip
    assert len(of_row(reasons, effects, n_reasons=1)) == 1
    assert [reason["effect"] > 0 for reason in of_row(reasons, [-e for e in effects])] == [False, False, True]


def test_noise_is_no_reason(reasons):
    assert of_row(reasons, [0.009, 0, 0, 0.001, -0.0099, 0, 0]) == []


def test_ties_go_by_the_order_of_the_plan(reasons):
    effects = [0, 0, 0, 0.3, 0.3, 0.3, 0.3]
    assert [reason["feature"] for reason in of_row(reasons, effects)] == NAMES[3:6]


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("touchpoints.count.7d", ("touchpoints",)),
        ("touchpoints.since_first", ("touchpoints",)),
        ("touchpoints.cost.sum.7d", ("touchpoints", "cost")),
        ("touchpoints.channel.last", ("touchpoints", "channel")),
        ("touchpoints.channel=ads.count.7d", ("touchpoints", "channel", "ads")),
        ("lead.source", ("lead", "source")),
        ("profile.age", ("profile", "age")),
        ("calendar.hour", ("calendar", "hour")),
    ],
)
def test_groups(name, group):
    assert group_of(FeatureName.parse(name)) == group


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("touchpoints.count.7d", "intent"),
        ("lead.employees", "fit"),
        ("profile.missing", "fit"),
        ("profile.age", "context"),
        ("calendar.weekday", "context"),
    ],
)
def test_sides(name, side):
    plan = ls.FeaturePlan.of(builders.project(), [name])
    assert plan.side(plan.features[0]) == side


def test_never_is_null_in_json(reasons):
    (found,) = of_row(reasons, [0, 0, 0.5, 0, 0, 0, 0], values=[0, 0, math.nan, 0, 0, 0, 0])
    assert found["value"] is None
    assert found["text"] == "no touchpoints yet"
    assert [json_number(value) for value in (math.nan, 2.0, 2.5)] == [None, 2, 2.5]


def test_reasons_of_a_list_are_written_as_json_says_them(sample, sample_scorer):
    """Whatever is remembered of other leads: German letters, null, whole numbers, what sources share."""
    asked = open_leads(sample, parse_instant("2026-02-01", "UTC"))
    told, written = (sample_scorer.score_rows(sample, asked, n_reasons=5, as_json=as_json) for as_json in (False, True))
    assert list(written.reasons) == [json.dumps(reasons, ensure_ascii=False) for reasons in told.reasons]
    assert any(len(known) for known in sample_scorer.reasons._written)


def test_reasons_in_one_line():
    reasons = [{"effect": 0.4, "text": "2 webinars"}, {"effect": -0.1, "text": "never any calls"}]
    assert describe(reasons) == "+ 2 webinars; − never any calls"


def test_shap_of_nothing_is_nothing(sample_scorer):
    nothing = np.empty((0, len(sample_scorer.plan.names)), dtype=np.float32)
    assert sample_scorer.model.contributions(nothing).shape == (0, len(sample_scorer.plan.names) + 1)


def test_shap_is_what_lightgbm_says(sample, sample_scorer):
    asked = Cutoffs(np.arange(100), np.full(100, parse_instant("2026-02-01", "UTC")))
    matrix = sample_scorer.plan.transform(sample, asked)
    booster = sample_scorer.model.booster
    expected = booster.predict(matrix, pred_contrib=True)
    assert ls.TreeShap(booster).contributions(matrix) == pytest.approx(expected, abs=1e-9)
    assert ls.TreeShap(booster).contributions(matrix[:1])[0] == pytest.approx(expected[0], abs=1e-9)


def test_a_company_without_a_past_is_not_said_to_win(sample, sample_scorer):
    plan = sample_scorer.plan
    column = plan.names.index("account.win_rate")
    asked = Cutoffs(
        np.arange(len(sample.leads.ids)), np.full(len(sample.leads.ids), parse_instant("2026-02-01", "UTC"))
    )
    alone = ls.FeaturePlan.of(sample.project, ["account.n_resolved"]).transform(sample, asked)[:, 0] == 0
    rates = plan.transform(sample, asked)[:, column]
    name = plan.features[column]
    assert alone.any()
    assert not alone.all()
    assert all(plan.is_average(name, rate) for rate in rates[alone])
    shown = Reasons(plan)
    effects = np.zeros((2, len(plan.names) + 1))
    effects[:, column] = 0.5
    for row, start in ((np.flatnonzero(alone)[0], "nothing is known of"), (np.argmax(rates), "about ")):
        values = plan.transform(sample, Cutoffs(asked.lead[row : row + 1], asked.at[:1]))
        ((reason,),) = shown.of_rows(values, effects[:1], shown.group_effects(effects[:1]), 3)
        assert reason["text"].startswith(start)


def test_a_project_s_words_travel_with_the_scorer_and_change_no_score(sample, sample_scorer, tmp_path):
    raw = {
        **sample.project.raw,
        "reasons": {"language": "de", "nouns": {"lead.employees": "Köpfe"}, "phrases": {"count": {"usual": ""}}},
    }
    folder = sample_scorer.save(tmp_path / "scorer")
    same = ls.LeadScorer.load(folder)
    same.project = ls.Project.from_dict(raw)
    spoken = ls.LeadScorer.load(same.save(tmp_path / "spoken"))
    assert spoken.plan.hash == sample_scorer.plan.hash
    document = sample_scorer.golden[0]["document"]
    (plain,), (german,) = (one.score_documents([document], now=0, n_reasons=99) for one in (sample_scorer, spoken))
    assert {**plain, "reasons": None, "model": None} == {**german, "reasons": None, "model": None}
    texts = {reason["feature"]: reason["text"] for reason in german["reasons"]}
    assert texts["lead.employees"].startswith("Köpfe: ")
    english = {reason["feature"]: reason["text"] for reason in plain["reasons"]}
    assert texts.keys() == english.keys()
    assert all(texts[name] != english[name] for name in texts)
    assert "Köpfe" in spoken.reasons.group_names()


def test_reasons_compare_where_they_are_read_and_not_where_times_are_compared(explained):
    _, records = explained
    compared = [reason["text"] for record in records for reason in record["reasons"] if reason["text"].endswith(")")]
    assert any("(typical: " in text for text in compared)
    assert any("(most leads: " in text for text in compared)
    assert not any("(typical: " in group["text"] for record in records for group in record["groups"])


def test_a_rate_of_other_leads_names_the_source_that_they_share(explained, sample_scorer):
    _, records = explained
    of_source = [(record, reason["text"]) for record in records for reason in record["reasons"]
                 if reason["feature"] == "origin.win_rate"]  # fmt: skip
    assert of_source
    for record, text in of_source:
        said = {one["feature"]: one["value"] for one in record["reasons"]}
        if said.get("lead.source") not in (None, "(missing)", "(other)"):
            assert f"of decided leads from {said['lead.source'].replace('_', ' ')} were won" in text
    assert not any("the same source" in text for _, text in of_source)


def test_groups_that_a_project_calls_alike_are_added():
    nouns = {"touchpoints.cost": ("size", "sizes"), "lead.employees": ("size of touchpoints", "sizes")}
    shown = Reasons(ls.FeaturePlan.of(builders.project(), NAMES), Words(ReasonOptions(nouns=nouns)))
    assert len(set(shown.group_names())) == len(shown.group_names()) - 1
    effects = np.arange(len(shown.members), dtype=np.float64)[None, :]
    assert sum(shown.by_name(effects).values()).sum() == effects.sum()


@pytest.mark.parametrize(("language", "young"), [("en", "no touchpoints since it came in"), ("de", "seit dem Eingang")])
def test_a_window_is_not_said_to_be_longer_than_a_lead_is_there(language: str, young: str) -> None:
    """Not in a list either, where what was written once is written again."""
    plan = ls.FeaturePlan.of(builders.project(), ["touchpoints.count.30d", "profile.age"])
    reasons = Reasons(plan, Words(ReasonOptions(language=language)))
    matrix = np.array([[0, 0.1], [0, 40], [2, 0.1], [0, np.nan], [0, 29.9], [0, 30]], dtype=np.float32)
    effects = np.tile([1.0, 0.0, 0.0], (len(matrix), 1))
    told = reasons.of_rows(matrix, effects, reasons.group_effects(effects), 1)
    said = [text for [reason] in told for text in [reason["text"]]]
    assert [young in text for text in said] == [True, False, False, False, True, False]
    assert "30" in said[1]
    assert list(map(json.loads, reasons.json_of_rows(matrix, effects, reasons.group_effects(effects), 1))) == told


def test_of_other_leads_and_where_no_age_is_known_the_window_is_said() -> None:
    project = builders.project({"leads.account": "source"})
    for names in (["touchpoints.count.30d"], ["account.touchpoints.count.30d", "profile.age"]):
        plan = ls.FeaturePlan.of(project, names)
        reasons = Reasons(plan)
        matrix = np.zeros((1, len(plan.features)), dtype=np.float32)
        effects = np.ones((1, len(plan.features) + 1))
        [told] = reasons.of_rows(matrix, effects, reasons.group_effects(effects), 2)
        assert not any("since it came in" in reason["text"] for reason in told)
