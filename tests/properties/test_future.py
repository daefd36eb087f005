"""What isn't visible at t changes nothing at t; order changes nothing ever; every way to a feature gives its bytes."""

from __future__ import annotations

import copy
import functools
import json
import random

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore import documents
from leadscore.tables import Cutoffs
from tests.parity import streams
from tests.parity.streams import DAY, Stream

SEEDS = range(8)


@functools.cache
def world(seed: int) -> tuple[Stream, ls.Data, ls.FeaturePlan]:
    """A stream, its data, and the whole default plan, fitted."""
    stream = streams.make(seed, n_cutoffs=30)
    data = stream.data()
    return stream, data, ls.FeaturePlan.default(stream.project()).fit(data, asked(data, stream.train))


def asked(data: ls.Data, pairs: list[tuple[str, int]]) -> Cutoffs:
    return Cutoffs(data.leads.find([lead for lead, _ in pairs]), np.array([t for _, t in pairs], dtype=np.int64))


def features(plan: ls.FeaturePlan, data: ls.Data, pairs: list[tuple[str, int]], **options: int) -> bytes:
    return plan.transform(data, asked(data, pairs), dtype=np.float64, **options).tobytes()


def unseen(row: dict, t: int) -> bool:
    """Whether a row, event or version of a profile, isn't visible at t."""
    if "occurred_at" in row:
        return row["occurred_at"] >= t or row.get("ingested_at", row["occurred_at"]) >= t
    return row.get("updated_at", t - 1) >= t


def after_the_cutoff(stream: Stream, t: int, seed: int) -> Stream:
    """The same world, but all that isn't visible at t went otherwise.

    A delivery known before t stays the row of its id, even if it is of something still to come; and a creation time
    is the lead's own, whichever version states it.
    """
    rng = random.Random(seed)
    changed = copy.deepcopy(stream)
    for table, rows in changed.events.items():
        early = {row.get("event_id") for row in rows if row.get("ingested_at", t) < t}
        kept = []
        for row in rows:
            if not unseen(row, t) or (row.get("event_id") in early and row["ingested_at"] < t):
                kept.append(row)
            elif rng.random() < 0.6:
                kept.append(_otherwise(rng, row, t))
        kept += [_another(rng, rng.choice(rows), t) for _ in range(5)]
        rng.shuffle(kept)
        changed.events[table] = kept
    if stream.versions:
        for row in changed.leads:
            if unseen(row, t):
                row |= {"source": "unheard of", "employees": 77, "updated_at": t + rng.choice((0, 1, DAY))}
    return changed


def _otherwise(rng: random.Random, row: dict, t: int) -> dict:
    """An event not visible at t, changed in everything but in that."""
    changed = dict(row)
    for column, words in (("channel", ("fax", None)), ("campaign", ("c99",)), ("kind", ("fax", None))):
        if column in changed:
            changed[column] = rng.choice(words)
    for column in ("cost", "minutes"):
        if column in changed:
            changed[column] = -1e6
    later = t + rng.choice((0, 1, DAY))
    if "ingested_at" not in row:
        return changed | {"occurred_at": later}
    if rng.random() < 0.5:
        return changed | {"ingested_at": later}  # late: it happened before t, and nobody knew
    return changed | {"occurred_at": later, "ingested_at": max(row["ingested_at"], t)}


def _another(rng: random.Random, row: dict, t: int) -> dict:
    again = _otherwise(rng, row, t)
    if "event_id" in again:
        again |= {"event_id": rng.choice((None, "new", again["event_id"])), "ingested_at": t + rng.choice((0, 5))}
    return again


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_not_visible_changes_nothing(seed):
    stream, data, plan = world(seed)
    rng = random.Random(seed)
    n_changed = 0
    for t in sorted({t for _, t in rng.sample(stream.cutoffs, 25)}):
        other = after_the_cutoff(stream, t, seed)
        pairs = [(f"L{number}", at) for number in range(7) for at in (t, t - 1, t - DAY)]
        there = other.data()
        assert features(plan, there, pairs) == features(plan, data, pairs), streams.iso(t)
        n_changed += there.fingerprint != data.fingerprint
    assert n_changed > 10


@pytest.mark.parametrize("seed", SEEDS)
def test_a_visible_row_does_change_something(seed):
    """The test above would pass on features that see nothing."""
    stream, data, plan = world(seed)
    t = streams.ANCHORS[-1]
    other = copy.deepcopy(stream)
    for row in other.events["interactions"]:
        row["minutes"] = 4_321.0
    pairs = [(f"L{number}", t) for number in range(7)]
    assert features(plan, other.data(), pairs) != features(plan, data, pairs)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_learnt_depends_only_on_what_was_visible(seed):
    stream, data, _ = world(seed)
    t = streams.ANCHORS[5]
    other = after_the_cutoff(stream, t, seed).data()
    pairs = [(f"L{number}", t) for number in range(7)]
    fit = ls.FeaturePlan.default(stream.project()).fit
    assert fit(data, asked(data, pairs)).hash == fit(other, asked(other, pairs)).hash


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_the_input_never_matters(seed):
    stream, data, plan = world(seed)
    rng = random.Random(seed)
    shuffled = copy.deepcopy(stream)
    for rows in (shuffled.leads, *shuffled.events.values()):
        rng.shuffle(rows)
    other = shuffled.data()
    assert other.fingerprint == data.fingerprint
    assert features(plan, other, stream.cutoffs) == features(plan, data, stream.cutoffs)
    refitted = ls.FeaturePlan.default(stream.project()).fit(other, asked(other, stream.train))
    assert refitted.hash == plan.hash


@pytest.mark.parametrize("seed", SEEDS)
def test_batch_one_by_one_and_documents_give_the_same_bytes(seed):
    stream, data, plan = world(seed)
    pairs = stream.cutoffs[:80]
    batch = features(plan, data, pairs)
    assert b"".join(features(plan, data, [pair]) for pair in pairs) == batch
    raw = [documents.from_data(data, int(data.leads.find([lead])[0]), t) for lead, t in pairs]
    over_the_wire = json.loads(json.dumps(raw, allow_nan=False))
    parsed = [documents.parse(data.project, document, now=0) for document in over_the_wire]
    assert not any(document.warnings for document in parsed)
    there, at = documents.to_data(data.project, parsed)
    assert at.tolist() == [t for _, t in pairs]
    assert plan.transform(there, Cutoffs(np.arange(len(pairs)), at), dtype=np.float64).tobytes() == batch
    for document, (_, t) in zip(over_the_wire[:10], pairs, strict=False):
        alone, at = documents.to_data(data.project, [documents.parse(data.project, document, now=0)])
        expected = plan.transform(data, asked(data, [(document["lead"]["lead_id"], t)]), dtype=np.float64)
        assert plan.transform(alone, Cutoffs(np.array([0]), at), dtype=np.float64).tobytes() == expected.tobytes()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_document_holds_nothing_of_the_future(seed):
    stream, data, _ = world(seed)
    for lead, t in stream.cutoffs[:40]:
        other = after_the_cutoff(stream, t, seed).data()
        then = documents.from_data(data, int(data.leads.find([lead])[0]), t)
        assert documents.from_data(other, int(other.leads.find([lead])[0]), t) == then


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_cutoffs_come_in_any_order_and_repeat(seed):
    stream, data, plan = world(seed)
    rows = np.random.default_rng(seed).integers(0, len(stream.cutoffs), 500)
    matrix = plan.transform(data, asked(data, stream.cutoffs))
    pairs = [stream.cutoffs[row] for row in rows]
    assert plan.transform(data, asked(data, pairs)).tobytes() == matrix[rows].tobytes()
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
    assert features(plan, data, pairs, threads=1) == features(plan, data, pairs, threads=2)
    assert features(plan, data, pairs, threads=1) == features(plan, data, pairs, threads=7)


def test_no_cutoffs_give_no_rows():
    _, data, plan = world(0)
    assert plan.transform(data, asked(data, [])).shape == (0, len(plan.names))


def test_negative_zeros_and_equal_rows_of_other_owners_do_not_depend_on_order():
    """Rows that tie in all but what sorting forgets: the sign of a zero, the account, the lead of a shared id."""
    project = ls.Project.from_dict(streams.project_of("UTC", versions=True) | {
        "leads": streams.project_of("UTC", versions=True)["leads"] | {"account": "account"},
    })  # fmt: skip
    version = {"lead_id": "L0", "created_at": "2025-01-01", "updated_at": "2025-01-01", "source": None}
    version |= {"industry": None, "employees": None, "revenue": None}
    leads = [version | {"account": "x"}, version | {"account": "y"}, version | {"lead_id": "L1", "account": None}]
    event = {"event_id": None, "occurred_at": "2025-01-05", "ingested_at": "2025-01-05", "channel": None}
    event |= {"campaign": None, "clicks": None}
    rows = [event | {"lead_id": "L0", "cost": cost} for cost in ("-0.0", "0.0", "-0")]
    rows += [event | {"lead_id": lead, "cost": "1", "event_id": "shared"} for lead in ("L0", "L1")]
    nothing = pd.DataFrame(columns=["lead_id", "occurred_at", "kind", "minutes", "closed_at"], dtype=object)

    def read(*, backwards: bool) -> ls.Data:
        step = -1 if backwards else 1
        frames = {"leads": pd.DataFrame(leads[::step], dtype=object), "outcome": nothing, "interactions": nothing}
        return ls.read(project, frames={**frames, "touchpoints": pd.DataFrame(rows[::step], dtype=object)})

    there, back = read(backwards=False), read(backwards=True)
    assert there.fingerprint == back.fingerprint
    plan = ls.FeaturePlan.of(project, ["touchpoints.cost.min.all", "touchpoints.cost.max.all", "touchpoints.count.all"])
    pairs = [("L0", streams.micros("2025-02-01T00:00:00Z")), ("L1", streams.micros("2025-02-01T00:00:00Z"))]
    assert features(plan, there, pairs) == features(plan, back, pairs)
