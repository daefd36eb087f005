"""The values of a lead document, many at once: text, categories, numbers, instants, and where a bad one stands.

Each function takes the values of one column (or of one row) in order and returns as many. What JSON brings most often
takes a short way; the long way through `columns` and `time` reads it the same, and raises `DocumentError` for the
first value that can't be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from leadscore import columns, time
from leadscore.errors import DocumentError

LONGEST_TEXT = 10_000
"""Characters that one value may have."""
LONGEST_NUMBER = 300
"""Digits that a whole number may have where text is wanted."""
_TOO_LONG = 10**LONGEST_NUMBER
_NAN = float("nan")


class Field(NamedTuple):
    """Where a value stands in the document; written out only if it is wrong."""

    part: str
    key: Any

    def __str__(self) -> str:
        shown = str(self.key)[:60].encode("utf-8", "replace").decode()
        return f"{self.part}.{shown}" if self.part else shown


Places = Callable[[int], Field]
"""From a position among the values to where that value stands."""


class _Remembered(dict[Any, str | None]):
    """The text of category values, read once and kept; when full it forgets all."""

    most = 10_000
    longest = 100

    def __missing__(self, value: Any) -> str | None:
        text = _text(value, 0, lambda _: Field("", ""))
        if value is None or (type(value) is str and len(value) <= self.longest):
            if len(self) >= self.most:
                self.clear()
            self[value] = text
        return text


_REMEMBERED = _Remembered()


def require_object(value: Any, what: str, where: str) -> None:
    """Raise DocumentError unless the value is what JSON calls an object."""
    if type(value) is not dict and not isinstance(value, Mapping):
        raise DocumentError(f"must be {what}, not {kind(value)}", where=where)


def kind(value: Any) -> str:
    """Return what JSON calls a value's type."""
    if value is None:
        return "nothing"
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list"}
    return "an object" if isinstance(value, Mapping) else names.get(type(value), type(value).__name__)


def not_a_number(where: Field) -> str:
    """Return the warning about a value that is not the number it should be."""
    return f"{where}: not a finite number, taken as missing"


def texts(values: Sequence[Any], places: Places) -> list[str | None]:
    """Trimmed text, None where null or empty. For ids, which are not worth remembering."""
    if all(value is None for value in values):
        return list(values)
    try:
        joined = "".join(values)
        plain = joined.isascii() and (len(joined) <= LONGEST_TEXT or max(map(len, values)) <= LONGEST_TEXT)
    except TypeError:
        plain = False
    if plain:
        return [value.strip() or None for value in values]
    return [_text(value, position, places) for position, value in enumerate(values)]


def categories(values: Sequence[Any], places: Places, missing: Sequence[str] = ()) -> list[str | None]:
    """Trimmed text, None where null, empty or named in `missing`."""
    try:
        found = list(map(_REMEMBERED.__getitem__, values))
    except (TypeError, DocumentError):  # a list or an object among them, or text that is none: say where
        found = [_text(value, position, places) for position, value in enumerate(values)]
    return [None if text in missing else text for text in found] if missing else found


def numbers(values: Sequence[Any], places: Places, unreadable: list[int], missing: Sequence[str] = ()) -> list[float]:
    """Floats, NaN where null, named in `missing` or no finite number; positions of the last kind join `unreadable`."""
    plain = () if missing else (float, int, bool)
    most = columns.LARGEST
    return [
        _NAN if value is None
        else value + 0.0 if type(value) in plain and -most <= value <= most
        else _number(value, position, places, unreadable, missing)
        for position, value in enumerate(values)
    ]  # fmt: skip


def instants(
    values: Sequence[Any],
    timezone: str,
    time_format: str | None,
    places: Places,
    defaults: time.Instants | None = None,
) -> time.Instants:
    """UTC microseconds; a null takes its default, and is an error where there are none."""
    if time_format is None:
        with suppress(TypeError, ValueError):
            return time.parse_instants_with_offset(values)
    found = [
        instant(value, timezone, time_format, places(position), None if defaults is None else int(defaults[position]))
        for position, value in enumerate(values)
    ]
    return np.array(found, dtype=np.int64)


def instant(value: Any, timezone: str, time_format: str | None, where: Field, default: int | None = None) -> int:
    """UTC microseconds of one value; a null takes the default, and is an error if there is none."""
    if value is None or value == "":
        if default is not None:
            return default
        raise DocumentError("is missing; write a time such as '2026-05-01T09:00:00Z'", where=str(where))
    try:
        found = time.parse_instant(value, timezone, time_format)
    except (ValueError, TypeError):
        message = "is not a readable time; write ISO 8601, as in '2026-05-01T09:00:00Z'"
        raise DocumentError(message, where=str(where)) from None
    if not time.EARLIEST <= found <= time.LATEST:
        raise DocumentError("lies outside the years 1 to 9999", where=str(where))
    return found


def _text(value: Any, position: int, places: Places) -> str | None:
    if type(value) is not str:
        if isinstance(value, Mapping | list | tuple):
            raise DocumentError(f"must be a single value, not {kind(value)}", where=str(places(position)))
        if isinstance(value, int) and abs(value) >= _TOO_LONG:
            message = f"has more than {LONGEST_NUMBER} digits; write it as text"
            raise DocumentError(message, where=str(places(position)))
    text = columns.text_value(value)
    if text is not None and len(text) > LONGEST_TEXT:
        message = f"has {len(text)} characters; at most {LONGEST_TEXT} are allowed"
        raise DocumentError(message, where=str(places(position)))
    if text is not None and not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        message = "holds half a surrogate pair, which is no text; send UTF-8"
        raise DocumentError(message, where=str(places(position)))
    return text


def _number(value: Any, position: int, places: Places, unreadable: list[int], missing: Sequence[str]) -> float:
    text = value if isinstance(value, int | float) else _text(value, position, places)
    if text is None or text in missing:
        return _NAN
    number = columns.number_value(text)
    if number != number and value == value:
        unreadable.append(position)
    return _NAN if missing and number in columns.missing_numbers(missing) else number
