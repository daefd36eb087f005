"""What the reports share: a number that opens its leads, and the facts below a headline."""

from __future__ import annotations

import pandas as pd

from leadscore import time
from leadscore.alignment.cohort import Cohort
from leadscore.evaluate.page import Behind

LISTED = "A number opens the list of its leads."


def leads_behind(leads: pd.DataFrame, title: str, file: str, text: str | None = None) -> Behind:
    """A number of leads that opens their list."""
    told = f"{len(leads):,}"
    title = f"{told} lead{'' if len(leads) == 1 else 's'} {title}"
    return Behind(told if text is None else text, title, leads["lead_id"].tolist(), file)


def facts(cohort: Cohort, n_immature: int | None) -> list[tuple[str, str]]:
    """Which leads a report is of, and as of when; `n_immature` of them are too young to judge."""
    timezone = cohort.data.project.timezone
    found = [
        ("Leads created", f"{time.format_instant(cohort.since)[:10]} to {time.format_instant(cohort.as_of)[:10]}"),
        ("As of", f"{time.format_instant(cohort.as_of)[:16].replace('T', ' ')} UTC"),
        ("Leads", f"{len(cohort):,}"),
        ("Still open", f"{int(cohort.open.sum()):,}"),
        ("Time zone", timezone),
    ]
    return found if n_immature is None else [*found, ("Too young to judge", f"{n_immature:,}")]


def number(value: float, form: str) -> str:
    """Return a number in a form, a dash for NaN."""
    return "–" if value != value else format(value, form)
