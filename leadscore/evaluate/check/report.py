"""`check`: is this data fit to learn from, and does a column know what it must not?"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from leadscore.evaluate.check import (
    apart,
    bursts,
    flow,
    known,
    labels,
    leakage,
    quality,
    segments,
    signal,
    stretches,
    traces,
)
from leadscore.evaluate.check.findings import GRAVEST_FIRST, Finding, percent, ranked
from leadscore.evaluate.check.known import FirstKnown
from leadscore.evaluate.check.material import Material
from leadscore.evaluate.check.signal import Signal
from leadscore.evaluate.check.summary import Period, Summary, summarise
from leadscore.features.plan import FeaturePlan
from leadscore.project import Project
from leadscore.snapshots import snapshots

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""

_STEPS: tuple[Callable[[Material], list[Finding]], ...] = (
    leakage.leaks,
    stretches.fill_breaks,
    traces.traces,
    known.profiles,
    known.events,
    signal.no_signal,
    signal.carriers,
    apart.train_and_test_differ,
    apart.in_both_blocks,
    quality.notes,
    labels.statuses,
    labels.outcome_only_columns,
    labels.observation,
    labels.maturity,
    labels.drift,
    flow.events,
    bursts.bursts,
    quality.profile_columns,
    quality.event_columns,
    quality.profiles,
    segments.small_segments,
)
_DEAR = (signal.no_signal, signal.carriers, apart.train_and_test_differ)
"""Steps that compute features and train on snapshots: most of the time of a check, and no severe finding of theirs."""
_WIDTH = 110
_PERIODS_SHOWN = 24


@dataclass(frozen=True)
class Checked:
    """What a check found, the gravest first, and what it counted."""

    findings: tuple[Finding, ...]
    summary: Summary
    signal: Signal
    first_known: tuple[FirstKnown, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as ``check --json`` prints them."""
        return {
            "findings": [finding.to_dict() for finding in self.findings],
            "summary": self.summary.to_dict(),
            "signal": self.signal.to_dict(),
            "first_known": [row.to_dict() for row in self.first_known],
        }


def check(project: Project, *, seed: int = 0, progress: Progress | None = None) -> Checked:
    """Read a project's tables and say what is wrong with them, before anything is trained on them.

    The rules that find leaks are in `leadscore.evaluate.check.leakage` (profiles) and `.traces` (events), with their
    thresholds. The same data and seed
    give the same findings.

    Parameters
    ----------
    seed : chooses folds, and the rows of a sample where there are more than 20,000 leads
    progress : called after each step

    Raises
    ------
    DataError
        If the tables can't be read at all; see `leadscore.reading.read`.
    """
    material = _material(project, seed)
    found = _found(material, _STEPS, progress)
    return Checked(ranked(found), summarise(material), material.signal, known.first_known(material))


def at_a_glance(project: Project, *, seed: int = 0, progress: Progress | None = None) -> tuple[Finding, ...]:
    """Return what a check finds without training on snapshots, the gravest first: what a training report shows.

    Every severe finding is among them. Parameters and errors as of `check`.
    """
    return ranked(_found(_material(project, seed), [step for step in _STEPS if step not in _DEAR], progress))


def _material(project: Project, seed: int) -> Material:
    FeaturePlan.default(project)  # what [features] says wrongly is said before anything is read
    data = project.read()
    return Material.of(data, snapshots(data, seed=seed), seed=seed)


def _found(
    material: Material, steps: Sequence[Callable[[Material], list[Finding]]], progress: Progress | None
) -> list[Finding]:
    found: list[Finding] = []
    for done, step in enumerate(steps, start=1):
        found += step(material)
        if progress is not None:
            progress(done, len(steps))
    return found


def render(checked: Checked) -> str:
    """Return the report as plain text: findings from the gravest, then volumes and rates over time."""
    lines = [headline(checked), ""]
    for finding in checked.findings:
        place = finding.table if finding.column is None else f"{finding.table}.{finding.column}"
        lines.append(f"{finding.severity.upper():8}{finding.kind}: {place}")
        lines += _wrapped(finding.evidence) + _wrapped("→ " + finding.remedy) + [""]
    return "\n".join([*lines, *_volumes(checked.summary), *_over_time(checked.summary), checked.signal.sentence]) + "\n"


def headline(checked: Checked) -> str:
    """Return how many findings there are of each severity, as a sentence."""
    counts = {grade: sum(finding.severity == grade for finding in checked.findings) for grade in GRAVEST_FIRST}
    if not checked.findings:
        return "Nothing found."
    return (
        f"{counts['severe']} severe, {counts['warning']} warning{'s' * (counts['warning'] != 1)}, "
        f"{counts['note']} note{'s' * (counts['note'] != 1)}."
    )


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8, break_long_words=False, break_on_hyphens=False
    )


def _volumes(summary: Summary) -> list[str]:
    lines = ["Tables"]
    for table in summary.tables:
        span = f"{table.first[:10]} to {table.last[:10]}" if table.first and table.last else "no times"
        lines.append(f"  {table.table:24}{table.n_rows:>12,} rows   {span}")
    rate = "undefined" if summary.base_rate is None else percent(summary.base_rate)
    lines.append(
        f"  {summary.n_leads:,} leads: {summary.n_won:,} won, {summary.n_lost:,} lost, {summary.n_open:,} open. "
        f"{summary.n_snapshots:,} snapshots, {summary.n_immature:,} more immature; base rate {rate}"
    )
    return [*lines, ""]


def _over_time(summary: Summary) -> list[str]:
    if not summary.periods:
        return []
    shown = summary.periods[-_PERIODS_SHOWN:]
    tables = list(shown[0].n_events)
    head = f"  {summary.unit or '':12}{'created':>10}{'win rate':>10}{'wins':>10}"
    lines = ["Over time (win rate: of leads created then, within the horizon)"]
    lines.append(head + "".join(f"{name[:14]:>16}" for name in tables))
    return lines + [_row(period, tables) for period in shown] + [""]


def _row(period: Period, tables: list[str]) -> str:
    rate = "–" if period.win_rate is None else percent(period.win_rate)
    events = "".join(f"{period.n_events[name]:>16,}" for name in tables)
    return f"  {period.start:12}{period.n_created:>10,}{rate:>10}{period.n_won:>10,}{events}"
