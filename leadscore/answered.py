"""Which calls, meetings and messages somebody answered: declared, or recognised as CRM exports write it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

from leadscore.section import Section

YES, UNSAID, NO = 1, 0, -1

_COLUMNS = ("outcome", "call outcome", "call result", "call disposition", "calldisposition", "disposition")
_DURATIONS = (
    *("minutes", "seconds", "duration", "duration minutes", "duration seconds", "talk time", "call duration"),
    *("call minutes", "call seconds", "calldurationinseconds", "call duration in seconds", "hs call duration"),
)
"""Columns of outcomes and of lengths, as HubSpot, Salesforce, Close and plain exports name them."""
_ANSWERED = ("answered", "reached", "connected", "spoke", "spoken", "talked", "conversation", "held", "attended")
_UNANSWERED = (
    *(
        "no answer",
        "noanswer",
        "not answered",
        "unanswered",
        "not reached",
        "not connected",
        "busy",
        "missed",
        "failed",
    ),
    *("voicemail", "left voicemail", "left message", "left live message", "wrong number"),
    *("no show", "noshow", "canceled", "cancelled", "rescheduled", "scheduled", "planned"),
)
"""Words that mean that nobody spoke, however long a row says it was: a voicemail has a length, and so has a plan."""


@dataclass(frozen=True)
class Answered:
    """How a table says that somebody answered: by a word of `column`, or by a `duration` above 0; either may be None.

    A word of `words` says yes, one for an attempt in vain no; beside any other word, or none, the duration tells.
    """

    column: str | None
    words: tuple[str, ...]
    duration: str | None

    def says(self, word: str) -> int:
        """Return what a word of the column says: `YES`, `NO` or `UNSAID`; case, blanks and punctuation don't matter."""
        found = plain(word)
        return YES if found in self.words else NO if found in _UNANSWERED else UNSAID

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """Rebuild it from `to_dict`."""
        return cls(raw["column"], tuple(raw["words"]), raw["duration"])

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {"column": self.column, "words": list(self.words), "duration": self.duration}


def recognised(categorical: Sequence[str], numeric: Sequence[str]) -> Answered | None:
    """Return what a table's own column names give away, None if nothing does."""
    column = next((name for name in categorical if plain(name) in _COLUMNS), None)
    duration = next((name for name in numeric if plain(name) in _DURATIONS), None)
    return None if column is None and duration is None else Answered(column, _ANSWERED, duration)


def declared(section: Section, categorical: Sequence[str], numeric: Sequence[str]) -> Answered | None:
    """Read ``answered = { column = …, words = […], duration = … }``, if it is there; what it leaves out says nothing.

    Raises
    ------
    ProjectError
        If it names neither column nor duration, one that isn't declared, or words without a column.
    """
    if "answered" not in section.raw:
        return recognised(categorical, numeric)
    inner = Section(section.raw["answered"], f"{section.where}.answered", "column words duration")
    column, duration = inner.text("column"), inner.text("duration")
    words = tuple(plain(word) for word in inner.texts("words"))
    if column is None and (duration is None or words):
        raise inner.fail('needs column = "…", where words of an outcome stand, or duration = "…" without words')
    for name, kind, known in ((column, "categorical", categorical), (duration, "numeric", numeric)):
        if name is not None and name not in known:
            raise inner.fail(f"speaks of {name!r}; list that column under {kind} as well")
    return Answered(column, words or _ANSWERED, duration)


@lru_cache(maxsize=1_024)
def plain(text: str) -> str:
    """Letters and digits in lower case, all else a blank; an arrow or a plus, which has neither, stays itself."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip() or text.strip()
