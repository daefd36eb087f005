"""A request's body → plain Python, parsed once and strictly; a record → bytes."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pydantic_core

from leadscore.plain import Layout
from service.problems import MALFORMED, UNSUPPORTED, Problem

MAX_DEPTH = 201
"""Objects and lists inside one another, as many as the parser takes; a batch of lead documents needs six."""
MAX_DIGITS = 18
"""Digits of a whole number: what int64 holds. Longer ones are ids, and ids are text."""

_JSON_TYPE = re.compile(r"application/(?:[\w.-]+\+)?json\s*(?:;\s*charset=\"?utf-?8\"?\s*)?", re.IGNORECASE)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def require_json(content_type: str, content_encoding: str = "") -> None:
    """Refuse a body that doesn't say it is plain JSON.

    Raises
    ------
    Problem
        415, if the type isn't ``application/json`` (or ends in ``+json``), names another charset than UTF-8,
        or the body is compressed.
    """
    if not _JSON_TYPE.fullmatch(content_type.strip()):
        raise Problem(UNSUPPORTED, "The body must be JSON in UTF-8. Send Content-Type: application/json")
    if content_encoding.lower() not in ("", "identity"):
        raise Problem(UNSUPPORTED, "The body must not be compressed. Leave out the header Content-Encoding")


def parse(body: bytes) -> Any:
    """Parse a body as RFC 8259 has it, which Python's default is not.

    Raises
    ------
    Problem
        400, if it isn't UTF-8 or JSON, holds NaN, Infinity, a number beyond double precision, a whole number
        of more than 18 digits or half a surrogate pair, or is nested deeper than 201. The detail gives line
        and column, never the text found there.
    """
    digits = body.translate(_AS_ZERO, b"+-")
    if _LONG_NUMBER not in digits and _LARGE_EXPONENT not in digits:
        try:
            return pydantic_core.from_json(body, allow_inf_nan=False)
        except ValueError:
            pass  # says less of what is wrong
    return _parse_closely(body)


def parse_document(body: bytes, layout: Layout | None) -> Any:
    """Parse the body of one lead document as `parse`, its tables of events into columns where they are plain."""
    found = None if layout is None else layout.read_document(body)
    if found is None:
        return parse(body)
    try:
        document = parse(b"{}".join((body[: found.begin], body[found.end :])))
    except Problem:
        return parse(body)  # says where in the whole body it is wrong
    document["events"] = found.tables
    return document


def _parse_closely(body: bytes) -> Any:
    """Parse what may hold a number out of range, or find what is wrong with it and where."""
    try:
        text = body.decode("utf-8")
        parsed = _DECODER.decode(text)
        if _SURROGATE.search(text):
            json.dumps(parsed, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed(f"The body isn't UTF-8 at byte {error.start}") from None
    except UnicodeEncodeError:
        raise _malformed("The body holds half a surrogate pair (\\ud800 to \\udfff alone)") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _malformed(f"The body isn't JSON at {place}: {error.msg}") from None
    except RecursionError:
        raise _too_deep() from None
    if _depth_exceeds(parsed, MAX_DEPTH):
        raise _too_deep()
    return parsed


def dump(value: Any) -> bytes:
    """Return compact JSON; NaN is a `ValueError`, as it has no place in JSON."""
    dumped = pydantic_core.to_json(value, inf_nan_mode="constants")
    if b"NaN" in dumped or b"Infinity" in dumped:  # or a text that says so
        return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    return dumped


def _refuse_constant(name: str) -> Any:
    raise _malformed(f"The body holds {name}, which isn't JSON; send null for an unknown number")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _malformed("The body holds a number beyond double precision")
    return value


def _whole(text: str) -> int:
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise _malformed(f"The body holds a whole number of more than {MAX_DIGITS} digits; send ids as text")
    return int(text)


def _malformed(detail: str) -> Problem:
    return Problem(MALFORMED, detail)


def _too_deep() -> Problem:
    return _malformed(f"The body is nested deeper than {MAX_DEPTH}")


def _depth_exceeds(value: Any, limit: int) -> bool:
    level = [value] if type(value) in _NESTED else []
    for _ in range(limit):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) in _NESTED
        ]
        if not level:
            return False
    return True


_AS_ZERO = bytes.maketrans(b"123456789E", b"000000000e")
_LONG_NUMBER, _LARGE_EXPONENT = b"0" * (MAX_DIGITS + 1), b"e000"
"""What a body with a number out of range holds once every digit is a zero and signs are left out; others may, too."""
_NESTED = {dict, list}
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, parse_int=_whole)
