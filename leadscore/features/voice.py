"""One feature as it speaks: everything but the value is put together once, so that a reason is filling in a line."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from string import Formatter

from leadscore.features.names import MISSING, FeatureName
from leadscore.phrases.catalogue import Catalogue

LONGEST = 90
"""Characters of a reason beyond which nothing is compared: it has to be read in ten seconds."""
_MOST_REMEMBERED = 512
_NEVER = ("since_last", "since_first")
"""Ops whose NaN is a value like others, later than all: it can be compared."""
_HARDLY = 0.5
_MUCH = 0.7  # nats: as two values that are equally common
_NOTICEABLE = 1.5
_OPEN = ("n", "n_after", "what_n", "same")
_DURATIONS = ("since_last", "since_first", "gap_mean", "gap_std", "reply", "waiting", "profile.age")
_ZERO_OF_NOTHING = ("count", "sum", "nunique", "active_days", "trend", "decay")
"""Ops that know no NaN of their own: of the events of other leads it means that the company is unknown."""


@dataclass(frozen=True)
class Usual:
    """What most leads have: the median of a number (NaN: never, unknown), or the commonest category and its share.

    `way` is 1 where the model takes more for a good sign on the whole, −1 where for a bad one; 0 says nothing.
    """

    value: float = math.nan
    category: str | None = None
    share: float = 0.0
    way: int = 0

    def speaks_with(self, value: float, effect: float) -> bool:
        """Whether a number beside the usual explains an effect, or at least doesn't belie it.

        A model may hold a little more against a lead, and a lot more for it. Whoever reads "54 days (typical: 101)"
        takes it for the same sign as 10 days.
        """
        return not self.way or math.isnan(value) or ((value > self.value) == (self.way > 0)) == (effect > 0)


@dataclass(frozen=True)
class Line:
    """A text of which all but the value is filled in: literals, and at the odd places what depends on it."""

    pieces: tuple[str, ...]

    @classmethod
    def of(cls, template: str, fixed: Mapping[str, str]) -> Line:
        """Fill in what the value doesn't change."""
        pieces = [""]
        for literal, name, _, _ in Formatter().parse(template):
            pieces[-1] += literal
            if name in _OPEN:
                pieces += [name, ""]
            elif name is not None:
                pieces[-1] += fixed[name]
        return cls(tuple(pieces))

    def say(self, **words: str) -> str:
        """Fill in the rest."""
        return "".join(words[piece] if place % 2 else piece for place, piece in enumerate(self.pieces))


@dataclass(frozen=True)
class Voice:
    """One feature as it speaks: every form of its phrase as a line, and what is usual of it.

    `same` says what other leads have in common with this one, by the word for it, None where that isn't known.
    """

    catalogue: Catalogue
    key: str
    name: FeatureName
    forms: Mapping[str, Line]
    fixed: Mapping[str, str]
    categories: Callable[[str], str]
    usual: Usual | None = None
    same: Callable[[str | None], str] | None = None
    _said: dict[tuple[float | None, str | None, bool, str | None], str] = field(default_factory=dict, repr=False)

    def say(self, value: float, category: str | None = None, *, compare: bool = False, named: str | None = None) -> str:
        """Say a value in words.

        Parameters
        ----------
        value : the number in the matrix; NaN says never, unknown or not filled in
        category : the category behind the code, where the feature is categorical
        compare : say in brackets what is usual, where that is known, helps, and leaves the reason short
        named : what other leads have in common with this one, as its source
        """
        if category is None:
            value = self._as_shown(value)
        key = (None if math.isnan(value) else value, category, compare, named)
        text = self._said.get(key)
        if text is None:
            text = self._line(value, category, named)
            usual = self._usually(value, category) if compare else None
            if usual:
                compared = self.catalogue.says("usual", "brackets", text=text, usual=usual)
                text = compared if len(compared) <= LONGEST else text
            if len(self._said) < _MOST_REMEMBERED:
                self._said[key] = text
        return text

    def _as_shown(self, value: float) -> float:
        """A number as exact as it is said: all that is said of it then depends on what is read, and recurs."""
        if math.isnan(value) or abs(value) >= 999.5 or value == (whole := round(value)):
            return value
        if self.key == "decay":
            return _whole(value) if value >= _HARDLY else value
        if self.key not in _DURATIONS:
            return float(f"{value:.3g}")
        minutes = value * 1_440
        if not 1 <= minutes < 2_880:
            return 0.0 if 0 <= minutes < 1 else float(whole)
        return round(minutes) / 1_440 if minutes < 90 else round(minutes / 60) / 24

    def between(self, low: float, high: float) -> str:
        """Say a range of a number's values: ``2 to 4 webinar touchpoints in the last 30 days``; both ends included."""
        ends = [self._amount(max(value, 0.0) if self.key in _DURATIONS else value) for value in (low, high)]
        if ends[0] == ends[1]:
            return self.say(low)
        alone, after = (self.catalogue.range(first, last) for first, last in zip(*ends, strict=True))
        return self._filled("text", alone, after, "what", None)

    def _line(self, value: float, category: str | None, named: str | None) -> str:
        if math.isnan(value) or (self.name.op == "value" and category == MISSING):
            return self._of_nothing(named)
        special = {0.0: "zero", 1.0: "one"}.get(value, "negative" if value < 0 else "text")
        form = special if category is None and special in self.forms else "text"
        alone, after = self._amount(value, category)
        counted = "what_one" if abs(value) == 1 else "what"
        return self._filled(form, alone, after, counted, named)

    def _filled(self, form: str, alone: str, after: str, counted: str, named: str | None) -> str:
        same = "" if self.same is None else self.same(named)
        return self.forms[form].say(n=alone, n_after=after, what_n=self.fixed.get(counted, ""), same=same)

    def _of_nothing(self, named: str | None) -> str:
        if self.name.scope is not None and self.key in _ZERO_OF_NOTHING:
            return self.catalogue.says("events", "unknown_company")
        if self.name.scope is not None and self.key in _NEVER:  # of none and of an unknown company alike
            return self.catalogue.says("events", "none_known", what=self.fixed["what"])
        form = next(form for form in ("none", "zero", "text") if form in self.forms)
        missing = self.catalogue.says("words", "missing")
        return self._filled(form, missing, missing, "what", named)

    def _usually(self, value: float, category: str | None) -> str | None:
        """What most leads have, None where that isn't known, or is about the same."""
        usual = self.usual
        if usual is None:
            return None
        if category is not None:
            return self._usual_category(usual, category)
        if self._is_alike(value, usual.value) or "usual" not in self.forms:
            return None
        if math.isnan(usual.value):
            told = self.name.scope is None and "usual_none" in self.forms
            return self.forms["usual_none"].say() if told else None
        alone, after = self._amount(usual.value)
        form = "usual_zero" if usual.value == 0 and "usual_zero" in self.forms else "usual"
        return None if (alone, after) == self._amount(value) else self.forms[form].say(n=alone, n_after=after)

    def _usual_category(self, usual: Usual, category: str) -> str | None:
        if usual.category is None or category in (MISSING, usual.category) or usual.share < 0.5:
            return None
        return self.catalogue.says("usual", "category", n=self.categories(usual.category))

    def _is_alike(self, value: float, usual: float) -> bool:
        """Whether the usual says nothing beside a value: both nothing, of one size, or not to be compared."""
        if math.isnan(value):
            return math.isnan(usual) or self.name.scope is not None or self.key not in _NEVER
        if math.isnan(usual):
            return self.name.table in ("account", "origin", "owner")
        if self.key in _DURATIONS and value < 0:
            return True
        low, high = sorted((abs(value), abs(usual)))
        return value * usual >= 0 and (high < _NOTICEABLE * low or low == high)

    def _amount(self, value: float, category: str | None = None) -> tuple[str, str]:
        """The value as text, alone and after a preposition."""
        if category is not None:
            return (self.categories(category),) * 2
        if math.isnan(value):
            return (self.catalogue.says("words", "missing"),) * 2
        if self.key in _DURATIONS:
            return self.catalogue.duration(value)
        return (_AMOUNTS.get(self.key, _number)(self.catalogue, value),) * 2


def _number(words: Catalogue, value: float) -> str:
    return words.number(value)


def _whole(value: float) -> float:
    return float(math.floor(value + 0.5))


def _recent(words: Catalogue, value: float) -> str:
    return (
        words.says("words", "about", n=words.number(_whole(value)))
        if value >= _HARDLY
        else words.says("words", "hardly")
    )


def _change(words: Catalogue, value: float) -> str:
    return words.says("words", "more" if value > 0 else "fewer", n=words.number(abs(value)))


_AMOUNTS: dict[str, Callable[[Catalogue, float], str]] = {
    "calendar.weekday": lambda words, value: str(words.raw["calendar"]["weekdays"][int(value)]),
    "trend": _change,
    "decay": _recent,
    "entropy": lambda words, value: words.says("words", "varies_little" if value < _MUCH else "varies_much"),
    **{f"{role}.win_rate": lambda words, value: words.percent(value) for role in ("account", "origin", "owner")},
}
"""How a value is written, where it is neither a plain number nor a duration."""
