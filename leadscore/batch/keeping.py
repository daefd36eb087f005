"""Typed rows that outlast a run: the next one reads only the files that are new.

A file is known by its path, its size and its time of change. What is kept of it is named after these, after the
section of leadscore.toml that declares its table, and after the types that the files of the table agree on: a file that
changed, and rows that would be typed in another way, are found under no name, and read. A query has no such name and is
read whole each time; a table whose leads are numbered by row is read anew where any file changes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import pyarrow as pa

from leadscore import sources
from leadscore.batch.budget import Budget, Table, roomy
from leadscore.batch.pieces import Piece, Read, Stamp, stamp_of, whole_table
from leadscore.batch.run_folder import locked, read_note, write_note
from leadscore.batch.writing import make_folder
from leadscore.errors import DataError
from leadscore.project import EventsSpec, LeadsSpec, OutcomeSpec, Project
from leadscore.sources import Rows
from leadscore.stretches import agreed_schema, head_of, stretches_of_file

FORMAT = 2
_VERSIONS = ("leadscore", "pandas", "pyarrow")
"""Whose version typed rows may depend on."""
_MANIFEST, _LOCK = "kept.json", "lock"
_OURS = re.compile(r"\.?(?:lock|kept\.json|([0-9a-f]{24})(?:\.done|-\d{6}\.(?:rows|ids|accounts)))(?:\.\d+\.part)?")
"""Names of files in the folder, and the stem of those that belong to a piece."""


class Kept:
    """A folder of typed rows, used by one run at a time.

    Attributes
    ----------
    told : why nothing of an earlier run is used, None where something may be
    notes : by stem, what is noted of the pieces that were there when it was opened
    sections, earlier : digests of the sections that say how tables are typed, now and in the run before
    """

    def __init__(self, path: Path, lock: IO[str], project: Project) -> None:
        self.path = path
        self.told: str | None = None
        self.sections = _sections(project)
        self.earlier: dict[str, str] = {}
        self._project, self._lock = project, lock
        self._manifest = read_note(path / _MANIFEST)
        self._n_rows = 0
        self._pieces: dict[str, list[Piece]] = {}
        self._read_notes()

    @classmethod
    def open(cls, path: Path, project: Project) -> Self:
        """Take a folder for a run; make it where it isn't there.

        Raises
        ------
        DataError
            If it can't be made, holds anything that isn't of kept rows, or another process is using it.
        """
        make_folder(path)
        other = next((file.name for file in sorted(path.iterdir()) if not _OURS.fullmatch(file.name)), None)
        if other is not None:
            raise DataError(
                f"--keep {path} holds {other}, which is not of kept rows. Name a new folder, or an empty one"
            )
        lock = locked(path / _LOCK, f"another process is using the rows in {path}; wait for it, or name another --keep")
        for file in path.glob(".*.part"):
            file.unlink()
        return cls(path, lock, project)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._lock.close()

    def cut(self, budget: Budget, *, fresh: bool) -> Budget:
        """Keep to the parts that the rows are in while they fit into memory; else begin anew, with room to grow."""
        format_ = [FORMAT, *map(metadata.version, _VERSIONS)]
        earlier, why = self._manifest, None
        if earlier is None or earlier.get("format") != format_:
            other = f"it is of another version of {', '.join(_VERSIONS)}"
            why = "there is no telling what it holds" if earlier is None else other
        elif fresh:
            why = "--fresh says so"
        elif earlier["n_parts"] < budget.n_parts:
            parts = "part" if earlier["n_parts"] == 1 else "parts"
            why = f"the tables no longer fit into --memory in {earlier['n_parts']} {parts}"
        if earlier is None or why is not None:
            if any(map(self._stem, self.path.iterdir())):
                self.told = f"{self.path} begins anew: {why}"
            self._remove(lambda _: True)
            self._read_notes()
            earlier = {"n_parts": roomy(budget), "n_rows": budget.n_rows, "sections": self.sections}
        elif earlier["n_rows"] != budget.n_rows:  # what was begun is cut in another way
            self._remove(lambda stem: stem not in self.notes)
        self.earlier, self._n_rows = earlier["sections"], budget.n_rows
        now = {"n_parts": earlier["n_parts"], "n_rows": budget.n_rows, "sections": self.sections}
        write_note(self.path / _MANIFEST, {"format": format_, **now})
        return replace(budget, n_parts=earlier["n_parts"])

    def n_rows_of(self, path: Path) -> int | None:
        """How many rows a file has, where that is known."""
        return self._n_rows_of.get(_written(stamp_of(path)))

    def pieces(self, table: Table) -> list[Piece]:
        """Return the files of a table, in order. Raises as `leadscore.stretches.stretches`."""
        if table.key not in self._pieces:
            self._pieces[table.key] = list(self._pieces_of(table))
        return self._pieces[table.key]

    def _pieces_of(self, table: Table) -> Iterator[Piece]:
        paths = sources.paths_of(table.source, self._project.folder, table.where)
        stamps = list(map(stamp_of, paths))
        kind = [table.where, self.sections[table.where]]
        schema = agreed_schema(table.source, self._heads(table, kind, paths, stamps), table.where)
        label = {"kind": kind, "types": [[column.name, str(column.type)] for column in schema]}
        if numbered(table, self._project):
            label["stamps"] = stamps
            yield whole_table(self._stem_of(label), table, self._project.folder, self._n_rows, label)
            return
        for path, stamp in zip(paths, stamps, strict=True):
            of_file = {**label, "stamps": [stamp]}
            yield Piece(self._stem_of(of_file), self._reader(path, table, schema), label=of_file)

    def _heads(self, table: Table, kind: list[str], paths: list[Path], stamps: list[Stamp]) -> Iterator[pa.Table]:
        """Files without their rows; those of text that were read before aren't looked into again."""
        read = {_written([note["kind"], stamp]) for note in self.notes.values() for stamp in note["stamps"]}
        names = list(dict.fromkeys(table.columns))
        for path, stamp in zip(paths, stamps, strict=True):
            seen = _written([kind, stamp]) in read
            yield head_of(path, names, table.where, text=seen)

    def _reader(self, path: Path, table: Table, schema: pa.Schema) -> Read:
        def read(columns: Sequence[str], coded: Sequence[str]) -> Iterator[Rows]:
            wanted = pa.schema([schema.field(name) for name in dict.fromkeys(columns)])
            return stretches_of_file(path, wanted, where=table.where, n_rows=self._n_rows, coded=coded)

        return read

    def settle(self, pieces: Iterable[Piece]) -> list[dict[str, Any]]:
        """Take away all but these; return what was noted of the others."""
        used = {piece.stem.name for piece in pieces}
        self._remove(lambda stem: stem not in used)
        return [note for stem, note in self.notes.items() if stem not in used]

    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.stat().st_size for file in self.path.iterdir())

    def _read_notes(self) -> None:
        found = {file.stem: read_note(file) for file in self.path.glob("*.done")}
        self.notes = {stem: note for stem, note in found.items() if note is not None}
        self._n_rows_of = {
            _written(stamp): n_rows
            for note in self.notes.values()
            for stamp, (_, n_rows) in zip(note["stamps"], note["files"], strict=True)
        }

    def _remove(self, unwanted: Callable[[str], bool]) -> None:
        for file in sorted(self.path.iterdir(), reverse=True):  # what says that all is there goes first
            stem = self._stem(file)
            if stem is not None and unwanted(stem):
                file.unlink()

    def _stem(self, file: Path) -> str | None:
        found = _OURS.fullmatch(file.name)
        return None if found is None else found[1]

    def _stem_of(self, label: dict[str, Any]) -> Path:
        return self.path / hashlib.sha256(_written(label).encode()).hexdigest()[:24]


def numbered(table: Table, project: Project) -> bool:
    """Whether leads have no id but the number of their row in the whole table."""
    if table.key == "outcome":
        return project.outcome.lead is None and project.leads.id is None
    return table.where == "leads" and project.leads.id is None


def _sections(project: Project) -> dict[str, str]:
    """Digests of what says how the rows of each table are typed, by section of leadscore.toml."""
    specs: dict[str, LeadsSpec | EventsSpec | OutcomeSpec] = {"leads": project.leads, "outcome": project.outcome}
    specs |= {f"events.{spec.name}": spec for spec in project.events}
    return {where: _digest(spec, project) for where, spec in specs.items()}


def _digest(spec: LeadsSpec | EventsSpec | OutcomeSpec, project: Project) -> str:
    said = {each.name: getattr(spec, each.name) for each in fields(spec) if each.name not in ("source", "direction")}
    content = _written([said, project.timezone, project.leads.id])
    return hashlib.sha256(content.encode()).hexdigest()


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
