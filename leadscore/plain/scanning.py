"""Steps through the text of JSON, compiled: each takes where it begins, and returns where it ends, −1 if it doesn't."""

from __future__ import annotations

from numba import njit

QUOTE, COMMA, COLON, BEGIN, END, OPEN, CLOSE, N = map(ord, '",:{}[]n')
ZERO, NINE = ord("0"), ord("9")
_U, _L, _BACKSLASH, _FIRST_LETTER = ord("u"), ord("l"), ord("\\"), 32
_SPACE, _LINE_FEED, _RETURN, _TAB = map(ord, " \n\r\t")


@njit(nogil=True, cache=True)
def is_at(text, at, letter):  # type: ignore[no-untyped-def]
    """Whether a letter stands there."""
    return at < len(text) and text[at] == letter


@njit(nogil=True, cache=True)
def skip(text, at):  # type: ignore[no-untyped-def]
    """Return where the next is that is no white space."""
    while at < len(text) and (text[at] == _SPACE or text[at] == _LINE_FEED or text[at] == _RETURN or text[at] == _TAB):
        at += 1
    return at


@njit(nogil=True, cache=True)
def text_end(text, at):  # type: ignore[no-untyped-def]
    """Return the closing quote of a text without escapes."""
    if not is_at(text, at, QUOTE):
        return -1
    at += 1
    while at < len(text) and text[at] != QUOTE:
        if text[at] == _BACKSLASH or text[at] < _FIRST_LETTER:
            return -1
        at += 1
    return at if at < len(text) else -1


@njit(nogil=True, cache=True)
def past(text, at):  # type: ignore[no-untyped-def]
    """Return where a value ends, whatever it is; what is no JSON may end anywhere."""
    depth = 0
    while at < len(text):
        letter = text[at]
        if letter == QUOTE:
            at += 1
            while at < len(text) and text[at] != QUOTE:
                at += 2 if text[at] == _BACKSLASH else 1
            if at >= len(text):
                return -1
        elif letter in (BEGIN, OPEN):
            depth += 1
        elif letter in (END, CLOSE):
            if depth == 0:
                return at
            depth -= 1
        elif letter == COMMA and depth == 0:
            return at
        at += 1
    return -1


@njit(nogil=True, cache=True)
def is_name(text, at, names, first, last):  # type: ignore[no-untyped-def]
    """Whether a text in quotes is a name."""
    n = last - first
    if at + n + 2 > len(text) or text[at] != QUOTE or text[at + 1 + n] != QUOTE:
        return False
    k = 0
    while k < n and text[at + 1 + k] == names[first + k]:
        k += 1
    return k == n


@njit(nogil=True, cache=True)
def null_end(text, at):  # type: ignore[no-untyped-def]
    """Return where null ends; its first letter is there."""
    null = at + 4 <= len(text) and text[at + 1] == _U and text[at + 2] == _L and text[at + 3] == _L
    return at + 4 if null else -1


@njit(nogil=True, cache=True)
def digits_end(text, at):  # type: ignore[no-untyped-def]
    """Return where digits end."""
    while at < len(text) and ZERO <= text[at] <= NINE:
        at += 1
    return at
