"""Segments: each snapshot once in every division, touches counted by the naive rule."""

from __future__ import annotations

import numpy as np
import pytest

import leadscore as ls
from leadscore.evaluate.segments import by_acquaintance, n_touches, segments
from tests import builders


@pytest.fixture(scope="module")
def said(sample_scorer: ls.LeadScorer):
    fitted = sample_scorer.fitted
    rows = fitted.snapshots.take(fitted.blocks.rows["test"])
    margin = fitted.margin[fitted.blocks.rows["test"]]
    return rows, sample_scorer.calibrator.apply(margin), margin


def test_every_snapshot_is_in_one_group_of_each_division(said) -> None:
    found = segments(*said)
    assert list(found) == ["month", "lead_age", "touches", "history"]
    for groups in found.values():
        assert sum(group["n"] for group in groups) == len(said[0])
        assert sum(group["n_positive"] for group in groups) == said[0].label.sum()


def test_cold_is_to_have_no_touch(said) -> None:
    found = segments(*said)
    (cold,) = [group for group in found["history"] if group["group"] == "cold"]
    (none,) = [group for group in found["touches"] if group["group"] == "none"]
    assert {**cold, "group": "none"} == none


def test_touches_equal_the_naive_count(said) -> None:
    rows = said[0].take(np.arange(0, len(said[0]), 40))
    found = n_touches(rows)
    for place, (lead, at) in enumerate(zip(rows.lead, rows.at, strict=True)):
        n_visible = 0
        for log in rows.data.logs.values():
            own = slice(log.offsets[lead], log.offsets[lead + 1])
            n_visible += int(((log.time[own] < at) & (log.known[own] < at)).sum())
        assert found[place] == n_visible


def test_acquaintance_parts_companies_that_were_seen_from_those_that_were_not(said) -> None:
    rows, probability, margin = said
    account = rows.data.leads.latest("account")
    earlier = rows.lead[:10]
    (groups,) = by_acquaintance(rows, probability, margin, earlier).values()
    seen = np.isin(account[rows.lead], account[earlier])
    assert {group["group"]: group["n"] for group in groups} == {
        "account never seen before": int((~seen).sum()), "account seen before": int(seen.sum())
    }  # fmt: skip


def test_a_list_without_times_has_no_segments() -> None:
    rows = ls.snapshots(builders.labelled(50))
    assert segments(rows, np.full(len(rows), 0.5), np.zeros(len(rows))) == {}
