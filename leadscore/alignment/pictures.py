"""Three figures in the look of the others: expected against found, who gets the credit, where leads stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leadscore.alignment.attribution import RULES
from leadscore.alignment.channels import MISSING, OTHERS
from leadscore.evaluate.plots import (
    BLUE,
    BLUE_BAND,
    CLAY,
    GREY,
    INK,
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
_ROW_INCHES = 0.36
_WORD = 22
"""Characters of a channel's name that fit beside a figure."""


def expected_and_found(found: Channels) -> Figure:
    """Draw per channel the rate that was found with its interval, and the one that the model expected on entry."""
    rows = found.table[found.table["judged"] > 0].head(MOST_ROWS).iloc[::-1]
    height = _height(len(rows))
    figure = _blank(height)
    axes = figure.subplots(gridspec_kw=_frame(0.24, height))
    places = np.arange(len(rows))
    axes.hlines(
        places, rows["won_rate_low"], rows["won_rate_high"], color=BLUE_BAND, linewidth=7, label="its 90 % interval"
    )
    axes.scatter(rows["won_rate"], places, color=BLUE, s=34, zorder=3, label="found")
    axes.scatter(
        rows["expected"] / rows["judged"], places, color=CLAY, marker="|", s=160, linewidths=2.2, zorder=4,
        label="expected on entry",
    )  # fmt: skip
    labels = [f"{_short(name)}  {n:,}" for name, n in zip(rows["channel"], rows["judged"], strict=True)]
    axes.set_yticks(places, labels)
    axes.set(xlabel="Converted within the horizon, % of judged leads", ylim=(-0.7, len(rows) - 0.3))
    _legend(axes, 1.0)
    axes.set_xlim(left=0)
    _percent_ticks(axes, "x")
    title = "Too early"
    if found.n_judged:  # each lead once, whatever number of channels touched it
        rate, expected = found.n_won / found.n_judged, found.expected / found.n_judged
        title = f"Found {_percent(rate, 1)}, expected {_percent(expected, 1)}"
    return _finish(figure, title, "What was found, and what the model expected on entry")


def credits_by_rule(table: pd.DataFrame) -> Figure:
    """Draw the wins that each channel gets by the four rules, side by side."""
    rows = table.sort_values("credit_shapley", kind="stable").tail(MOST_ROWS)
    height = _height(2 * len(rows))
    figure = _blank(height)
    axes = figure.subplots(gridspec_kw=_frame(0.24, height))
    places = np.arange(len(rows))
    colours = dict(zip(RULES, (GREY, CLAY, BLUE_BAND, BLUE), strict=True))
    for number, rule in enumerate(RULES):
        shift = 0.3 - 0.2 * number
        bars = axes.barh(places + shift, rows[f"credit_{rule}"], height=0.18, color=colours[rule])
        bars.set_label("Shapley" if rule == "shapley" else rule.replace("_", " "))
    axes.set_yticks(places, [_short(name) for name in rows["channel"]])
    axes.set(xlabel="Wins credited", ylim=(-0.7, len(rows) - 0.3))
    _legend(axes, 0.4)
    named = rows[~rows["channel"].isin((MISSING, OTHERS))]
    total = float(table["credit_shapley"].sum())
    title = f"{total:.0f} wins, shared out by four rules" if total else "No win had a touch before it"
    if total and len(named):
        best = named.iloc[-1]
        share = _percent(best["credit_shapley"] / total)
        most = "the most" if best["channel"] == rows["channel"].iloc[-1] else "the most of those that are named"
        title = f"By Shapley {share} of {total:.0f} wins are owed to {_short(best['channel'])}, {most}"
    return _finish(figure, title, "The same wins, shared out by four rules")


def stages(table: pd.DataFrame) -> Figure:
    """Draw how many leads came how far, and what became of those that stopped."""
    rows = table.iloc[::-1]
    height = _height(1.4 * len(rows))
    figure = _blank(height)
    axes = figure.subplots(gridspec_kw=_frame(0.16, height))
    places = np.arange(len(rows))
    on = rows["leads"] - rows["lost"] - rows["open"]
    axes.barh(places, on, color=BLUE, height=0.62, label="went on")
    axes.barh(places, rows["open"], left=on, color=BLUE_BAND, height=0.62, label="no further, still open")
    axes.barh(places, rows["lost"], left=on + rows["open"], color=CLAY, height=0.62, label="lost here")
    for place, (leads, share) in enumerate(zip(rows["leads"], rows["of_before"], strict=True)):
        told = f"{leads:,}" if share != share else f"{leads:,}, {_percent(share)} of before"
        axes.annotate(
            told, (leads, place), xytext=(5, 0), textcoords="offset points", va="center", color=INK, fontsize=9
        )
    axes.set_yticks(places, rows["stage"])
    axes.set(xlabel="Leads", xlim=(0, 1.4 * max(1, int(rows["leads"].max()))), ylim=(-0.6, len(rows) - 0.4))
    _legend(axes, 0.6)
    worst = table.iloc[int(table["lost"].to_numpy().argmax())]
    title = f"Most leads are lost once they are {worst['stage']}: {worst['lost']:,} of {worst['leads']:,}"
    if worst["stage"] == "lead":
        title = f"Most leads are lost before anything happens: {worst['lost']:,} of {worst['leads']:,}"
    return _finish(figure, title, "What became of the leads that came to each stage")


def _legend(axes: Axes, room: float) -> None:
    """Name the colours in a band of `room` rows above the first row, so that they cover none."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + room)
    axes.legend(loc="upper right", frameon=False, fontsize=9, labelcolor=INK, ncols=4, borderaxespad=0.0)


def _height(n_rows: float) -> float:
    return 2.0 + _ROW_INCHES * max(n_rows, 2)


def _short(name: str) -> str:
    name = in_words(name) or name
    return name if len(name) <= _WORD else name[: _WORD - 1] + "…"
