"""Values of plain JSON, compiled: texts without escapes, numbers, instants; and the words of a column."""

from __future__ import annotations

import numpy as np
from numba import njit

from leadscore.plain.scanning import COLON, ZERO, digits_end, is_at

MOST_WORDS = 4_096
"""Distinct texts of a column."""
LONGEST = 10_000
"""Bytes of a text."""
NO_INSTANT = np.iinfo(np.int64).min

_BLANK = 32
_MINUS, _PLUS, _DOT, _E, _SMALL_E, _T, _Z = map(ord, "-+.EeTZ")
_SURE_DIGITS, _SURE_SCALE = 15, 22
"""Digits and decimals up to which a quotient of two exact numbers is the number nearest to what is written."""
_POWERS = 10.0 ** np.arange(_SURE_SCALE + 1)
_DAYS_BEFORE_MARCH = 719_468
_SECONDS, _MICROSECONDS = 86_400, 1_000_000
_FIRST_YEAR, _LAST_YEAR = 1_000, 9_998
"""Others lie outside what an instant may be, or close to it."""


@njit(nogil=True, cache=True)
def trimmed(text, begin, end):  # type: ignore[no-untyped-def]
    """Return where a text begins and ends without blanks; −1 where Unicode may know another blank at either end."""
    while begin < end and text[begin] == _BLANK:
        begin += 1
    while begin < end and text[end - 1] == _BLANK:
        end -= 1
    if end - begin > LONGEST:
        return -1, -1
    if begin < end and (_may_be_blank(text[begin]) or (end - begin > 1 and _may_be_blank(text[end - 2]))):
        return -1, -1
    if end - begin > 2 and _may_be_blank(text[end - 3]):
        return -1, -1
    return begin, end


@njit(nogil=True, cache=True)
def _may_be_blank(letter):  # type: ignore[no-untyped-def]
    """Whether blanks beyond ASCII begin with this byte."""
    return letter == 0xC2 or (0xE1 <= letter <= 0xE3)


@njit(nogil=True, cache=True)
def number(text, at):  # type: ignore[no-untyped-def]
    """Return where a number ends, its value, and whether that is surely the nearest."""
    negative = is_at(text, at, _MINUS)
    at += negative
    begin, at = at, digits_end(text, at)
    if at == begin or (at - begin > 1 and text[begin] == ZERO):
        return -1, np.nan, False
    whole, scale, plain = at, 0, True
    if is_at(text, at, _DOT):
        at = digits_end(text, at + 1)
        scale = at - whole - 1
        if scale == 0:
            return -1, np.nan, False
    if is_at(text, at, _E) or is_at(text, at, _SMALL_E):
        at += 1
        at += is_at(text, at, _MINUS) or is_at(text, at, _PLUS)
        first, at = at, digits_end(text, at)
        if at == first:
            return -1, np.nan, False
        plain = False
    elif scale == 0 and whole - begin > _SURE_DIGITS:
        return -1, np.nan, False  # an id, or beyond what may be sent
    if not plain or scale > _SURE_SCALE:
        return at, np.nan, False
    mantissa, n_digits = 0, 0
    for k in range(begin, at):
        if text[k] != _DOT:
            n_digits += n_digits > 0 or text[k] != ZERO
            if n_digits > _SURE_DIGITS:
                return at, np.nan, False
            mantissa = mantissa * 10 + (text[k] - ZERO)
    value = mantissa / _POWERS[scale]
    return at, -value if negative and mantissa else value, True


@njit(nogil=True, cache=True)
def _two(text, at):  # type: ignore[no-untyped-def]
    """Two digits as a number, −1 for anything else."""
    tens, ones = np.int64(text[at]) - ZERO, np.int64(text[at + 1]) - ZERO
    return tens * 10 + ones if 0 <= tens <= 9 and 0 <= ones <= 9 else np.int64(-1)


@njit(nogil=True, cache=True)
def instant(text, begin, end):  # type: ignore[no-untyped-def]
    """Microseconds UTC of ``2026-05-01T09:00:00Z``, with up to six decimals and an offset if need be."""
    if end - begin < 20:
        return NO_INSTANT
    century, of_century = _two(text, begin), _two(text, begin + 2)
    month, day = _two(text, begin + 5), _two(text, begin + 8)
    hour, minute, second = _two(text, begin + 11), _two(text, begin + 14), _two(text, begin + 17)
    marks = text[begin + 4] == _MINUS and text[begin + 7] == _MINUS and text[begin + 10] == _T
    marks = marks and text[begin + 13] == COLON and text[begin + 16] == COLON
    if not marks or min(century, of_century, hour, minute, second) < 0:
        return NO_INSTANT
    year = century * 100 + of_century
    if not (_FIRST_YEAR <= year <= _LAST_YEAR and 1 <= month <= 12 and 1 <= day <= _n_days(year, month)):
        return NO_INSTANT
    if hour > 23 or minute > 59 or second > 59:
        return NO_INSTANT
    at, fraction = begin + 19, np.int64(0)
    if text[at] == _DOT:
        last = digits_end(text, at + 1)
        n_decimals = last - at - 1
        if not 1 <= n_decimals <= 6:
            return NO_INSTANT
        for k in range(at + 1, at + 7):
            fraction = fraction * 10 + (np.int64(text[k]) - ZERO if k < last else np.int64(0))
        at = last
    ahead = 0
    if end - at == 6 and (text[at] == _PLUS or text[at] == _MINUS) and text[at + 3] == COLON:
        hours, minutes = _two(text, at + 1), _two(text, at + 4)
        if not (0 <= hours <= 23 and 0 <= minutes <= 59):
            return NO_INSTANT
        ahead = (hours * 60 + minutes) * 60 * (1 if text[at] == _PLUS else -1)
    elif end - at != 1 or text[at] != _Z:
        return NO_INSTANT
    seconds = _days(year, month, day) * _SECONDS + (hour * 60 + minute) * 60 + second - ahead
    return seconds * _MICROSECONDS + fraction


@njit(nogil=True, cache=True)
def _n_days(year, month):  # type: ignore[no-untyped-def]
    """Days of a month."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


@njit(nogil=True, cache=True)
def _days(year, month, day):  # type: ignore[no-untyped-def]
    """Days since 1970-01-01, counted in years that begin with March."""
    year -= month <= 2
    month += 9 if month <= 2 else -3
    era, of_era = year // 400, year % 400
    return (
        era * 146_097
        + of_era * 365
        + of_era // 4
        - of_era // 100
        + (153 * month + 2) // 5
        + day
        - 1
        - _DAYS_BEFORE_MARCH
    )


@njit(nogil=True, cache=True)
def intern(text, begins, ends, codes, words):  # type: ignore[no-untyped-def]
    """Code the texts of a column by their rank, −1 for none; note the distinct ones in order, and return how many."""
    n_rows = len(codes)
    size = 4
    while size < 2 * n_rows:
        size *= 2
    places = np.full(size, -1, dtype=np.int64)
    n = 0
    for row in range(n_rows):
        begin, end = begins[row], ends[row]
        if begin == end:
            codes[row] = -1
            continue
        hashed = np.uint64(14695981039346656037)
        for k in range(begin, end):
            hashed = (hashed ^ np.uint64(text[k])) * np.uint64(1099511628211)
        place = np.int64((hashed ^ (hashed >> np.uint64(29))) & np.uint64(size - 1))
        while places[place] >= 0 and not _same(text, begin, end, words[places[place]]):
            place = (place + 1) & (size - 1)
        if places[place] < 0:
            if n == MOST_WORDS:
                return -1
            places[place] = n
            words[n, 0], words[n, 1] = begin, end
            n += 1
        codes[row] = places[place]
    order, rank = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    for word in range(n):
        low, high = 0, word
        while low < high:
            middle = (low + high) // 2
            if _before(text, words[word], words[order[middle]]):
                high = middle
            else:
                low = middle + 1
        for k in range(word, low, -1):
            order[k] = order[k - 1]
        order[low] = word
    unsorted = words[:n].copy()
    for k in range(n):
        rank[order[k]] = k
        words[k] = unsorted[order[k]]
    for row in range(n_rows):
        if codes[row] >= 0:
            codes[row] = rank[codes[row]]
    return n


@njit(nogil=True, cache=True)
def _same(text, begin, end, other):  # type: ignore[no-untyped-def]
    """Whether a text is the same as another."""
    if end - begin != other[1] - other[0]:
        return False
    k = 0
    while k < end - begin and text[begin + k] == text[other[0] + k]:
        k += 1
    return k == end - begin


@njit(nogil=True, cache=True)
def _before(text, one, other):  # type: ignore[no-untyped-def]
    """Whether one text stands before another, byte by byte, as code points do."""
    length, of_other = one[1] - one[0], other[1] - other[0]
    for k in range(min(length, of_other)):
        left, right = text[one[0] + k], text[other[0] + k]
        if left != right:
            return left < right
    return length < of_other
