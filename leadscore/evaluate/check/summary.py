"""How much there is, from when to when, and how leads, wins and events come over time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from leadscore.evaluate.check.material import Material
from leadscore.evaluate.check.periods import Periods, core
from leadscore.time import NEVER, Instants, Mask, format_instant


@dataclass(frozen=True)
class TableVolume:
    """One table: rows as they stand in the source, and the first and last instant (None without times)."""

    table: str
    n_rows: int
    first: str | None
    last: str | None


@dataclass(frozen=True)
class Period:
    """A month or week: leads created in it, the share of them that won within the horizon, wins and events in it.

    `win_rate` is None where no lead created in it is judged yet.
    """

    start: str
    n_created: int
    n_judged: int
    win_rate: float | None
    n_won: int
    n_events: dict[str, int]


@dataclass(frozen=True)
class Summary:
    """Volumes, dates and rates; `periods` are empty in a labelled list."""

    tables: tuple[TableVolume, ...]
    n_leads: int
    n_won: int
    n_lost: int
    n_open: int
    n_snapshots: int
    n_immature: int
    base_rate: float | None
    observed_from: str | None
    observed_until: str | None
    unit: str | None
    periods: tuple[Period, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON holds them."""
        return asdict(self)


def summarise(material: Material) -> Summary:
    """Count it all once."""
    data, groups, snapshots = material.data, material.groups, material.snapshots
    timed, task = material.project.timed, material.project.task
    unit, periods = _periods(material) if timed else (None, ())
    weight = snapshots.weight.sum()
    return Summary(
        tables=_tables(material),
        n_leads=len(data.leads.ids),
        n_won=int(groups.won.sum()),
        n_lost=int(groups.lost.sum()),
        n_open=int(groups.open.sum()),
        n_snapshots=len(snapshots),
        n_immature=snapshots.counts["n_immature"],
        base_rate=float((snapshots.weight * snapshots.label).sum() / weight) if weight else None,
        observed_from=None if task.observed_from is None else format_instant(task.observed_from),
        observed_until=format_instant(data.observed_until) if timed and data.observed_until != NEVER else None,
        unit=unit,
        periods=periods,
    )


def _tables(material: Material) -> tuple[TableVolume, ...]:
    data, outcomes = material.data, material.data.outcomes
    stamps: dict[str, Instants] = {
        "leads": data.leads.created,
        "outcome": np.concatenate([outcomes.won_at, outcomes.lost_at]),
        **{name: log.time for name, log in data.logs.items()},
    }
    return tuple(TableVolume(name, n_rows, *_range(stamps[name])) for name, n_rows in data.n_rows.items())


def _range(instants: Instants) -> tuple[str | None, str | None]:
    known = instants[instants != NEVER]
    return (format_instant(int(known.min())), format_instant(int(known.max()))) if len(known) else (None, None)


def _periods(material: Material) -> tuple[str | None, tuple[Period, ...]]:
    data, groups = material.data, material.groups
    created, won_at = data.leads.created, data.outcomes.won_at
    spans = [span for span in map(core, (created, won_at, *(log.time for log in data.logs.values()))) if span]
    if not spans:
        return None, ()
    periods = Periods.over(min(span[0] for span in spans), max(span[1] for span in spans))
    horizon = int(material.project.task.horizon or 0)
    in_time: Mask = (won_at != NEVER) & (won_at - horizon < created)
    n_created, n_won = periods.count(created), periods.count(won_at)
    n_judged, n_in_time = periods.count(created[groups.judged]), periods.count(created[groups.judged & in_time])
    n_events = {name: periods.count(log.time) for name, log in data.logs.items()}
    return periods.unit, tuple(
        Period(
            start=start,
            n_created=int(n_created[i]),
            n_judged=int(n_judged[i]),
            win_rate=float(n_in_time[i] / n_judged[i]) if n_judged[i] else None,
            n_won=int(n_won[i]),
            n_events={name: int(counts[i]) for name, counts in n_events.items()},
        )
        for i, start in enumerate(periods.starts)
    )
