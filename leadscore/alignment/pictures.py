"""Three figures in the look of the others: expected against found, who gets the credit, where leads stop."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from leadscore.alignment.attribution import RULES
from leadscore.alignment.channels import UNNAMED, last_place
from leadscore.alignment.funnel import LOST
from leadscore.evaluate.plots import (
    BLUE,
    BLUE_BAND,
    CLAY,
    GREY,
    INK,
    WIDTH,
    _blank,
    _finish,
    _frame,
    _percent,
    _percent_ticks,
)
from leadscore.features.words import in_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from leadscore.alignment.channels import Channels

MOST_ROWS = 12
_ROW_INCHES, _LINE_INCHES = 0.36, 0.19


class Shape(NamedTuple):
    """How much room a figure has: inches across and left of the axes, and letters of a name."""

    width: float
    left: float
    word: int
    legend_in_a_row: bool


BROAD = Shape(WIDTH, 1.78, 22, True)
NARROW = Shape(3.9, 1.42, 18, False)
"""For a telephone: as wide as its screen, so that nothing is cut and letters can be read."""


def expected_and_found(found: Channels, shape: Shape = BROAD) -> Figure:
    """Draw per channel the rate that was found with its interval, and the one that the model expected on entry.

    At least one channel is judged.
    """
    rows = found.table[found.table["judged"] > 0].head(MOST_ROWS).iloc[::-1]
    sheet = _Sheet.of(shape, len(rows), 3)
    axes = sheet.axes
    places = np.arange(len(rows))
    axes.hlines(
        places, rows["won_rate_low"], rows["won_rate_high"], color=BLUE_BAND, linewidth=7, label="its 90 % interval"
    )
    axes.scatter(rows["won_rate"], places, color=BLUE, s=34, zorder=3, label="found")
    axes.scatter(
        rows["expected"] / rows["judged"], places, color=CLAY, marker="|", s=160, linewidths=2.2, zorder=4,
        label="expected on entry",
    )  # fmt: skip
    between = "  " if shape is BROAD else "\n"
    named = zip(rows["channel"], rows["judged"], strict=True)
    axes.set_yticks(places, [f"{_short(name, shape)}{between}{n:,}" for name, n in named])
    axes.set(xlabel="Converted within the horizon, % of judged leads", ylim=(-0.7, len(rows) - 0.3))
    if shape is NARROW:
        axes.set_xlabel("Converted within the horizon,\n% of judged leads")
    axes.set_xlim(left=0)
    _percent_ticks(axes, "x")
    return sheet.finished(_rate_finding(found, rows, shape), "What was found, and what the model expected on entry")


def _rate_finding(found: Channels, rows: pd.DataFrame, shape: Shape) -> str:
    """Say which channels differ: the two furthest apart of those whose intervals don't overlap, or that none do."""
    named = rows[~rows["channel"].isin(UNNAMED)].sort_values("won_rate", kind="stable")
    if len(named) < 2:  # nothing to compare; each lead once, whatever number of channels touched it
        rate, expected = found.n_won / found.n_judged, found.expected / found.n_judged
        return f"Found {_percent(rate, 1)}, expected {_percent(expected, 1)}"
    apart = [
        (high["won_rate"] - low["won_rate"], low, high)
        for low, high in combinations(named.to_dict("records"), 2)
        if low["won_rate_high"] < high["won_rate_low"]
    ]
    if not apart:
        column = found.by.partition(".")[2]
        return f"No {in_words(column) or column} differs from another: their intervals overlap"
    _, low, high = max(apart, key=lambda pair: pair[0])
    return (
        f"{_short(high['channel'], shape)} converted at {_percent(high['won_rate'], 1)}, "
        f"{_short(low['channel'], shape)} at {_percent(low['won_rate'], 1)}: their intervals don't overlap"
    )


def credits_by_rule(table: pd.DataFrame, shape: Shape = BROAD) -> Figure:
    """Draw the wins that each channel gets by the four rules, side by side, the most on top; what has no name last."""
    rows = table.iloc[np.lexsort((table["credit_shapley"], -last_place(table["channel"])))].tail(MOST_ROWS)
    sheet = _Sheet.of(shape, 2 * len(rows), len(RULES))
    places = np.arange(len(rows))
    colours = dict(zip(RULES, (GREY, CLAY, BLUE_BAND, BLUE), strict=True))
    for number, rule in enumerate(RULES):
        shift = 0.3 - 0.2 * number
        bars = sheet.axes.barh(places + shift, rows[f"credit_{rule}"], height=0.18, color=colours[rule])
        bars.set_label("Shapley" if rule == "shapley" else rule.replace("_", " "))
    sheet.axes.set_yticks(places, [_short(name, shape) for name in rows["channel"]])
    sheet.axes.set(xlabel="Wins credited", ylim=(-0.7, len(rows) - 0.3))
    return sheet.finished(_credit_finding(table, rows, shape), "The same wins, shared out by four rules")


def _credit_finding(table: pd.DataFrame, rows: pd.DataFrame, shape: Shape) -> str:
    named = rows[~rows["channel"].isin(UNNAMED)]
    total = float(table["credit_shapley"].sum())
    if not total:
        return "No win had a touch before it"
    if not len(named):
        return f"{total:.0f} wins, shared out by four rules"
    best = named.iloc[-1]
    share = _percent(best["credit_shapley"] / total)
    most = "the most" if best["credit_shapley"] >= table["credit_shapley"].max() else "the most of those that are named"
    return f"By Shapley {share} of {total:.0f} wins are owed to {_short(best['channel'], shape)}, {most}"


def stages(table: pd.DataFrame, shape: Shape = BROAD) -> Figure:
    """Draw how many leads came how far, and what became of those that stopped."""
    rows = table.iloc[::-1]
    worst = table.iloc[int(table["lost"].to_numpy().argmax())]
    title = "None was lost"
    if worst["lost"]:
        title = f"Most leads are lost {LOST[worst['stage']]}: {worst['lost']:,} of {worst['leads']:,}"
    share_of = "" if shape is BROAD else ", and their share of the stage before"
    sheet = _Sheet.of(shape, 1.4 * len(rows), 3)
    axes = sheet.axes
    places = np.arange(len(rows))
    on = rows["leads"] - rows["lost"] - rows["open"]
    axes.barh(places, on, color=BLUE, height=0.62, label="went on")
    axes.barh(places, rows["open"], left=on, color=BLUE_BAND, height=0.62, label="no further, still open")
    axes.barh(places, rows["lost"], left=on + rows["open"], color=CLAY, height=0.62, label="lost here")
    before = " of before" if shape is BROAD else ""
    for place, (leads, share) in enumerate(zip(rows["leads"], rows["of_before"], strict=True)):
        told = f"{leads:,}" if share != share else f"{leads:,}, {_percent(share)}{before}"
        axes.annotate(
            told, (leads, place), xytext=(5, 0), textcoords="offset points", va="center", color=INK, fontsize=9
        )
    axes.set_yticks(places, rows["stage"])
    room = 1.4 if shape is BROAD else 1.6
    axes.set(xlabel="Leads", xlim=(0, room * max(1, int(rows["leads"].max()))), ylim=(-0.6, len(rows) - 0.4))
    return sheet.finished(title, f"What became of the leads that came to each stage{share_of}")


class _Sheet(NamedTuple):
    """A figure with room for the names of its colours."""

    figure: Figure
    axes: Axes
    legend_inches: float
    columns: int

    @classmethod
    def of(cls, shape: Shape, n_rows: float, n_colours: int) -> _Sheet:
        columns = n_colours if shape.legend_in_a_row else 1
        legend = _LINE_INCHES * n_colours / columns + 0.05
        below = 0.0 if shape is BROAD else 0.16  # the axis's name takes two lines there
        height = 1.75 + below + legend + _ROW_INCHES * max(n_rows, 2)
        figure = _blank(height, shape.width)
        frame = _frame(shape.left / shape.width, height)
        frame["bottom"] += below / height
        return cls(figure, figure.subplots(gridspec_kw=frame), legend, columns)

    def finished(self, title: str, subtitle: str) -> Figure:
        """Name the colours in a band above the first row, so that they cover none, and set the title."""
        low, high = self.axes.get_ylim()
        inches = self.axes.get_position().height * self.figure.get_figheight()
        self.axes.set_ylim(low, high + self.legend_inches * (high - low) / (inches - self.legend_inches))
        self.axes.legend(
            loc="upper right", frameon=False, fontsize=9, labelcolor=INK, ncols=self.columns, borderaxespad=0.0,
            borderpad=0.1, labelspacing=0.35,
        )  # fmt: skip
        return _finish(self.figure, title, subtitle)


def _short(name: str, shape: Shape) -> str:
    name = in_words(name) or name
    return name if len(name) <= shape.word else name[: shape.word - 1] + "…"
