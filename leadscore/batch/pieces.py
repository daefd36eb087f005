"""What of a table is read, and stays, together: all of it, or one of its files where rows outlast the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc

from leadscore.batch.budget import Table
from leadscore.batch.run_folder import read_note, write_note
from leadscore.batch.spilling import ACCOUNTS, IDS
from leadscore.sources import Rows
from leadscore.stretches import stretches

Stamp = list[str | int]
Read = Callable[[Sequence[str], Sequence[str]], Iterator[Rows]]
"""Reads some columns, of which some may come as codes, in stretches."""


@dataclass(frozen=True)
class Piece:
    """Some rows of a table: where they are read, and where they stand once they are typed.

    Attributes
    ----------
    stem : what the paths of its files begin with
    read : gives its rows as they stand in the source, from row 0 on
    again : what an earlier run began to write is no use: a query may give its rows in another order
    label : plain JSON values that are noted when all is there
    """

    stem: Path
    read: Read
    again: bool = False
    label: Mapping[str, Any] = field(default_factory=dict)

    def stretch(self, number: int) -> Path:
        """The file of a stretch of its typed rows."""
        return self.stem.with_name(f"{self.stem.name}-{number:06}.rows")

    def stretches(self) -> list[Path] | None:
        """The files of all its typed rows; None where they aren't all there."""
        about = self.about()
        paths = [] if about is None else [self.stretch(number) for number in range(about["n"])]
        return paths if about is not None and all(map(_stands, paths)) else None

    def about(self) -> dict[str, Any] | None:
        """What is noted of it: ``n`` stretches, ``files`` with their numbers of rows, and its label."""
        return read_note(self._done)

    def begin(self) -> None:
        """Take away what is no use."""
        self._done.unlink(missing_ok=True)
        for path in self.stem.parent.glob(f"{self.stem.name}-*.rows"):
            if self.again or not _stands(path):
                path.unlink()

    def finish(self, n: int, files: Sequence[tuple[str, int]]) -> None:
        """Note that all is there."""
        write_note(self._done, {**self.label, "n": n, "files": files})

    @property
    def _done(self) -> Path:
        return self.stem.with_name(f"{self.stem.name}.done")


def _stands(stretch: Path) -> bool:
    """Whether a stretch, and what stands beside it, can be read: a power cut may leave a file without its end."""
    beside = (stretch.with_suffix(ending) for ending in (IDS, ACCOUNTS))
    try:
        for path in (stretch, *filter(Path.exists, beside)):
            with pa.memory_map(str(path)) as source, pyarrow.ipc.open_file(source):
                pass
    except (OSError, pa.ArrowException):
        return False
    return True


def stamp_of(path: Path) -> Stamp:
    """What a file is known by: its name, its path without links, its size and its time of change, in nanoseconds."""
    found = path.stat()
    return [path.name, str(path.resolve()), found.st_size, found.st_mtime_ns]


def whole_table(stem: Path, table: Table, folder: Path, n_rows: int, label: Mapping[str, Any] | None = None) -> Piece:
    """Take all of a table as one piece; raises nothing before it is read."""

    def read(columns: Sequence[str], coded: Sequence[str]) -> Iterator[Rows]:
        return stretches(table.source, folder, columns, where=table.where, n_rows=n_rows, coded=coded)

    return Piece(stem, read, again=table.source.sql is not None, label=label or {})
