"""From blocks to HTML: one file, no script, nothing from other hosts, the same bytes for the same content."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from leadscore.errors import MissingExtraError
from leadscore.evaluate import plots
from leadscore.evaluate.page.blocks import MOST_SHOWN, Picture, Section, Tone

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

_COLOURS = {
    plots.INK: "ink",
    plots.GREY: "grey",
    plots.PALE: "pale",
    plots.BLUE: "blue",
    plots.BLUE_BAND: "band",
    plots.CLAY: "clay",
    "#ffffff": "paper",
}
"""The palette of the plots; on a page each is a variable, so that a dark page is dark in its pictures too."""


@dataclass(frozen=True)
class Page:
    """A page; the verdict is its first sentence, `tone` how it is marked, `facts` short pairs below it.

    `notice` is what to know before any number is read.
    """

    title: str
    verdict: str
    sections: Sequence[Section]
    tone: Tone = "plain"
    facts: Sequence[tuple[str, str]] = ()
    notice: str = ""


def render(page: Page) -> str:
    """Return the page as HTML, everything escaped, figures inlined as SVG.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib isn't installed.
    """
    return _fill("page.html", page)


def render_body(page: Page, address: Callable[[str], str] | None = None) -> str:
    """Return what stands on a page, for one that has a frame of its own; raises as `render`.

    `address` says where what is behind a number has a page, by its id; without it ids are text.
    """
    return _fill("body.html", page, address)


def _fill(template: str, page: Page, address: Callable[[str], str] | None = None) -> str:
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("A page", "tracking") from error

    def read(name: str) -> str:
        return files("leadscore.evaluate.page").joinpath(name).read_text(encoding="utf-8")

    environment = Environment(
        loader=FunctionLoader(read), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["svg"] = _svg
    return environment.get_template(template).render(page=page, address=address, most=MOST_SHOWN)


def _svg(picture: Picture, number: str) -> Markup:
    """The figure as an SVG element, and behind it the narrow one, of which a page shows what fits."""
    from markupsafe import Markup

    if picture.narrow is None:
        return Markup(_drawn(picture.figure, picture.alt, number, ""))
    narrow = _drawn(picture.narrow, picture.alt, f"{number}n", "slim")
    return Markup(_drawn(picture.figure, picture.alt, number, "broad") + narrow)


def _drawn(figure: Figure, alt: str, number: str, kind: str) -> str:
    """A figure as SVG; matplotlib escapes what it draws, and ids are made this picture's own."""
    import matplotlib
    from markupsafe import escape

    drawn = io.StringIO()
    with matplotlib.rc_context(
        {"svg.hashsalt": f"leadscore-{number}", "svg.fonttype": "none", "text.parse_math": False}
    ):
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    text = drawn.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    for colour, name in _COLOURS.items():
        text = re.sub(rf"(?<=[ :]){colour}\b", f"var(--{name})", text)
    text = re.sub(r'\b(id|xlink:href|clip-path)="(#|url\(#)?', lambda found: f"{found[0]}p{number}-", text)
    width, height = (float(size) for size in re.findall(r'(?:width|height)="([\d.]+)pt"', text)[:2])
    text = re.sub(r"^<svg[^>]*>", "", text)
    named = f' class="{kind}"' if kind else ""
    opening = (
        f'<svg role="img"{named} aria-label="{escape(alt)}" viewBox="0 0 {width:g} {height:g}" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return opening + text
