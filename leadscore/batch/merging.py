"""Sorted parts of a list → the list, piece by piece, with a block of every part in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from leadscore.batch.lists import MERGED_BY
from leadscore.batch.writing import COLUMNS, whole_or_nothing

BLOCK = 5_000
"""Rows of a part that are read at once."""

Key = tuple[float, str]


def write_sorted(path: Path, table: pa.Table, about: bytes) -> None:
    """Write a scored part in blocks, with something that stands beside it."""
    table = table.replace_schema_metadata({b"leadscore": about})
    options = pyarrow.ipc.IpcWriteOptions(compression="lz4")
    with whole_or_nothing(path) as beside, pyarrow.ipc.new_file(beside, table.schema, options=options) as file:
        file.write_table(table, max_chunksize=BLOCK)


def about_sorted(path: Path) -> bytes:
    """Read what stands beside a scored part."""
    with pa.memory_map(str(path)) as source, pyarrow.ipc.open_file(source) as file:
        return bytes(file.schema.metadata[b"leadscore"])


def n_sorted(path: Path) -> int:
    """How many rows a scored part has."""
    with pa.memory_map(str(path)) as source, pyarrow.ipc.open_file(source) as file:
        return sum(file.get_batch(number).num_rows for number in range(file.num_record_batches))


def merged(paths: Sequence[Path]) -> Iterator[pa.Table]:
    """Merge scored parts by `MERGED_BY`, then lead id; the rows don't depend on how they were parted."""
    runs = [run for run in map(_Run, paths) if run.fill()]
    while runs:
        upto = min(run.last for run in runs)
        whole = pa.concat_tables([run.take(upto) for run in runs])
        ordered = whole.sort_by([(MERGED_BY, "ascending"), ("lead_id", "ascending")])
        yield ordered.select(COLUMNS.names).cast(COLUMNS)
        runs = [run for run in runs if run.fill()]


class _Run:
    """One part, and the block of it that comes next."""

    def __init__(self, path: Path) -> None:
        self._file = pyarrow.ipc.open_file(pa.memory_map(str(path)))
        self._next = 0
        self._block = self._file.schema.empty_table()
        self._by = np.empty(0)

    def fill(self) -> bool:
        """Read on where the block is used up; say whether there is anything left."""
        while not self._block.num_rows and self._next < self._file.num_record_batches:
            self._block = pa.Table.from_batches([self._file.get_batch(self._next)])
            self._by = self._block[MERGED_BY].to_numpy()
            self._next += 1
        return bool(self._block.num_rows)

    @property
    def last(self) -> Key:
        """The key of the last row of the block."""
        return self._by[-1], self._block["lead_id"][-1].as_py()

    def take(self, upto: Key) -> pa.Table:
        """Take the rows up to a key, that one included."""
        by, lead_id = upto
        first_tie, end = (int(self._by.searchsorted(by, side=side)) for side in ("left", "right"))
        if end > first_tie:
            ties = self._block["lead_id"].slice(first_tie, end - first_tie).to_pylist()
            end = first_tie + bisect_right(ties, lead_id)
        taken = self._block.slice(0, end)
        self._block, self._by = self._block.slice(end), self._by[end:]
        return taken
