"""Pictures of a training: its blocks in time, the base rate by month, what drives conversion."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from leadscore.evaluate import plots
from leadscore.evaluate.drivers import Driver
from leadscore.snapshots import BLOCKS, Snapshots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Z = 1.96


def timeline(blocks: Mapping[str, Any]) -> Figure:
    """Draw the blocks as strips over time, with their win rates; `blocks` as in ``Report.blocks``."""
    height = 2.7
    figure = plots._blank(height=height)
    axes = figure.subplots(gridspec_kw=plots._frame(left=0.12, height=height))
    for place, block in enumerate(BLOCKS):
        start, end = (_instant(blocks[block][side]) for side in ("from", "to"))
        colour = plots.CLAY if block == "test" else plots.BLUE
        width = max(end - start, np.timedelta64(1, "D"))
        axes.barh(place, width, left=start, height=0.52, color=colour)
        rate, n_won = blocks[block]["base_rate"], blocks[block]["n_won_leads"]
        side, offset, align = (end, 6, "left") if place < 2 else (start, -6, "right")
        axes.annotate(
            f"{plots._percent(rate, 1)} convert, {n_won:,} won leads", (side, place), xytext=(offset, 0),
            textcoords="offset points", color=plots.GREY, fontsize=8.5, ha=align, va="center",
        )  # fmt: skip
    axes.set_yticks(range(len(BLOCKS)), list(BLOCKS))
    axes.set(ylim=(len(BLOCKS) - 0.5, -0.5))
    _few_dates(axes)
    axes.tick_params(axis="y", colors=plots.INK)
    gap = blocks.get("embargo_days")
    subtitle = f"An embargo of {gap:g} days stands before the test" if gap else "No embargo stands before the test"
    return plots._finish(figure, "The test lies after everything that was learnt", subtitle)


def rate_by_month(rows: Snapshots, test_from: int) -> Figure:
    """Draw the share of snapshots that convert, by month of the cutoff, with 95 % intervals; the test stands out."""
    months = rows.at.view("M8[us]").astype("M8[M]")
    names, place = np.unique(months, return_inverse=True)
    weight = np.bincount(place, rows.weight)
    rate = np.bincount(place, rows.weight * rows.label) / weight
    effective = weight**2 / np.bincount(place, rows.weight**2)
    centre = (rate + _Z**2 / (2 * effective)) / (1 + _Z**2 / effective)  # Wilson's interval
    reach = _Z * np.sqrt(rate * (1 - rate) / effective + _Z**2 / (4 * effective**2)) / (1 + _Z**2 / effective)
    figure = plots._blank(height=3.4)
    axes = figure.subplots(gridspec_kw=plots._frame(height=3.4))
    axes.fill_between(names, centre - reach, centre + reach, color=plots.BLUE_BAND, linewidth=0)
    axes.plot(names, rate, color=plots.BLUE, linewidth=1.8, marker="o", markersize=4)
    ends: list[Any] = [np.datetime64(test_from, "us").astype("M8[M]"), names[-1]]
    axes.axvspan(*ends, color=plots.PALE, alpha=0.5, lw=0)
    axes.set(ylim=(0, 1.1 * float((centre + reach).max())), ylabel="Converted within the horizon, %")
    _few_dates(axes)
    plots._percent_ticks(axes, "y")
    low, high = float(rate.min()), float(rate.max())
    title = f"Between {plots._percent(low, 1)} and {plots._percent(high, 1)} of the leads convert, by month"
    return plots._finish(
        figure, title, "Grey: from where the test begins; shaded: 95 % interval, rows taken as independent"
    )


def shapes(found: Sequence[Driver]) -> Figure:
    """Draw the mean effect of each driver by band of its value, side by side on one scale."""
    n_bands = [len(driver.bands) for driver in found]
    height = 1.3 + 0.27 * sum(n_bands) + 0.42 * len(found)
    figure = plots._blank(height=height)
    rooms = figure.subplots(
        len(found), 1, sharex=True, squeeze=False,
        gridspec_kw={"height_ratios": n_bands, "hspace": 0.42, **plots._frame(left=0.43, height=height)},
    )  # fmt: skip
    for axes, driver in zip(rooms[:, 0], found, strict=True):
        _shape(axes, driver)
    rooms[-1, 0].set_xlabel("Mean effect, log-odds")
    return plots._finish(
        figure, "What drives conversion here, and in what shape", "Blue raises the score, brown lowers it"
    )


def _few_dates(axes: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _instant(text: str) -> Any:
    """Matplotlib takes NumPy's instants, though its types don't say so."""
    return np.datetime64(text.rstrip("Z"), "s")


def _shape(axes: Axes, driver: Driver) -> None:
    effects = [band.effect for band in driver.bands]
    colours = [plots.BLUE if effect > 0 else plots.CLAY for effect in effects]
    axes.barh(range(len(effects)), effects, color=colours, height=0.66)
    axes.axvline(0, color=plots.GREY, linewidth=0.8)
    labels = [textwrap.shorten(band.text, 46, placeholder=" …") for band in driver.bands]
    axes.set_yticks(range(len(effects)), labels)
    axes.set_ylim(len(effects) - 0.4, -0.6)
    axes.locator_params(axis="x", nbins=5)
    axes.tick_params(axis="y", colors=plots.INK)
    axes.set_title(
        f"{driver.name} ({plots._percent(driver.share)} of all movement)", loc="left", fontsize=9.5, color=plots.INK
    )
    axes.spines["left"].set_visible(False)
