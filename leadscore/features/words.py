"""How a seller reads a feature: one phrase per primitive, with numbers, units, zero, one and never.

No phrase ever shows a feature name. Phrases are plain data, so that they can be overridden and translated.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from leadscore.features.names import MISSING, OTHER, FeatureName


@dataclass(frozen=True)
class Phrase:
    """How a value reads. In the texts {what} is the subject, {n} the value, {when} the window.

    Attributes
    ----------
    text : of a value
    none : of NaN: never, unknown, not filled in
    zero, one : of 0 and 1, where they read otherwise
    """

    text: str
    none: str
    zero: str | None = None
    one: str | None = None


def _amounts(text: str) -> Phrase:
    return Phrase(text, "no {what} with {column}{when}")


def _of_group(rate: str, others: str) -> dict[str, Phrase]:
    """What is said of an account, an origin or an owner; NaN is unknown to us, though the lead may well have one."""
    other = others.replace("leads", "lead", 1)
    none_of, unknown = f"none of the {others}", f"nothing is known of {others}"
    return {
        "win_rate": Phrase(f"an estimated {{n}} of {rate} are won", unknown),
        "n_won": Phrase(f"{{n}} {others} already won", unknown, f"{none_of} won yet", f"1 {other} already won"),
        "n_resolved": Phrase(
            f"{{n}} {others} already decided", unknown, f"{none_of} decided yet", f"1 {other} already decided"
        ),
        "open_leads": Phrase(f"{{n}} {others} still open", unknown, f"{none_of} is open", f"1 {other} still open"),
    }


_NO_RHYTHM = "no rhythm in {what} yet"
_OF_GROUPS = {
    "account": _of_group("this company's leads", "other leads of this company"),
    "origin": _of_group("leads of the same origin", "other leads of the same origin"),
    "owner": _of_group("its owner's leads", "other leads of its owner"),
}
PHRASES: dict[str, Phrase] = {
    "count": Phrase("{n} {what}{when}", "no {what}{when}", "no {what}{when}", "1 {what_one}{when}"),
    "sum": replace(_amounts("{what}{when}: {n} {column} in total"), zero="no {column} of {what}{when}"),
    "mean": _amounts("{what}{when}: {n} {column} on average"),
    "min": _amounts("{what}{when}: {n} {column} or more each"),
    "max": _amounts("{what}{when}: up to {n} {column}"),
    "std": _amounts("{what}{when}: {column} differ by about {n}"),
    "nunique": Phrase(
        "{what}{when}: {n} different values of {column}",
        "no {what} with {column}{when}",
        "no {what} with {column}{when}",
        "{what}{when}: {column} always the same",
    ),
    "entropy": replace(_amounts("{what}{when}: {column} {n}"), zero="{what}{when}: {column} always the same"),
    "since_last": Phrase("last {what_one} {n} ago", "no {what} so far"),
    "since_first": Phrase("first {what_one} {n} ago", "no {what} so far"),
    "active_days": Phrase("{what} on {n} days{when}", "no {what}{when}", "no {what}{when}", "{what} on 1 day{when}"),
    "gap_mean": Phrase("{what}: one in {n} on average", _NO_RHYTHM, "{what}: all at once"),
    "gap_std": Phrase(
        "{what}: the time between them differs by about {n}", _NO_RHYTHM, "{what} come at even intervals"
    ),
    "gap_now": Phrase("the pause since the last {what_one} is {n} times the usual", _NO_RHYTHM),
    "trend": Phrase(
        "{n} {what}{when} than in the {before} before",
        "no {what} so far",
        "as many {what}{when} as in the {before} before",
    ),
    "decay": Phrase("{n} {what} lately, older ones counting less", "no {what} lately", "no {what} lately"),
    "last": Phrase("{column} of the last {what_one}: {n}", "no {what} yet"),
    "previous": Phrase("{column} of the last {what_one} but one: {n}", "fewer than two {what} yet"),
    "first": Phrase("{column} of the first {what_one}: {n}", "no {what} yet"),
    "mode": Phrase("most frequent {column} of {what}: {n}", "no {what} yet"),
    "reply": Phrase("took {n} to answer us last time", "no answer to us so far", "answered us at once last time"),
    "waiting": Phrase("has not answered us for {n}", "owes us no answer"),
    "value": Phrase("{column}: {n}", "{column} is not filled in"),
    "profile.age": Phrase("came in {n} ago", "it is unknown when the lead came in"),
    "profile.missing": Phrase("{n} of its profile fields not filled in", "", "its profile is complete"),
    "calendar.weekday": Phrase("today is {n}", ""),
    "calendar.hour": Phrase("it is {n} o'clock", "", "it is midnight"),
    "calendar.days_to_month_end": Phrase("{n} to the end of the month", "", "last day of the month"),
    **{f"{role}.{op}": said for role, phrases in _OF_GROUPS.items() for op, said in phrases.items()},
}
"""By op, or by name where the op alone doesn't say it."""

_FARED = ("win_rate", "n_won", "n_resolved")
_TOPICS = {
    "value": "{column}",
    "any": "{what}: how many, how recent",
    "column": "{column} of {what}",
    "reply": "answers to us in {what}",
    "waiting": "answers to us in {what}",
    "profile.age": "the age of the lead",
    "profile.missing": "how complete the profile is",
    "calendar.weekday": "the weekday",
    "calendar.hour": "the hour of the day",
    "calendar.days_to_month_end": "the days to the end of the month",
    **{f"account.{op}": "how other leads of the company fared" for op in _FARED},
    **{f"origin.{op}": "how leads of the same origin fared" for op in _FARED},
    **{f"owner.{op}": "how leads of the same owner fared" for op in _FARED},
    "account.open_leads": "open leads of the company",
    "origin.open_leads": "open leads of the same origin",
    "owner.open_leads": "open leads of the owner",
}
"""What features of one group are about, by op, or by name where the op alone doesn't say it."""
_DURATION_OPS = {
    *("since_last", "since_first", "gap_mean", "gap_std", "reply", "waiting"),
    *("profile.age", "calendar.days_to_month_end"),
}
_ZERO_OF_NOTHING = ("count", "sum", "nunique", "active_days", "trend", "decay")
"""Ops that know no NaN of their own: of the events of other leads it means that the company is unknown."""
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_UNITS = {"m": "minute", "h": "hour", "d": "day", "w": "week"}
_ADJECTIVE = re.compile(r"(?!no\b|not\b)[a-z][a-z -]*")  # reads well before a noun: "webinar touchpoints"
_SPECIAL = {MISSING: "not filled in", OTHER: "other"}


_HARDLY = 0.1
_MUCH = 0.7  # nats: as two values that are equally common


def phrase(name: FeatureName, value: float, category: str | None = None) -> str:
    """Say a feature's value in words.

    Parameters
    ----------
    value : the number in the matrix; NaN says never, unknown or not filled in
    category : the category behind the code, where the feature is categorical
    """
    key = f"{name.table}.{name.op}" if f"{name.table}.{name.op}" in PHRASES else name.op
    said = PHRASES[key]
    if math.isnan(value) and name.scope is not None and name.op in _ZERO_OF_NOTHING:
        return PHRASES["account.n_won"].none
    if math.isnan(value) and name.scope is not None and name.op in ("since_last", "since_first"):
        return f"no {_subject(name, plural=True)} known"  # of none and of an unknown company alike
    template = said.text
    if math.isnan(value) or (name.table == "lead" and category == MISSING):
        template = said.none
    elif value == 0 and said.zero is not None and category is None:
        template = said.zero
    elif value == 1 and said.one is not None and category is None:
        template = said.one
    return template.format(
        n=_amount(key, value, category),
        what=_subject(name, plural=key != "trend" or abs(value) != 1),
        what_one=_subject(name, plural=False),
        column=readable(name.column or ""),
        when=_when(name.window),
        before=length(name.window),
    )


def phrase_between(name: FeatureName, low: float, high: float) -> str:
    """Say a range of a number's values in words: ``2 to 4 webinar touchpoints in the last 30 days``.

    Parameters
    ----------
    low, high : the smallest and the largest value, both included; equal ones read as `phrase` says them
    """
    key = f"{name.table}.{name.op}" if f"{name.table}.{name.op}" in PHRASES else name.op
    first, last = (_amount(key, value, None) for value in (low, high))
    if first == last:
        return phrase(name, low)
    return PHRASES[key].text.format(
        n=f"{first} to {last}",
        what=_subject(name, plural=True),
        what_one=_subject(name, plural=False),
        column=readable(name.column or ""),
        when=_when(name.window),
        before=length(name.window),
    )


def topic(name: FeatureName) -> str:
    """Say what a feature is about, whatever its value: ``webinar touchpoints``, ``minutes of interactions``."""
    key = f"{name.table}.{name.op}" if f"{name.table}.{name.op}" in _TOPICS else name.op
    what = _subject(name, plural=True)
    if key not in _TOPICS and name.category is None and name.table != "lead":
        key = "any" if name.column is None else "column"
    return _TOPICS.get(key, "{what}").format(what=what, column=readable(name.column or ""))


def readable(text: str) -> str:
    """Return a column or table name as words: ``poutcome``, ``landing page id``."""
    return in_words(text.replace(".", " "))


def in_words(text: str) -> str:
    """Return a category as words on one line; its dots are its own: ``landing page``, ``v1.2``."""
    return " ".join(text.replace("_", " ").split())


def _subject(name: FeatureName, *, plural: bool) -> str:
    noun = readable(name.table)
    noun = noun if plural else _singular(noun)
    of_others = "" if name.scope is None else " of other leads of the company"
    return _with_category(name, noun) + of_others


def _singular(noun: str) -> str:
    if noun.endswith("ies") and not noun.endswith("series"):
        return noun[:-3] + "y"
    if noun.endswith(("ches", "shes", "sses", "xes")):
        return noun[:-2]
    return noun[:-1] if noun.endswith("s") and not noun.endswith(("ss", "us", "is", "series")) else noun


def _with_category(name: FeatureName, noun: str) -> str:
    if name.category is None:
        return noun
    if name.category == MISSING:
        return f"{noun} without {readable(str(name.column))}"
    if name.category == OTHER:
        return f"{noun} of another {readable(str(name.column))}"
    word = in_words(name.category) or name.category
    return f"{word} {noun}" if _ADJECTIVE.fullmatch(word) else f"{noun} with {readable(str(name.column))} {word}"


def _when(window: str | None) -> str:
    if window is None:
        return ""
    if window == "all":
        return " so far"
    return f" in the last {length(window)}"


def length(window: str | None) -> str:
    """Return a window or horizon as words: ``day``, ``30 days``; nothing for one without an end."""
    if window is None or window == "all":
        return ""
    number, unit = int(window[:-1]), _UNITS[window[-1]]
    return unit if number == 1 else f"{number} {unit}s"


def _amount(key: str, value: float, category: str | None) -> str:
    if math.isnan(value):
        return "nothing"
    if category is not None:
        return _SPECIAL.get(category) or in_words(category) or category
    if key in _DURATION_OPS:
        return duration(value)
    if key == "calendar.weekday":
        return _WEEKDAYS[int(value)]
    if key == "trend":
        return f"{number(abs(value))} {'more' if value > 0 else 'fewer'}"
    if key == "decay":
        return f"about {number(value)}" if value >= _HARDLY else "hardly any"
    if key == "entropy":
        return "varies little" if value < _MUCH else "varies much"
    if key.endswith("win_rate"):
        return f"{value:.0%}".replace("%", " %")
    return number(value)


def number(value: float) -> str:
    """Return a number as a person writes it: no needless digits, thousands apart."""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def duration(days: float) -> str:
    """Return days as the unit a person would choose: minutes, hours or days."""
    minutes = days * 1_440
    if abs(minutes) < 90:
        return _counted(round(minutes), "minute")
    if abs(minutes) < 2_880:
        return _counted(round(minutes / 60), "hour")
    return _counted(round(days), "day")


def _counted(n: int, unit: str) -> str:
    return f"{n:,} {unit}" if n == 1 else f"{n:,} {unit}s"
