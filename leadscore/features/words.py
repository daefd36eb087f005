"""How a seller reads a feature: one phrase per primitive, with numbers, units, zero, one and never.

No phrase ever shows a feature name. Phrases are plain data, so that they can be overridden and translated.
"""

from __future__ import annotations

import math
import re

from leadscore.features.names import MISSING, OTHER, FeatureName

PHRASES: dict[str, tuple[str, str]] = {
    # op → (with a value, of nothing); {what} is the subject, {n} the value, {when} the window
    "count": ("{n} {what}{when}", "no {what}{when}"),
    "sum": ("{what}{when}: {n} {column} in total", "no {what} with {column}{when}"),
    "mean": ("{what}{when}: {n} {column} on average", "no {what} with {column}{when}"),
    "min": ("{what}{when}: {n} {column} or more each", "no {what} with {column}{when}"),
    "max": ("{what}{when}: up to {n} {column}", "no {what} with {column}{when}"),
    "std": ("{what}{when}: {column} differ by about {n}", "no {what} with {column}{when}"),
    "since_last": ("last {what_one} {n} ago", "no {what} so far"),
    "since_first": ("first {what_one} {n} ago", "no {what} so far"),
    "last": ("{column} of the last {what_one}: {n}", "no {what} yet"),
    "previous": ("{column} of the last {what_one} but one: {n}", "fewer than two {what} yet"),
    "first": ("{column} of the first {what_one}: {n}", "no {what} yet"),
    "mode": ("most frequent {column} of {what}: {n}", "no {what} yet"),
    "value": ("{column}: {n}", "{column} is not filled in"),
    "profile.age": ("came in {n} ago", "it is unknown when the lead came in"),
    "profile.missing": ("{n} of its profile fields not filled in", "its profile is complete"),
    "calendar.weekday": ("today is {n}", "{n}"),
    "calendar.hour": ("it is {n} o'clock", "it is midnight"),
    "calendar.days_to_month_end": ("{n} to the end of the month", "last day of the month"),
}

_DURATION_OPS = {"since_last", "since_first", "profile.age", "calendar.days_to_month_end"}
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_UNITS = {"m": "minute", "h": "hour", "d": "day", "w": "week"}
_ADJECTIVE = re.compile(r"[a-z][a-z -]*")  # reads well before a noun: "webinar touchpoints"
_SPECIAL = {MISSING: "not filled in", OTHER: "other"}


def phrase(name: FeatureName, value: float, category: str | None = None) -> str:
    """Say a feature's value in words.

    Parameters
    ----------
    value : the number in the matrix; NaN says never, unknown or not filled in
    category : the category behind the code, where the feature is categorical
    """
    key = str(name) if f"{name.table}.{name.op}" in PHRASES else name.op
    with_value, of_nothing = PHRASES[key]
    nothing = math.isnan(value) or (value == 0 and key in {"count", "sum", "profile.missing", "calendar.hour"})
    nothing |= value == 0 and key == "calendar.days_to_month_end"
    nothing |= name.table == "lead" and category == MISSING
    plural = key != "count" or value != 1
    template = of_nothing if nothing else with_value
    return template.format(
        n=_amount(key, value, category),
        what=_subject(name, plural=plural),
        what_one=_subject(name, plural=False),
        column=readable(name.column or ""),
        when=_when(name.window),
    )


def readable(text: str) -> str:
    """Return a column or table name as words: ``poutcome``, ``landing page id``."""
    return text.replace("_", " ").replace(".", " ").strip()


def _subject(name: FeatureName, *, plural: bool) -> str:
    noun = readable(name.table)
    singular = noun[:-1] if noun.endswith("s") and not noun.endswith("ss") else noun
    noun = noun if plural else singular
    if name.category is None:
        return noun
    if name.category == MISSING:
        return f"{noun} without {readable(str(name.column))}"
    if name.category == OTHER:
        return f"{noun} of another {readable(str(name.column))}"
    word = readable(name.category)
    return f"{word} {noun}" if _ADJECTIVE.fullmatch(word) else f"{noun} with {readable(str(name.column))} {word}"


def _when(window: str | None) -> str:
    if window is None:
        return ""
    if window == "all":
        return " so far"
    number, unit = int(window[:-1]), _UNITS[window[-1]]
    return f" in the last {unit}" if number == 1 else f" in the last {number} {unit}s"


def _amount(key: str, value: float, category: str | None) -> str:
    if math.isnan(value):
        return "nothing"
    if category is not None:
        return _SPECIAL.get(category) or category.replace("_", " ").strip() or category
    if key in _DURATION_OPS:
        return duration(value)
    if key == "calendar.weekday":
        return _WEEKDAYS[int(value)]
    return number(value)


def number(value: float) -> str:
    """Return a number as a person writes it: no needless digits, thousands apart."""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


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
