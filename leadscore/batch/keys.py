"""Which part of a list a row belongs to: a stable hash of its lead, or of the account that its lead shares.

All rows of a lead are in one part. Where a model looks at the other leads of an account, so are all leads of an
account; a lead that moved from one account to another brings both together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from leadscore.hashing import NOTHING, Hashes, hashed

Parts = NDArray[np.uint16]

_LEADS_PER_BUCKET = 8
_HALF, _LOWER = np.uint64(32), np.uint64(0xFFFFFFFF)
_AT_ONCE = 1 << 20


def parts_of(codes: Hashes | NDArray[np.uint32], n_parts: int) -> Parts:
    """Return the part that each hash, or its lower half, falls into, uint16 (n,)."""
    parts = np.empty(len(codes), dtype=np.uint16)
    _part_all(codes, n_parts, parts)
    return parts


@njit(nogil=True, cache=True)
def _part_all(codes, n_parts, parts):  # type: ignore[no-untyped-def]
    """Take the lower half of a hash for a share of all parts: a remainder takes five times as long.

    Not the upper half, by which hashes of a part are told apart from then on.
    """
    for i in range(len(codes)):
        parts[i] = (codes[i] & np.uint64(0xFFFFFFFF)) * np.uint64(n_parts) >> np.uint64(32)


@dataclass(frozen=True)
class Shared:
    """Of leads with an account, by half of a hash: the part of what its account is known by. 7 bytes a lead.

    Leads, or accounts, that have a half in common pass for one another: what that brings together may be together.

    Attributes
    ----------
    leads : uint32 (n,), the upper halves, ascending
    parts : uint16 (n,)
    starts : uint32, where the leads with each value of the first bits begin
    """

    leads: NDArray[np.uint32]
    parts: Parts
    starts: NDArray[np.uint32]
    shift: int

    @classmethod
    def of(cls, pairs: Hashes, n_parts: int) -> Shared:
        """Join accounts that a lead was in one after the other; `pairs_of` versions of leads, which are sorted here."""
        pairs.sort()
        of_account = pairs.astype(np.uint32)  # the lower half
        pairs >>= _HALF
        of_lead = pairs.astype(np.uint32)
        again = of_lead[1:] == of_lead[:-1]
        _know_by_least(of_account, np.flatnonzero(again & (of_account[1:] != of_account[:-1])))
        parts = parts_of(of_account, n_parts)
        if again.any():
            first = np.append(True, ~again)
            of_lead, parts = of_lead[first], parts[first]
        bits = max(1, (len(of_lead) // _LEADS_PER_BUCKET).bit_length())
        edges = np.arange(1, 1 << bits, dtype=np.uint32) << np.uint32(32 - bits)
        starts = np.concatenate([[0], np.searchsorted(of_lead, edges), [len(of_lead)]]).astype(np.uint32)
        return cls(of_lead, parts, starts, 32 - bits)


def pairs_of(leads: Hashes, accounts: Hashes) -> Hashes:
    """Return the upper half of each lead's hash with the lower half of its account's; nothing of who has none."""
    there = accounts != NOTHING
    pairs: Hashes = (leads[there] & ~_LOWER) | (accounts[there] & _LOWER)
    return pairs


def _know_by_least(accounts: NDArray[np.uint32], joins: NDArray[np.int64]) -> None:
    """Put the least of the accounts that are joined in the place of each; row ``joins[i]`` is joined with the next."""
    if not len(joins):
        return
    names, place = np.unique(np.concatenate([accounts[joins], accounts[joins + 1]]), return_inverse=True)
    known_by = np.arange(len(names))
    _unite(*place.reshape(2, -1), known_by)
    for start in range(0, len(accounts), _AT_ONCE):
        some = accounts[start : start + _AT_ONCE]
        at = np.minimum(np.searchsorted(names, some), len(names) - 1)
        some[:] = np.where(names[at] == some, names[known_by[at]], some)


@njit(nogil=True, cache=True)
def _unite(one, other, known_by):  # type: ignore[no-untyped-def]
    """Let every account know the least of those it was joined with."""
    for i in range(len(one)):
        a, b = _root(known_by, one[i]), _root(known_by, other[i])
        known_by[max(a, b)] = min(a, b)
    for i in range(len(known_by)):
        known_by[i] = _root(known_by, i)


@njit(nogil=True, cache=True)
def _root(known_by, i):  # type: ignore[no-untyped-def]
    while known_by[i] != i:
        known_by[i] = known_by[known_by[i]]
        i = known_by[i]
    return i


@dataclass(frozen=True)
class Parting:
    """Tells the part of every lead; `shared` is None where accounts may be torn apart."""

    n_parts: int
    shared: Shared | None = None

    def of(self, leads: pa.Array) -> Parts:
        """Return the part of each lead id, uint16 (n,); rows without one are in part 0."""
        codes = hashed(leads)
        parts = parts_of(codes, self.n_parts)
        if self.shared is not None and len(self.shared.leads):
            shared = self.shared
            _look_up(codes, shared.leads, shared.parts, shared.starts, shared.shift, parts)
        return parts


@njit(nogil=True, cache=True)
def _look_up(codes, leads, known, starts, shift, parts):  # type: ignore[no-untyped-def]
    for i in range(len(codes)):
        lead = codes[i] >> np.uint64(32)
        bucket = lead >> np.uint64(shift)
        for at in range(starts[bucket], starts[bucket + np.uint64(1)]):
            if leads[at] == lead:
                parts[i] = known[at]
                break
