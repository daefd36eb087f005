"""Caveats see what was visible at the cutoff, and nothing later."""

from __future__ import annotations

import pandas as pd
import pytest

import leadscore as ls
from leadscore.explain.caveats import COLD, caveats

PROJECT = ls.Project.from_dict(
    {
        "name": "caveats",
        "leads": {"source": "l", "id": "id", "created": "at", "categorical": ["country"]},
        "events": {"calls": {"source": "c", "lead": "id", "time": "at", "known": "known", "categorical": ["kind"]}},
        "outcome": {"source": "o", "lead": "id", "time": "at"},
        "task": {"horizon": "7d"},
    }
)


def read(country: str, kind: str) -> ls.Data:
    """One lead with one call on day 2 that became known on day 4."""
    calls = pd.DataFrame({"id": ["A"], "at": ["2026-01-02"], "known": ["2026-01-04"], "kind": [kind]})
    leads = pd.DataFrame({"id": ["A"], "at": ["2026-01-01"], "country": [country]})
    outcome = pd.DataFrame({"id": pd.Series([], dtype="str"), "at": pd.Series([], dtype="str")})
    return ls.read(PROJECT, frames={"leads": leads, "calls": calls, "outcome": outcome})


def at(data: ls.Data, *days: str) -> ls.Cutoffs:
    return ls.Cutoffs.of(data, pd.DataFrame({"lead_id": ["A"] * len(days), "cutoff": list(days)}))


@pytest.fixture(scope="module")
def plan() -> ls.FeaturePlan:
    seen = read("DE", "demo")
    return ls.FeaturePlan.default(PROJECT).fit(seen, at(seen, "2026-01-09"))


def test_nothing_to_say_of_what_was_seen(plan) -> None:
    assert caveats(plan, read("DE", "demo"), at(read("DE", "demo"), "2026-01-05")) == [[]]


def test_cold_until_an_event_is_known(plan) -> None:
    data = read("DE", "demo")
    cutoffs = at(data, "2026-01-03", "2026-01-04", "2026-01-04T00:00:00.000001Z")
    assert caveats(plan, data, cutoffs) == [[COLD], [COLD], []]


def test_unseen_values_are_named_once_they_are_visible(plan) -> None:
    data = read("ATLANTIS", "fax")
    early, late = caveats(plan, data, at(data, "2026-01-03", "2026-01-05"))
    assert early == ["lead.country: 'ATLANTIS' was not seen in training", COLD]
    assert late == ["lead.country: 'ATLANTIS' was not seen in training", "calls.kind: 'fax' was not seen in training"]


def test_long_values_are_cut_short(plan) -> None:
    data = read("x" * 100, "demo")
    ((warning,),) = caveats(plan, data, at(data, "2026-01-05"))
    assert warning == f"lead.country: '{'x' * 40}…' was not seen in training"


def test_each_lead_is_told_of_its_own_unseen_values(plan) -> None:
    kinds = pd.DataFrame([("A", "fax"), ("C", "wire"), ("A", "drum")], columns=["id", "kind"])
    data = ls.read(
        PROJECT,
        frames={
            "leads": pd.DataFrame({"id": ["A", "B", "C"], "at": "2026-01-01", "country": "DE"}),
            "calls": kinds.assign(at="2026-01-02", known="2026-01-04"),
            "outcome": pd.DataFrame({"id": pd.Series([], dtype="str"), "at": pd.Series([], dtype="str")}),
        },
    )
    asked = ls.Cutoffs.of(data, pd.DataFrame({"lead_id": ["C", "B", "A", "C"], "cutoff": "2026-01-05"}))
    drum, wire = (f"calls.kind: '{word}' was not seen in training" for word in ("drum", "wire"))
    assert caveats(plan, data, asked) == [[wire], [COLD], [drum], [wire]]
