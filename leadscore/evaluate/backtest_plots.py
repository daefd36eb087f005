"""One figure of a backtest: what each origin's test promised, and what came true, over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from leadscore.evaluate.metrics import Interval
from leadscore.evaluate.plots import BLUE, GREY, PALE, _blank, _finish, _frame

if TYPE_CHECKING:
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
    ends = [0.5]
    for offset, points, colour, word in ((-APART, promised, GREY, "promised"), (APART, came_true, BLUE, "came true")):
        drawn = [
            (place + offset, point) for place, point in zip(places, points, strict=True) if point.value is not None
        ]
        for place, point in drawn:
            if point.interval is not None:
                axes.plot([place, place], point.interval, color=colour, linewidth=1.6, alpha=0.55, zorder=2)
                ends += point.interval
        values = [float(point.value or 0.0) for _, point in drawn]
        axes.plot(
            [place for place, _ in drawn], values, color=colour, linewidth=1.4, marker="o", markersize=5, zorder=3
        )
        if drawn:
            ends += values
            side = 9 if word == "came true" else -9
            axes.annotate(word, (places[-1] + APART, values[-1]), xytext=(9, side), textcoords="offset points",
                          va="center", color=colour, fontsize=9.5, annotation_clip=False)  # fmt: skip
    axes.annotate("chance", (0, 0.5), xycoords=("axes fraction", "data"), xytext=(3, 3), textcoords="offset points",
                  color=GREY, fontsize=8.5)  # fmt: skip
    axes.set_xticks(places, list(names))
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(min(ends) - 0.03, min(1.0, max(ends) + 0.03)), ylabel="AUC")
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    return _finish(
        figure, title, "By origin, with 95 % intervals: the test of that day's training, and the period since"
    )
