"""What marketing and sales promised each other in ``[sla]``, and what came of it, week by week.

A lead is handed over at the first moment that its score reaches the agreed grade (`leadscore.alignment.handover`), and
everything that sales owes is counted from there. What isn't due yet is pending, never missed.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadscore import time
from leadscore.alignment.cohort import Cohort
from leadscore.alignment.handover import AT_ONCE, Handovers
from leadscore.alignment.promise import judged, wins
from leadscore.direction import INBOUND, OUTBOUND
from leadscore.errors import ProjectError
from leadscore.sla import EVERYWHERE, Sla
from leadscore.time import FOREVER, Instants, Mask

KEPT, MISSED, PENDING, WAIVED = "kept", "missed", "pending", "waived"
"""What became of a promise; waived is one that fell away: the lead was closed, or answered, before it was due."""
STATES = {promise: f"{promise}_state" for promise in ("response", "attempts", "verdict")}
"""The promises of sales, and the column of `Agreement.leads` that says what became of each."""
_HOUR = 3_600_000_000
_NO_AGREEMENT = """\
leadscore.toml has no [sla]. Add one, as in:

[sla]
qualified = "A"
leads = 40
respond = { A = "4h" }"""


@dataclass(frozen=True)
class Verdicts:
    """What sellers said of leads: int64 lead positions, instants, and whether they accepted.

    The first verdict on a lead is the one that was owed; the last one counts.
    """

    lead: NDArray[np.int64]
    at: Instants
    accepted: Mask


@dataclass(frozen=True)
class Agreement:
    """The promises of both sides as tables.

    Attributes
    ----------
    marketing : a row per week and origin: leads promised, delivered and missing; the last week may be unfinished
    sales : a row per week of handover, grade and promise: how many were due, kept, missed, pending and waived
    speed : a row per grade: hours from what happened to the handover (the system) and from there to sales (people)
    wins : a row per grade and one of all: wins found and expected of those handed over a horizon ago or longer
    leads : a row per lead that was handed over, behind every number above. Of each promise of sales there is what was
        found and, in a column ``…_state``, what became of it (kept, missed, pending, waived; null where nothing was
        owed): ``first_response`` (an instant, null for none) and ``response_state``; ``n_attempts`` within the time for
        them and ``attempts_state``; ``verdict`` (the last one, accepted or rejected, null for none) and
        ``verdict_state``. ``state`` is that of the lead: won, lost or open
    """

    marketing: pd.DataFrame
    sales: pd.DataFrame
    speed: pd.DataFrame
    wins: pd.DataFrame
    leads: pd.DataFrame


def agreement(cohort: Cohort, handed: Handovers, verdicts: Verdicts | None = None) -> Agreement:
    """Hold what happened against what was promised, for the leads of a cohort that were handed over.

    Raises
    ------
    ProjectError
        If the project has no ``[sla]``.
    """
    sla = cohort.data.project.sla
    if sla.qualified is None:
        raise ProjectError(_NO_AGREEMENT)
    leads = _leads(cohort, handed, sla, verdicts)
    return Agreement(_marketing(cohort, leads, sla), _sales(leads, sla, verdicts), _speed(leads), wins(leads), leads)


def _leads(cohort: Cohort, handed: Handovers, sla: Sla, verdicts: Verdicts | None) -> pd.DataFrame:
    """One row per handed-over lead of the cohort."""
    mine = np.isin(handed.lead, cohort.lead) & (handed.at < cohort.as_of)
    place = np.searchsorted(cohort.lead, handed.lead[mine])
    at, grade = handed.at[mine], handed.grade[mine]
    handed_at = np.full(len(cohort), FOREVER, dtype=np.int64)
    handed_at[place] = at
    closed = np.minimum(cohort.won_at, cohort.lost_at)[place]
    response = cohort.first_contact(OUTBOUND, handed_at)[place]
    answer = cohort.first_contact(INBOUND, handed_at)[place]
    data = cohort.data
    words = {role: np.array([*vocabulary, None], dtype=object) for role, (_, vocabulary) in data.leads.roles.items()}
    roles = {role: found[data.leads.latest(role)[cohort.lead[place]]] for role, found in words.items()}
    frame = pd.DataFrame(
        {
            "lead_id": data.leads.ids[cohort.lead[place]],
            "origin": roles.get("origin", np.full(len(place), None, dtype=object)),
            "owner": roles.get("owner", np.full(len(place), None, dtype=object)),
            "grade": grade,
            "week": cohort.weeks(at).astype(str),
            "handed_over": _utc(at),
            "system_hours": (at - AT_ONCE - handed.caused_at[mine]) / _HOUR,
            "first_response": _utc(response),
            "human_hours": np.where(response < FOREVER, (response - at) / _HOUR, np.nan),
            "answered": _utc(answer),
            "closed": _utc(closed),
            "state": cohort.state[place],
        }
    )
    due = at + np.array([sla.respond.get(one, 0) for one in grade], dtype=np.int64)
    owed = np.array([one in sla.respond for one in grade], dtype=bool)
    frame["response_state"] = _state(owed, response <= due, closed <= due, due, cohort.as_of)
    frame["n_attempts"] = _attempts(cohort, place, at, at + sla.within)
    due = at + sla.within
    wanted = np.array([sla.attempts.get(one, 0) for one in grade], dtype=np.int64)
    ended = np.minimum(closed, answer) <= due
    frame["attempts_state"] = _state(wanted > 0, frame["n_attempts"].to_numpy() >= wanted, ended, due, cohort.as_of)
    said, accepted = _said(cohort, verdicts)
    frame["verdict"] = [
        None if when == FOREVER else "accepted" if yes else "rejected"
        for when, yes in zip(said[place].tolist(), accepted[place].tolist(), strict=True)
    ]
    due = at + (sla.verdict or 0)
    owed = np.full(len(at), sla.verdict is not None and verdicts is not None)
    frame["verdict_state"] = _state(owed, said[place] <= due, closed <= due, due, cohort.as_of)
    frame["probability"] = handed.probability[mine]
    return frame.join(judged(cohort, place, at))


def _state(owed: Mask, kept: Mask, ended: Mask, due: Instants, as_of: int) -> NDArray[np.object_]:
    """What became of a promise to each lead; None where nothing was promised."""
    state = np.where(kept, KEPT, np.where(ended, WAIVED, np.where(due >= as_of, PENDING, MISSED))).astype(object)
    state[~owed] = None
    return state


def _attempts(cohort: Cohort, place: NDArray[np.int64], start: Instants, end: Instants) -> NDArray[np.int64]:
    """How often sales tried to reach each lead in ``[start, end)``."""
    lead, at = cohort.contacts(OUTBOUND)
    begin, stop = np.full((2, len(cohort)), FOREVER, dtype=np.int64)
    begin[place], stop[place] = start, end
    tried = (at >= begin[lead]) & (at < stop[lead])
    return np.bincount(lead[tried], minlength=len(cohort))[place]


def _said(cohort: Cohort, verdicts: Verdicts | None) -> tuple[Instants, Mask]:
    """When each lead of the cohort got its first verdict (`FOREVER`: none), and whether its last one accepted it."""
    said, accepted = np.full(len(cohort), FOREVER, dtype=np.int64), np.zeros(len(cohort), dtype=bool)
    if verdicts is not None:
        known = np.flatnonzero((verdicts.at < cohort.as_of) & np.isin(verdicts.lead, cohort.lead))
        order = known[np.argsort(verdicts.at[known], kind="stable")]
        place = np.searchsorted(cohort.lead, verdicts.lead[order])
        accepted[place] = verdicts.accepted[order]
        np.minimum.at(said, place, verdicts.at[order])
    return said, accepted


def _marketing(cohort: Cohort, leads: pd.DataFrame, sla: Sla) -> pd.DataFrame:
    """Qualified leads by week and origin, beside an even share of what was promised for the month."""
    edges = cohort.weeks(np.array([cohort.since, max(cohort.since, cohort.as_of - 1)]))
    weeks = np.arange(edges[0], edges[1] + 1, 7)
    rows = []
    for origin, quota in sla.leads.items():
        mine = leads if origin == EVERYWHERE else leads[leads["origin"] == origin]
        delivered = mine.groupby("week").size()
        for week in weeks:
            promised, got = _share_of_week(quota, week, cohort), int(delivered.get(str(week), 0))
            unfinished = bool(_end_of(week, cohort) > cohort.as_of)
            rows.append((str(week), origin, promised, got, max(0.0, promised - got), unfinished))
    return pd.DataFrame(rows, columns=["week", "origin", "promised", "delivered", "missing", "unfinished"])


def _share_of_week(quota: int, week: np.datetime64, cohort: Cohort) -> float:
    """What a monthly quota makes for the days of a week that a report covers: every day of a month owes the same."""
    first, last = time.local_days_and_microseconds(
        np.array([cohort.since, max(cohort.since, cohort.as_of - 1)]), cohort.data.project.timezone
    )[0].view("M8[D]")
    days = [day for day in np.arange(week, week + 7) if first <= day <= last]
    return sum(quota / calendar.monthrange(day.year, day.month)[1] for day in (each.item() for each in days))


def _end_of(week: np.datetime64, cohort: Cohort) -> int:
    return time.parse_instant(str(week + 7), cohort.data.project.timezone)


def _sales(leads: pd.DataFrame, sla: Sla, verdicts: Verdicts | None) -> pd.DataFrame:
    made = {"response": bool(sla.respond), "attempts": bool(sla.attempts),
            "verdict": sla.verdict is not None and verdicts is not None}  # fmt: skip
    rows = []
    for promise, column in STATES.items():
        if not made[promise]:
            continue
        for (week, grade), group in leads[leads[column].notna()].groupby(["week", "grade"]):
            counts = group[column].value_counts()
            states = [int(counts.get(state, 0)) for state in (KEPT, MISSED, PENDING, WAIVED)]
            rows.append((week, grade, promise, len(group), *states))
    frame = pd.DataFrame(rows, columns=["week", "grade", "promise", "leads", KEPT, MISSED, PENDING, WAIVED])
    return frame.sort_values(["promise", "week", "grade"], kind="stable").reset_index(drop=True)


def _speed(leads: pd.DataFrame) -> pd.DataFrame:
    """Hours until the system knew, and until a person acted: medians and the slowest tenth, by grade."""
    rows = []
    for grade, group in leads.groupby("grade"):
        system, human = group["system_hours"].to_numpy(), group["human_hours"].dropna().to_numpy()
        spread = [np.quantile(hours, [0.5, 0.9]).tolist() if len(hours) else [np.nan] * 2 for hours in (system, human)]
        rows.append((grade, len(group), len(human), *spread[0], *spread[1]))
    columns = ["grade", "leads", "responded", "system_half", "system_tenth", "human_half", "human_tenth"]
    return pd.DataFrame(rows, columns=columns)


def _utc(at: Instants) -> pd.DatetimeIndex:
    """Instants as timestamps, NaT for never."""
    return pd.DatetimeIndex(np.where(at >= FOREVER, np.iinfo(np.int64).min, at).view("M8[us]")).tz_localize("UTC")
