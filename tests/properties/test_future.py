"""What isn't visible at t changes nothing at t; order changes nothing ever; every way to a feature gives its bytes."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore import documents
from tests.parity import streams
from tests.parity.proofs import cutoffs
from tests.parity.streams import Stream
from tests.properties import proofs, worlds
from tests.properties.proofs import SEEDS, features, world


@functools.cache
def default_world(seed: int) -> tuple[Stream, ls.Data, ls.FeaturePlan]:
    """A stream, its data, and the whole default plan, fitted."""
    stream, data, _ = world(seed)
    return stream, data, ls.FeaturePlan.default(stream.project()).fit(data, cutoffs(data, stream.train))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_not_visible_could_as_well_not_be_there(seed):
    assert proofs.truncation_changes_nothing(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_not_visible_changes_nothing(seed):
    assert proofs.another_future_changes_nothing(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_visible_does_change_something(seed):
    """The tests above would pass on features that see nothing."""
    changed = proofs.another_past_shows(seed)
    assert changed
    assert not any(kind.whose == "calendar" for kind in changed)


@pytest.mark.parametrize("seed", SEEDS)
def test_asked_while_rows_arrive_the_answer_is_what_it_will_always_be(seed):
    assert proofs.arrival_changes_nothing(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_the_input_never_matters(seed):
    assert proofs.order_changes_nothing(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_learnt_depends_only_on_what_was_visible(seed):
    stream, data, _ = world(seed)
    t = streams.ANCHORS[5]
    other = worlds.with_another_future(stream, t, seed).data()
    pairs = [(lead, t) for lead in worlds.known_leads(stream, t)]
    fit = ls.FeaturePlan.default(stream.project()).fit
    assert fit(data, cutoffs(data, pairs)).hash == fit(other, cutoffs(other, pairs)).hash


@pytest.mark.parametrize("seed", SEEDS)
def test_the_default_plan_neither_sees_the_future_nor_the_order_of_leads(seed):
    stream, data, plan = default_world(seed)
    t = streams.ANCHORS[-1]
    other = worlds.with_another_future(stream, t, seed)
    other.leads.reverse()
    pairs = [(lead, at) for lead in worlds.known_leads(stream, t) for at in (t, streams.ANCHORS[5])]
    assert features(plan, other.data(), pairs).tobytes() == features(plan, data, pairs).tobytes()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_document_holds_nothing_of_the_future(seed):
    stream, data, _ = world(seed)
    for lead, t in stream.cutoffs[:25]:
        other = worlds.with_another_future(stream, t, seed).data()
        then = documents.from_data(data, int(data.leads.find([lead])[0]), t)
        assert documents.from_data(other, int(other.leads.find([lead])[0]), t) == then


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_cutoffs_come_in_any_order_and_repeat(seed):
    stream, data, plan = world(seed)
    rows = np.random.default_rng(seed).integers(0, len(stream.cutoffs), 500)
    matrix = plan.transform(data, cutoffs(data, stream.cutoffs))
    pairs = [stream.cutoffs[row] for row in rows]
    assert plan.transform(data, cutoffs(data, pairs)).tobytes() == matrix[rows].tobytes()
    frame = pd.DataFrame(
        {
            "lead_id": [lead for lead, _ in pairs],
            "cutoff": pd.to_datetime([streams.iso(t) for _, t in pairs], format="ISO8601", utc=True),
        },
        index=range(1_000, 1_500),
    )
    assert plan.transform(data, frame).tobytes() == matrix[rows].tobytes()


def test_threads_change_nothing():
    stream, data, plan = world(1)
    rows = np.random.default_rng(0).integers(0, len(stream.cutoffs), 9_000)
    pairs = [stream.cutoffs[row] for row in rows]
    alone = features(plan, data, pairs, threads=1).tobytes()
    assert features(plan, data, pairs, threads=2).tobytes() == alone
    assert features(plan, data, pairs, threads=7).tobytes() == alone


def test_no_cutoffs_give_no_rows():
    _, data, plan = world(0)
    assert plan.transform(data, cutoffs(data, [])).shape == (0, len(plan.names))


def test_negative_zeros_and_equal_rows_of_other_owners_do_not_depend_on_order():
    """Rows that tie in all but what sorting forgets: the sign of a zero, the account, the lead of a shared id."""
    project = ls.Project.from_dict(streams.project_of("UTC", versions=True))
    version = {"lead_id": "L0", "created_at": "2025-01-01", "updated_at": "2025-01-01", "rep": None, "source": None}
    version |= {"industry": None, "employees": None, "revenue": None}
    leads = [version | {"account": "x"}, version | {"account": "y"}, version | {"lead_id": "L1", "account": None}]
    leads += [version | {"lead_id": lead, "account": "y"} for lead in ("L2", "L3")]
    event = {"event_id": None, "occurred_at": "2025-01-05", "ingested_at": "2025-01-05", "channel": None}
    event |= {"campaign": None, "clicks": None}
    rows = [event | {"lead_id": "L0", "cost": cost} for cost in ("-0.0", "0.0", "-0")]
    rows += [event | {"lead_id": lead, "cost": "1", "event_id": "shared"} for lead in ("L0", "L1")]
    rows += [event | {"lead_id": lead, "cost": cost} for lead, cost in (("L2", "-0.0"), ("L3", "0.0"), ("L2", None))]
    nothing = pd.DataFrame(columns=[*streams.FIELDS["interactions"], *streams.FIELDS["outcome"][1:]], dtype=object)

    def read(*, backwards: bool) -> ls.Data:
        step = -1 if backwards else 1
        frames = {"leads": pd.DataFrame(leads[::step], dtype=object), "outcome": nothing, "interactions": nothing}
        return ls.read(project, frames={**frames, "touchpoints": pd.DataFrame(rows[::step], dtype=object)})

    there, back = read(backwards=False), read(backwards=True)
    assert there.fingerprint == back.fingerprint
    names = [f"touchpoints.{what}.all" for what in ("cost.min", "cost.max", "cost.mean", "count")]
    plan = ls.FeaturePlan.of(project, [*names, *(f"account.{name}" for name in names)])
    pairs = [(f"L{number}", streams.micros("2025-02-01T00:00:00Z")) for number in range(4)]
    assert features(plan, there, pairs).tobytes() == features(plan, back, pairs).tobytes()
