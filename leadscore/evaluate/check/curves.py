"""The numbers behind a finding's picture: fill rates over time, win rates by value."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from leadscore.evaluate.check.findings import Series
from leadscore.evaluate.check.material import Column, Material
from leadscore.evaluate.check.periods import Periods, core
from leadscore.time import Mask

FEWEST_IN_PERIOD = 10
MOST_BARS, FEWEST_IN_BAR = 10, 10


def fill_over_time(column: Column, material: Material) -> Series:
    """Share of won, lost and open leads that have a value, by creation; as bars where there are no times."""
    groups = material.groups
    sides = {"won": groups.won, "lost": groups.lost, "open": groups.open}
    sides = {name: mask for name, mask in sides.items() if mask.sum() >= FEWEST_IN_PERIOD}
    title = f"Which leads have a value in {column.name}"
    periods = _periods(material)
    if periods is None:
        rates = tuple(float(column.filled[mask].mean()) for mask in sides.values())
        return Series("bars", title, tuple(sides), {"leads with a value": rates})
    place = periods.place(material.data.leads.created)
    values = {name: _rates(place, mask, column.filled, len(periods.starts)) for name, mask in sides.items()}
    return Series("lines", f"{title}, by {periods.unit} of creation", periods.starts, values)


def win_rate_by_value(column: Column, material: Material) -> Series | None:
    """Share of closed leads that won, by the commonest values; bins of a number in order; None for a single value."""
    groups = material.groups
    closed = groups.closed if groups.lost.any() else groups.judged
    code = np.where(column.filled, column.codes, -1).astype(np.int64) + 1
    n_rows = np.bincount(code[closed])
    n_won = np.bincount(code[closed & groups.won], minlength=len(n_rows))
    shown = np.argsort(-n_rows, kind="stable")[:MOST_BARS]
    shown = shown[n_rows[shown] >= FEWEST_IN_BAR]
    if len(shown) < 2:
        return None
    shown = shown[np.argsort(-(n_won[shown] / n_rows[shown]), kind="stable")]
    names = tuple(f"{_name(column, int(value) - 1)} ({n_rows[value]:,})" for value in shown)
    rates = tuple(float(n_won[value] / n_rows[value]) for value in shown)
    return Series("bars", f"How many leads won, by {column.name}", names, {"leads that won": rates})


def _name(column: Column, code: int) -> str:
    if code < 0:
        return "(missing)"
    if column.vocabulary:
        return column.vocabulary[code]
    inside = column.values[column.codes == code]
    low, high = float(inside.min()), float(inside.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _periods(material: Material) -> Periods | None:
    span = core(material.data.leads.created) if material.project.timed else None
    return None if span is None else Periods.over(*span)


def _rates(place: NDArray[np.int64], mask: Mask, filled: Mask, size: int) -> tuple[float | None, ...]:
    inside = mask & (place >= 0)
    n_leads = np.bincount(place[inside], minlength=size)
    n_filled = np.bincount(place[inside & filled], minlength=size)
    return tuple(float(some / n) if n >= FEWEST_IN_PERIOD else None for some, n in zip(n_filled, n_leads, strict=True))
