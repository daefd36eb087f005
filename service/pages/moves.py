"""How the score of a lead moved: the moves that a person can see, and a chart of them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from service.pages.pictures import inline
from service.pages.rendering import percent

if TYPE_CHECKING:
    from markupsafe import Markup

MOST_TICKS = 6


def seen(moves: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Leave out moves, oldest first, after which score, grade and percentage stand as they stood; the first stays."""
    kept: list[Mapping[str, Any]] = []
    for move in moves:
        if not kept or _shown(move) != _shown(kept[-1]):
            kept.append(move)
    return kept


def chart(moves: Sequence[Mapping[str, Any]]) -> Markup | None:
    """The scores over time as steps, oldest first, drawn here; None where all are the same."""
    if len({move["score"] for move in moves}) < 2:
        return None
    from markupsafe import Markup
    from matplotlib.dates import AutoDateFormatter, AutoDateLocator

    from leadscore.evaluate.plots import BLUE, GREY, PALE, _blank

    figure = _blank(1.7)
    axes = figure.add_axes((0.06, 0.2, 0.92, 0.72))
    at = [np.datetime64(move["as_of"].rstrip("Z")) for move in moves]
    axes.step([*at, at[-1]], [*(move["score"] for move in moves), moves[-1]["score"]], where="post", color=BLUE)
    axes.plot(at, [move["score"] for move in moves], "o", color=BLUE, markersize=4)
    axes.set(ylim=(0, 104))
    axes.set_yticks([0, 50, 100])
    ticks = AutoDateLocator(minticks=2, maxticks=MOST_TICKS)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(ticks)
    axes.xaxis.set_major_formatter(AutoDateFormatter(ticks))  # type: ignore[no-untyped-call]
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.tick_params(length=0, labelsize=8, labelcolor=GREY)
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return Markup(inline(drawn.getvalue(), "How the score moved; the table below has the numbers"))


def _shown(move: Mapping[str, Any]) -> tuple[int, str, str]:
    return move["score"], move["grade"], percent(move["probability"])
