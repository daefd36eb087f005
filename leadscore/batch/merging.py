"""Sorted parts of a list → the list, piece by piece, with a block of some parts in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from leadscore.batch.budget import BLOCK
from leadscore.batch.lists import MERGED_BY
from leadscore.batch.writing import COLUMNS, batches_of
from leadscore.model.booster import Progress

Key = tuple[float, str]
_Part = TypeVar("_Part")
_ABOUT, _N_ROWS = b"leadscore", b"n_rows"
_LEAST, _MOST_HELD = BLOCK // 2, 2_000
_IN_THIS_THREAD = pyarrow.ipc.IpcReadOptions(use_threads=False)
"""To unpack the columns of a block takes less time than to hand them to others."""
_PACKED = pyarrow.ipc.IpcWriteOptions(compression="lz4")
_WIDE = 256
"""Bytes of a row from which on parts are packed: with reasons, which become a fifth of it. Else it takes but time."""


def write_sorted(path: Path, table: pa.Table, about: bytes) -> None:
    """Write a scored part in blocks, with something that stands beside it."""
    table = table.replace_schema_metadata({_ABOUT: about, _N_ROWS: str(table.num_rows)})
    with batches_of(path, table.schema, _packing(table)) as file:
        file.write_table(table, max_chunksize=BLOCK)


def about_sorted(path: Path) -> bytes:
    """Read what stands beside a scored part."""
    with pa.memory_map(str(path)) as source, pyarrow.ipc.open_file(source) as file:
        return bytes(file.schema.metadata[_ABOUT])


def n_sorted(path: Path) -> int:
    """How many rows a scored part has."""
    with pa.memory_map(str(path)) as source, pyarrow.ipc.open_file(source) as file:
        return int(file.schema.metadata[_N_ROWS])


def merged(paths: Sequence[Path], at_once: int, progress: Progress) -> Iterator[pa.Table]:
    """Merge scored parts by `MERGED_BY`, then lead id; the rows don't depend on how they were parted.

    Parameters
    ----------
    at_once : parts that are merged at once, at least 2: of more, as few as will do are first merged into one, beside
        them. Of fewer more rows are held, up to `_MOST_HELD` of each of average size
    progress : told of the rows of all merges
    """
    done, n_rows = 0, _n_moved(list(map(n_sorted, paths)), at_once)

    def advance(pieces: Iterator[pa.Table]) -> Iterator[pa.Table]:
        nonlocal done
        for piece in pieces:
            yield piece
            done += piece.num_rows
            progress(done, n_rows)

    left = deque(paths)
    n_merges = 0
    while first := _first(left, at_once):
        n_merges += 1
        one = paths[0].with_name(f"merged-{n_merges:06}.scored")
        _write_merged(one, advance(_merged(first, at_once)), sum(map(n_sorted, first)))
        left.append(one)
    for piece in advance(_merged(left, at_once)):
        yield piece.select(COLUMNS.names).cast(COLUMNS)


def meanwhile(pieces: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Return the same pieces; while one is worked on, the next is made in a thread."""
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(next, pieces, None)
        while (piece := begun.result()) is not None:
            begun = pool.submit(next, pieces, None)
            yield piece


def _first(left: deque[_Part], at_once: int) -> list[_Part]:
    """Take away those that are to be merged first: as few as leave no more than fit; none if all fit."""
    n = min(at_once, len(left) - at_once + 1) if len(left) > at_once else 0
    return [left.popleft() for _ in range(n)]


def _n_moved(sizes: Sequence[int], at_once: int) -> int:
    """How many rows all merges of parts of these sizes write."""
    left, n = deque(sizes), 0
    while first := _first(left, at_once):
        left.append(sum(first))
        n += left[-1]
    return n + sum(left)


def _merged(paths: Collection[Path], at_once: int) -> Iterator[pa.Table]:
    sizes = list(map(n_sorted, paths))
    # of each as large a share: else one that was merged from many is used up soon, and each step takes a few rows
    share = min(at_once * _LEAST, _MOST_HELD * len(paths)) / max(1, sum(sizes))
    runs = [_Run(path, max(_LEAST, int(share * size))) for path, size in zip(paths, sizes, strict=True)]
    runs = [run for run in runs if run.fill()]
    while runs:
        upto = min(run.last for run in runs)
        whole = pa.concat_tables([run.take(upto) for run in runs])
        yield whole.sort_by([(MERGED_BY, "ascending"), ("lead_id", "ascending")])
        runs = [run for run in runs if run.fill()]


def _write_merged(path: Path, pieces: Iterator[pa.Table], n_rows: int) -> None:
    """Write pieces of so many rows as one part, in full blocks."""
    first = next(pieces, None)
    if first is None:
        return write_sorted(path, COLUMNS.append(pa.field(MERGED_BY, pa.float64())).empty_table(), b"")
    first = first.replace_schema_metadata({_N_ROWS: str(n_rows)})
    with batches_of(path, first.schema, _packing(first)) as file:
        waiting = [first]
        for piece in pieces:
            if sum(found.num_rows for found in waiting) >= BLOCK:
                file.write_table(pa.concat_tables(waiting).combine_chunks(), max_chunksize=BLOCK)
                waiting = []
            waiting.append(piece)
        file.write_table(pa.concat_tables(waiting).combine_chunks(), max_chunksize=BLOCK)
    return None


def _packing(first: pa.Table) -> pyarrow.ipc.IpcWriteOptions | None:
    """How rows like these are packed."""
    return _PACKED if first.nbytes > _WIDE * first.num_rows else None


class _Run:
    """One part, and those rows of it that come next: at least so many, and less than a block more."""

    def __init__(self, path: Path, least: int) -> None:
        self._least = least
        # Not mapped: what was read of a part that isn't packed would count as memory until it is merged.
        self._file = pyarrow.ipc.open_file(pa.OSFile(str(path)), options=_IN_THIS_THREAD)
        self._next = 0
        self._held = self._file.schema.empty_table()
        self._by = np.empty(0)

    def fill(self) -> bool:
        """Read on where too few are left; say whether there is anything left.

        Of many parts each then gives about as much at once: were a part read on only when it is used up, nearly every
        step would take a row or two of all others.
        """
        blocks, n_held = [self._held], self._held.num_rows
        while n_held < self._least and self._next < self._file.num_record_batches:
            blocks.append(pa.Table.from_batches([self._file.get_batch(self._next)]))
            n_held += blocks[-1].num_rows
            self._next += 1
        if len(blocks) > 1:
            self._held = pa.concat_tables(blocks)
            self._by = self._held[MERGED_BY].to_numpy()
        return bool(n_held)

    @property
    def last(self) -> Key:
        """The key of the last of these rows."""
        return self._by[-1], self._held["lead_id"][-1].as_py()

    def take(self, upto: Key) -> pa.Table:
        """Take the rows up to a key, that one included."""
        by, lead_id = upto
        first_tie, end = (int(self._by.searchsorted(by, side=side)) for side in ("left", "right"))
        if end > first_tie:
            ties = self._held["lead_id"].slice(first_tie, end - first_tie).to_pylist()
            end = first_tie + bisect_right(ties, lead_id)
        taken = self._held.slice(0, end)
        self._held, self._by = self._held.slice(end), self._by[end:]
        return taken
