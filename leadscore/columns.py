"""One column at a time: raw values → text, category codes, numbers, instants; and the same for one value.

Text is trimmed, and empty text is null. A whole number that arrives as a float (``173688.0``) reads ``173688``, a
boolean reads ``true`` or ``false``. What is not a finite number is null, and counted;
beyond `LARGEST` nothing is an amount, and sums would leave float32.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit
from numpy.typing import NDArray

from leadscore import time
from leadscore.hashing import letters_of

LARGEST = 1e30
"""Numbers beyond this, either way, are taken as missing."""
_MANY = 1_000
"""From here on Arrow sorts words faster than Python, though it takes longer to begin."""


def text_column(column: pa.ChunkedArray) -> pa.Array:
    """Trimmed text, null where empty; Arrow string (n,)."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        column = _whole_numbers_without_point(column)
    elif pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        column = pc.strftime(column.cast(pa.timestamp("us")), format="%Y-%m-%dT%H:%M:%S")
    text = column.cast(pa.string())
    text = text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text
    if _is_trimmed(*letters_of(text)):
        return text
    trimmed = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


_BLANK, _DELETE = 32, 127


@njit(nogil=True, cache=True)
def _is_trimmed(edges, letters):  # type: ignore[no-untyped-def]
    """Whether no text is empty, and all begin and end with a visible letter of ASCII: most columns of ids do."""
    for i in range(len(edges) - 1):
        if edges[i] == edges[i + 1]:
            return False
        first, last = letters[edges[i]], letters[edges[i + 1] - 1]
        if min(first, last) <= _BLANK or max(first, last) >= _DELETE:
            return False
    return True


def _whole_numbers_without_point(column: pa.ChunkedArray) -> pa.ChunkedArray:
    column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    whole = pc.and_kleene(pc.equal(column, pc.floor(column)), pc.less(pc.abs(column), 2.0**53))
    as_whole = pc.if_else(whole, column, 0.0).cast(pa.int64()).cast(pa.string())
    if not pa.types.is_float64(column.type):
        return pc.if_else(whole, as_whole, column.cast(pa.string()))
    broken = pc.if_else(whole, pa.scalar(None, column.type), column).combine_chunks().dictionary_encode()
    texts = pa.array(
        [str(value) for value in broken.dictionary.to_pylist()], pa.string()
    )  # as `text_value` writes them
    return pc.if_else(whole, as_whole, texts.take(broken.indices))


def text_value(value: Any) -> str | None:
    """Return one value as `text_column` reads it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2.0**53:
        value = int(value)
    return str(value).strip() or None


def categories(column: pa.ChunkedArray, missing: Collection[str] = ()) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Codes int32 (n,), −1 where null or named in `missing`, and the sorted distinct values they index."""
    if pa.types.is_dictionary(column.type) and isinstance(column, pa.ChunkedArray) and column.num_chunks:
        return _recoded(column.unify_dictionaries(), missing)
    return encode(text_column(column), missing)


def _recoded(column: pa.ChunkedArray, missing: Collection[str]) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Codes and vocabulary of a column that comes with codes: what `encode` gives of its texts."""
    words = text_column(pa.chunked_array([column.chunk(0).dictionary]))
    of_words, vocabulary = encode(words, missing)
    lookup = np.append(of_words, np.int32(-1))
    indices = [chunk.indices.fill_null(len(words)).to_numpy(zero_copy_only=False) for chunk in column.chunks]
    codes = lookup[np.concatenate(indices)]
    used = np.flatnonzero(np.bincount(codes + 1, minlength=len(vocabulary) + 1)[1:])
    if len(used) == len(vocabulary):
        return codes, vocabulary
    rank = np.full(len(vocabulary) + 1, -1, dtype=np.int32)
    rank[used] = np.arange(len(used))
    return rank[codes], tuple(vocabulary[code] for code in used.tolist())


def nulled(text: pa.Array, missing: Collection[str]) -> pa.Array:
    """Text with null in the place of some values."""
    return pc.if_else(pc.is_in(text, value_set=pa.array(list(missing))), pa.scalar(None, pa.string()), text)


def encode(text: pa.Array, missing: Collection[str] = ()) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Codes and vocabulary of trimmed text, as `categories` returns them."""
    coded = text.dictionary_encode()
    if len(coded.dictionary) > _MANY:
        if missing:
            coded = nulled(text, missing).dictionary_encode()
        codes, words = _ranked(coded)
        return codes.astype(np.int32), tuple(words.tolist())
    values = coded.dictionary.to_pylist()
    vocabulary = tuple(sorted(value for value in values if value not in missing))
    rank = {value: code for code, value in enumerate(vocabulary)}
    lookup = np.array([*(rank.get(value, -1) for value in values), -1], dtype=np.int32)
    indices = coded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    return lookup[indices], vocabulary


def ranked(text: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Codes int64 (n,), −1 where null, and the sorted distinct texts they index: `encode` for columns of ids."""
    return _ranked(text.dictionary_encode())


def _ranked(coded: pa.DictionaryArray) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    order = pc.sort_indices(coded.dictionary).to_numpy()
    rank = np.full(len(order) + 1, -1, dtype=np.int64)  # null, the last, stays −1
    rank[order] = np.arange(len(order))
    indices = coded.indices.fill_null(len(order)).to_numpy(zero_copy_only=False)
    words = np.asarray(coded.dictionary.take(pa.array(order)).to_numpy(zero_copy_only=False), dtype=object)
    return rank[indices], words


def numbers(column: pa.ChunkedArray, missing: Collection[str] = ()) -> tuple[NDArray[np.float64], int]:
    """float64 (n,), NaN where null, named in `missing` or unreadable, and how many were unreadable or infinite.

    A number is named in `missing` however it is written or typed: ``"0"`` names 0, 0.0 and ``"0.0"``.
    """
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        values = column.cast(pa.float64(), safe=False).to_numpy()
        n_null = column.null_count + int(np.isnan(values).sum() if column.null_count == 0 else 0)
    else:
        text = text_column(column)
        if missing:
            text = nulled(text, missing)
        n_null = text.null_count
        values = _parse_numbers(text)
    values = np.array(values, dtype=np.float64)
    values[~(np.abs(values) <= LARGEST)] = np.nan
    values += 0.0  # a negative zero is a zero
    n_unreadable = int(np.isnan(values).sum()) - min(n_null, int(np.isnan(values).sum()))
    if missing:
        values[np.isin(values, missing_numbers(missing))] = np.nan
    return values, n_unreadable


def missing_numbers(missing: Collection[str]) -> list[float]:
    """Return the numbers among the values that mean "not filled in"."""
    read = [number_value(text) for text in missing]
    return [number for number in read if number == number]


def _parse_numbers(text: pa.Array) -> NDArray[np.float64]:
    try:
        return np.asarray(text.cast(pa.float64()).to_numpy(zero_copy_only=False))
    except pa.ArrowInvalid:
        return np.array([number_value(value) for value in text.to_pylist()], dtype=np.float64)


def number_value(value: Any) -> float:
    """Return one value as `numbers` reads it: a float of at most `LARGEST`, or NaN."""
    if value is None or (isinstance(value, str) and "_" in value):
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number + 0.0 if abs(number) <= LARGEST else math.nan


def instants(
    column: pa.ChunkedArray, timezone: str, time_format: str | None, *, recognise: bool = True
) -> tuple[time.Instants, int]:
    """UTC microseconds (n,), `NEVER` where null or unreadable, and how many local readings were ambiguous.

    `recognise` is as in `time.parse_instants`.

    Raises ValueError where day-first and month-first dates can't be told apart.
    """
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("us"))
    if pa.types.is_timestamp(column.type):
        unit = pa.timestamp("us", column.type.tz)
        return time.parse_instants(pd.Series(column.cast(unit, safe=False).to_pandas()), timezone)
    if is_clock(column.type):
        return time.parse_instants(pd.Series(column.cast(pa.float64(), safe=False).to_numpy()), timezone)
    text = pd.Series(text_column(column).to_pandas())
    return time.parse_instants(text, timezone, time_format, recognise=recognise)


def is_clock(kind: pa.DataType) -> bool:
    """Whether times of this type are read by themselves, not as text."""
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return bool(numeric or pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def shape_of(text: str | None) -> str:
    """Say what a value looks like, not what it is: ``looks like '99/99/9999'`` for a date; ``is empty`` for null."""
    if text is None:
        return "is empty"
    shape = "".join("9" if c.isdigit() else "a" if c.isalpha() else c for c in text[:24])
    return f"looks like '{shape}…'" if len(text) > 24 else f"looks like '{shape}'"
