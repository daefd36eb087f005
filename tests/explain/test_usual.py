"""What is usual: weighted medians and commonest categories, with nothing as a value of its own."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import leadscore as ls
from leadscore.explain.usual import from_json, to_json, usual_values
from leadscore.features.learning import Learnt
from leadscore.features.voice import Usual
from leadscore.model.population import Population
from tests import builders

NAN = math.nan


def numbers(values: list[float], weight: list[float]) -> float:
    plan = ls.FeaturePlan.of(builders.project(), ["touchpoints.since_last"])
    matrix = np.array(values, dtype=np.float32)[:, None]
    found = usual_values(plan, matrix, np.array(weight, dtype=np.float64), np.zeros(matrix.shape))
    return found["touchpoints.since_last"].value


@pytest.mark.parametrize(
    ("values", "weight", "median"),
    [
        ([1, 2, 9], [1, 1, 1], 2),
        ([9, 1, 2], [5, 1, 1], 9),
        ([1, 2, 3, 4], [1, 1, 1, 1], 2),
        ([NAN, 1, 3, 5], [1, 1, 1, 1], 3),
        ([NAN, NAN, 3, 5], [1, 1, 1, 1], NAN),
        ([NAN, NAN, 3, 5], [1, 1, 1, 2], 5),
        ([NAN], [1], NAN),
    ],
)
def test_medians(values, weight, median):
    assert numbers(values, weight) == pytest.approx(median, nan_ok=True)


def test_of_no_rows_nothing_is_usual():
    plan = ls.FeaturePlan.of(builders.project(), ["touchpoints.since_last"])
    assert usual_values(plan, np.empty((0, 1)), np.empty(0), np.empty((0, 1))) == {}


@pytest.mark.parametrize(
    ("values", "effect", "way"),
    [
        ([1, 2, 3, 4], [-1, 9, 1, 1], 1),
        ([1, 2, 3, 4], [-1, -9, 0, -1], 1),
        ([1, 2, 3, 4], [1, 9, -1, 0], -1),
        ([1, 2, 3, 4], [0, 9, 1, -1], 0),
        ([2, 2, 2, 4], [1, 9, 1, -1], -1),
        ([1, 4, 4, 4], [1, 9, 1, -1], 1),
        ([2, 2, 2, 2], [1, 9, 1, -1], 0),
        ([NAN, NAN, 2, 4], [1, 9, 1, -1], 0),
    ],
)
def test_which_way_more_than_usual_points(values, effect, way):
    """By the mean effect of those that have more and less, or where nobody has either, as much; 0 where all have."""
    plan = ls.FeaturePlan.of(builders.project(), ["touchpoints.since_last"])
    matrix, effects = (np.array(column, dtype=np.float64)[:, None] for column in (values, effect))
    assert usual_values(plan, matrix, np.ones(4), effects)["touchpoints.since_last"].way == way


def test_what_is_usual_is_said_where_it_explains_an_effect():
    """ "54 days (typical: 101)" against a lead would say that 10 days are worse."""
    good, bad = Usual(9.0, way=1), Usual(101.0, way=-1)
    told = [good.speaks_with(18, 0.4), good.speaks_with(1, -0.4), bad.speaks_with(4, 0.2), bad.speaks_with(200, -0.2)]
    assert all(told)
    belied = [good.speaks_with(1, 0.4), good.speaks_with(18, -0.4), bad.speaks_with(54, -0.04)]
    assert not any(belied)
    assert Usual(101.0).speaks_with(54, -0.04), "an earlier scorer doesn't know"
    assert good.speaks_with(NAN, -0.4), "never is neither more nor less"


def test_categories():
    plan = ls.FeaturePlan.of(builders.project(), ["touchpoints.channel.last"])
    plan = replace(plan, learnt={"touchpoints.channel": Learnt(("ads", "web"), False, 30)})
    weight = np.array([1.0, 1.0, 1.0, 2.0])

    def found(codes: list[float]) -> Usual:
        matrix = np.array(codes)[:, None]
        return usual_values(plan, matrix, weight, np.zeros(matrix.shape))["touchpoints.channel.last"]

    assert found([0, 1, NAN, 1]) == Usual(found([0, 1, NAN, 1]).value, "web", 0.6)
    assert found([0, 1, NAN, NAN]).category is None


def test_plain_json_and_back():
    usual = {"a": Usual(2.0, way=-1), "b": Usual(), "c": Usual(category="web", share=0.5)}
    raw = json.loads(json.dumps(to_json(usual)))
    assert raw == {"a": {"value": 2.0, "way": -1}, "b": None, "c": {"category": "web", "share": 0.5}}
    assert to_json(from_json(raw)) == raw


def test_a_scorer_learns_it_keeps_it_and_can_do_without(sample, sample_scorer, tmp_path):
    usual = sample_scorer.population.usual
    assert list(usual) == sample_scorer.plan.names
    assert to_json(ls.LeadScorer.load(sample_scorer.save(tmp_path / "scorer")).population.usual) == to_json(usual)
    older = {key: part for key, part in sample_scorer.population.to_dict().items() if key != "usual"}
    assert Population.from_dict(older).usual == {}


def test_usual_is_what_the_held_out_leads_have(sample_scorer):
    fitted, name = sample_scorer.fitted, "lead.employees"
    rows = np.concatenate([fitted.blocks.rows["calibrate"], fitted.blocks.rows["test"]])
    values = fitted.matrix[rows, sample_scorer.plan.names.index(name)].astype(float)
    usual = sample_scorer.population.usual[name].value
    weight, known = fitted.snapshots.weight[rows], ~np.isnan(values)
    below = weight[known & (values < usual)].sum() / weight[known].sum()
    above = weight[known & (values > usual)].sum() / weight[known].sum()
    assert below == pytest.approx(above, abs=0.15)  # of an even sample of them
