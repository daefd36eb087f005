"""Three figures of then and now: do the probabilities still hold, how the grades have moved, how one feature has.

In the look of `leadscore.evaluate.plots`, and like there each is a ``Figure`` of its own that touches nothing global.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from leadscore.errors import DataError
from leadscore.evaluate._measures import Rows
from leadscore.evaluate.drift import Shift
from leadscore.evaluate.plots import (
    BLUE,
    BLUE_BAND,
    CLAY,
    GREY,
    INK,
    PALE,
    _bands,
    _blank,
    _finish,
    _frame,
    _percent,
    _percent_ticks,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Judged = tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]
"""Label, probability, weight and cluster of some rows."""
MOST_BARS = 12


def reliability_then_and_now(now: Judged, then: Judged | None, *, seed: int, n_resamples: int = 200) -> Figure:
    """Draw observed against predicted rates of what has matured, over those of the model's own test.

    Parameters
    ----------
    now, then : label, probability, weight and cluster, as in `leadscore.evaluate.plots.reliability`
    seed, n_resamples : of the bootstrap behind the 95 % band, which is of `now`

    Raises
    ------
    DataError
        If no row of either has weight.
    """
    figure = _blank()
    axes = figure.subplots(gridspec_kw=_frame())
    limit = 0.01
    for judged, colour, words in ((then, GREY, "its own test"), (now, BLUE, "matured since")):
        if judged is None:
            continue
        label, probability, weight, cluster = judged
        rows = Rows.of(label, probability, weight=weight, cluster=cluster)
        if not rows.weight.sum() > 0:
            raise DataError("A reliability curve needs at least one row with weight; found none.")
        bands = _bands(rows, seed, n_resamples, 0.95)
        if judged is now:
            axes.fill_between(bands.predicted, bands.low, bands.high, color=BLUE_BAND, linewidth=0, zorder=2)
            limit = max(limit, float(np.nanmax(bands.high)))
        axes.plot(bands.predicted, bands.observed, color=colour, linewidth=1.8, marker="o", markersize=4, zorder=3)
        axes.annotate(
            words, (bands.predicted[-1], bands.observed[-1]), xytext=(7, -3), textcoords="offset points",
            color=colour, fontsize=9.5,
        )  # fmt: skip
        limit = max(limit, float(bands.predicted.max()), float(bands.observed.max()))
    limit = min(1.0, 1.06 * limit)
    axes.plot([0, limit], [0, limit], color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=2.5)
    axes.set(xlim=(0, limit * 1.12), ylim=(0, limit))
    axes.set(xlabel="Predicted probability, %", ylabel="Converted, % of leads")
    _percent_ticks(axes, "xy")
    label, probability, weight, _ = now
    predicted, observed = (float(np.average(values, weights=weight)) for values in (probability, label))  # type: ignore[arg-type]
    title = f"Since then {_percent(predicted, 1)} predicted, {_percent(observed, 1)} converted"
    return _finish(figure, title, "In ten bands of equal size; shaded: 95 % interval; dashed: as predicted")


def grades_over_time(then: Mapping[str, float], months: Sequence[tuple[str, Mapping[str, float]]]) -> Figure:
    """Draw the share of each grade as stacked bars: in the model's reference population, then month by month.

    Parameters
    ----------
    then : share of each grade, the best first
    months : month and share of each grade, the oldest first; the last twelve are drawn
    """
    grades = list(then)
    bars = [("then", then), *months[-MOST_BARS:]]
    figure = _blank(height=4.2)
    axes = figure.subplots(gridspec_kw={**_frame(height=4.2), "right": 0.93})
    places = np.array([0.0, *(1.4 + np.arange(len(bars) - 1))])
    under = np.zeros(len(bars))
    for grade, colour in zip(grades, (BLUE, BLUE_BAND, *[PALE] * len(grades)), strict=False):
        heights = np.array([shares[grade] for _, shares in bars])
        axes.bar(places, heights, bottom=under, width=0.72, color=colour, edgecolor="white", linewidth=0.8)
        axes.annotate(
            grade, (places[-1] + 0.45, under[-1] + heights[-1] / 2), va="center", color=INK, fontsize=9.5,
            annotation_clip=False,
        )  # fmt: skip
        under += heights
    best = grades[0]
    for place, (_, shares) in zip(places, bars, strict=True):
        axes.annotate(_percent(shares[best]), (place, 0), xytext=(0, 3), textcoords="offset points", ha="center",
                      color="white", fontsize=7.5)  # fmt: skip
    axes.set_xticks(places, [name for name, _ in bars], rotation=30 if len(bars) > 7 else 0)
    axes.set(ylim=(0, 1), ylabel="Open leads, %")
    _percent_ticks(axes, "y")
    title = f"Grade {best}: {_percent(then[best])} of the leads then"
    if months:
        title += f", {_percent(months[-1][1][best])} in {months[-1][0]}"
    return _finish(figure, title, "Share of open leads by grade, month by month")


def then_and_now(name: str, shift: Shift) -> Figure:
    """Draw the shares of one feature's bins then and now, as pairs of bars."""
    most = np.argsort([-(before + after) for before, after in zip(shift.then, shift.now, strict=True)], kind="stable")
    shown = sorted(most[:MOST_BARS].tolist())
    height = 1.7 + 0.36 * len(shown)
    figure = _blank(height=height)
    axes = figure.subplots(gridspec_kw=_frame(left=0.26, height=height))
    for place, position in enumerate(shown):
        for offset, share, colour in ((-0.19, shift.then[position], GREY), (0.19, shift.now[position], CLAY)):
            axes.barh(place + offset, share, height=0.34, color=colour)
    first = max(range(len(shown)), key=lambda place: abs(shift.now[shown[place]] - shift.then[shown[place]]))
    for offset, share, colour, word in (
        (-0.19, shift.then[shown[first]], GREY, "then"),
        (0.19, shift.now[shown[first]], CLAY, "now"),
    ):
        axes.annotate(word, (share, first + offset), xytext=(4, 0), textcoords="offset points", va="center",
                      color=colour, fontsize=8.5)  # fmt: skip
    axes.set_yticks(range(len(shown)), [textwrap.shorten(shift.bins[position], 26) for position in shown])
    axes.set(ylim=(len(shown) - 0.4, -0.6), xlabel="Leads, %")
    axes.set_xlim(0, 1.15 * max(*shift.then, *shift.now))
    axes.tick_params(axis="y", colors=INK)
    _percent_ticks(axes, "x")
    subtitle = f"PSI {shift.psi:.2f}; chance makes {shift.by_chance:.2f} of samples of this size"
    return _finish(figure, name, subtitle)
