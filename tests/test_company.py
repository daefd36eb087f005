"""Who belonged to which account, and for how long."""

from __future__ import annotations

from operator import itemgetter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

import leadscore as ls
from leadscore.company import AccountLog, Memberships, Totals
from leadscore.eventlog import EventLog
from leadscore.time import FOREVER, parse_instant
from tests import builders


def memberships(*versions: tuple[str, str, str | None]) -> list[tuple[str, str, int, int]]:
    """Memberships of (lead, known, account): (lead, account, from, until)."""
    project = builders.project({"leads.known": "known", "leads.account": "account", "leads.categorical": None})
    leads = pd.DataFrame(versions, columns=["lead_id", "known", "account"]).assign(created_at="2025-01-01", employees=1)
    nothing = {
        "touchpoints": pd.DataFrame(columns=["event_id", "lead_id", "occurred_at", "ingested_at", "channel", "cost"]),
        "outcome": pd.DataFrame(columns=["lead_id", "closed_at", "status"]),
    }
    data = ls.read(project, frames={"leads": leads} | {name: table.astype(object) for name, table in nothing.items()})
    found = Memberships.of(data.leads, "account")
    words = data.leads.roles["account"][1]
    rows = zip(found.lead, found.group, found.start.tolist(), found.end.tolist(), strict=True)
    return [(str(data.leads.ids[lead]), words[group], start, end) for lead, group, start, end in rows]


def day(n: int) -> int:
    return parse_instant(f"2025-01-{n:02d}", "UTC")


def test_versions_that_leave_the_account_as_it_was_are_one_membership():
    found = memberships(
        *(("a", f"2025-01-{n:02d}", "X") for n in range(1, 5)),
        ("a", "2025-01-05", "Y"),
        ("a", "2025-01-06", "X"),
        ("a", "2025-01-07", None),
        ("a", "2025-01-08", "X"),
        ("b", "2025-01-01", "X"),
    )
    assert found == [
        ("a", "X", day(1), day(5)),
        ("a", "Y", day(5), day(6)),
        ("a", "X", day(6), day(7)),
        ("a", "X", day(8), FOREVER),
        ("b", "X", day(1), FOREVER),
    ]


def test_of_versions_known_at_once_the_last_is_the_profile():
    assert memberships(("a", "2025-01-01", "X"), ("a", "2025-01-02", "A"), ("a", "2025-01-02", "X")) == [
        ("a", "X", day(1), FOREVER)
    ]


def test_nobody_belongs_anywhere_without_an_account():
    assert memberships(("a", "2025-01-01", None)) == []


def test_of_a_group_that_was_not_counted_there_is_nothing():
    counted = Totals(np.array([0, 2]), np.array([2, 5]), np.arange(5), np.ones(5, dtype=np.int64))
    taken = counted.take([1, -1, 0, 1])
    assert taken.first.tolist() == [2, 0, 0, 2]
    assert taken.end.tolist() == [5, 0, 2, 5]
    assert taken.at is counted.at
    assert counted.take([]).first.tolist() == []
    nothing = np.empty(0, dtype=np.int64)
    assert Totals(nothing, nothing, nothing, nothing).take([-1]).end.tolist() == [0]


VERSIONS = st.lists(st.lists(st.tuples(st.integers(1, 9), st.integers(-1, 3)), min_size=1, max_size=6), max_size=5)
"""Of each lead when a version became known, and the account that it names, −1 for none."""


def leads_of(versions: list[list[tuple[int, int]]]) -> Any:
    """Leads with these versions, as `Memberships` looks at them."""
    ordered = [sorted(of_lead, key=itemgetter(0)) for of_lead in versions]
    known, codes = np.array([version for of_lead in ordered for version in of_lead], dtype=np.int64).reshape(-1, 2).T
    return SimpleNamespace(
        ids=np.arange(len(ordered)),
        offsets=np.cumsum([0, *map(len, ordered)]),
        known=np.ascontiguousarray(known),
        roles={"account": (codes.astype(np.int32), ("A", "B", "C", "D"))},
    )


@settings(deadline=None)  # the first run compiles
@given(VERSIONS)
def test_at_every_instant_a_lead_belongs_where_its_latest_version_says(versions: list[list[tuple[int, int]]]):
    found = Memberships.of(leads_of(versions), "account")
    for at in range(12):
        there = (found.start < at) & (at <= found.end)
        expected = []
        for lead, of_lead in enumerate(versions):
            seen = [account for known, account in sorted(of_lead, key=itemgetter(0)) if known < at]
            expected += [(lead, seen[-1])] if seen and seen[-1] >= 0 else []
        assert list(zip(found.lead[there], found.group[there], strict=True)) == expected
    assert all(
        (lead, group, end) != (later, other, start)
        for lead, group, end, later, other, start in zip(
            found.lead, found.group, found.end, found.lead[1:], found.group[1:], found.start[1:], strict=False
        )
    ), "one that goes on is one"


@settings(deadline=None)  # the first run compiles
@given(VERSIONS, st.lists(st.integers(0, 3), min_size=5, max_size=5))
def test_an_account_has_the_events_of_all_who_were_ever_in_it_if_they_are_several(
    versions: list[list[tuple[int, int]]], n_events: list[int]
):
    leads = leads_of(versions)
    members = Memberships.of(leads, "account")
    in_account = [{int(lead) for lead in members.lead[members.group == group]} for group in range(4)]
    assert members.shared.tolist() == [k for k, group in enumerate(members.group) if len(in_account[group]) > 1]
    offsets = np.cumsum([0, *n_events[: len(versions)]])
    time = np.arange(offsets[-1])[::-1].copy()
    nothing = np.empty((0, len(time)))
    log = EventLog(offsets, time, time, nothing.astype(np.int32), nothing, ())
    found = AccountLog.of(log, members)
    for group in range(4):
        mine = slice(found.offsets[group], found.offsets[group + 1])
        owners = found.lead[found.members[mine]].tolist()
        expected = [
            (time[row], row, lead)
            for k in members.shared.tolist()
            if members.group[k] == group
            for lead in [int(members.lead[k])]
            for row in range(offsets[lead], offsets[lead + 1])
        ]
        assert sorted(zip(time[found.rows[mine]], found.rows[mine], owners, strict=True)) == sorted(expected)
        assert (np.diff(time[found.rows[mine]]) >= 0).all()
