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
    found = usual_values(plan, np.array(values, dtype=np.float32)[:, None], np.array(weight, dtype=np.float64))
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
    assert usual_values(plan, np.empty((0, 1)), np.empty(0)) == {}


def test_categories():
    plan = ls.FeaturePlan.of(builders.project(), ["touchpoints.channel.last"])
    plan = replace(plan, learnt={"touchpoints.channel": Learnt(("ads", "web"), False, 30)})
    weight = np.array([1.0, 1.0, 1.0, 2.0])

    def found(codes: list[float]) -> Usual:
        return usual_values(plan, np.array(codes)[:, None], weight)["touchpoints.channel.last"]

    assert found([0, 1, NAN, 1]) == Usual(found([0, 1, NAN, 1]).value, "web", 0.6)
    assert found([0, 1, NAN, NAN]).category is None


def test_plain_json_and_back():
    usual = {"a": Usual(2.0), "b": Usual(), "c": Usual(category="web", share=0.5)}
    raw = json.loads(json.dumps(to_json(usual)))
    assert raw == {"a": 2.0, "b": None, "c": {"category": "web", "share": 0.5}}
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
