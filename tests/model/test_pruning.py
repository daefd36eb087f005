"""Columns that never vary, and columns that say again what another says, are left out; the plainer one stays."""

from __future__ import annotations

import numpy as np
import pytest

import leadscore as ls
from leadscore.model.pruning import redundant
from tests import builders

NAMES = [
    *("touchpoints.cost.sum.all", "touchpoints.count.all", "touchpoints.decay.7d", "touchpoints.since_last"),
    *("lead.source", "touchpoints.channel.last", "lead.employees"),
]
NAN = np.nan


def plan() -> ls.FeaturePlan:
    return ls.FeaturePlan.of(builders.project(), NAMES)


def matrix(**columns: list[float]) -> np.ndarray:
    rng = np.random.default_rng(0)
    filled = rng.normal(size=(8, len(NAMES))).astype(np.float32)
    for name, values in columns.items():
        filled[:, [n.replace(".", "_") for n in NAMES].index(name)] = values
    return filled


def left_out(**columns: list[float]) -> dict[str, str | None]:
    found = redundant(plan(), matrix(**columns))
    return {NAMES[column]: None if twin is None else NAMES[twin] for column, twin in found.items()}


def test_all_stay_that_say_something_of_their_own():
    assert left_out() == {}


@pytest.mark.parametrize("value", [0.0, NAN])
def test_what_never_varies_goes(value):
    assert left_out(lead_employees=[value] * 8) == {"lead.employees": None}


def test_never_and_a_value_are_two_values():
    assert left_out(lead_employees=[1, 1, 1, NAN, 1, 1, NAN, NAN]) == {}


def test_of_two_that_order_leads_alike_the_plainer_stays():
    count = [0, 1, 2, 3, 4, 5, 6, 7]
    weighed = [0, 0.5, 0.9, 1, 2, 3, 3.5, 90]
    said = left_out(touchpoints_count_all=count, touchpoints_decay_7d=weighed)
    assert said == {"touchpoints.decay.7d": "touchpoints.count.all"}


def test_backwards_is_alike_too():
    never_first = [NAN, 8, 7, 6, 5, 4, 3, 2]
    said = left_out(touchpoints_count_all=[0, 1, 2, 3, 4, 5, 6, 7], touchpoints_since_last=[7, 6, 5, 4, 3, 2, 1, 0])
    assert said == {"touchpoints.since_last": "touchpoints.count.all"}
    assert left_out(touchpoints_count_all=[0, 1, 2, 3, 4, 5, 6, 7], touchpoints_since_last=never_first) == {}


def test_codes_of_categories_have_no_order():
    codes = [0, 1, 2, 3, 0, 1, 2, 3]
    assert left_out(lead_source=codes, touchpoints_channel_last=codes, lead_employees=codes) == {}


def test_what_was_declared_one_by_one_stays():
    both = ls.FeaturePlan.of(
        builders.project({"leads.numeric": ["employees", "seats"]}), ["lead.employees", "lead.seats"]
    )
    same = np.arange(8, dtype=np.float32)
    assert redundant(both, np.stack([same, same], axis=1)) == {}


def test_a_model_keeps_one_column_to_stand_on():
    found = redundant(plan(), np.zeros((5, len(NAMES)), dtype=np.float32))
    assert list(found) == list(range(1, len(NAMES)))
    assert len(redundant(plan(), np.zeros((0, len(NAMES)), dtype=np.float32))) == len(NAMES) - 1


def test_a_scorer_says_what_it_left_out_and_why(sample_scorer):
    pruned = sample_scorer.fitted.pruned
    assert not set(pruned) & set(sample_scorer.plan.names)
    assert {twin for twin in pruned.values() if twin is not None} <= set(sample_scorer.plan.names)
    assert sorted(map(type, pruned.values()), key=str)[0] is type(None)
