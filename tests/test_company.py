"""Who belonged to which account, and for how long."""

from __future__ import annotations

import numpy as np
import pandas as pd

import leadscore as ls
from leadscore.company import Memberships, Totals
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
