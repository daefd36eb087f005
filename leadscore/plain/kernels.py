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

from leadscore.plain.scanning import (
    BEGIN,
    CLOSE,
    COLON,
    COMMA,
    END,
    OPEN,
    N,
    is_at,
    is_name,
    null_end,
    past,
    skip,
    text_end,
)
from leadscore.plain.values import NO_INSTANT, instant, intern, number, trimmed

TEXT, NUMBER, INSTANT = 0, 1, 2
"""Kinds of fields."""
N_FOUND = 5
"""What is noted of a table: its rows (−1: it isn't there), and where its instants, codes, numbers and words begin."""
_EVENTS = np.frombuffer(b"events", dtype=np.uint8)


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
    found = _nothing_found(notes, at, len(tables))
    used = np.zeros(3, dtype=np.int64)
    i = skip(text, 0)
    if not is_at(text, i, BEGIN):
        return False
    i, there = skip(text, i + 1), False
    while True:
        end = text_end(text, i)
        if end < 0:
            return False
        wanted = is_name(text, i, _EVENTS, 0, len(_EVENTS))
        i = skip(text, end + 1)
        if not is_at(text, i, COLON) or (wanted and there):
            return False
        i = skip(text, i + 1)
        if wanted:
            there, notes[at.cut] = True, i
            i = _read_tables(text, i, most, names, tables, fields, notes, at, found, codes, numbers, used)
            notes[at.cut + 1] = i
        else:
            i = past(text, i)
        if i < 0:
            return False
        i = skip(text, i)
        if is_at(text, i, END):
            return there and skip(text, i + 1) == len(text)
        if not is_at(text, i, COMMA):
            return False
        i = skip(text, i + 1)


@njit(nogil=True, cache=True)
def read_rows(text, most, names, tables, fields, notes, codes, numbers):  # type: ignore[no-untyped-def]
    """Read a text that is one list of rows, of the only table there is; otherwise as `read_document`."""
    at = places(len(tables), len(fields), len(codes))
    found = _nothing_found(notes, at, len(tables))
    used = np.zeros(3, dtype=np.int64)
    i = _read_table(text, skip(text, 0), 0, most, names, tables, fields, notes, at, found, codes, numbers, used)
    return i >= 0 and skip(text, i) == len(text)


@njit(nogil=True, cache=True)
def _nothing_found(notes, at, n_tables):  # type: ignore[no-untyped-def]
    """Note that nothing was found yet; return what is noted of each table, (n_tables, N_FOUND)."""
    notes[at.n_close] = notes[at.n_words] = 0
    notes[at.of_fields : at.instants] = 0
    found = notes[at.found : at.of_fields].reshape(n_tables, N_FOUND)
    found[:, 0] = -1
    return found


@njit(nogil=True, cache=True)
def _read_tables(text, i, most, names, tables, fields, notes, at, found, codes, numbers, used):  # type: ignore[no-untyped-def]
    """Read an object of lists of rows; return where it ends."""
    if not is_at(text, i, BEGIN):
        return -1
    i = skip(text, i + 1)
    if is_at(text, i, END):
        return i + 1
    while True:
        table = 0
        while table < len(tables) and not is_name(text, i, names, tables[table, 0], tables[table, 1]):
            table += 1
        if table == len(tables) or found[table, 0] >= 0:
            return -1
        i = skip(text, i + 2 + tables[table, 1] - tables[table, 0])
        if not is_at(text, i, COLON):
            return -1
        i = _read_table(
            text, skip(text, i + 1), table, most, names, tables, fields, notes, at, found, codes, numbers, used
        )
        if i < 0:
            return -1
        i = skip(text, i)
        if is_at(text, i, END):
            return i + 1
        if not is_at(text, i, COMMA):
            return -1
        i = skip(text, i + 1)


@njit(nogil=True, cache=True)
def _read_table(text, i, table, most, names, tables, fields, notes, at, found, codes, numbers, used):  # type: ignore[no-untyped-def]
    """Read a list of rows, then lay them out by column; return where it ends."""
    first, end = tables[table, 2], tables[table, 3]
    begins = np.zeros((end - first, most), dtype=np.int64)
    ends = np.zeros((end - first, most), dtype=np.int64)
    values = np.full((end - first, most), np.nan)
    of_table = fields[first:end]
    n_rows = 0
    if not is_at(text, i, OPEN):
        return -1
    i = skip(text, i + 1)
    closed = is_at(text, i, CLOSE)
    while not closed:
        if n_rows == most:
            return -1
        i = _read_row(text, i, names, of_table, n_rows, begins, ends, values)
        if i < 0:
            return -1
        n_rows += 1
        i = skip(text, i)
        closed = is_at(text, i, CLOSE)
        if not closed:
            if not is_at(text, i, COMMA):
                return -1
            i = skip(text, i + 1)
    found[table] = n_rows, used[0], used[1], used[2], notes[at.n_words]
    words = notes[at.words : at.close].reshape(-1, 2)
    close = notes[at.close : at.end].reshape(-1, 3)
    for field in range(end - first):
        kind, column = of_table[field, 2], of_table[field, 3]
        base = used[_USED[kind]] + column * n_rows
        if kind == TEXT:
            n_words = notes[at.n_words]
            n = intern(text, begins[field], ends[field], codes[base : base + n_rows], words[n_words:])
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
    if not is_at(text, at, BEGIN):
        return -1
    at = skip(text, at + 1)
    if is_at(text, at, END):
        return at + 1
    seen, field = np.uint64(0), -1
    while True:
        for _ in range(len(fields)):  # most often the next one
            field = field + 1 if field + 1 < len(fields) else 0
            if is_name(text, at, names, fields[field, 0], fields[field, 1]):
                break
        else:
            return -1
        mark = np.uint64(1) << np.uint64(field)
        at = skip(text, at + 2 + fields[field, 1] - fields[field, 0])
        if seen & mark or not is_at(text, at, COLON):
            return -1
        seen |= mark
        at = skip(text, at + 1)
        if is_at(text, at, N):
            at = null_end(text, at)
        elif fields[field, 2] == NUMBER:
            begin = at
            at, values[field, row], sure = number(text, at)
            if at >= 0 and not sure:
                begins[field, row], ends[field, row] = begin, at
        else:
            end = text_end(text, at)
            if end < 0:
                return -1
            if fields[field, 2] == INSTANT:
                begins[field, row] = instant(text, at + 1, end)
                ends[field, row] = end
                at = end + 1 if begins[field, row] != NO_INSTANT else -1
            else:
                begins[field, row], ends[field, row] = trimmed(text, at + 1, end)
                at = end + 1 if begins[field, row] >= 0 else -1
        if at < 0:
            return -1
        at = skip(text, at)
        if is_at(text, at, END):
            return at + 1
        if not is_at(text, at, COMMA):
            return -1
        at = skip(text, at + 1)
