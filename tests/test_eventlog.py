"""Grouping long tables by parts, and short ones at once, is sorting by lead, time, known and content."""

from __future__ import annotations

import numpy as np
import pytest

from leadscore import eventlog
from leadscore.eventlog import EventLog


def columns(n_rows: int, n_leads: int, span: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    time = rng.integers(-span, span, n_rows)
    known = time + rng.integers(0, 3, n_rows)
    codes = rng.integers(-1, 4, (2, n_rows)).astype(np.int32)
    values = np.where(rng.random((1, n_rows)) < 0.1, np.nan, rng.integers(0, 3, (1, n_rows)).astype(np.float64))
    return rng.integers(0, n_leads, n_rows), time, known, codes, values


def sorted_by_content(lead, time, known, codes, values):
    order = np.lexsort([*values[::-1], *codes[::-1], known, time, lead])
    return lead[order], time[order], known[order], codes[:, order], values[:, order]


@pytest.mark.parametrize("long", [0, 1_000_000], ids=["parted", "at once"])
@pytest.mark.parametrize(
    ("n_rows", "n_leads", "span"),
    [(0, 3, 5), (1, 1, 1), (400, 300, 10), (5_000, 7, 50), (5_000, 1, 10**6), (3_000, 1_023, 4), (3_000, 1_025, 4),
     (20_000, 60_000, 10**9)],
)  # fmt: skip
def test_grouping_is_sorting(monkeypatch, long, n_rows, n_leads, span):
    monkeypatch.setattr(eventlog, "_LONG", long)
    given = columns(n_rows, n_leads, span)
    log = EventLog.group(*given, ((), ()), n_leads=n_leads)
    expected = sorted_by_content(*given)
    for found, there in zip((log.lead_of_rows(), log.time, log.known, log.codes, log.values), expected, strict=True):
        np.testing.assert_array_equal(found, there)
    assert log.codes.flags["C_CONTIGUOUS"]
    assert log.values.flags["C_CONTIGUOUS"]


def test_what_is_known_at_once_is_kept_once():
    lead, time, _, codes, values = columns(50, 5, 10)
    log = EventLog.group(lead, time, time, codes, values, ((), ()), n_leads=5)
    assert log.known is log.time


def test_rows_by_lead_keep_their_order():
    lead = np.array([3, -1, 0, 3, 2, 0, -1])
    assert eventlog.by_lead(lead, 4).tolist() == np.argsort(lead, kind="stable").tolist()
    assert eventlog.by_lead(np.empty(0, dtype=np.int64), 4).tolist() == []
