"""What equals what on one stream, and for which kinds of features that told anything.

Each proof asserts, and returns the kinds that it had telling cells of. Proofs are made once and remembered, so that
tests and the table of what is covered share them.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

import leadscore as ls
from leadscore import documents
from leadscore.tables import Cutoffs
from tests.parity import streams
from tests.parity.catalogue import KINDS, NAMES, Kind, company, names_of, telling
from tests.parity.oracle import Oracle

ROUNDED = {"sum", "mean", "std", "entropy", "decay", "gap_mean", "gap_std", "gap_now"}
"""Ops that add up or divide in another order than the oracle; all others are equal bit for bit."""
SEEDS = range(12)
N_ALONE = 60


@functools.cache
def computed(seed: int) -> tuple[streams.Stream, Oracle, ls.FeaturePlan, NDArray[Any], NDArray[Any]]:
    """Stream, its oracle, the plan of all names, the float64 and the float32 matrix."""
    stream = streams.make(seed)
    data = stream.data()
    truth = Oracle(stream)
    truth.learn(stream.train)
    plan = ls.FeaturePlan.of(stream.project(), NAMES).fit(data, cutoffs(data, stream.train))
    asked = cutoffs(data, stream.cutoffs)
    return stream, truth, plan, plan.transform(data, asked, dtype=np.float64), plan.transform(data, asked)


def cutoffs(data: ls.Data, pairs: list[tuple[str, int]]) -> Cutoffs:
    return Cutoffs(data.leads.find([lead for lead, _ in pairs]), np.array([t for _, t in pairs], dtype=np.int64))


@functools.cache
def equals_the_oracle(kind: Kind) -> int:
    """How many cells were neither 0 nor never; fails where any of them isn't the oracle's."""
    return sum(_compare(seed, name, rounded=kind.op in ROUNDED) for seed in SEEDS for name in names_of(kind))


def _compare(seed: int, name: str, *, rounded: bool) -> int:
    stream, truth, _, exact, _ = computed(seed)
    found = np.ascontiguousarray(exact[:, NAMES.index(name)])
    expected = np.array([truth.value(name, lead, t) for lead, t in stream.cutoffs], dtype=np.float64)
    never = np.isnan(expected)
    same = never & np.isnan(found)
    same |= np.isclose(found, expected, rtol=1e-9, atol=1e-9) if rounded else found.view("i8") == expected.view("i8")
    if not same.all():
        row = int(np.argmin(same))
        lead, t = stream.cutoffs[row]
        where = f"seed {seed}, {name} of {lead} at {streams.iso(t)} ({(~same).sum()} of {len(same)} cells)"
        raise AssertionError(f"{where}: {found[row]!r}, expected {expected[row]!r}")
    return int((~never & (expected != 0)).sum())


@functools.cache
def one_lead_equals_batch(seed: int) -> frozenset[Kind]:
    """The same lead asked alone, from the tables, is the row of the batch bit for bit."""
    stream, _, plan, exact, _ = computed(seed)
    data = stream.data()
    pairs = stream.cutoffs[:N_ALONE]
    for row, pair in enumerate(pairs):
        alone = plan.transform(data, cutoffs(data, [pair]), dtype=np.float64)
        assert alone.tobytes() == exact[row].tobytes(), (seed, pair, different(plan.names, alone[0], exact[row]))
    return telling(plan.names, exact[:N_ALONE])


@functools.cache
def document_equals_batch(seed: int) -> frozenset[Kind]:
    """The same lead as a document with its context, among others and alone, is the row of the batch bit for bit."""
    stream, _, plan, exact, _ = computed(seed)
    data = stream.data()
    raw = lead_documents(data, plan, stream.cutoffs[:N_ALONE])
    together = from_documents(plan, data.project, raw)
    assert together.tobytes() == exact[:N_ALONE].tobytes(), different(plan.names, together, exact[:N_ALONE])
    for row, document in enumerate(raw[:20]):
        alone = from_documents(plan, data.project, [document])
        assert alone.tobytes() == exact[row].tobytes(), different(plan.names, alone[0], exact[row])
    return telling(plan.names, together)


def lead_documents(data: ls.Data, plan: ls.FeaturePlan, pairs: list[tuple[str, int]]) -> list[dict[str, Any]]:
    """What a CRM would send of each lead, and what it would say of the lead's company; through JSON and back."""
    raw = []
    for (lead, t), told in zip(pairs, plan.context(data, cutoffs(data, pairs)), strict=True):
        assert all(company(name) for name in told)
        document = documents.from_data(data, int(data.leads.find([lead])[0]), t)
        raw.append(document | {"context": {name: value for name, value in told.items() if value == value}})
    return json.loads(json.dumps(raw, allow_nan=False))


def from_documents(plan: ls.FeaturePlan, project: ls.Project, raw: list[dict[str, Any]]) -> NDArray[Any]:
    parsed = [documents.parse(project, document, now=0) for document in raw]
    assert not any(document.warnings for document in parsed if document.context)
    there, at = documents.to_data(project, parsed)
    return plan.transform(there, Cutoffs(np.arange(len(parsed)), at), dtype=np.float64)


def different(names: list[str], found: NDArray[Any], expected: NDArray[Any]) -> list[str]:
    """Names of the columns that differ."""
    differs = np.atleast_2d(found).view("i8") != np.atleast_2d(expected).view("i8")
    return [name for name, wrong in zip(names, differs.any(axis=0), strict=True) if wrong]


def covered_by_oracle() -> frozenset[Kind]:
    return frozenset(kind for kind in KINDS if equals_the_oracle(kind))
