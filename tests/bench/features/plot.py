"""Two panels against the number of events: nanoseconds per cell, and the peak of memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.bench.features.columns import SETS
from tests.bench.features.report import MOST_MEMORY, TITLES, peak_of_given
from tests.bench.features.run import Result

COLORS = dict(zip(TITLES, ("#0b6e4f", "#d98e04", "#3a6ea5", "#8c4a8c", "#7a7a7a"), strict=True))
STYLES = {"facts": "-", "wide": "--"}


def save(results: Sequence[Result], path: Path) -> None:
    """Draw what was measured; an engine of one size is a dot, the dotted line what leadscore promises."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, (speed, memory) = pyplot.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for engine, title in TITLES.items():
        for columns in SETS:
            done = [one for one in results if one.done and (one.engine, one.columns) == (engine, columns)]
            if not done:
                continue
            look = {"color": COLORS[engine], "linestyle": STYLES[columns], "marker": "o", "markersize": 4}
            events = [one.n_events for one in done]
            label = f"{title}, {columns}"
            speed.plot(events, [one["seconds"] / one["n_cells"] * 1e9 for one in done], label=label, **look)
            if all(one["peak_bytes"] is not None for one in done):
                memory.plot(events, [peak_of_given(one) for one in done], **look)
    speed.set(title="Nanoseconds per feature cell", xlabel="events", xscale="log", yscale="log")
    memory.set(title="Peak memory ÷ (input + output)", xlabel="events", xscale="log", ylim=(0, None))
    memory.axhline(MOST_MEMORY, color="black", linewidth=0.8, linestyle=":")
    for axes in (speed, memory):
        axes.grid(visible=True, alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    lines, labels = speed.get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside right center", frameon=False, fontsize=8, handlelength=3)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
