"""When things became known: before a lead was won or lost, with it, or after; and what was loaded in bulk long after.

Only histories can tell: versions of profiles (``[leads] known``) and the arrival of events (``known`` of a table).

========================= ============================================================================================
known_after_outcome       of the closed leads that ever have a value, half or more had the first one a day before the
                          win or loss at the earliest: **warning**, from a quarter **note**. Values there at creation
                          count as before. Versions keep this out of training; an export without them would not
backfilled_column         of the leads whose first value came a week or more after their creation (5 % of all at least)
                          half or more got it on one and the same day: **warning**
entered_after_win         rows dated before the win but known only from it on: 10 % of the rows of won leads, and three
                          times as often as beside losses (or where there are none): **warning**
backfilled_events         rows known a week or more after they happened (2 % of the table at least), half or more of
                          them on one and the same day: **warning**
========================= ============================================================================================

Thirty leads, or fifty rows, at least.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadscore.evaluate.check.findings import Finding, Series, Severity, percent, verb
from leadscore.evaluate.check.material import FEWEST, Material
from leadscore.eventlog import EventLog
from leadscore.project import EventsSpec
from leadscore.time import DAY, NEVER, Instants, Mask, format_instant

AROUND, AT_CREATION = DAY, 3_600_000_000
MOSTLY, OFTEN = 0.50, 0.25
LONG_AFTER, BULK = 7 * DAY, 0.50
MANY_LEADS, MANY_ROWS, FEWEST_ROWS = 0.05, 0.02, 50
ENTERED, TIMES_AS_OFTEN = 0.10, 3.0


@dataclass(frozen=True)
class FirstKnown:
    """Of the closed leads that ever have a value in a column: shares by when the first became known.

    `within` is a day before the win or loss to a day after it.
    """

    column: str
    n_leads: int
    before: float
    within: float
    after: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON holds them."""
        return asdict(self)


def first_known(material: Material) -> tuple[FirstKnown, ...]:
    """Compare each versioned column with the outcome; nothing where profiles carry no versions."""
    outcomes, created = material.data.outcomes, material.data.leads.created
    if not material.versioned or not material.project.timed:
        return ()
    closed_at = np.where(outcomes.won_at != NEVER, outcomes.won_at, outcomes.lost_at)
    rows = []
    for name, filled in _version_columns(material):
        since = _first_filled(filled, material)
        leads = (closed_at != NEVER) & (since != NEVER) & (created != NEVER)
        early = since[leads] <= np.maximum(created[leads] + AT_CREATION, closed_at[leads] - AROUND)
        late = ~early & (since[leads] > closed_at[leads] + AROUND)
        n = int(leads.sum())
        shares = (early.mean(), 1 - early.mean() - late.mean(), late.mean()) if n else (0.0, 0.0, 0.0)
        rows.append(FirstKnown(name, n, *(max(0.0, float(share)) for share in shares)))
    return tuple(rows)


def _version_columns(material: Material) -> list[tuple[str, Mask]]:
    """Every declared column, and which versions have a value in it."""
    leads, spec = material.data.leads, material.project.leads
    found = [(name, leads.codes[i] >= 0) for i, name in enumerate(spec.categorical)]
    found += [(name, ~np.isnan(leads.values[i])) for i, name in enumerate(spec.numeric)]
    named = {name for name, _ in found}
    roles = [(getattr(spec, role), codes >= 0) for role, (codes, _) in leads.roles.items()]
    return found + [(name, filled) for name, filled in roles if name not in named]


def _first_filled(filled: Mask, material: Material) -> Instants:
    """When each lead's first value became known, `NEVER` where it never has one; versions are in order."""
    leads = material.data.leads
    lead = np.repeat(np.arange(len(leads.ids)), np.diff(leads.offsets))[filled]
    since = np.full(len(leads.ids), NEVER, dtype=np.int64)
    since[lead[::-1]] = leads.known[filled][::-1]
    return since


def profiles(material: Material) -> list[Finding]:
    """Judge when values of profiles became known."""
    if not material.versioned or not material.project.timed:
        return []
    found = [finding for row in first_known(material) if (finding := _after_outcome(row)) is not None]
    created = material.data.leads.created
    for name, filled in _version_columns(material):
        since = _first_filled(filled, material)
        late = (since != NEVER) & (created != NEVER) & (since > created + LONG_AFTER)
        if late.sum() < max(FEWEST, MANY_LEADS * len(since)):
            continue
        day, share = _commonest_day(since[late])
        if share < BULK:
            continue
        evidence = (
            f"{verb(int(late.sum()), 'lead', 'leads')} got the first value a week or more after their creation, "
            f"{percent(share)} of these on {day}: filled in backwards, in bulk"
        )
        remedy = (
            f"Before {day} the model sees it empty for them, as it was. If the values were known to people when leads "
            "came in, date the versions so; else learn from the leads since"
        )
        found.append(Finding("warning", "backfilled_column", "leads", name, evidence, remedy))
    return found


def _after_outcome(row: FirstKnown) -> Finding | None:
    not_before = row.within + row.after
    if row.n_leads < FEWEST or not_before < OFTEN:
        return None
    evidence = (
        f"first known before the win or loss on {percent(row.before)}, within a day of it on {percent(row.within)}, "
        f"after it on {percent(row.after)} of {row.n_leads:,} closed leads that have a value"
    )
    remedy = (
        "Versions keep it out of what is learnt, as they should. Never export it without them, and don't expect it of "
        "an open lead; leaving it out loses nothing"
    )
    severity: Severity = "warning" if not_before >= MOSTLY else "note"
    series = Series(
        "bars", f"When {row.column} is first known, against the win or loss", ("before", "within a day", "after"),
        {"closed leads": (row.before, row.within, row.after)},
    )  # fmt: skip
    return Finding(severity, "known_after_outcome", "leads", row.column, evidence, remedy, series)


def events(material: Material) -> list[Finding]:
    """Judge when rows of event tables became known."""
    found: list[Finding] = []
    for spec in material.project.events:
        log = material.data.logs[spec.name]
        if spec.known is not None and log.n_events:
            found += [*_entered_after_win(spec, log, material), *_in_bulk(spec, log)]
    return found


def _entered_after_win(spec: EventsSpec, log: EventLog, material: Material) -> list[Finding]:
    """Rows that were dated back before a win once it was known."""
    lead, outcomes = log.lead_of_rows(), material.data.outcomes
    won, n_won = _dated_back(log, outcomes.won_at[lead])
    lost, n_lost = _dated_back(log, np.where(outcomes.won_at[lead] == NEVER, outcomes.lost_at[lead], NEVER))
    if won < ENTERED or n_won < FEWEST_ROWS or (n_lost >= FEWEST_ROWS and won < TIMES_AS_OFTEN * lost):
        return []
    beside = f", {percent(lost)} of those before a loss" if n_lost >= FEWEST_ROWS else ""
    evidence = (
        f"{percent(won)} of the rows that are dated before a win became known with it or later{beside}: entered "
        "backwards"
    )
    remedy = (
        f"known keeps them from the model. Keep it declared ([events.{spec.name}] known), and drop rows that are "
        "entered because of a win from the source"
    )
    return [Finding("warning", "entered_after_win", spec.name, spec.known, evidence, remedy)]


def _dated_back(log: EventLog, closed_at: Instants) -> tuple[float, int]:
    """Of the rows dated before the closing: the share known only from it on, and how many they are."""
    before = (closed_at != NEVER) & (log.time < closed_at)
    return (float((log.known[before] >= closed_at[before]).mean()) if before.any() else 0.0), int(before.sum())


def _in_bulk(spec: EventsSpec, log: EventLog) -> list[Finding]:
    late = log.known - log.time > LONG_AFTER
    if late.sum() < max(FEWEST_ROWS, MANY_ROWS * log.n_events):
        return []
    day, share = _commonest_day(log.known[late])
    if share < BULK:
        return []
    of_day = late & (log.known // DAY == np.datetime64(day, "D").astype(np.int64))
    first, last = (format_instant(int(at))[:10] for at in (log.time[of_day].min(), log.time[of_day].max()))
    evidence = (
        f"{verb(int(of_day.sum()), 'row', 'rows')} ({percent(of_day.mean())} of the table), dated {first} to {last}, "
        f"became known on {day} only: a back-filled stretch, which no earlier cutoff sees"
    )
    remedy = (
        f"If people knew of them at the time, mend {spec.known} of these rows, or learn from the time after: "
        f'[task] observed_from = "{last}"'
    )
    return [Finding("warning", "backfilled_events", spec.name, spec.known, evidence, remedy)]


def _commonest_day(instants: Instants) -> tuple[str, float]:
    days: NDArray[np.int64]
    days, counts = np.unique(instants // DAY, return_counts=True)
    place = int(np.argmax(counts))
    return format_instant(int(days[place]) * DAY)[:10], float(counts[place] / counts.sum())
