"""Events over time: where a table starts, stops, breaks or jumps, when its rows became known, and which repeat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from leadscore.evaluate.check.findings import Finding, Series, percent, verb
from leadscore.evaluate.check.material import Material
from leadscore.evaluate.check.periods import Periods, core, empty_periods, largest_jump
from leadscore.eventlog import EventLog
from leadscore.project import EventsSpec
from leadscore.time import DAY, NEVER, format_instant, local_days_and_microseconds

STARTS_LATE = 0.10
ENDS_EARLY = 50.0
LATE, MANY_LATE = DAY, 0.05
BULK = 0.25
MANY_AHEAD = 0.01
MANY_REPEATS = 0.05
NO_EVENTS = 0.5


def events(material: Material) -> list[Finding]:
    """Judge every event table over time."""
    found: list[Finding] = []
    for spec in material.project.events:
        log = material.data.logs[spec.name]
        if log.n_events == 0:
            remedy = f"Check source and lead in [events.{spec.name}]"
            found.append(Finding("warning", "no_events", spec.name, None, "no row belongs to a lead", remedy))
            continue
        found += [*_span(spec, log, material), *_breaks(spec, log), *_arrival(spec, log), *_repeats(spec, log)]
        found += [*_leads_without(spec, log, material), *_dates_only(spec, log, material)]
    return found


def _span(spec: EventsSpec, log: EventLog, material: Material) -> list[Finding]:
    """Leads that came and went before the first event, and a stretch without events at the end."""
    span = core(log.time)
    assert span is not None
    found = []
    created = material.data.leads.created
    known = created != NEVER
    early = (created < span[0] - DAY)[known].mean() if known.any() else 0.0
    if early > STARTS_LATE:
        day = format_instant(span[0])[:10]
        evidence = f"{percent(early)} of the leads were created before the table begins, on {day}"
        remedy = f'Add the earlier rows, or learn from the time that has both: [task] observed_from = "{day}"'
        found.append(Finding("warning", "starts_late", spec.name, spec.time, evidence, remedy))
    times = np.sort(log.time)
    quarter = times[len(times) * 3 // 4 :]
    gap = material.data.observed_until - span[1]
    expected = gap * len(quarter) / max(DAY, int(span[1] - quarter[0]))
    if gap > 14 * DAY and expected > ENDS_EARLY:
        evidence = f"its last rows are of {format_instant(span[1])[:10]}, {gap / DAY:.0f} days before observation ends"
        remedy = "Add the later rows: until then every lead seems to have fallen silent"
        found.append(Finding("warning", "ends_early", spec.name, spec.time, evidence, remedy))
    return found


def _breaks(spec: EventsSpec, log: EventLog) -> list[Finding]:
    span = core(log.time)
    assert span is not None
    periods = Periods.over(*span)
    counts = periods.count(log.time)
    found = []
    empty = empty_periods(counts)
    if len(empty):
        evidence = f"no row in {verb(len(empty), periods.unit, periods.unit + 's')} from {periods.starts[empty[0]]}"
        remedy = "Add the rows that are missing, or start after the gap with [task] observed_from"
        series = _rows_over_time(spec, periods, counts, int(empty[0]))
        found.append(Finding("warning", "gap_in_events", spec.name, spec.time, evidence, remedy, series))
    jump = largest_jump(counts)
    if jump is not None:
        place, before, after = jump
        evidence = (
            f"from about {before:,.0f} rows a {periods.unit} to about {after:,.0f}, in {periods.starts[place]}: "
            "counts before and after don't mean the same"
        )
        remedy = f'If recording changed then: [task] observed_from = "{_day(periods.starts[place])}"'
        series = _rows_over_time(spec, periods, counts, place)
        found.append(Finding("warning", "jump_in_events", spec.name, spec.time, evidence, remedy, series))
    return found


def _rows_over_time(spec: EventsSpec, periods: Periods, counts: NDArray[np.int64], mark: int) -> Series:
    title, values = f"Rows of {spec.name}, by {periods.unit}", tuple(float(count) for count in counts)
    return Series("lines", title, periods.starts, {"rows": values}, share=False, mark=mark)


def _day(start: str) -> str:
    return start if len(start) == 10 else f"{start}-01"


def _arrival(spec: EventsSpec, log: EventLog) -> list[Finding]:
    """When rows became known: late, ahead of themselves, or all at once."""
    if spec.known is None:
        return []
    found = []
    late = (log.known - log.time > LATE).mean()
    if late > MANY_LATE:
        days = np.quantile(log.known - log.time, 0.95) / DAY
        evidence = (
            f"{percent(late)} of the rows became known more than a day after they happened, 5 % after {days:.1f} days"
        )
        remedy = "Nothing to mend: they count from when they were known. Faster loading would show in the scores"
        found.append(Finding("note", "known_late", spec.name, spec.known, evidence, remedy))
    ahead = (log.known < log.time).mean()
    if ahead > 0:
        evidence = f"{percent(ahead)} of the rows were known before they happened"
        remedy = f"Planned events or clocks that differ: check time and known in [events.{spec.name}]"
        severity = "warning" if ahead > MANY_AHEAD else "note"
        found.append(
            Finding(
                "warning" if severity == "warning" else "note", "known_ahead", spec.name, spec.known, evidence, remedy
            )
        )
    _, counts = np.unique(log.known, return_counts=True)
    share = counts.max() / log.n_events
    if share > BULK and log.n_events >= 100:
        evidence = (
            f"{percent(share)} of the rows became known at one instant: a bulk load, before which no cutoff sees them"
        )
        remedy = f"If the rows were known to people at the time, remove known from [events.{spec.name}]"
        found.append(Finding("warning", "bulk_load", spec.name, spec.known, evidence, remedy))
    return found


def _repeats(spec: EventsSpec, log: EventLog) -> list[Finding]:
    """Rows alike in all that the project reads; equal rows stand side by side in a log."""
    if spec.id is not None or log.n_events < 2:
        return []
    lead = log.lead_of_rows()
    same = (lead[1:] == lead[:-1]) & (log.time[1:] == log.time[:-1]) & (log.known[1:] == log.known[:-1])
    for codes in log.codes:
        same &= codes[1:] == codes[:-1]
    for values in log.values:
        same &= (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
    n_same = int(same.sum())
    if n_same == 0:
        return []
    share = n_same / log.n_events
    evidence = f"{verb(n_same, 'row repeats', 'rows repeat')} another in every declared column ({percent(share)})"
    remedy = f'If they are deliveries of one event, name its id: [events.{spec.name}] id = "…"'
    return [
        Finding("warning" if share > MANY_REPEATS else "note", "repeated_events", spec.name, None, evidence, remedy)
    ]


def _leads_without(spec: EventsSpec, log: EventLog, material: Material) -> list[Finding]:
    without = (np.diff(log.offsets) == 0).mean()
    if without <= NO_EVENTS:
        return []
    evidence = f"{percent(without)} of the leads have no row in it"
    remedy = f"Check that lead in [events.{spec.name}] holds the ids of [leads], if that surprises you"
    return [Finding("note", "leads_without_events", spec.name, spec.lead, evidence, remedy)]


def _dates_only(spec: EventsSpec, log: EventLog, material: Material) -> list[Finding]:
    """Events dated at midnight stand before a win of the same day, whatever really came first."""
    won_at = material.data.outcomes.won_at
    won_at = won_at[won_at != NEVER]
    timezone = material.project.timezone
    _, event_clock = local_days_and_microseconds(log.time, timezone)
    _, win_clock = local_days_and_microseconds(won_at, timezone)
    if event_clock.any() or not win_clock.any():
        return []
    evidence = "its rows have dates without times, wins have times: a row of the day of a win counts as before it"
    remedy = f"Export times, or declare when rows were loaded: [events.{spec.name}] known"
    return [Finding("warning", "dates_without_times", spec.name, spec.time, evidence, remedy)]
