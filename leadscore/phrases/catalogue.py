"""One language: its phrases, small words, units and numbers, read from the file beside this module."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
ENGLISH = "en"
KIND_COLUMNS = ("action", "activity", "activity_type", "event", "event_type", "kind", "type")
"""Columns that say what an event is; elsewhere the same word may say another thing, as an open ticket."""
_UNITS = {"m": "minute", "h": "hour", "d": "day", "w": "week"}

Noun = tuple[str, str]
"""What something is called: one, many."""


def languages() -> list[str]:
    """Return the languages that there are: one file each."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


@cache
def catalogue(language: str = ENGLISH) -> Catalogue:
    """Return a language, read once; it must be one of `languages`."""
    return Catalogue(tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Catalogue:
    """The content of a language's file; en.toml explains its keys."""

    raw: Mapping[str, Any] = field(repr=False)

    @property
    def phrases(self) -> Mapping[str, Mapping[str, str]]:
        """The forms of every phrase, by op, or by name where the op alone doesn't say it."""
        phrases: Mapping[str, Mapping[str, str]] = self.raw["phrases"]
        return phrases

    def says(self, section: str, key: str, **words: str) -> str:
        """Return a text of the file, filled in."""
        text: str = self.raw[section][key]
        return text.format(**words) if words else text

    @cached_property
    def _fits_before(self) -> re.Pattern[str]:
        return re.compile(self.raw["events"]["fits_before"])

    def stands_before(self, value: str) -> bool:
        """Whether a category reads well before its noun: ``webinar touchpoints``, and not ``no answer calls``."""
        return self._fits_before.fullmatch(value) is not None

    def kind(self, column: str, value: str) -> Noun | None:
        """Return what events of a kind are called, one and many: ``2 downloads``; None where the kind isn't known."""
        found = self.raw["kinds"].get(value.lower()) if column.lower() in KIND_COLUMNS else None
        return None if found is None else (found[0], found[1])

    def noun(self, name: str, words: str) -> Noun:
        """Return what a table is called, one and many: by the file, or by its own name as `words`."""
        return self._known(name) or (self._ending("singular", self.capital(words)), self.capital(words))

    def column(self, name: str, words: str) -> Noun:
        """Return what a column is called, one and many."""
        return self._known(name) or (self.capital(words), self._ending("plural", self.capital(words)))

    def capital(self, word: str) -> str:
        """Begin a word with a capital where the language's nouns have one."""
        return word[:1].upper() + word[1:] if self.raw["grammar"]["capital"] else word

    def number(self, value: float) -> str:
        """Return a number as a person writes it: no needless digits, thousands apart."""
        if abs(value) >= 1e15:
            return f"{value:.0e}".replace("e+", "e")
        whole = value == int(value) or abs(value) >= 999.5
        text = f"{value:,.0f}" if whole else _short(value)
        signs = {",": self.raw["numbers"]["thousands"], ".": self.raw["numbers"]["point"]}
        return "".join(signs.get(sign, sign) for sign in text)

    def percent(self, share: float) -> str:
        """Return a share as a percentage: whole from 1 % on."""
        rounded = round(100 * share) if 100 * share >= 0.95 or share <= 0 else round(100 * share, 1)
        return self.says("numbers", "percent", n=self.number(rounded))

    def range(self, low: str, high: str) -> str:
        """Return two values as a range: ``2 to 4``."""
        return self.says("numbers", "range", low=low, high=high)

    def duration(self, days: float) -> tuple[str, str]:
        """Return days, 0 or more, in the unit a person would choose, alone and after a preposition."""
        minutes = days * 1_440
        if minutes < 1:
            alone, after = self.raw["durations"]["short"]
            return alone, after
        if minutes < 90:
            return self._counted(round(minutes), "minute")
        if minutes < 2_880:
            return self._counted(round(minutes / 60), "hour")
        return self._counted(round(days), "day")

    def span(self, text: str) -> str:
        """Return a span as it stands alone: ``30 days`` of ``30d``."""
        return self._counted(int(text[:-1]), _UNITS[text[-1]])[0]

    def length(self, window: str | None) -> str:
        """Return a window's length, after a preposition: ``24 hours``, ``30 days``; nothing of one without an end."""
        if window is None or window == "all":
            return ""
        n, unit = int(window[:-1]), _UNITS[window[-1]]
        return self.says("windows", unit) if n == 1 else self._counted(n, unit)[1]

    def when(self, window: str | None) -> str:
        """Return a window with the blank before it: `` in the last 30 days``; nothing where there is none."""
        if window is None:
            return ""
        return self.says("windows", "all") if window == "all" else self.says(
            "windows", "finite", length=self.length(window)
        )  # fmt: skip

    def _counted(self, n: int, unit: str) -> tuple[str, str]:
        one, many, many_after = self.raw["units"][unit]
        amount = self.number(n)
        return (f"{amount} {one}", f"{amount} {one}") if n == 1 else (f"{amount} {many}", f"{amount} {many_after}")

    def _known(self, name: str) -> Noun | None:
        found = self.raw["nouns"].get(name.lower())
        return None if found is None else (found[0], found[1])

    def _ending(self, rules: str, word: str) -> str:
        endings: list[tuple[str, str]] = self.raw["grammar"][rules]
        for ending, instead in endings:
            if word.lower().endswith(ending):
                return word[: len(word) - len(ending)] + instead
        return word


def _short(value: float) -> str:
    """Three figures, without an exponent where a person would write none."""
    text = f"{value:.3g}"
    return f"{value:.6f}".rstrip("0").rstrip(".") if "e" in text and abs(value) >= 1e-6 else text
