"""Where leads leak: how far each came from its creation to a win, month by month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadscore.alignment.cohort import Cohort
from leadscore.alignment.handover import Handovers
from leadscore.alignment.shrinking import shrunk
from leadscore.direction import INBOUND, OUTBOUND
from leadscore.time import FOREVER, Mask

STAGES = {
    "lead": "was created",
    "touched": "marketing touched it",
    "qualified": "its grade reached {grade}",
    "worked": "sales got in touch",
    "answered": "it answered sales",
    "won": "it was won",
}
"""The stages in order, and when a lead is in one; `{grade}` is the one agreed, or `QUALIFIED`."""
LOST = {
    "lead": "before anything had happened",
    "touched": "after marketing had touched them",
    "qualified": "once they were qualified",
    "worked": "after sales had got in touch",
    "answered": "after they had answered",
}
"""When leads were lost that came no further than a stage."""


@dataclass(frozen=True)
class Funnel:
    """How many leads came how far.

    Attributes
    ----------
    table : a row per stage
    months : a row per month of creation and stage
    leads : a row per lead of the cohort, behind every number above: its month, its furthest stage, the stages before
        that it skipped, and its state
    names : the stages of this project, in order
    """

    table: pd.DataFrame
    months: pd.DataFrame
    leads: pd.DataFrame
    names: tuple[str, ...]


def funnel(cohort: Cohort, handed: Handovers | None = None) -> Funnel:
    """Follow every lead of a cohort to its furthest stage; whoever reached a stage counts in all before it as well.

    Columns of the table: **stage**; **leads** that came so far or further; **skipped**, those of them that were never
    in the stage itself (of the qualified all others were handed over); **of_before**, their share of the stage
    before, with its interval (shrunken, as months are alike); **stopped**, the leads that came no further, of which
    **lost** ones leaked here and **open** ones may still go on.

    Parameters
    ----------
    handed : when leads were qualified; without it that stage is left out
    """
    reached = _reached(cohort, handed)
    names = tuple(reached)
    furthest = np.zeros(len(cohort), dtype=np.int64)
    for position, name in enumerate(names):
        furthest[reached[name]] = position
    month = cohort.months()
    months = [_counts(cohort, furthest, reached, month == each).assign(month=str(each)) for each in np.unique(month)]
    by_month = pd.concat(months, ignore_index=True) if months else pd.DataFrame(columns=["month", "stage"])
    leads = pd.DataFrame(
        {
            "lead_id": cohort.data.leads.ids[cohort.lead],
            "month": month.astype(str),
            "stage": np.array(names, dtype=object)[furthest],
            "skipped": _skipped(furthest, reached),
            "state": cohort.state,
        }
    )
    return Funnel(_counts(cohort, furthest, reached, np.ones(len(cohort), dtype=bool)), _first(by_month), leads, names)


def _first(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[["month", *(name for name in frame.columns if name != "month")]]


def _reached(cohort: Cohort, handed: Handovers | None) -> Mapping[str, Mask]:
    """Which leads were in each stage, of those that the project can tell."""
    marketing = [name for name in cohort.data.logs if name not in cohort.sales_tables]
    found = {"lead": np.ones(len(cohort), dtype=bool)}
    if marketing:
        found["touched"] = np.zeros(len(cohort), dtype=bool)
        for name in marketing:
            found["touched"][cohort.rows(name)[1]] = True
    if handed is not None:
        found["qualified"] = np.isin(cohort.lead, handed.lead[handed.at < cohort.as_of])
    if cohort.sales_tables:
        first = cohort.first_contact(OUTBOUND, cohort.created)
        found["worked"] = first < FOREVER
        found["answered"] = cohort.first_contact(INBOUND, first) < FOREVER
    return {**found, "won": cohort.won}


def _skipped(furthest: NDArray[np.int64], reached: Mapping[str, Mask]) -> list[str]:
    """The stages before each lead's furthest in which it never was, with a blank between."""
    passed = [
        np.where((furthest > position) & ~there, f"{name} ", "")
        for position, (name, there) in enumerate(reached.items())
    ]
    return ["".join(of_lead).rstrip() for of_lead in zip(*passed, strict=True)]


def _counts(cohort: Cohort, furthest: NDArray[np.int64], reached: Mapping[str, Mask], of: Mask) -> pd.DataFrame:
    positions = np.arange(len(reached))
    leads = np.array([int((of & (furthest >= position)).sum()) for position in positions])
    before = np.concatenate([leads[:1], leads[:-1]])
    share = shrunk(leads[1:], before[1:])
    stopped = {
        state: [int((of & (furthest == position) & mask).sum()) for position in positions]
        for state, mask in (("stopped", ~cohort.won), ("lost", cohort.lost), ("open", cohort.open))
    }
    return pd.DataFrame(
        {
            "stage": [*reached],
            "leads": leads,
            "skipped": [int((of & (furthest > p) & ~there).sum()) for p, there in enumerate(reached.values())],
            "of_before": np.append(np.nan, leads[1:] / np.where(before[1:] > 0, before[1:], np.nan)),
            "of_before_low": np.append(np.nan, share.low),
            "of_before_high": np.append(np.nan, share.high),
            **stopped,
        }
    )
