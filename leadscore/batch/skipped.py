"""What a run read of each table, and what it left alone because its rows were kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from leadscore.batch.budget import Table, format_size
from leadscore.batch.keeping import Kept
from leadscore.batch.parting import Brought
from leadscore.reading import OWN


@dataclass(frozen=True)
class Skipped:
    """Of a table the files whose rows were kept, and those that were read.

    Attributes
    ----------
    files_changed, files_gone : of those read, how many had changed; how many were there in the run before
    why : why all of it was read, None where it wasn't or there was nothing before
    """

    table: str
    files_kept: int
    rows_kept: int
    files_read: int
    rows_read: int
    files_changed: int = 0
    files_gone: int = 0
    why: str | None = None

    def line(self) -> str:
        """Say it in a line."""
        if not self.files_kept + self.files_read:
            return f"{self.table}: {self.why} ({self.rows_read:,} rows)"
        files = "file" if self.files_kept + self.files_read == 1 else "files"
        read = [f"{self.rows_read:,} rows", *([f"{self.files_changed:,} changed"] if self.files_changed else [])]
        told = [
            f"{self.files_kept:,} of {self.files_kept + self.files_read:,} {files} kept ({self.rows_kept:,} rows)",
            f"{self.files_read:,} read ({', '.join(read)})",
        ]
        told += [f"{self.files_gone:,} gone"] if self.files_gone else []
        return f"{self.table}: {', '.join(told)}{f'; all, as {self.why}' if self.why else ''}"


@dataclass(frozen=True)
class Rest:
    """What stays for the next run: where, how large it is, why it began anew if it did, and what this run skipped."""

    folder: str | None
    size: int
    why: str | None
    tables: tuple[Skipped, ...]

    def lines(self) -> list[str]:
        """Say it, a line a table."""
        return [
            *(table.line() for table in self.tables),
            f"{self.folder} keeps {format_size(self.size)} for the next run",
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        tables = {table.table: asdict(table) for table in self.tables}
        for table in tables.values():
            del table["table"]
        return {"folder": self.folder, "bytes": self.size, "why": self.why, "tables": tables}


def settled(kept: Kept, tables: Sequence[Table], brought: Mapping[str, list[Brought]]) -> Rest:
    """Take away what is kept of other files than those of the run, and say what there was."""
    of_files = {table: brought[table.key] for table in tables if table.key in brought and table.source.sql is None}
    notes = kept.settle(each.piece for pieces in of_files.values() for each in pieces)
    told = []
    for table in tables:
        if table in of_files:
            told.append(_of_files(kept, table, of_files[table], notes))
            notes = [note for note in notes if note["kind"][0] != table.where]
        elif table.key in brought:
            n_rows = sum(each.n_rows for each in brought[table.key])
            told.append(Skipped(_name(table), 0, 0, 0, n_rows, why="a query is read whole each time"))
    return Rest(str(kept.path), kept.size(), kept.told, tuple(told))


def _of_files(kept: Kept, table: Table, brought: list[Brought], notes: list[dict[str, Any]]) -> Skipped:
    counts = {there: [0, 0] for there in (True, False)}
    for each in brought:
        counts[each.there][0] += len(each.piece.label["stamps"])
        counts[each.there][1] += each.n_rows
    now = {stamp[1]: stamp for each in brought for stamp in each.piece.label["stamps"]}
    before = {stamp[1]: stamp for note in notes if note["kind"][0] == table.where for stamp in note["stamps"]}
    changed = sum(path in now and now[path] != stamp for path, stamp in before.items())
    gone = sum(path not in now for path in before)
    why = _why(kept, table, brought, notes) if counts[False][0] else None
    (files_kept, rows_kept), (files_read, rows_read) = counts[True], counts[False]
    return Skipped(_name(table), files_kept, rows_kept, files_read, rows_read, changed, gone, why)


def _why(kept: Kept, table: Table, brought: list[Brought], notes: list[dict[str, Any]]) -> str | None:
    """Why no rows of earlier runs could be used, where there were some."""
    earlier = [note for note in notes if note["kind"][0] == table.where]
    if not earlier or any(each.there for each in brought):
        return None
    if all(note["kind"][1] != kept.sections[table.where] for note in earlier):
        return f"[{table.where}] of leadscore.toml has changed"
    label = brought[0].piece.label
    if all(note["types"] != label["types"] for note in earlier):
        return "its files agree on other types"
    return "its leads are numbered by row" if len(label["stamps"]) > 1 else None


def _name(table: Table) -> str:
    return "own leads" if table.key == OWN else table.key
