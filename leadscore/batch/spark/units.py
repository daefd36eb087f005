"""What a task reads: a CSV file, some row groups of a Parquet file, or a query; in rows that know where they stand."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from leadscore import sources
from leadscore.batch.budget import Table
from leadscore.errors import DataError
from leadscore.project import Source
from leadscore.sources import Rows
from leadscore.stretches import common_schema, stretches, stretches_of_file

UNTOLD = 2**62
"""Rows of a file that stands alone: nobody needs to know how many before it is read."""


@dataclass(frozen=True)
class Unit:
    """One piece of a table; `first` is the number of its first row in the whole table.

    Attributes
    ----------
    path : of the file; None for a query
    groups : row groups of a Parquet file; None is the whole file
    """

    key: str
    path: str | None
    first: int = 0
    groups: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Input:
    """A table as tasks read it: its columns' types, and its files with their numbers of rows."""

    table: Table
    schema: pa.Schema
    parts: tuple[tuple[str, int], ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values; `of` is the inverse."""
        schema = base64.b64encode(self.schema.serialize().to_pybytes()).decode()
        return {**asdict(self.table), "schema": schema, "parts": self.parts}

    @classmethod
    def of(cls, values: dict[str, Any]) -> Input:
        """Read what `to_dict` gave."""
        names = tuple(values["columns"]), values["where"], tuple(values["coded"])
        table = Table(values["key"], Source(**values["source"]), *names)
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(values["schema"])))
        return cls(table, schema, tuple((name, n_rows) for name, n_rows in values["parts"]))

    @property
    def place(self) -> Rows:
        """Where rows of the table stand."""
        return Rows(pa.table({}), self.parts)


def cut(table: Table, folder: Path, n_rows: int) -> tuple[Input, list[Unit]]:
    """Cut a table into units of at least `n_rows` rows where its files allow it; rows of CSV files are not counted.

    Raises
    ------
    DataError
        As `leadscore.sources.read_rows`, where the first lines show it.
    """
    if table.source.sql is not None:
        head = next(stretches(table.source, folder, table.columns, where=table.where, n_rows=1))
        return Input(table, head.table.schema, ((head.name, UNTOLD),)), [Unit(table.key, None)]
    paths = [path.resolve() for path in sources.paths_of(table.source, folder, table.where)]
    schema = common_schema(table.source, paths, list(dict.fromkeys(table.columns)), table.where)
    units, parts, first = [], [], 0
    for path in paths:
        counts = _row_groups(path, table.where)
        units += _grouped(table.key, path, counts, first, n_rows)
        n_file = UNTOLD if counts is None else sum(counts)
        parts.append((path.name, n_file))
        first += n_file
    return Input(table, schema, tuple(parts)), units


def _row_groups(path: Path, where: str) -> list[int] | None:
    """The numbers of rows of all row groups; None for CSV."""
    try:
        if not sources.is_parquet(path):
            return None
        metadata = pyarrow.parquet.read_metadata(path)
        return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    except sources.UNREADABLE as error:
        raise sources.unreadable(path, where, error) from None


def _grouped(key: str, path: Path, counts: list[int] | None, first: int, n_rows: int) -> list[Unit]:
    if counts is None or len(counts) < 2:
        return [Unit(key, str(path), first)]
    units: list[Unit] = []
    begun: list[int] = []
    begun_at = first
    for number, n_group in enumerate(counts):
        begun.append(number)
        first += n_group
        if first - begun_at >= n_rows or number == len(counts) - 1:
            units.append(Unit(key, str(path), begun_at, tuple(begun)))
            begun, begun_at = [], first
    return units


def uncounted(found: Input) -> bool:
    """Whether rows have no place yet: a table of several CSV files."""
    return len(found.parts) > 1 and any(n_rows == UNTOLD for _, n_rows in found.parts)


def counted(found: Input, units: list[Unit], n_rows: dict[str, int]) -> tuple[Input, list[Unit]]:
    """Give rows their places, from the numbers of rows of files by path."""
    first_of: dict[str, int] = {}
    parts, first = [], 0
    for path in dict.fromkeys(str(unit.path) for unit in units):
        first_of[path] = first
        parts.append((Path(path).name, n_rows[path]))
        first += n_rows[path]
    within = {path: next(unit.first for unit in units if unit.path == path) for path in first_of}
    moved = [replace(unit, first=unit.first - within[str(unit.path)] + first_of[str(unit.path)]) for unit in units]
    return replace(found, parts=tuple(parts)), moved


def read_unit(found: Input, unit: Unit, folder: Path, n_rows: int) -> Iterator[Rows]:
    """Read a unit, `n_rows` rows at a time, each stretch with its place in the table. Raises as `stretches`."""
    where = found.table.where
    if unit.path is None:
        yield from stretches(found.table.source, folder, found.table.columns, where=where, n_rows=n_rows)
        return
    path = _seen(Path(unit.path), where)
    coded, groups = found.table.coded, unit.groups
    for rows in stretches_of_file(path, found.schema, where=where, n_rows=n_rows, coded=coded, groups=groups):
        yield Rows(rows.table, found.parts, unit.first + rows.first)


def count_unit(found: Input, unit: Unit) -> int:
    """Count the rows of a unit's file. Raises as `stretches`."""
    schema = pa.schema([found.schema.field(0)])
    path = _seen(Path(str(unit.path)), found.table.where)
    rows = stretches_of_file(path, schema, where=found.table.where, n_rows=1 << 16)
    return sum(piece.table.num_rows for piece in rows)


def _seen(path: Path, where: str) -> Path:
    if not path.exists():
        raise DataError(
            f"a worker has no {path}, which [{where}] reads. Put the project where every worker sees it under the "
            "same path: on a mounted bucket, say"
        )
    return path
