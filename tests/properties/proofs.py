"""What changes nothing and what changes something, and for which kinds of features that told anything.

Each proof asserts on one stream, and returns the kinds that it had telling cells of; `another_past_shows` those that
did change. Made once and remembered, as the proofs of parity are.
"""

from __future__ import annotations

import dataclasses
import functools
import random
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

import leadscore as ls
from tests.parity import streams
from tests.parity.catalogue import KIND_OF, Kind, telling
from tests.parity.proofs import computed, cutoffs, different
from tests.parity.streams import ANCHORS, DAY, Stream
from tests.properties import worlds

SEEDS = (0, 1, 2, 3, 8, 9, 10, 11)
"""With and without versions; in zones whose clocks never change, change at night, and change at midnight."""
N_INSTANTS = 20
Pairs = list[tuple[str, int]]


@functools.cache
def world(seed: int) -> tuple[Stream, ls.Data, ls.FeaturePlan]:
    """A stream, its data, and a plan of all names, fitted."""
    stream, _, plan, _, _ = computed(seed)
    return stream, stream.data(), plan


def features(plan: ls.FeaturePlan, data: ls.Data, pairs: Pairs, **options: int) -> NDArray[np.float64]:
    return plan.transform(data, cutoffs(data, pairs), dtype=np.float64, **options)


def instants(stream: Stream, seed: int, n: int = N_INSTANTS) -> list[int]:
    """Cutoffs of the stream, some of them edges; when outcomes were recorded; and the end, when all is known."""
    rng = random.Random(seed)
    recorded = [row["recorded_at"] for row in stream.outcomes if row["recorded_at"] is not None]
    chosen = rng.sample(stream.cutoffs, n - n // 4)
    return sorted({t for _, t in chosen} | set(rng.choices(recorded, k=n // 4)) | {ANCHORS[-1] + 100 * DAY})


@functools.cache
def truncation_changes_nothing(seed: int) -> frozenset[Kind]:
    """Without any row that isn't visible at t, of this lead or another, every feature at t is the same."""
    stream, data, plan = world(seed)
    told, n_dropped = [], 0
    for t in instants(stream, seed):
        other = worlds.without_the_future(stream, t)
        n_dropped += sum(map(len, stream.tables)) - sum(map(len, other.tables))
        pairs = asked_at(other, t)
        told.append(_same(plan, other.data(), data, pairs) if pairs else frozenset())
    assert n_dropped > 100
    return union(told)


@functools.cache
def another_future_changes_nothing(seed: int) -> frozenset[Kind]:
    """Whatever becomes of the rows that aren't visible at t, every feature at t is the same."""
    stream, data, plan = world(seed)
    told, n_changed = [], 0
    for t in instants(stream, seed):
        other = worlds.with_another_future(stream, t, seed).data()
        told.append(_same(plan, other, data, asked_at(stream, t)))
        n_changed += other.fingerprint != data.fingerprint
    assert n_changed > N_INSTANTS // 2
    return union(told)


@functools.cache
def another_past_shows(seed: int) -> frozenset[Kind]:
    """The proof above would hold of features that see nothing: these change where what was visible was otherwise."""
    stream, data, plan = world(seed)
    changed: set[Kind] = set()
    for t in (*instants(stream, seed, 5), ANCHORS[-1]):
        pairs = asked_at(stream, t)
        other = features(plan, worlds.with_another_past(stream, t, seed).data(), pairs)
        changed |= {KIND_OF[name] for name in different(plan.names, other, features(plan, data, pairs))}
    return frozenset(changed)


@functools.cache
def arrival_changes_nothing(seed: int) -> frozenset[Kind]:
    """What is asked while rows still arrive, many of them twice, is what all rows say later of that time."""
    stream, _, plan = world(seed)
    stream = worlds.with_redeliveries(stream, seed)
    at_last = stream.data()
    told = []
    for t, so_far in worlds.as_it_arrived(stream, instants(stream, seed)):
        pairs = asked_at(so_far, t)
        told.append(_same(plan, so_far.data(), at_last, pairs) if pairs else frozenset())
    return union(told)


@functools.cache
def order_changes_nothing(seed: int) -> frozenset[Kind]:
    """The order of the input, and of what is asked, is never seen; what is asked twice is answered twice."""
    stream, data, plan = world(seed)
    rng = random.Random(seed)
    shuffled = dataclasses.replace(
        stream,
        leads=rng.sample(stream.leads, len(stream.leads)),
        outcomes=rng.sample(stream.outcomes, len(stream.outcomes)),
        events={table: rng.sample(rows, len(rows)) for table, rows in stream.events.items()},
    )
    other = shuffled.data()
    assert other.fingerprint == data.fingerprint
    once = computed(seed)[3]
    rows = rng.choices(range(len(stream.cutoffs)), k=300)
    again = features(plan, other, [stream.cutoffs[row] for row in rows])
    assert again.tobytes() == once[rows].tobytes(), different(plan.names, again, once[rows])
    return telling(plan.names, once)


def asked_at(stream: Stream, t: int) -> Pairs:
    """Every lead that is known at t; then, and a little before, when it may not have been."""
    return [(lead, at) for lead in worlds.known_leads(stream, t) for at in (t, t - 1, t - DAY)]


def _same(plan: ls.FeaturePlan, then: ls.Data, later: ls.Data, pairs: Pairs) -> frozenset[Kind]:
    found, expected = features(plan, then, pairs), features(plan, later, pairs)
    if found.tobytes() != expected.tobytes():
        row = int(np.argmax((found.view("i8") != expected.view("i8")).any(axis=1)))
        names = different(plan.names, found[row], expected[row])
        where = f"{pairs[row][0]} at {streams.iso(pairs[row][1])}"
        column = plan.names.index(names[0])
        raise AssertionError(f"{where}: {names}: {found[row, column]!r} then, {expected[row, column]!r} later")
    return telling(plan.names, found)


def union(told: Iterable[frozenset[Kind]]) -> frozenset[Kind]:
    return frozenset[Kind]().union(*told)
