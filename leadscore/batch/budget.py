"""What a run needs in memory, before anything is read, and how many parts bring it within bounds."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet

from leadscore import sources
from leadscore.errors import DataError, NoSourceError
from leadscore.project import Source
from leadscore.reading import OWN

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?", re.IGNORECASE)
LEAST = 768 * 2**20
"""What a run may be given at least: the program itself takes most of it."""

_PROGRAM = 480 * 2**20
_ROW, _CELL, _LISTED, _REASON = 60, 30, 500, 900
"""Bytes, measured: of a row of a table, of each column in it, of a lead on a list, and of a reason of it."""
MOST_PARTS = 4_096
BLOCK = 400
"""Rows of a scored part that are read at once, and held of it at least."""
_SHARE = 0.25
"""Of the free memory, what one part may take: one is scored while the next is read and the last is written."""
_GROWTH = 1.5
OF_LISTS, OF_ACCOUNTS = (8, 18), (15, 24)
"""Bytes of every lead, measured: what a run holds of it to its end, and for a moment; and if it looks at accounts."""
_MERGED_SHARE, _FEWEST_MERGED, _MOST_MERGED = 0.6, 4, 256
_COPIES = 5
"""Of a block while it is merged: two are held, one is sorted, one handed on, and one written."""
_STRETCH_SHARE, _STRETCH_CELL = 0.2, 120
_FEWEST_ROWS, _MOST_ROWS = 20_000, 500_000


def parse_size(text: str) -> int:
    """Bytes of a size such as ``2GiB``, ``500M`` or ``1.5 GB``; raises ValueError for anything else."""
    match = _SIZE.fullmatch(text.strip())
    unit = None if match is None else _UNITS.get(match[2].upper())
    if match is None or unit is None:
        raise ValueError(f"{text!r} is not a size; write a number and K, M, G, KiB, MiB or GiB, as in 2GiB")
    return int(float(match[1]) * unit)


def format_size(n_bytes: float) -> str:
    """A size for people: ``1.5 GiB``."""
    power = min(3, max(1, int(math.log2(max(n_bytes, 1)) // 10)))
    return f"{n_bytes / 2 ** (10 * power):.1f} {' KMG'[power]}iB"


def machine_memory() -> int:
    """Bytes of memory of this machine, or of the container it is."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(found, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        return found


@dataclass(frozen=True)
class Table:
    """A table that a run reads: its name, where its rows are, which columns it takes, and those of categories."""

    key: str
    source: Source
    columns: tuple[str, ...]
    where: str
    coded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Budget:
    """How a run is cut: in memory at once where there is one part.

    Attributes
    ----------
    n_parts, n_rows : parts of the list, rows of a stretch
    rows : by table, about how many there are
    needs : bytes that the whole list would take in memory
    n_merged : scored parts of which a block may be in memory at once
    free : bytes that parts may take
    """

    n_parts: int
    n_rows: int
    rows: Mapping[str, int]
    needs: int
    n_merged: int
    free: int


def plan_budget(
    tables: list[Table], folder: Path, *, memory: int, n_reasons: int, of_lead: tuple[int, int] = (0, 0),
    known: Callable[[Path], int | None] | None = None,
) -> Budget:  # fmt: skip
    """Estimate from the sizes of files, the metadata of Parquet and the counts of queries.

    Parameters
    ----------
    of_lead : bytes of every lead that a run in parts holds to its end, and for a moment
    known : gives the number of rows of a file, None where it isn't known

    Raises
    ------
    DataError
        If there are so many leads that these bytes alone don't fit.
    """
    rows = {table.key: _n_rows(table, folder, known or _unknown) for table in tables}
    n_leads = sum(rows.get(key, 0) for key in ("leads", OWN))
    needs = sum(rows[table.key] * (_ROW + _CELL * len(table.columns)) for table in tables)
    needs += n_leads * (_LISTED + _REASON * n_reasons)
    free = _free(memory)
    if needs > free:
        held, at_most = (n_leads * n_bytes for n_bytes in of_lead)
        if at_most > free:
            raise DataError(
                f"{n_leads:,} leads don't fit into --memory {format_size(memory)}, however they are cut: {of_lead[1]} "
                f"bytes are held of each. Say --memory {format_size(1.1 * (at_most + _PROGRAM))}, or --engine spark"
            )
        free = max(free - held, memory // 5)
    widest = max(len(table.columns) for table in tables)
    n_rows = int(free * _STRETCH_SHARE / (_STRETCH_CELL * widest))
    n_merged = int(free * _MERGED_SHARE / (_COPIES * BLOCK * (_LISTED + _REASON * n_reasons)))
    return Budget(
        _n_parts(needs, free),
        min(max(n_rows, _FEWEST_ROWS), _MOST_ROWS),
        rows,
        needs + _PROGRAM,
        min(max(n_merged, _FEWEST_MERGED), _MOST_MERGED),
        free,
    )


def roomy(budget: Budget) -> int:
    """Into how many parts to cut what is to grow by half."""
    return max(budget.n_parts, _n_parts(_GROWTH * (budget.needs - _PROGRAM), budget.free))


def _free(memory: int) -> int:
    return max(memory - _PROGRAM, memory // 5)


def _n_parts(needs: float, free: int) -> int:
    return 1 if needs <= free else min(max(2, math.ceil(needs / (free * _SHARE))), MOST_PARTS)


def _unknown(path: Path) -> None:
    """Know of no file how many rows it has."""


def _n_rows(table: Table, folder: Path, known: Callable[[Path], int | None]) -> int:
    """About how many rows a source has; 0 where it isn't there, or can't be counted."""
    if table.source.sql is not None:
        try:
            return sources.count_rows(table.source, table.where)
        except DataError:  # some databases count no query that sorts; what is wrong with it, reading says
            return 0
    try:
        paths = sources.paths_of(table.source, folder, table.where)
    except NoSourceError:
        return 0
    counts = ((known(path), path) for path in paths)
    return sum(_rows_of(path, table.where) if count is None else count for count, path in counts)


def _rows_of(path: Path, where: str) -> int:
    try:
        if sources.is_parquet(path):
            return int(pyarrow.parquet.read_metadata(path).num_rows)
        return round(path.stat().st_size / sources.bytes_a_row(path))
    except sources.UNREADABLE as error:
        raise sources.unreadable(path, where, error) from None
