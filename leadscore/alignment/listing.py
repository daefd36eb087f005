"""What the reports share: a number that opens its leads, and the facts below a headline."""

from __future__ import annotations

import numpy as np
import pandas as pd

from leadscore import time
from leadscore.alignment.cohort import Cohort
from leadscore.evaluate.page import Behind
from leadscore.phrases.catalogue import ENGLISH, catalogue
from leadscore.silence import day_of
from leadscore.sla import QUALIFIED
from leadscore.snapshots import open_leads

LISTED = "A number opens the list of its leads."
NEARLY_ALL = 0.95
"""Share of the leads that are qualified at some time from which on the agreed grade separates nothing."""
FEW_LEADS = 20
"""Of fewer nothing is said of that."""


def leads_behind(leads: pd.DataFrame, title: str, file: str, text: str | None = None) -> Behind:
    """A number of leads that opens their list; the title says which, in words that fit one lead and many."""
    told = f"{len(leads):,}"
    title = f"{told} lead{'' if len(leads) == 1 else 's'} {title}"
    return Behind(told if text is None else text, title, leads["lead_id"].tolist(), file)


def facts(cohort: Cohort, *counts: tuple[str, int]) -> list[tuple[str, str]]:
    """Which leads a report is of, as of when, how many are what its `counts` name, and how many are open."""
    timezone = cohort.data.project.timezone
    found = [
        ("Leads created", f"{time.format_instant(cohort.since)[:10]} to {time.format_instant(cohort.as_of)[:10]}"),
        ("As of", f"{time.format_instant(cohort.as_of)[:16].replace('T', ' ')} UTC"),
        ("Leads", f"{len(cohort):,}"),
        ("Time zone", timezone),
    ]
    return [*found, *((name, f"{n:,}") for name, n in counts), ("Still open", _still_open(cohort))]


def _still_open(cohort: Cohort) -> str:
    """How many leads of a report are open, and what makes the difference with the list of all open leads."""
    told = f"{int(cohort.open.sum()):,}"
    listed = open_leads(cohort.data, cohort.as_of).lead
    n_others = int((~np.isin(listed, cohort.lead)).sum())
    n_closed = int((~np.isin(cohort.lead[cohort.open], listed)).sum())
    parts = [
        f"with {n_others:,} created before {time.format_instant(cohort.since)[:10]}" if n_others else "",
        f"without {n_closed:,} whose end was recorded later" if n_closed else "",
    ]
    why = " and ".join(part for part in parts if part)
    return f"{told} (all open leads: {len(listed):,}, {why})" if why else told


def notice(cohort: Cohort, n_handed: int = 0) -> str:
    """What to know before any number is read: that events have stopped, that nearly all leads were handed over."""
    told = (_stale(cohort), _separates_nothing(cohort, n_handed))
    return " ".join(one for one in told if one)


def _stale(cohort: Cohort) -> str:
    """Say that there was no event for longer than usual, and of which day the numbers are; nothing while there are."""
    silence = cohort.pulse.silence(cohort.as_of)
    if silence is None:
        return ""
    _, ago = catalogue(ENGLISH).duration(silence / time.DAY)
    day = day_of(cohort.pulse.last, cohort.data.project.timezone)
    return f"No events are known from the last {ago}: the numbers are those of {day}."


def _separates_nothing(cohort: Cohort, n_handed: int) -> str:
    """Say that `NEARLY_ALL` leads or more were handed over, and what to do about it; nothing where they were not."""
    if len(cohort) < FEW_LEADS or n_handed < NEARLY_ALL * len(cohort):
        return ""
    project = cohort.data.project
    grade = project.sla.qualified or QUALIFIED
    best = next(iter(project.grades))
    remedy = "Choose a higher grade in [sla] qualified." if grade != best else "Raise its floor in [grades]."
    share = f"{100 * n_handed / len(cohort):.1f} %"
    return f"Grade {grade} lets {share} of leads through: it separates nothing. {remedy}"


def number(value: float, form: str) -> str:
    """Return a number in a form, a dash for NaN."""
    return "–" if value != value else format(value, form)
