"""Compiled readers of plain JSON: objects of fields, one a row, and the tables of a lead document.

Plain is text without escapes, numbers, null, and instants as ISO 8601 with an offset. Whatever else a text holds, valid
or not, makes these return −1, and somebody else looks closer; nothing is read here that is read otherwise there.

A layout names what there may be (see `leadscore.plain.Layout`): `names` are bytes; `fields` says of each field where
its name begins and ends there, its kind, and its number among those of its kind; `tables` of each table where its name
begins and ends, and its fields.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

TEXT, NUMBER, INSTANT = 0, 1, 2
"""Kinds of fields."""
N_FOUND = 5
"""What is noted of a table: its rows (−1: it isn't there), and where its instants, codes, numbers and words begin."""
MOST_WORDS = 4_096
"""Distinct texts of a column."""
LONGEST = 10_000
"""Bytes of a text."""

_QUOTE, _BACKSLASH, _COMMA, _COLON = ord('"'), ord("\\"), ord(","), ord(":")
_BEGIN, _END, _OPEN, _CLOSE = ord("{"), ord("}"), ord("["), ord("]")
_BLANK, _FIRST_LETTER, _NOT_ASCII = 32, 32, 128
_N, _MINUS, _PLUS, _DOT, _ZERO, _NINE = ord("n"), ord("-"), ord("+"), ord("."), ord("0"), ord("9")
_E, _SMALL_E, _T, _Z = ord("E"), ord("e"), ord("T"), ord("Z")
_EVENTS = np.frombuffer(b"events", dtype=np.uint8)
_SURE_DIGITS, _SURE_SCALE = 15, 22
"""Digits and decimals up to which a quotient of two exact numbers is the number nearest to what is written."""
_POWERS = 10.0 ** np.arange(_SURE_SCALE + 1)
_DAYS_BEFORE_MARCH = 719_468
_SECONDS, _MICROSECONDS = 86_400, 1_000_000
_FIRST_YEAR, _LAST_YEAR = 1_000, 9_998
"""Others lie outside what an instant may be, or close to it."""


class Places(NamedTuple):
    """Where the kernels note what they find, in one array of int64.

    Attributes
    ----------
    n_close, n_words : numbers that need a closer look, and texts noted
    cut : 2, where the value of ``events`` begins and ends
    found : N_FOUND a table
    of_fields : distinct texts of each field
    instants : instants, of every table column by column
    words : 2 a text that a column holds, of each column in order: where it begins and ends
    close : 3 a number that needs a closer look: its place, and where it begins and ends
    end : how long the array is
    """

    n_close: int
    n_words: int
    cut: int
    found: int
    of_fields: int
    instants: int
    words: int
    close: int
    end: int


@njit(nogil=True, cache=True)
def places(n_tables, n_fields, n_cells):  # type: ignore[no-untyped-def]
    """Return where is what, if a text holds no more than so many values."""
    of_fields = 4 + N_FOUND * n_tables
    instants = of_fields + n_fields
    words = instants + n_cells
    close = words + 2 * n_cells
    return Places(0, 1, 2, 4, of_fields, instants, words, close, close + 3 * n_cells)


@njit(nogil=True, cache=True)
def read_document(text, most, names, tables, fields, notes, codes, numbers):  # type: ignore[no-untyped-def]
    """Read the tables under ``events`` of a document; whether the rest of it is JSON, is not looked at.

    Parameters
    ----------
    text, most : uint8 (n,), and how many rows it may hold
    names, tables, fields : the layout
    notes : int64, filled as `Places` has it
    codes, numbers : int32 and float64 (n_cells,), filled table by table and column by column, in the order in which the
        tables stand in the text: the rank of a text in its column, −1 for none; NaN for no number

    Returns
    -------
    bool
        Whether all is plain.
    """
    at = places(len(tables), len(fields), len(codes))
    found = notes[at.found : at.of_fields].reshape(len(tables), N_FOUND)
    found[:, 0] = -1
    notes[at.n_close] = notes[at.n_words] = 0
    notes[at.of_fields : at.instants] = 0
    used = np.zeros(3, dtype=np.int64)
    i = _skip(text, 0)
    if not _is(text, i, _BEGIN):
        return False
    i, there = _skip(text, i + 1), False
    while True:
        end = _text_end(text, i)
        if end < 0:
            return False
        wanted = _is_name(text, i, _EVENTS, 0, len(_EVENTS))
        i = _skip(text, end + 1)
        if not _is(text, i, _COLON) or (wanted and there):
            return False
        i = _skip(text, i + 1)
        if wanted:
            there, notes[at.cut] = True, i
            i = _read_tables(text, i, most, names, tables, fields, notes, at, found, codes, numbers, used)
            notes[at.cut + 1] = i
        else:
            i = _past(text, i)
        if i < 0:
            return False
        i = _skip(text, i)
        if _is(text, i, _END):
            return there and _skip(text, i + 1) == len(text)
        if not _is(text, i, _COMMA):
            return False
        i = _skip(text, i + 1)


@njit(nogil=True, cache=True)
def read_rows(text, most, names, tables, fields, notes, codes, numbers):  # type: ignore[no-untyped-def]
    """Read a text that is one list of rows, of the only table there is; otherwise as `read_document`."""
    at = places(len(tables), len(fields), len(codes))
    found = notes[at.found : at.of_fields].reshape(len(tables), N_FOUND)
    found[:, 0] = -1
    notes[at.n_close] = notes[at.n_words] = 0
    notes[at.of_fields : at.instants] = 0
    used = np.zeros(3, dtype=np.int64)
    i = _read_table(text, _skip(text, 0), 0, most, names, tables, fields, notes, at, found, codes, numbers, used)
    return i >= 0 and _skip(text, i) == len(text)


@njit(nogil=True, cache=True)
def _read_tables(text, i, most, names, tables, fields, notes, at, found, codes, numbers, used):  # type: ignore[no-untyped-def]
    """Read an object of lists of rows; return where it ends."""
    if not _is(text, i, _BEGIN):
        return -1
    i = _skip(text, i + 1)
    if _is(text, i, _END):
        return i + 1
    while True:
        table = 0
        while table < len(tables) and not _is_name(text, i, names, tables[table, 0], tables[table, 1]):
            table += 1
        if table == len(tables) or found[table, 0] >= 0:
            return -1
        i = _skip(text, i + 2 + tables[table, 1] - tables[table, 0])
        if not _is(text, i, _COLON):
            return -1
        i = _read_table(
            text, _skip(text, i + 1), table, most, names, tables, fields, notes, at, found, codes, numbers, used
        )
        if i < 0:
            return -1
        i = _skip(text, i)
        if _is(text, i, _END):
            return i + 1
        if not _is(text, i, _COMMA):
            return -1
        i = _skip(text, i + 1)


@njit(nogil=True, cache=True)
def _read_table(text, i, table, most, names, tables, fields, notes, at, found, codes, numbers, used):  # type: ignore[no-untyped-def]
    """Read a list of rows, then lay them out by column; return where it ends."""
    first, end = tables[table, 2], tables[table, 3]
    begins = np.zeros((end - first, most), dtype=np.int64)
    ends = np.zeros((end - first, most), dtype=np.int64)
    values = np.full((end - first, most), np.nan)
    of_table = fields[first:end]
    n_rows = 0
    if not _is(text, i, _OPEN):
        return -1
    i = _skip(text, i + 1)
    closed = _is(text, i, _CLOSE)
    while not closed:
        if n_rows == most:
            return -1
        i = _read_row(text, i, names, of_table, n_rows, begins, ends, values)
        if i < 0:
            return -1
        n_rows += 1
        i = _skip(text, i)
        closed = _is(text, i, _CLOSE)
        if not closed:
            if not _is(text, i, _COMMA):
                return -1
            i = _skip(text, i + 1)
    found[table] = n_rows, used[0], used[1], used[2], notes[at.n_words]
    words = notes[at.words : at.close].reshape(-1, 2)
    close = notes[at.close : at.end].reshape(-1, 3)
    for field in range(end - first):
        kind, column = of_table[field, 2], of_table[field, 3]
        base = used[_USED[kind]] + column * n_rows
        if kind == TEXT:
            n_words = notes[at.n_words]
            n = _intern(text, begins[field], ends[field], codes[base : base + n_rows], words[n_words:])
            if n < 0:
                return -1
            notes[at.of_fields + first + field] = n
            notes[at.n_words] += n
        elif kind == NUMBER:
            for row in range(n_rows):
                numbers[base + row] = values[field, row]
                if ends[field, row]:
                    close[notes[at.n_close]] = base + row, begins[field, row], ends[field, row]
                    notes[at.n_close] += 1
        else:
            for row in range(n_rows):
                place = at.instants + base + row
                if ends[field, row]:
                    notes[place] = begins[field, row]
                elif column:
                    notes[place] = notes[place - column * n_rows]  # known as it happened
                else:
                    return -1
    for field in range(end - first):
        used[_USED[of_table[field, 2]]] += n_rows
    return i + 1


_USED = np.array([1, 2, 0])
"""What is used of, by kind: instants, codes, numbers."""


@njit(nogil=True, cache=True)
def _read_row(text, at, names, fields, row, begins, ends, values):  # type: ignore[no-untyped-def]
    """Read an object of declared fields, each once; return where it ends.

    A text is noted by where it begins and ends, an instant by itself and an end; a number by itself, or, where that
    isn't sure, by where it begins and ends.
    """
    if not _is(text, at, _BEGIN):
        return -1
    at = _skip(text, at + 1)
    if _is(text, at, _END):
        return at + 1
    seen, field = np.uint64(0), -1
    while True:
        for _ in range(len(fields)):  # most often the next one
            field = field + 1 if field + 1 < len(fields) else 0
            if _is_name(text, at, names, fields[field, 0], fields[field, 1]):
                break
        else:
            return -1
        mark = np.uint64(1) << np.uint64(field)
        at = _skip(text, at + 2 + fields[field, 1] - fields[field, 0])
        if seen & mark or not _is(text, at, _COLON):
            return -1
        seen |= mark
        at = _skip(text, at + 1)
        if _is(text, at, _N):
            at = _null_end(text, at)
        elif fields[field, 2] == NUMBER:
            begin = at
            at, values[field, row], sure = _number(text, at)
            if at >= 0 and not sure:
                begins[field, row], ends[field, row] = begin, at
        else:
            end = _text_end(text, at)
            if end < 0:
                return -1
            if fields[field, 2] == INSTANT:
                begins[field, row] = _instant(text, at + 1, end)
                ends[field, row] = end
                at = end + 1 if begins[field, row] != _NO_INSTANT else -1
            else:
                begins[field, row], ends[field, row] = _trimmed(text, at + 1, end)
                at = end + 1 if begins[field, row] >= 0 else -1
        if at < 0:
            return -1
        at = _skip(text, at)
        if _is(text, at, _END):
            return at + 1
        if not _is(text, at, _COMMA):
            return -1
        at = _skip(text, at + 1)


@njit(nogil=True, cache=True)
def _is(text, at, letter):  # type: ignore[no-untyped-def]
    return at < len(text) and text[at] == letter


@njit(nogil=True, cache=True)
def _skip(text, at):  # type: ignore[no-untyped-def]
    """Return where the next is that is no white space."""
    while at < len(text) and (text[at] == 32 or text[at] == 10 or text[at] == 13 or text[at] == 9):
        at += 1
    return at


@njit(nogil=True, cache=True)
def _text_end(text, at):  # type: ignore[no-untyped-def]
    """Return the closing quote of a text without escapes."""
    if not _is(text, at, _QUOTE):
        return -1
    at += 1
    while at < len(text) and text[at] != _QUOTE:
        if text[at] == _BACKSLASH or text[at] < _FIRST_LETTER:
            return -1
        at += 1
    return at if at < len(text) else -1


@njit(nogil=True, cache=True)
def _past(text, at):  # type: ignore[no-untyped-def]
    """Return where a value ends, whatever it is; what is no JSON may end anywhere."""
    depth = 0
    while at < len(text):
        letter = text[at]
        if letter == _QUOTE:
            at += 1
            while at < len(text) and text[at] != _QUOTE:
                at += 2 if text[at] == _BACKSLASH else 1
            if at >= len(text):
                return -1
        elif letter in (_BEGIN, _OPEN):
            depth += 1
        elif letter in (_END, _CLOSE):
            if depth == 0:
                return at
            depth -= 1
        elif letter == _COMMA and depth == 0:
            return at
        at += 1
    return -1


@njit(nogil=True, cache=True)
def _is_name(text, at, names, first, last):  # type: ignore[no-untyped-def]
    """Whether a text in quotes is a name."""
    n = last - first
    if at + n + 2 > len(text) or text[at] != _QUOTE or text[at + 1 + n] != _QUOTE:
        return False
    k = 0
    while k < n and text[at + 1 + k] == names[first + k]:
        k += 1
    return k == n


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
def _null_end(text, at):  # type: ignore[no-untyped-def]
    null = at + 4 <= len(text) and text[at + 1] == 117 and text[at + 2] == 108 and text[at + 3] == 108
    return at + 4 if null else -1


@njit(nogil=True, cache=True)
def _trimmed(text, begin, end):  # type: ignore[no-untyped-def]
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
def _digits(text, at):  # type: ignore[no-untyped-def]
    """Return where digits end."""
    while at < len(text) and _ZERO <= text[at] <= _NINE:
        at += 1
    return at


@njit(nogil=True, cache=True)
def _number(text, at):  # type: ignore[no-untyped-def]
    """Return where a number ends, its value, and whether that is surely the nearest."""
    negative = _is(text, at, _MINUS)
    at += negative
    begin, at = at, _digits(text, at)
    if at == begin or (at - begin > 1 and text[begin] == _ZERO):
        return -1, np.nan, False
    whole, scale, plain = at, 0, True
    if _is(text, at, _DOT):
        at = _digits(text, at + 1)
        scale = at - whole - 1
        if scale == 0:
            return -1, np.nan, False
    if _is(text, at, _E) or _is(text, at, _SMALL_E):
        at += 1
        at += _is(text, at, _MINUS) or _is(text, at, _PLUS)
        first, at = at, _digits(text, at)
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
            n_digits += n_digits > 0 or text[k] != _ZERO
            if n_digits > _SURE_DIGITS:
                return at, np.nan, False
            mantissa = mantissa * 10 + (text[k] - _ZERO)
    value = mantissa / _POWERS[scale]
    return at, -value if negative and mantissa else value, True


_NO_INSTANT = np.iinfo(np.int64).min


@njit(nogil=True, cache=True)
def _two(text, at):  # type: ignore[no-untyped-def]
    """Two digits as a number, −1 for anything else."""
    tens, ones = np.int64(text[at]) - _ZERO, np.int64(text[at + 1]) - _ZERO
    return tens * 10 + ones if 0 <= tens <= 9 and 0 <= ones <= 9 else np.int64(-1)


@njit(nogil=True, cache=True)
def _instant(text, begin, end):  # type: ignore[no-untyped-def]
    """Microseconds UTC of ``2026-05-01T09:00:00Z``, with up to six decimals and an offset if need be."""
    if end - begin < 20:
        return _NO_INSTANT
    century, of_century = _two(text, begin), _two(text, begin + 2)
    month, day = _two(text, begin + 5), _two(text, begin + 8)
    hour, minute, second = _two(text, begin + 11), _two(text, begin + 14), _two(text, begin + 17)
    marks = text[begin + 4] == _MINUS and text[begin + 7] == _MINUS and text[begin + 10] == _T
    marks = marks and text[begin + 13] == _COLON and text[begin + 16] == _COLON
    if not marks or min(century, of_century, hour, minute, second) < 0:
        return _NO_INSTANT
    year = century * 100 + of_century
    if not (_FIRST_YEAR <= year <= _LAST_YEAR and 1 <= month <= 12 and 1 <= day <= _n_days(year, month)):
        return _NO_INSTANT
    if hour > 23 or minute > 59 or second > 59:
        return _NO_INSTANT
    at, fraction = begin + 19, np.int64(0)
    if text[at] == _DOT:
        last = _digits(text, at + 1)
        n_decimals = last - at - 1
        if not 1 <= n_decimals <= 6:
            return _NO_INSTANT
        for k in range(at + 1, at + 7):
            fraction = fraction * 10 + (np.int64(text[k]) - _ZERO if k < last else np.int64(0))
        at = last
    ahead = 0
    if end - at == 6 and (text[at] == _PLUS or text[at] == _MINUS) and text[at + 3] == _COLON:
        hours, minutes = _two(text, at + 1), _two(text, at + 4)
        if not (0 <= hours <= 23 and 0 <= minutes <= 59):
            return _NO_INSTANT
        ahead = (hours * 60 + minutes) * 60 * (1 if text[at] == _PLUS else -1)
    elif end - at != 1 or text[at] != _Z:
        return _NO_INSTANT
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
def _intern(text, begins, ends, codes, words):  # type: ignore[no-untyped-def]
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
def _before(text, one, other):  # type: ignore[no-untyped-def]
    """Whether one text stands before another, byte by byte, as code points do."""
    length, of_other = one[1] - one[0], other[1] - other[0]
    for k in range(min(length, of_other)):
        left, right = text[one[0] + k], text[other[0] + k]
        if left != right:
            return left < right
    return length < of_other
