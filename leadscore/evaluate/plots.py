"""Three figures: do the probabilities hold, what does a call list find, what moves the scores.

Each is a matplotlib ``Figure`` of its own with a title that states the finding. Nothing here touches
``pyplot`` or any other global state, so figures can be drawn in a service, in threads, and without a display.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from leadscore.errors import DataError, MissingExtraError
from leadscore.evaluate._measures import Array, Codes, Rows, bins_of
from leadscore.evaluate.capacity import CapacityCurve, capacity_curve
from leadscore.evaluate.metrics import evaluate, resample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GREY, PALE = "#22303c", "#748391", "#dde4ea"
BLUE, BLUE_BAND, CLAY = "#2c6e91", "#c6dbe6", "#b8653a"
WIDTH, HEIGHT, DPI = 7.4, 5.2, 150
_TITLE_INCHES, _SUBTITLE_INCHES = 0.22, 0.17
"""From one line to the next."""
_TITLE_LETTERS, _SUBTITLE_LETTERS = 8.2, 11.5
"""Of a line, for each inch that a figure is wide."""
FEW_WINS = 30


def reliability(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    seed: int,
    weight: npt.ArrayLike | None = None,
    cluster: npt.ArrayLike | None = None,
    n_resamples: int = 200,
    level: float = 0.95,
) -> Figure:
    """Draw observed against predicted rates in ten bands of equal weight, above a histogram of the scores.

    Parameters
    ----------
    label, probability, weight
        As in `leadscore.evaluate.metrics.evaluate`; at least one row with weight.
    seed : int
        Of the bootstrap behind the band.
    cluster : array of int or str, shape (n,), optional
        Account or lead of each row; every row is its own if left out.
    n_resamples, level
        As in `leadscore.evaluate.metrics.bootstrap`.

    Raises
    ------
    DataError
        If a row is outside its range, or none has weight.
    MissingExtraError
        If matplotlib isn't installed.
    """
    rows = Rows.of(label, probability, weight=weight, cluster=np.arange(np.size(label)) if cluster is None else cluster)
    if not rows.weight.sum() > 0:
        raise DataError("A reliability curve needs at least one row with weight; found none.")
    bands = _bands(rows, seed, n_resamples, level)
    figure = _blank()
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [4, 1], "hspace": 0.08, **_frame()})
    limit = _reach(rows, bands)
    upper.plot([0, limit], [0, limit], color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=2.5)
    upper.fill_between(bands.predicted, bands.low, bands.high, color=BLUE_BAND, linewidth=0, zorder=2)
    upper.plot(bands.predicted, bands.observed, color=BLUE, linewidth=1.8, zorder=3)
    upper.scatter(bands.predicted, bands.observed, s=26, color=BLUE, edgecolors="white", zorder=4)
    upper.set(xlim=(0, limit), ylim=(0, limit), ylabel="Converted, % of leads")
    _label_reliability(upper, limit, level, len(bands.predicted))
    beyond = _histogram(lower, rows, limit)
    lower.set_xlabel("Predicted probability, %" + (f"  ({_percent(beyond, 1)} of leads lie beyond)" if beyond else ""))
    _percent_ticks(upper, "y")
    _percent_ticks(lower, "xy")
    counts = f"{len(rows.label):,} snapshots, {int(rows.label.sum()):,} won"
    return _finish(figure, _reliability_finding(rows, bands), counts)


def capacity(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    weight: npt.ArrayLike | None = None,
    margin: npt.ArrayLike | None = None,
    share: float = 0.1,
) -> Figure:
    """Draw the share of wins found by calling a share of the list, beside an ideal and a random order.

    Parameters
    ----------
    label, probability, weight, margin
        As in `leadscore.evaluate.metrics.evaluate`; at least one win with weight.
    share : float
        The length of list the title speaks of, in (0, 1].

    Raises
    ------
    DataError
        If a row is outside its range, or there is no win.
    MissingExtraError
        If matplotlib isn't installed.
    """
    curve = capacity_curve(label, probability, weight, margin=margin, shares=np.arange(1, 201) / 200)
    at = capacity_curve(label, probability, weight, margin=margin, shares=[share])
    if np.isnan(curve.recall[-1]):
        raise DataError("A capacity curve needs at least one win with weight; found none.")
    figure = _blank()
    axes = figure.subplots(gridspec_kw=_frame())
    base_rate = float(curve.precision[-1])
    axes.plot([0, base_rate, 1], [0, 1, 1], color=GREY, linewidth=1, linestyle=(0, (1, 2)))
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.plot(np.append(0, curve.share), np.append(0, curve.recall), color=BLUE, linewidth=2.2)
    axes.fill_between(curve.share, curve.share, curve.recall, color=BLUE_BAND, alpha=0.35, linewidth=0)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="Leads called, % of the list", ylabel="Wins found, % of all wins")
    _label_capacity(axes, curve, at, base_rate)
    _percent_ticks(axes, "xy")
    found, lift = float(at.recall[0]), float(at.lift[0])
    title = f"Calling the best {_percent(share)} of the list finds {_percent(found)} of the wins"
    return _finish(figure, title, f"{lift:.1f} times as many as a random order; base rate {_percent(base_rate, 1)}")


def importance(
    names: Sequence[str],
    values: npt.ArrayLike,
    *,
    top: int = 15,
    unit: str = "mean absolute effect, log-odds",
) -> Figure:
    """Draw what moves the scores most, as bars from the largest down; the rest is one last bar.

    Parameters
    ----------
    names : sequence of str
        Features or groups, in the words of the reader.
    values : array of float64, shape (n,)
        How much each moves the scores, >= 0.
    top : int
        Bars to name, at least 1.
    unit : str
        What the values measure, for the axis.

    Raises
    ------
    DataError
        If names and values differ in length, or a value is negative or not finite, or all are 0.
    MissingExtraError
        If matplotlib isn't installed.
    """
    moved = np.asarray(values, dtype=np.float64)
    if moved.shape != (len(names),) or not np.isfinite(moved).all() or (moved < 0).any() or not moved.sum() > 0:
        raise DataError("Importance needs one finite value >= 0 per name, and one above 0.")
    ranked = sorted(zip(moved.tolist(), names, strict=True), key=lambda pair: (-pair[0], pair[1]))
    shown, rest = ranked[:top], ranked[top:]
    total = float(moved.sum())
    bars = [(value, textwrap.fill(name, 42), BLUE) for value, name in shown]
    if rest:
        others = "1 other" if len(rest) == 1 else f"{len(rest)} others together"
        bars.append((sum(value for value, _ in rest), others, PALE))
    figure = _blank(height=1.9 + 0.3 * len(bars))
    axes = figure.subplots(gridspec_kw=_frame(left=0.42, height=1.9 + 0.3 * len(bars)))
    lengths = [value for value, _, _ in bars]
    axes.barh(range(len(bars)), lengths, color=[color for _, _, color in bars], height=0.68)
    for position, length in enumerate(lengths):
        axes.annotate(
            _percent(length / total), (length, position), xytext=(4, 0), textcoords="offset points",
            va="center", color=GREY, fontsize=8.5,
        )  # fmt: skip
    axes.set_yticks(range(len(bars)), [name for _, name, _ in bars])
    axes.set(ylim=(len(bars) - 0.4, -0.6), xlim=(0, 1.1 * max(lengths)), xlabel=unit[0].upper() + unit[1:])
    axes.locator_params(axis="x", nbins=5)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", colors=INK)
    first = shown[0]
    return _finish(
        figure,
        f"What moves the scores most: {first[1]}",
        f"{_percent(first[0] / total)} of the movement of all {len(names)}",
    )


class _Bands(NamedTuple):
    """Rates in bands of equal weight, from the lowest predicted to the highest."""

    predicted: Array
    observed: Array
    low: Array
    high: Array


def _bands(rows: Rows, seed: int, n_resamples: int, level: float) -> _Bands:
    """Observed and predicted rate per band; the band edges stay, the rows in them are resampled."""
    bins = np.unique(bins_of(rows, rows.weight), return_inverse=True)[1]

    def rates(weight: Array, values: Array) -> Array:
        listed = _per_bin(bins, weight)
        return np.divide(_per_bin(bins, weight * values), listed, out=np.full_like(listed, np.nan), where=listed > 0)

    filled = _per_bin(bins, rows.weight) > 0
    predicted, observed = rates(rows.weight, rows.probability), rates(rows.weight, rows.label)
    drawn = [rates(weight, rows.label) for weight in resample(rows.weight, rows.cluster, n_resamples, seed)]
    resampled = np.array(drawn) if drawn else observed[None, :]
    low, high = np.full((2, len(filled)), np.nan)
    tails = [(1 - level) / 2, (1 + level) / 2]
    low[filled], high[filled] = np.nanquantile(resampled[:, filled], tails, axis=0)
    # Resampling a band without a win (or a loss) never finds one; there the exact binomial end is honest.
    squares = np.maximum(_per_bin(bins, rows.weight**2), np.finfo(float).tiny)
    effective = _per_bin(bins, rows.weight) ** 2 / squares
    extreme = ((1 - level) / 2) ** (1 / np.maximum(effective, 1))
    high = np.where(observed == 0, 1 - extreme, high)
    low = np.where(observed == 1, extreme, low)
    return _Bands(predicted[filled], observed[filled], low[filled], high[filled])


def _per_bin(bins: Codes, values: Array) -> Array:
    return np.bincount(bins, values).astype(np.float64)


def _reliability_finding(rows: Rows, bands: _Bands) -> str:
    """One sentence: do the probabilities hold, and if not, which way are they wrong?"""
    total = float(rows.weight.sum())
    predicted = float(np.sum(rows.weight * rows.probability)) / total
    observed = float(np.sum(rows.weight * rows.label)) / total
    numbers = f"{_percent(predicted, 1)} predicted, {_percent(observed, 1)} converted"
    if rows.label.sum() < FEW_WINS:
        return f"Too few wins to judge by: {numbers}"
    too_high, too_low = bands.predicted > bands.high, bands.predicted < bands.low
    if (too_high | too_low).sum() <= 0.2 * len(bands.predicted):
        return f"The probabilities hold: {numbers}"
    if too_high.any() != too_low.any():
        return f"The probabilities are too {'high' if too_high.any() else 'low'}: {numbers}"
    slope = evaluate(rows.label, rows.probability, weight=rows.weight)["calibration_slope"]
    if slope is not None and slope < 1:
        return "The probabilities are too bold: high ones too high, low ones too low"
    return "The probabilities are too cautious: high ones too low, low ones too high"


def _reach(rows: Rows, bands: _Bands) -> float:
    """Where the axes end: past every band and 99 % of the weight, lest a few scores squeeze the rest."""
    weight = np.cumsum(rows.weight)  # from the best down
    nearly_all = rows.probability[np.searchsorted(weight, 0.01 * weight[-1])]
    reach = 1.06 * max(float(nearly_all), float(np.nanmax(bands.high)), float(bands.predicted.max()), 0.01)
    return min(1.0, reach)


def _histogram(axes: Axes, rows: Rows, limit: float) -> float:
    """Share of weight by score, in forty bars; returns the share beyond `limit`."""
    edges = np.linspace(0, limit, 41)
    share, _ = np.histogram(rows.probability, edges, weights=rows.weight / rows.weight.sum())
    axes.bar(edges[:-1], share, width=np.diff(edges) * 0.86, align="edge", color=GREY, linewidth=0, alpha=0.75)
    axes.set_ylabel("Leads, %")
    axes.locator_params(axis="y", nbins=3)
    return float(np.sum(rows.weight[rows.probability > limit]) / rows.weight.sum())


def _label_reliability(axes: Axes, limit: float, level: float, n_bands: int) -> None:
    axes.annotate(
        "as predicted", (0.86 * limit, 0.86 * limit), xytext=(8, -11), textcoords="offset points",
        color=GREY, fontsize=9,
    )  # fmt: skip
    bands = "1 band" if n_bands == 1 else f"{n_bands} bands"
    note = f"{bands} of equal size; shaded: {_percent(level)} interval"
    axes.text(0.985, 0.04, note, transform=axes.transAxes, ha="right", color=BLUE, fontsize=9)


def _label_capacity(axes: Axes, curve: CapacityCurve, at: CapacityCurve, base_rate: float) -> None:
    """Name the three lines where they run, and mark the point the title speaks of."""
    share, found = float(at.share[0]), float(at.recall[0])
    axes.plot([share, share, 0], [0, found, found], color=CLAY, linewidth=0.9)
    axes.scatter([share], [found], s=44, color=CLAY, edgecolors="white", zorder=5)
    right = share > 0.6
    axes.annotate(
        f"{_percent(share)} called, {_percent(found)} found", (share, 0), xytext=(-7 if right else 7, 7),
        textcoords="offset points", ha="right" if right else "left", color=CLAY, fontsize=9.5,
    )  # fmt: skip
    middle = int(np.searchsorted(curve.share, 0.5))
    for text, x, y, color in (
        ("this model", 0.5, float(curve.recall[middle]), BLUE),
        ("random order", 0.62, 0.62, GREY),
        ("ideal order", min(0.97, base_rate + 0.02), 0.96, GREY),
    ):
        axes.annotate(text, (x, y), xytext=(8, -14), textcoords="offset points", color=color, fontsize=9.5)


def _blank(height: float = HEIGHT, width: float = WIDTH) -> Figure:
    """An empty figure that draws to memory and knows nothing of pyplot."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("Plots", "tracking") from error
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _frame(left: float = 0.095, height: float = HEIGHT) -> dict[str, float]:
    """Where the axes stand: room for a title and a subtitle of one line each above, whatever the height."""
    return {"left": left, "right": 0.965, "top": 1 - 0.82 / height, "bottom": 0.62 / height}


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def _percent_ticks(axes: Axes, directions: str) -> None:
    """Ticks in percent without the sign, which the axis label holds."""
    from matplotlib.ticker import FuncFormatter

    for axis in (getattr(axes, f"{direction}axis") for direction in directions):
        axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g}"))


def _finish(figure: Figure, title: str, subtitle: str) -> Figure:
    """Set title and subtitle above all axes, and give these one quiet look, whatever the user's matplotlibrc says.

    Both take as many lines as they need: the figure grows by what goes beyond one line each.
    """
    from matplotlib.text import Text

    width = figure.get_figwidth()
    title = textwrap.fill(title, round(_TITLE_LETTERS * width))
    subtitle = textwrap.fill(subtitle, round(_SUBTITLE_LETTERS * width))
    n_more, n_more_below = title.count("\n"), subtitle.count("\n")
    if n_more or n_more_below:
        _heighten(figure, _TITLE_INCHES * n_more + _SUBTITLE_INCHES * n_more_below)
    for axes in figure.axes:
        axes.set_facecolor("white")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(PALE)
        axes.tick_params(length=0, labelsize=9, labelcolor=INK)
        axes.xaxis.label.set(color=GREY, fontsize=9.5)
        axes.yaxis.label.set(color=GREY, fontsize=9.5)
    figure.align_ylabels()
    height = figure.get_figheight()
    figure.text(0.02, 1 - 0.16 / height, title, va="top", fontsize=12.5, fontweight="bold", color=INK)
    below = 0.46 + _TITLE_INCHES * n_more
    figure.text(0.02, 1 - below / height, subtitle, va="top", fontsize=9.5, color=GREY)
    for text in figure.findobj(Text):
        text.set_fontfamily("DejaVu Sans")
        text.set_parse_math(False)  # a category may be called $1k_$5k
    return figure


def _heighten(figure: Figure, inches: float) -> None:
    """Make room at the top: axes keep their size and their place above the lower edge."""
    height = figure.get_figheight()
    share = height / (height + inches)
    for axes in figure.axes:
        place = axes.get_position()
        axes.set_position((place.x0, share * place.y0, place.width, share * place.height))
    figure.set_figheight(height + inches)
