"""What a page is made of. Everything is plain text until it is rendered, where it is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Tone = Literal["good", "unsure", "bad", "plain"]
"""How a sentence or row is marked; words say the same, colour only helps."""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    tone: Tone = "plain"
    kind: str = "text"


@dataclass(frozen=True)
class Listing:
    """Short paragraphs below each other, as bullets: warnings, limits, remedies."""

    items: Sequence[str]
    kind: str = "listing"


MOST_SHOWN = 100
"""Of what a number counts, as many are listed on a page."""


@dataclass(frozen=True)
class Behind:
    """A cell that opens the list of what its number counts; an empty list opens nothing.

    Attributes
    ----------
    text : the cell as it is to be read
    title : what is listed, in a few words
    behind : ids, of which `MOST_SHOWN` are shown
    file : the table that holds all of them
    """

    text: str
    title: str
    behind: Sequence[str]
    file: str


@dataclass(frozen=True)
class Table:
    """Rows of cells as they are to be read; the first column names the row, the others are set right where numbers.

    Attributes
    ----------
    columns : headings, one per cell of a row
    rows : cells as text, or with what is behind them
    caption : what the table shows, in one sentence
    words : positions of columns that hold words, not numbers; the first always does
    strong : position of a row to stand out, None for none
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str | Behind]]
    caption: str = ""
    words: Sequence[int] = ()
    strong: int | None = None
    kind: str = "table"


@dataclass(frozen=True)
class Picture:
    """A matplotlib figure, drawn into the page as SVG that follows light and dark.

    `alt` says what it shows for those who don't see it; `narrow` is the same for a telephone, where there is one.
    """

    figure: Figure
    alt: str
    narrow: Figure | None = None
    kind: str = "picture"


Block = Text | Listing | Table | Picture


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: Sequence[Block]
