"""A picture of a finding: lines over time, or bars, of the numbers in its `Series`; nothing is computed here."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from leadscore.evaluate.check.findings import Series
from leadscore.evaluate.plots import BLUE, CLAY, GREY, INK, _blank, _finish, _frame, _percent_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (BLUE, CLAY, GREY, INK)
_LINES_HEIGHT = 3.0
_MOST_TICKS = 8
_WIDEST_LABEL = 34
_LINE_OF_TEXT = 0.07
"""Of the height of the axes."""


def draw(series: Series) -> Figure:
    """Draw a series; the title is its own.

    Raises
    ------
    MissingExtraError
        If matplotlib isn't installed.
    """
    figure = _lines(series) if series.shape == "lines" else _bars(series)
    return _finish(figure, series.title, "")


def _lines(series: Series) -> Figure:
    figure = _blank(height=_LINES_HEIGHT)
    axes = figure.subplots(gridspec_kw=_edges(_LINES_HEIGHT, left=0.095, right=0.87))
    places = np.arange(len(series.labels))
    for line, colour in zip(series.values.values(), _COLOURS * len(series.values), strict=False):
        values = np.array([np.nan if value is None else value for value in line], dtype=np.float64)
        axes.plot(places, values, color=colour, linewidth=1.8, marker="o", markersize=3)
    if series.mark is not None:
        axes.axvline(series.mark - 0.5, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    every = -(-len(places) // _MOST_TICKS)
    axes.set_xticks(places[::every], series.labels[::every])
    highest = max((value for line in series.values.values() for value in line if value is not None), default=0.0)
    top = 1.02 if series.share and highest > 0.5 else 1.08 * highest or 1.0
    axes.set(ylim=(0, top), ylabel="%" if series.share else "")
    _name_at_ends(axes, series, top)
    if series.share:
        _percent_ticks(axes, "y")
    return figure


def _name_at_ends(axes: Axes, series: Series, top: float) -> None:
    """Name lines where they end, instead of in a legend; names that would meet are moved apart."""
    ends = []
    for (name, line), colour in zip(series.values.items(), _COLOURS * len(series.values), strict=False):
        there = [place for place, value in enumerate(line) if value is not None]
        if there:
            ends.append((float(line[there[-1]] or 0.0), there[-1], name, colour))
    floor = -np.inf
    for value, place, name, colour in sorted(ends):
        at = max(value, floor)
        floor = at + _LINE_OF_TEXT * top
        axes.annotate(name, (place, at), xytext=(7, -3), textcoords="offset points", color=colour, fontsize=9)


def _bars(series: Series) -> Figure:
    (unit, line), height = next(iter(series.values.items())), 1.15 + 0.28 * len(series.labels)
    lengths = [value or 0.0 for value in line]
    figure = _blank(height=height)
    axes = figure.subplots(gridspec_kw=_edges(height, left=0.36, right=0.93))
    colours = [CLAY if position == series.mark else BLUE for position in range(len(lengths))]
    axes.barh(range(len(lengths)), lengths, color=colours, height=0.66)
    for position, length in enumerate(lengths):
        said = f"{100 * length:.3g} %" if series.share else f"{length:,.4g}" if length < 1000 else f"{length:,.0f}"
        axes.annotate(said, (length, position), xytext=(4, 0), textcoords="offset points", va="center",
                      color=GREY, fontsize=8.5)  # fmt: skip
    names = [textwrap.shorten(name, _WIDEST_LABEL, placeholder=" …") or name[:_WIDEST_LABEL] for name in series.labels]
    axes.set_yticks(range(len(lengths)), names)
    axes.set(ylim=(len(lengths) - 0.4, -0.6), xlim=(0, 1.1 * (max(lengths) or 1.0)))
    axes.set_xlabel(unit[0].upper() + unit[1:] + (", %" if series.share else ""))
    if series.share:
        _percent_ticks(axes, "x")
    axes.locator_params(axis="x", nbins=5)
    axes.tick_params(axis="y", colors=INK)
    return figure


def _edges(height: float, *, left: float, right: float) -> dict[str, float]:
    """Where the axes stand: as in all plots, without the room for a second line of title."""
    return _frame(left=left, height=height) | {"right": right, "top": 1 - 0.55 / height, "bottom": 0.5 / height}
