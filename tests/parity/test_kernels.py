"""Every primitive, of every subject, over every window, equals the naive loop on streams made of edges."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest

import leadscore as ls
from leadscore.features.names import FeatureName
from leadscore.features.primitives import EVENT_PRIMITIVES, LEAD_PRIMITIVES
from leadscore.tables import Cutoffs
from tests.parity import oracle, streams

SEEDS = range(12)
ROUNDED = {"sum", "mean", "std"}
"""Ops that add up in another order than the oracle; all others are equal bit for bit."""
SUBJECTS = [(op, subject) for op, primitive in EVENT_PRIMITIVES.items() for subject in primitive.subjects]


def subjects_of(table: str, subject: str) -> list[tuple[str | None, str | None]]:
    columns = streams.COLUMNS[table]
    if subject == "any":
        return [(None, None)]
    if subject == "numeric":
        return [(column, None) for column in columns["numeric"]]
    if subject == "categorical":
        return [(column, None) for column in columns["categorical"]]
    words = {"channel": ["email", "a.b=c%d"], "campaign": ["c00", "c01", "c44"], "kind": ["call", "never said"]}
    return [(c, word) for c in columns["categorical"] for word in [*words[c], "(other)", "(missing)"]]


def names_of(op: str, subject: str) -> list[str]:
    windows = list(streams.WINDOWS) if EVENT_PRIMITIVES[op].span != "none" else [None]
    return [
        str(FeatureName(table, op, column, category, window))
        for table in streams.COLUMNS
        for column, category in subjects_of(table, subject)
        for window in windows
    ]


PROFILE_NAMES = [f"lead.{column}" for column in itertools.chain(*streams.PROFILE.values())]
NAMES = [name for op, subject in SUBJECTS for name in names_of(op, subject)] + PROFILE_NAMES + list(LEAD_PRIMITIVES)


@functools.cache
def computed(seed: int):
    """Stream, its oracle, the plan, the float64 and the float32 matrix."""
    stream = streams.make(seed)
    data = stream.data()
    truth = oracle.Oracle(stream)
    truth.learn(stream.train)
    plan = ls.FeaturePlan.of(stream.project(), NAMES).fit(data, cutoffs(data, stream.train))
    asked = cutoffs(data, stream.cutoffs)
    exact = plan.transform(data, asked, dtype=np.float64)
    return stream, truth, plan, exact, plan.transform(data, asked)


def cutoffs(data: ls.Data, pairs: list[tuple[str, int]]) -> Cutoffs:
    return Cutoffs(data.leads.find([lead for lead, _ in pairs]), np.array([t for _, t in pairs], dtype=np.int64))


def compare(seed: int, names: list[str], *, rounded: bool) -> int:
    """How many cells were neither 0 nor never; fails where any of them isn't the oracle's."""
    stream, truth, plan, exact, _ = computed(seed)
    n_telling = 0
    for name in names:
        found = exact[:, plan.names.index(name)]
        for row, (lead, t) in enumerate(stream.cutoffs):
            expected = float(truth.value(name, lead, t))
            context = f"seed {seed}, {name} of {lead} at {streams.iso(t)}: {found[row]!r}, expected {expected!r}"
            if rounded and not math.isnan(expected):
                assert found[row] == pytest.approx(expected, rel=1e-9, abs=1e-9), context
            else:
                assert np.float64(expected).tobytes() == found[row].tobytes() or (
                    math.isnan(expected) and math.isnan(found[row])
                ), context
            n_telling += not (math.isnan(expected) or expected == 0)
    return n_telling


def test_every_primitive_has_an_oracle_and_no_other():
    assert set(SUBJECTS) == set(oracle.EVENT_ORACLES)
    assert set(LEAD_PRIMITIVES) == set(oracle.LEAD_ORACLES)


@pytest.mark.parametrize(("op", "subject"), SUBJECTS)
def test_event_primitives_equal_the_oracle(op, subject):
    telling = sum(compare(seed, names_of(op, subject), rounded=op in ROUNDED) for seed in SEEDS)
    assert telling > 300


@pytest.mark.parametrize("name", [*PROFILE_NAMES, *LEAD_PRIMITIVES])
def test_lead_primitives_equal_the_oracle(name):
    assert sum(compare(seed, [name], rounded=False) for seed in SEEDS) > 300


@pytest.mark.parametrize("seed", SEEDS)
def test_float32_is_the_cast_of_float64(seed):
    _, _, plan, exact, single = computed(seed)
    assert single.dtype == np.float32
    assert single.shape == (exact.shape[0], len(plan.names))
    assert single.tobytes() == exact.astype(np.float32).tobytes()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_plan_learns_what_the_oracle_learns(seed):
    _, truth, plan, _, _ = computed(seed)
    assert {key: list(learnt.codes) for key, learnt in plan.learnt.items()} == truth.codes


def test_the_streams_do_reach_the_top_30_and_redeliveries():
    columns = [oracle_codes(seed) for seed in SEEDS]
    assert max(len(codes) for codes in columns) == 32
    redelivered = [len(s.events["touchpoints"]) - len(t.events["touchpoints"]) for s, t, *_ in map(computed, SEEDS)]
    assert min(redelivered) > 5


def oracle_codes(seed: int) -> list[str]:
    return computed(seed)[1].codes["touchpoints.campaign"]
