"""Bursts of events that no person makes: a scanner that opens and clicks every link of a mail, a crawler, an import.

A **burst** is six rows or more of one lead within ten seconds. A table whose times are dates, or where a fifth of the
leads or more have bursts, says nothing of machines: that is how its rows are written.

========================= ============================================================================================
bot_bursts                rows in bursts: **warning** where they are 1 % of the table, or half of all rows of 1 % of the
                          leads that have any, else **note**; names the categorical column whose values are most
                          confined to bursts
rows_in_batches           a fifth of the leads or more have bursts: **note**; counts of rows mean little there
========================= ============================================================================================
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from leadscore.evaluate.check.findings import Finding, Series, Severity, percent, quoted, setting, verb
from leadscore.evaluate.check.material import Material
from leadscore.eventlog import EventLog
from leadscore.features.names import FeatureName, encode
from leadscore.project import EventsSpec
from leadscore.time import DAY, Mask

FEWEST_ROWS, WITHIN = 6, 10_000_000
MANY_ROWS, MANY_LEADS, DOMINATED = 0.01, 0.01, 0.5
MOST_WITH_BURSTS, FEWEST_LEADS = 0.2, 30
CONFINED, MOST_BARS = 0.5, 8


def bursts(material: Material) -> list[Finding]:
    """Look for bursts in every event table."""
    found = []
    for spec in material.project.events:
        log = material.data.logs[spec.name]
        if log.n_events < FEWEST_ROWS or not (log.time % DAY).any():
            continue
        inside = in_burst(log)
        if inside.any():
            found.append(_judge(spec, log, inside))
    return found


def in_burst(log: EventLog) -> Mask:
    """Return which rows are among six of one lead within ten seconds."""
    last = FEWEST_ROWS - 1
    inside = np.zeros(log.n_events, dtype=bool)
    lead = log.lead_of_rows()
    begins = np.flatnonzero((lead[last:] == lead[:-last]) & (log.time[last:] - log.time[:-last] <= WITHIN))
    for step in range(FEWEST_ROWS):
        inside[begins + step] = True
    return inside


def _judge(spec: EventsSpec, log: EventLog, inside: Mask) -> Finding:
    lead = log.lead_of_rows()
    n_rows = np.bincount(lead)
    n_inside = np.bincount(lead[inside], minlength=len(n_rows))
    n_leads, n_with = int((n_rows > 0).sum()), int((n_inside > 0).sum())
    share = float(inside.mean())
    what = (
        f"{verb(int(inside.sum()), 'row', 'rows')} ({percent(share)} of the table) of {verb(n_with, 'lead', 'leads')}"
    )
    if n_with > MOST_WITH_BURSTS * n_leads and n_leads >= FEWEST_LEADS:
        evidence = f"{what} come six or more within ten seconds: that is how its rows are written"
        remedy = 'Read counts as batches; days with rows say more: [features] drop = ["count"] leaves active_days'
        return Finding("note", "rows_in_batches", spec.name, spec.time, evidence, remedy)
    n_dominated = int((n_inside > DOMINATED * n_rows).sum())
    many = share >= MANY_ROWS or n_dominated >= max(1, MANY_LEADS * n_leads)
    severity: Severity = "warning" if many else "note"
    column, codes = _most_confined(spec, log, inside)
    evidence = (
        f"{what} come six or more within ten seconds, as no person makes them, up to "
        f"{_most_in_a_burst(log, inside)} in "
        f"one; {verb(n_dominated, 'lead has', 'leads have')} hardly any other"
    )
    series = None
    if column is not None:
        position = spec.categorical.index(column)
        evidence += f". {_shown(log, position, codes, inside)}"
        series = _picture(column, log, position, inside)
    return Finding(
        severity, "bot_bursts", spec.name, column or spec.time, evidence, _remedy(spec, log, column, codes), series
    )


def _most_in_a_burst(log: EventLog, inside: Mask) -> int:
    """The most rows of one lead within ten seconds."""
    most = 0
    for lead in np.unique(log.lead_of_rows()[inside]):
        time = log.time[log.offsets[lead] : log.offsets[lead + 1]]
        most = max(most, int((np.searchsorted(time, time + WITHIN, side="right") - np.arange(len(time))).max()))
    return most


def _most_confined(spec: EventsSpec, log: EventLog, inside: Mask) -> tuple[str | None, NDArray[np.int64]]:
    """The column whose values, of which more than half of all rows are in bursts, cover most rows in bursts."""
    best: tuple[float, str | None, NDArray[np.int64]] = (0.0, None, np.empty(0, dtype=np.int64))
    for position, name in enumerate(spec.categorical):
        n_all, n_inside = _tally(log, position, inside)
        confined = np.flatnonzero((n_inside >= FEWEST_ROWS) & (n_inside > CONFINED * n_all))
        covered = n_inside[confined].sum() / inside.sum()
        if covered > best[0]:
            best = (float(covered), name, confined[np.argsort(-n_inside[confined], kind="stable")])
    return best[1], best[2]


def _tally(log: EventLog, position: int, inside: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    codes, size = log.codes[position], len(log.vocabularies[position])
    there = codes >= 0
    return np.bincount(codes[there], minlength=size), np.bincount(codes[there & inside], minlength=size)


def _shown(log: EventLog, position: int, codes: NDArray[np.int64], inside: Mask) -> str:
    n_all, n_inside = _tally(log, position, inside)
    words = log.vocabularies[position]
    named = ", ".join(f"{quoted(words[code])} ({n_inside[code]:,} of {n_all[code]:,} rows)" for code in codes[:3])
    return f"Mostly in bursts: {named}"


def _remedy(spec: EventsSpec, log: EventLog, column: str | None, codes: NDArray[np.int64]) -> str:
    drop = "Drop rows that come so fast before they reach the source; until then count days, not rows: "
    if column is None:
        return drop + setting("features", "drop", [f"{encode(spec.name)}.count*"])
    word = log.vocabularies[spec.categorical.index(column)][codes[0]]
    of_word = str(FeatureName(spec.name, "*", column, word))
    return drop + setting("features", "drop", [f"{encode(spec.name)}.count*", of_word])


def _picture(column: str, log: EventLog, position: int, inside: Mask) -> Series:
    n_all, n_inside = _tally(log, position, inside)
    shown = np.argsort(-n_inside, kind="stable")[:MOST_BARS]
    shown = shown[n_inside[shown] > 0]
    words = log.vocabularies[position]
    names = tuple(f"{words[code]} ({n_all[code]:,} rows)" for code in shown)
    shares = tuple(float(n_inside[code] / n_all[code]) for code in shown)
    return Series("bars", f"Share of rows that come in bursts, by {column}", names, {"rows in bursts": shares})
