"""Events that know the outcome: kinds that only won leads have, dated before the win.

A welcome mail dated back to the day of the offer is visible at a cutoff and says what comes. The rule
``event_tells_outcome`` looks at the last mature snapshot of each lead, and at the categories among its visible events:
one that 30 leads or more show, of which at least 95 % win within the horizon while at most half of all do, is a
**warning** (it may be the honest last step of a deal), and **severe** where half of all wins show it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from leadscore.evaluate.check.findings import Finding, Series, percent, quoted, setting
from leadscore.evaluate.check.material import FEWEST, Material
from leadscore.eventlog import EventLog
from leadscore.project import EventsSpec
from leadscore.snapshots import Snapshots
from leadscore.time import visible

PURE, PURE_SHARE_OF_WINS = 0.95, 0.50
MOST_BARS = 8


def traces(material: Material) -> list[Finding]:
    """Return what the rule above finds in every categorical column of every event table."""
    last = _last_snapshots(material.snapshots)
    if last.label.sum() < FEWEST or last.label.mean() > 0.5:
        return []
    found: list[Finding] = []
    for spec in material.project.events:
        log = material.data.logs[spec.name]
        place, row = _visible_rows(log, last)
        for position, column in enumerate(spec.categorical):
            found += _tells_outcome(
                spec, column, log.vocabularies[position], log.codes[position][row], place, last.label
            )
    return found


def _last_snapshots(snapshots: Snapshots) -> Snapshots:
    _, from_end = np.unique(snapshots.lead[::-1], return_index=True)
    return snapshots.take(np.sort(len(snapshots) - 1 - from_end))


def _visible_rows(log: EventLog, last: Snapshots) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of snapshots and of the event rows that each of them sees."""
    snapshot_of = np.full(len(log.offsets) - 1, -1, dtype=np.int64)
    snapshot_of[last.lead] = np.arange(len(last))
    place = snapshot_of[log.lead_of_rows()]
    row = np.flatnonzero(place >= 0)
    row = row[visible(log.time[row], log.known[row], last.at[place[row]])]
    return place[row], row


def _tells_outcome(
    spec: EventsSpec, column: str, vocabulary: tuple[str, ...],
    codes: NDArray[np.int32], place: NDArray[np.int64], label: NDArray[np.int8],
) -> list[Finding]:  # fmt: skip
    known = codes >= 0
    size = len(vocabulary)
    has = np.unique(place[known] * size + codes[known])  # one each, however often it happened
    n_leads = np.bincount(has % size, minlength=size) if size else np.zeros(0, dtype=np.int64)
    n_won = np.bincount(has[label[has // size] == 1] % size, minlength=size) if size else n_leads
    pure = np.flatnonzero((n_leads >= FEWEST) & (n_won >= PURE * n_leads))
    if not len(pure):
        return []
    largest = pure[np.argsort(-n_won[pure], kind="stable")]
    shown = ", ".join(f"{quoted(vocabulary[code])} ({n_won[code]:,} of {n_leads[code]:,})" for code in largest[:3])
    evidence = f"leads that show {shown} at their last cutoff win, against {percent(label.mean())} of all"
    line = setting(f"events.{spec.name}", "categorical", [name for name in spec.categorical if name != column])
    remedy = (
        "If such rows are written because of a win, drop them from the source, or declare when they were entered: "
        f'[events.{spec.name}] known = "…". Else leave the column out: {line}'
    )
    severe = n_won[pure].max() >= PURE_SHARE_OF_WINS * label.sum()
    names = ("all leads", *(f"with {vocabulary[code]} ({n_leads[code]:,})" for code in largest[:MOST_BARS]))
    rates = (float(label.mean()), *(float(n_won[code] / n_leads[code]) for code in largest[:MOST_BARS]))
    series = Series("bars", f"Leads that win after their last cutoff, by {column}", names, {"leads that win": rates})
    return [
        Finding("severe" if severe else "warning", "event_tells_outcome", spec.name, column, evidence, remedy, series)
    ]
