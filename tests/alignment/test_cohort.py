"""Who spoke first, of leads whose calls say whether they were answered."""

from __future__ import annotations

import pandas as pd

import leadscore as ls
from leadscore import time
from leadscore.alignment import Cohort
from leadscore.direction import INBOUND, OUTBOUND
from leadscore.reading import read
from tests.alignment.conftest import LEADS, OUTCOMES, PROJECT

CALLS = [
    ("L2", "2026-01-08T10:00:00Z", "outbound", None),
    ("L3", "2026-01-07T10:00:00Z", "outbound", "no_answer"),
    ("L3", "2026-01-08T10:00:00Z", "outbound", "reached"),
    ("L4", "2026-01-13T10:00:00Z", "inbound", "connected"),
]


def test_a_call_that_was_answered_is_a_contact_of_both() -> None:
    calls = PROJECT["events"]["calls"] | {"categorical": ["direction", "outcome"]}
    project = ls.Project.from_dict(PROJECT | {"events": {"calls": calls}, "reasons": {}})
    frames = {
        "leads": pd.DataFrame(LEADS, columns=["lead_id", "created_at", "source", "rep"]),
        "calls": pd.DataFrame(CALLS, columns=["lead_id", "at", "direction", "outcome"]),
        "outcome": pd.DataFrame(OUTCOMES, columns=["lead_id", "at", "status"]),
    }
    cohort = Cohort.of(read(project, frames=frames), as_of=time.parse_instant("2026-03-01T00:00:00Z", "UTC"))
    ours, theirs = (cohort.first_contact(side, cohort.created).tolist() for side in (OUTBOUND, INBOUND))
    assert [ours[0], theirs[0], theirs[1]] == [time.FOREVER] * 3
    assert [time.format_instant(at)[:10] for at in ours[1:4]] == ["2026-01-08", "2026-01-07", "2026-01-13"]
    assert [time.format_instant(at)[:10] for at in theirs[2:4]] == ["2026-01-08", "2026-01-13"]
    assert len(cohort.contacts(OUTBOUND)[0]) == 3, "a call of theirs that was answered is no attempt of ours"
