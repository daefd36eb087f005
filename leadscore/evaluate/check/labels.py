"""The label: which states count as won, since when and until when wins were recorded, and whether there are enough."""

from __future__ import annotations

import re

import numpy as np
import pyarrow.compute as pc

from leadscore import columns
from leadscore.evaluate.check.findings import Finding, Series, percent, quoted, setting
from leadscore.evaluate.check.material import FEWEST, Material
from leadscore.evaluate.check.periods import core
from leadscore.snapshots import split
from leadscore.sources import header, read_rows
from leadscore.time import DAY, NEVER, Instants, format_instant

FEWEST_EXPECTED = 10.0
"""Wins that should be there, from which their absence is no chance."""
FUTURE_GAP, FUTURE_SHARE = 0.10, 0.001
MANY_IMMATURE = 0.5
MANY_AT_CREATION = 0.05
DRIFT, FEWEST_PER_COHORT = 3.0, 100
_SOUNDS_WON = re.compile(r"\b(won|win|convert|converted|activated|paid|signed|sold|customer|success|purchased)\b", re.I)
_SOUNDS_NOT = re.compile(r"\b(not|non|no|never|un\w+|lost)\b", re.I)


def statuses(material: Material) -> list[Finding]:
    """States that are neither won nor lost: those that sound like a win, those that are dated, and the rest."""
    spec, project = material.project.outcome, material.project
    if spec.column is None:
        return []
    wanted = [spec.column] if spec.time is None else [spec.column, spec.time]
    table = read_rows(spec.source, project.folder, wanted, where="outcome").table
    status = columns.text_column(table[spec.column])
    dated = np.ones(len(status), dtype=bool)
    if spec.time is not None:
        dated = columns.text_column(table[spec.time]).is_valid().to_numpy(zero_copy_only=False)
    found: list[Finding] = []
    rest: list[str] = []
    for value in sorted(item for item in pc.unique(status).to_pylist() if item is not None):
        if value in spec.won or value in spec.lost:
            continue
        rows = pc.equal(status, value).fill_null(False).to_numpy(zero_copy_only=False)
        if _SOUNDS_WON.search(value.replace("_", " ")) and not _SOUNDS_NOT.search(value.replace("_", " ")):
            found.append(_sounds_won(material, value, int(rows.sum())))
        elif spec.time is not None:
            rest.append(f"{quoted(value)} ({rows.sum():,} rows, {(rows & dated).sum():,} with a time)")
    if rest:
        shown = ", ".join(rest[:6]) + (", …" if len(rest) > 6 else "")
        remedy = "Right for states of open leads. A state that ends a lead belongs under won or lost of [outcome]"
        found.append(Finding("note", "other_states", "outcome", spec.column, f"neither won nor lost: {shown}", remedy))
    return found


def _sounds_won(material: Material, value: str, n_rows: int) -> Finding:
    spec = material.project.outcome
    evidence = f"{n_rows:,} rows say {quoted(value)}, which is not among won and counts as no win"
    remedy = f"If it is a win: {setting('outcome', 'won', [*spec.won, value])}"
    return Finding("warning", "state_sounds_won", "outcome", spec.column, evidence, remedy)


def outcome_only_columns(material: Material) -> list[Finding]:
    """Columns of a separate outcome table, which only leads that closed can have."""
    spec, project = material.project.outcome, material.project
    if spec.source == project.leads.source:
        return []
    named = {spec.lead, spec.time, spec.column, spec.known}
    others = [name for name in header(spec.source, project.folder, where="outcome") if name and name not in named]
    if not others:
        return []
    n_with = int((material.groups.won | material.groups.lost).sum())
    shown = ", ".join(map(quoted, others[:6])) + (", …" if len(others) > 6 else "")
    evidence = (
        f"{len(others)} more columns ({shown}) stand in the outcome's table, which names "
        f"{n_with:,} of {len(material.groups.won):,} leads"
    )
    remedy = "Never join them to [leads]: to have a value there is to have an outcome"
    return [Finding("note", "outcome_only_columns", "outcome", None, evidence, remedy)]


def observation(material: Material) -> list[Finding]:
    """Whether wins were recorded as long as leads were, at both ends."""
    if not material.project.timed:
        evidence = (
            "outcomes have no time: whether a column was known before the outcome can't be checked, nor can drift"
        )
        remedy = 'Export when leads came in and closed: [leads] created = "…", [outcome] time = "…"'
        return [Finding("warning", "no_times", "outcome", None, evidence, remedy)]
    return [*_wins_start_late(material), *_wins_end_early(material), *_outlying(material)]


def _wins_start_late(material: Material) -> list[Finding]:
    """No win in an early stretch where the later rate would have given ten."""
    data, task = material.data, material.project.task
    won_at = data.outcomes.won_at[data.outcomes.won_at != NEVER]
    if not len(won_at) or (task.observed_from is not None):
        return []
    horizon, created = int(task.horizon or 0), data.leads.created
    first_win = int(won_at.min())
    known = created != NEVER
    early = known & (created < first_win - horizon)
    later = known & (created >= first_win) & (created <= data.observed_until - horizon)
    if not early.any() or later.sum() < FEWEST:
        return []
    rate = ((data.outcomes.won_at < created + horizon) & (data.outcomes.won_at != NEVER))[later].mean()
    expected = rate * early.sum()
    if expected < FEWEST_EXPECTED:
        return []
    day = format_instant(first_win // DAY * DAY)[:10]
    evidence = (
        f"the first win is of {day}; none is recorded for the {early.sum():,} leads whose horizon ended before, "
        f"where the later rate of {percent(rate)} would give {expected:.0f}"
    )
    remedy = f"If wins were not recorded before: {setting('task', 'observed_from', day)}"
    return [Finding("warning", "wins_start_late", "outcome", material.project.outcome.time, evidence, remedy)]


def _wins_end_early(material: Material) -> list[Finding]:
    """No win in a late stretch, a week or more and twice any before it, where the rate would have given ten."""
    data = material.data
    won_at = np.sort(data.outcomes.won_at[data.outcomes.won_at != NEVER])
    if len(won_at) < FEWEST or won_at[-1] <= won_at[len(won_at) * 3 // 4]:
        return []
    inside = won_at[won_at <= data.observed_until]
    if len(inside) < FEWEST:
        return []
    quarter = inside[len(inside) * 3 // 4 :]
    gap = data.observed_until - int(inside[-1])
    expected = gap * (len(quarter) - 1) / max(1, int(quarter[-1] - quarter[0]))
    usual = int(np.diff(quarter).max())
    if expected < FEWEST_EXPECTED or gap < max(7 * DAY, 2 * usual):
        return []
    day = format_instant((int(inside[-1]) // DAY + 1) * DAY)[:10]
    declared = "declared" if material.project.task.observed_until is not None else "the last instant in the data"
    evidence = (
        f"the last win is {gap / DAY:.0f} days before observed_until ({format_instant(data.observed_until)[:10]}, "
        f"{declared}), where the rate before would give {expected:.0f} wins: leads without a win there count as losses"
    )
    remedy = f"If wins are recorded up to then only: {setting('task', 'observed_until', day)}"
    return [Finding("warning", "wins_end_early", "outcome", material.project.outcome.time, evidence, remedy)]


def _outlying(material: Material) -> list[Finding]:
    """A few times far away from all others: typing errors, which also move the default observed_until."""
    project, outcomes = material.project, material.data.outcomes
    stamps: list[tuple[str, str | None, Instants]] = [("leads", project.leads.created, material.data.leads.created)]
    closed = np.concatenate([outcomes.won_at, outcomes.lost_at])
    stamps.append(("outcome", project.outcome.time, closed))
    stamps += [(spec.name, spec.time, material.data.logs[spec.name].time) for spec in project.events]
    found = []
    for table, column, instants in stamps:
        known = np.sort(instants[instants != NEVER])
        n_far, place = _far(known)
        if n_far == 0:
            continue
        reaches_end = place == "after" and project.task.observed_until is None
        end = format_instant(int(known[len(known) - 1 - n_far]) // DAY * DAY + DAY)[:10]
        remedy = "Mend the rows" + (
            f", and state the end: {setting('task', 'observed_until', end)}" if reaches_end else ""
        )
        evidence = f"{n_far:,} of {len(known):,} times lie far {place} all others"
        found.append(Finding("warning", "outlying_times", table, column, evidence, remedy))
    return found


def _far(known: Instants) -> tuple[int, str]:
    """How many times (at most 0.1 %, or one) are parted from the rest by a tenth of its span and 30 days."""
    span = core(known)
    if span is None or len(known) < 100:
        return 0, ""
    most = max(1, int(len(known) * FUTURE_SHARE))
    enough = max(30 * DAY, int(FUTURE_GAP * (known[len(known) - 1 - most] - known[most])))
    gaps_after, gaps_before = np.diff(known[-most - 1 :]), np.diff(known[: most + 1])
    if gaps_after.max() > enough:
        return most - int(np.argmax(gaps_after > enough)), "after"
    if gaps_before.max() > enough:
        return int(np.flatnonzero(gaps_before > enough)[-1]) + 1, "before"
    return 0, ""


def maturity(material: Material) -> list[Finding]:
    """Whether enough snapshots have a settled label, and enough of them a win."""
    counts, snapshots = material.snapshots.counts, material.snapshots
    n_immature = counts["n_immature"]
    n_at_risk = counts["n_candidates"] - counts["n_outside_risk_set"]
    if len(snapshots) == 0 or snapshots.label.min() == snapshots.label.max():
        what = "no snapshot has a settled label" if len(snapshots) == 0 else "every snapshot has the same label"
        evidence = (
            f"{what}: {n_at_risk:,} at risk, {n_immature:,} of them immature, {int(snapshots.label.sum()):,} wins"
        )
        remedy = "Check won in [outcome], and horizon, observed_from and observed_until in [task]"
        return [Finding("severe", "nothing_to_learn", "task", None, evidence, remedy)]
    found = [
        Finding(
            "warning", "few_wins", "task", None, text, "Collect more wins, lengthen the horizon, or score by a baseline"
        )
        for text in split(snapshots, seed=material.seed).warnings
        if material.project.timed or text.startswith("Too few")
    ]
    if n_at_risk and n_immature > MANY_IMMATURE * n_at_risk:
        evidence = (
            f"{percent(n_immature / n_at_risk)} of the lead-cutoff pairs at risk are immature and dropped: the horizon "
            f"of {material.project.task.horizon_text} reaches beyond what is observed"
        )
        remedy = "Shorten [task] horizon, widen observed_from and observed_until, or wait"
        found.append(Finding("warning", "mostly_immature", "task", None, evidence, remedy))
    return found + _at_creation(material)


def _at_creation(material: Material) -> list[Finding]:
    """Wins at the very instant of creation: customers that were entered as leads when they bought."""
    if not material.project.timed:
        return []
    won_at, created = material.data.outcomes.won_at, material.data.leads.created
    won = won_at != NEVER
    at_once = won & (won_at == created)
    if at_once.sum() < max(FEWEST, MANY_AT_CREATION * won.sum()):
        return []
    evidence = f"{at_once.sum():,} of {won.sum():,} wins are at the instant of the lead's creation"
    remedy = "Leads entered because they bought are nobody to score: leave them out of the leads' source"
    column = material.project.outcome.time
    return [Finding("warning", "won_at_creation", "outcome", column, evidence, remedy)]


def drift(material: Material) -> list[Finding]:
    """Win rates of leads created one after the other, in twelfths: the market, or its recording, changed."""
    project, groups = material.project, material.groups
    if not project.timed and project.task.split != "ordered":
        return []
    won = groups.won
    if project.timed:
        won = won & (material.data.outcomes.won_at < material.data.leads.created + int(project.task.horizon or 0))
    n_leads = np.bincount(groups.stratum[groups.judged], minlength=1)
    n_won = np.bincount(groups.stratum[groups.judged & won], minlength=len(n_leads))
    enough = n_leads >= FEWEST_PER_COHORT
    if enough.sum() < 2 or n_won.sum() < FEWEST:
        return []
    rate, size = n_won[enough] / n_leads[enough], n_leads[enough]
    low, high = int(np.argmin(rate)), int(np.argmax(rate))
    error = np.sqrt(rate[low] * (1 - rate[low]) / size[low] + rate[high] * (1 - rate[high]) / size[high])
    if rate[high] < DRIFT * max(rate[low], 1 / size[low]) or rate[high] - rate[low] < 4 * error:
        return []
    evidence = (
        f"in {len(n_leads)} equal parts by order of creation, between {percent(rate[low])} and {percent(rate[high])} "
        "of the leads convert"
    )
    remedy = "Ask what changed. Trust figures of the last block only, and calibrate again soon after launch"
    rates = tuple(float(w / n) if n >= FEWEST_PER_COHORT else None for w, n in zip(n_won, n_leads, strict=True))
    parts = tuple(str(part + 1) for part in range(len(n_leads)))
    series = Series("lines", "Leads that convert, in equal parts by order of creation", parts, {"win rate": rates})
    return [Finding("warning", "win_rate_drifts", "outcome", None, evidence, remedy, series)]
