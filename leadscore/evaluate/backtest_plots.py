"""One figure of a backtest: what each origin's test promised, and what came true, over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from leadscore.evaluate.metrics import Interval
from leadscore.evaluate.plots import BLUE, GREY, PALE, _blank, _finish, _frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

APART = 0.09
HEIGHT = 4.2


class Point(NamedTuple):
    """An AUC with its 95 % interval; None where undefined."""

    value: float | None
    interval: Interval | None


def promise_and_truth(
    names: Sequence[str], promised: Sequence[Point], came_true: Sequence[Point], title: str
) -> Figure:
    """Draw AUC and 95 % interval, promised beside true, origin by origin, the oldest first.

    Raises
    ------
    MissingExtraError
        If matplotlib isn't installed.
    """
    figure = _blank(height=HEIGHT)
    axes = figure.subplots(gridspec_kw={**_frame(height=HEIGHT), "right": 0.86})
    axes.axhline(0.5, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    places = np.arange(len(names), dtype=np.float64)
    _series(axes, places - APART, promised, GREY)
    _series(axes, places + APART, came_true, BLUE)
    _name(axes, places[-1] + APART, promised[-1].value, came_true[-1].value)
    axes.annotate("chance", (0, 0.5), xycoords=("axes fraction", "data"), xytext=(3, 3), textcoords="offset points",
                  color=GREY, fontsize=8.5)  # fmt: skip
    reached = [end for point in (*promised, *came_true) for end in (point.value, *(point.interval or ()))]
    ends = [0.5, *(end for end in reached if end is not None)]
    axes.set_xticks(places, list(names))
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(min(ends) - 0.03, max(ends) + 0.03), ylabel="AUC")
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    return _finish(figure, title, "With 95 % intervals: the test of each day's training, and the period since")


def _series(axes: Axes, places: npt.NDArray[np.float64], points: Sequence[Point], colour: str) -> None:
    """Values joined by a line, each with its interval as a bar."""
    for place, point in zip(places, points, strict=True):
        if point.interval is not None:
            axes.plot([place, place], point.interval, color=colour, linewidth=1.6, alpha=0.55, zorder=2)
    values = [np.nan if point.value is None else point.value for point in points]
    axes.plot(places, values, color=colour, linewidth=1.4, marker="o", markersize=5, zorder=3)


def _name(axes: Axes, place: float, promised: float | None, came_true: float | None) -> None:
    """Name both lines at their end, the upper one above."""
    for value, other, colour, word in (
        (promised, came_true, GREY, "promised"),
        (came_true, promised, BLUE, "came true"),
    ):
        if value is None:
            continue
        above = other is None or value > other or (value == other and word == "promised")
        axes.annotate(word, (place, value), xytext=(9, 6 if above else -6), textcoords="offset points", va="center",
                      color=colour, fontsize=9.5, annotation_clip=False)  # fmt: skip
