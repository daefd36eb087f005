"""Rows of plain JSON → columns without an object for every value; what isn't plain is left to who reads anything.

Most of what programs send is plain: rows of declared fields that hold text without escapes, numbers, null and instants
with an offset. `leadscore.plain.kernels` reads it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from leadscore.columns import number_value
from leadscore.plain import kernels
from leadscore.time import Instants

_MOST_FIELDS = 64
MOST_ROWS = 50_000
"""Of a text with more objects nothing is plain: room is made for all of them before any is looked at."""


class Fields(NamedTuple):
    """What the rows of a table may hold. Instants after the first are as the first where a row has none."""

    texts: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    instants: tuple[str, ...] = ()


class Columns(NamedTuple):
    """The rows of a table by column, in the order in which they came.

    Attributes
    ----------
    instants : int64 (n_instants, n_rows), UTC microseconds
    codes : int32 (n_texts, n_rows), index into the column's vocabulary, −1 where null or blank
    vocabularies : one sorted tuple of distinct trimmed texts per column
    numbers : float64 (n_numbers, n_rows), NaN where null
    """

    instants: Instants
    codes: NDArray[np.int32]
    vocabularies: tuple[tuple[str, ...], ...]
    numbers: NDArray[np.float64]


class Found(NamedTuple):
    """The tables of a document, and where the value that held them begins and ends in its text."""

    begin: int
    end: int
    tables: dict[str, Columns]


@dataclass(frozen=True, eq=False)
class Layout:
    """Which tables there may be, and which fields in them, as the kernels take them."""

    tables: Mapping[str, Fields]
    names: NDArray[np.uint8]
    of_tables: NDArray[np.int64]
    of_fields: NDArray[np.int64]

    @cached_property
    def most_fields(self) -> int:
        """Fields of the widest table."""
        return max((sum(map(len, fields)) for fields in self.tables.values()), default=0)

    @cached_property
    def sizes(self) -> list[tuple[str, tuple[int, ...], int]]:
        """Of each table its name, how many fields of each kind it has, and the number of its first."""
        names = zip(self.tables.items(), self.of_tables[:, 2].tolist(), strict=True)
        return [(name, tuple(map(len, fields)), first) for (name, fields), first in names]

    @classmethod
    def of(cls, tables: Mapping[str, Fields]) -> Self | None:
        """Lay out tables; None where a field has two meanings, or a table too many fields: then nothing is plain."""
        names: list[bytes] = [name.encode() for name in tables]
        kinds: list[tuple[int, int]] = []
        edges = [0]
        for fields in tables.values():
            of_table = [name for group in fields for name in group]
            if len({*of_table}) < len(of_table) or len(of_table) > _MOST_FIELDS:
                return None
            names += [name.encode() for name in of_table]
            by_kind = zip((kernels.TEXT, kernels.NUMBER, kernels.INSTANT), fields, strict=True)
            kinds += [(kind, column) for kind, group in by_kind for column in range(len(group))]
            edges.append(len(kinds))
        begins = [0, *accumulate(map(len, names))]
        spans = np.array([*pairwise(begins)], dtype=np.int64).reshape(-1, 2)
        n_tables = len(tables)
        of_tables = [spans[:n_tables], np.array([*pairwise(edges)], dtype=np.int64).reshape(-1, 2)]
        of_fields = [spans[n_tables:], np.array(kinds, dtype=np.int64).reshape(-1, 2)]
        letters = np.frombuffer(b"".join(names), dtype=np.uint8)
        return cls(tables, letters, np.hstack(of_tables), np.hstack(of_fields))

    def read_document(self, text: bytes) -> Found | None:
        """Read the tables under ``events`` of an object; None if they aren't plain.

        The rest of the text may be anything. With an empty object in the place of the tables it is valid JSON if and
        only if the text is.
        """
        space = _Space.of(self, text)
        return space.found() if space is not None and kernels.read_document(*space.asked) else None

    def read_rows(self, text: bytes) -> Columns | None:
        """Read one list of rows, of the only table that is laid out; None if they aren't plain."""
        space = _Space.of(self, text)
        found = space.found() if space is not None and kernels.read_rows(*space.asked) else None
        return None if found is None else next(iter(found.tables.values()))


class _Space:
    """What the kernels fill: room for as many rows as a text may hold."""

    @classmethod
    def of(cls, layout: Layout, text: bytes) -> Self | None:
        """Make room for what a text may hold; None where that would be too much."""
        n_objects = text.count(b"{")
        return cls(layout, text, n_objects) if n_objects <= MOST_ROWS else None

    def __init__(self, layout: Layout, text: bytes, n_objects: int) -> None:
        self._layout, self._text = layout, text
        n_cells = n_objects * layout.most_fields
        self._at = _places(len(layout.of_tables), len(layout.of_fields), n_cells)
        self._notes = np.empty(self._at.end, dtype=np.int64)
        self._codes = np.empty(n_cells, dtype=np.int32)
        self._numbers = np.empty(n_cells, dtype=np.float64)
        given = np.frombuffer(text, dtype=np.uint8), n_objects, layout.names, layout.of_tables, layout.of_fields
        self.asked = *given, self._notes, self._codes, self._numbers

    def found(self) -> Found | None:
        """Return what was found; None where a number is beyond all bounds, or a text isn't UTF-8."""
        at, text = self._at, self._text
        notes = self._notes[: at.instants].tolist()
        if notes[at.n_close] and not self._read_closely(notes[at.n_close]):
            return None
        words = self._notes[at.words : at.words + 2 * notes[at.n_words]].tolist()
        try:
            texts = [text[begin:end].decode() for begin, end in zip(words[::2], words[1::2], strict=True)]
        except UnicodeDecodeError:
            return None
        tables = {}
        for table, (name, (n_texts, n_numbers, n_instants), first) in enumerate(self._layout.sizes):
            n_rows, instants, codes, numbers, word = notes[at.found + table * kernels.N_FOUND :][: kernels.N_FOUND]
            if n_rows < 0:
                continue
            vocabularies = []
            for n_words in notes[at.of_fields + first : at.of_fields + first + n_texts]:
                vocabularies.append(tuple(texts[word : word + n_words]))
                word += n_words
            tables[name] = Columns(
                _table(self._notes, at.instants + instants, n_instants, n_rows),
                _table(self._codes, codes, n_texts, n_rows),
                tuple(vocabularies),
                _table(self._numbers, numbers, n_numbers, n_rows),
            )
        return Found(notes[at.cut], notes[at.cut + 1], tables)

    def _read_closely(self, n: int) -> bool:
        """Read numbers that the kernels weren't sure of; whether all are within bounds."""
        close = self._notes[self._at.close : self._at.close + 3 * n].reshape(n, 3)
        read = [number_value(self._text[begin:end].decode()) for begin, end in close[:, 1:].tolist()]
        self._numbers[close[:, 0]] = read
        return not any(map(math.isnan, read))


_places = kernels.places.py_func


def _table(flat: NDArray[Any], begin: int, n_columns: int, n_rows: int) -> NDArray[Any]:
    return flat[begin : begin + n_columns * n_rows].reshape(n_columns, n_rows)
