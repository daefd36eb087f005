"""Texts by the hashes of their bytes: which repeat, and where each stands among others."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
NOTHING = np.uint64(0)
"""The hash of no text."""
_MANY = 1_000
"""Hashes from which on those that can't repeat are left out before the others are sorted."""


def hashed(texts: pa.Array) -> Hashes:
    """64-bit hashes of the bytes of texts, the same on every machine; `NOTHING` of null."""
    texts = texts.cast(pa.string())
    out = np.empty(len(texts), dtype=np.uint64)
    _hash(*letters_of(texts), out)
    if texts.null_count:
        out[texts.is_null().to_numpy(zero_copy_only=False)] = NOTHING
    return out


_EIGHT = np.uint64(8)


@njit(nogil=True, cache=True)
def _hash(edges, letters, out):  # type: ignore[no-untyped-def]
    """Mix in eight bytes at a time; the last eight may have been taken in before, and the length tells.

    Unsigned positions: a signed one could count from the end, and eight bytes would not be one load.
    """
    for i in range(len(out)):
        at, end = np.uint64(edges[i]), np.uint64(edges[i + 1])
        code = np.uint64(14695981039346656037) ^ (end - at)
        last = np.uint64(0)
        if end - at >= _EIGHT:
            while at < end - _EIGHT:
                code = _mixed(code ^ _eight(letters, at))
                at += _EIGHT
            last = _eight(letters, end - _EIGHT)
        else:
            while at < end:
                last = (last << _EIGHT) | np.uint64(letters[at])
                at += np.uint64(1)
        code = _mixed(code ^ last)
        out[i] = code if code != np.uint64(0) else np.uint64(1)


@njit(nogil=True, cache=True)
def _eight(letters, at):  # type: ignore[no-untyped-def]
    """Eight bytes as one number, the first one lowest."""
    word = np.uint64(0)
    for k in range(8):
        word |= np.uint64(letters[at + np.uint64(k)]) << np.uint64(8 * k)
    return word


@njit(nogil=True, cache=True)
def _mixed(code):  # type: ignore[no-untyped-def]
    """Let every bit depend on every bit, as the end of MurmurHash3 does."""
    code = (code ^ (code >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    code = (code ^ (code >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return code ^ (code >> np.uint64(33))


def may_repeat(hashes: Hashes) -> NDArray[np.bool_]:
    """Whether another of the hashes is the same, bool (n,): where not, neither is another text."""
    may = np.ones(len(hashes), dtype=bool)
    if len(hashes) > _MANY:
        bits = len(hashes).bit_length() + 3
        _fall_together(hashes, 64 - bits, *np.zeros((2, 1 << (bits - 6)), dtype=np.uint64), may)
    place = np.flatnonzero(may)
    found = hashes[place]
    ordered = np.sort(found)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(repeated):
        return np.zeros(len(hashes), dtype=bool)
    may[place] = repeated[np.minimum(np.searchsorted(repeated, found), len(repeated) - 1)] == found
    return may


@njit(nogil=True, cache=True)
def _fall_together(hashes, shift, once, twice, out):  # type: ignore[no-untyped-def]
    """Say of which hashes the first bits are those of another one: of few others than those that are repeated."""
    for i in range(len(hashes)):
        at = hashes[i] >> np.uint64(shift)
        word, bit = at >> np.uint64(6), np.uint64(1) << (at & np.uint64(63))
        twice[word] |= once[word] & bit
        once[word] |= bit
    for i in range(len(hashes)):
        at = hashes[i] >> np.uint64(shift)
        out[i] = (twice[at >> np.uint64(6)] >> (at & np.uint64(63))) & np.uint64(1)


class TextIndex:
    """Finds texts among distinct ones, several times as fast as Arrow's ``index_in``."""

    def __init__(self, texts: pa.Array) -> None:
        self._hashes = hashed(texts)
        self._letters = letters_of(texts)
        self._slots = np.full(1 << (len(texts) + 1).bit_length(), -1, dtype=np.int32)
        _enter(self._hashes, self._slots)

    def find(self, texts: pa.Array) -> NDArray[np.int64]:
        """Return where each text stands among those of the index, int64 (n,), −1 for null and for what isn't there."""
        found = np.full(len(texts), -1, dtype=np.int64)
        _find(hashed(texts), *letters_of(texts), self._hashes, *self._letters, self._slots, found)
        return found


@njit(nogil=True, cache=True)
def _enter(hashes, slots):  # type: ignore[no-untyped-def]
    """Put every position into the first free slot from that of its hash on; at least half of the slots stay free."""
    mask = np.uint64(len(slots) - 1)
    for i in range(len(hashes)):
        at = hashes[i] & mask
        while slots[at] >= 0:
            at = (at + np.uint64(1)) & mask
        slots[at] = i


@njit(nogil=True, cache=True)
def _find(hashes, edges, letters, known, known_edges, known_letters, slots, found):  # type: ignore[no-untyped-def]
    """Look for texts from the slots of their hashes on; texts are the same where their bytes are."""
    mask = np.uint64(len(slots) - 1)
    for i in range(len(hashes)):
        if hashes[i] == NOTHING:
            continue
        at = hashes[i] & mask
        while slots[at] >= 0:
            k = slots[at]
            if known[k] == hashes[i] and _same(
                letters[edges[i] : edges[i + 1]], known_letters[known_edges[k] : known_edges[k + 1]]
            ):
                found[i] = k
                break
            at = (at + np.uint64(1)) & mask


@njit(nogil=True, cache=True)
def _same(some, other):  # type: ignore[no-untyped-def]
    same, at = len(some) == len(other), 0
    while same and at < len(some):
        same = some[at] == other[at]
        at += 1
    return same


def letters_of(text: pa.Array) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Return where each of n texts begins, and the last ends, int32 (n + 1,), and the bytes of all of them."""
    _, offsets, data = text.buffers()
    if not len(text):
        return np.zeros(1, dtype=np.int32), np.empty(0, dtype=np.uint8)
    edges = np.frombuffer(offsets, dtype=np.int32)[text.offset : text.offset + len(text) + 1]
    return edges, np.empty(0, dtype=np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)
