"""Every table of a project in stretches of bounded size, typed, and written by parts of the list."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leadscore.batch.accounts import accounts_of, write_accounts
from leadscore.batch.asked import Asked
from leadscore.batch.budget import Table
from leadscore.batch.keys import Parting
from leadscore.batch.pieces import Piece
from leadscore.batch.spilling import ACCOUNTS, IDS, facts_of, latest_of, part_anew, read_part, write_stretch
from leadscore.batch.strays import lost_rows, strays, write_ids
from leadscore.errors import DataError, NoSourceError
from leadscore.model.booster import Progress
from leadscore.project import EventsSpec, Project
from leadscore.reading import (
    OWN,
    Counted,
    TypedRows,
    Typing,
    asks_for_own,
    event_columns,
    lead_columns,
    outcome_columns,
)
from leadscore.reading.typed import joined
from leadscore.sources import Rows
from leadscore.time import NEVER

_AT_ONCE = 2
"""Stretches that are typed and written while the next is read."""

TypeRows = Callable[[Rows, Counted], TypedRows]
Pieces = Callable[[Table], list[Piece]]
"""Finds the pieces of a table, in the order of its rows; raises DataError where it isn't there, or lacks a column."""


def tables_of(asked: Asked) -> list[Table]:
    """Every table that a run reads, in the order of reading; those that aren't there among them."""
    project = asked.project
    leads = tuple(lead_columns(project))
    coded = project.leads.categorical
    found = [Table(OWN, project.leads.source, leads, "leads", coded)] if asks_for_own(project, asked.leads) else []
    found.append(Table("leads", asked.leads or project.leads.source, leads, "leads", coded))
    for spec in project.events:
        names = tuple(event_columns(spec))
        found.append(Table(spec.name, spec.source, names, f"events.{spec.name}", spec.categorical))
    return [*found, Table("outcome", project.outcome.source, tuple(outcome_columns(project)), "outcome")]


@dataclass(frozen=True)
class Brought:
    """A piece of a table whose rows are typed and parted.

    Attributes
    ----------
    paths : the stretches of its rows
    first, n_rows : which row of the table its first one is, and how many it has
    there : whether it was there, and wasn't read
    """

    piece: Piece
    paths: list[Path]
    first: int
    n_rows: int
    there: bool

    def rows(self, part: int) -> Iterator[TypedRows]:
        """Return its rows in a part, as they are numbered in the table."""
        for path in self.paths:
            typed = read_part(path, part)
            yield replace(typed, row=typed.row + self.first) if self.first else typed


class Spill:
    """Brings the tables of a run to disk, and hands out the rows of a part.

    Attributes
    ----------
    counted, places : by table, what was counted of all its rows, and where they stand
    lost : by table, rows that an earlier delivery for another lead replaces
    brought : by table, its pieces
    """

    def __init__(self, asked: Asked, pieces: Pieces, parting: Parting) -> None:
        self.project = asked.project
        self.listed = asked.leads is not None
        self.parting = parting
        self.counted: dict[str, Counted] = {}
        self.places: dict[str, Rows] = {}
        self.lost: dict[str, NDArray[np.int64]] = {}
        self.brought: dict[str, list[Brought]] = {}
        self._pieces = pieces
        self._written: set[Path] = set()
        self._latest: dict[str, NDArray[np.int64]] = {}
        self._with_ids = {spec.name for spec in asked.project.events if spec.id is not None}

    def bring(self, tables: list[Table], progress: Progress, expected: int) -> None:
        """Read all tables; what an earlier run has read is there already.

        Raises
        ------
        DataError
            As `leadscore.reading.read`.
        """
        typing = Typing(self.project, whole=False)
        n_before = 0
        for table in tables:
            opened = self._open(table)
            if opened is None:
                continue
            before = n_before

            def advance(done: int, before: int = before) -> None:
                progress(min(before + done, expected), expected)

            n_before += self._bring(table, *opened, typing_of(typing, table), advance)

    def _open(self, table: Table) -> tuple[list[Piece], Iterator[Rows]] | None:
        """Find the pieces of a table, and begin to read the first that isn't there; None where it needn't be there."""
        if of_no_lead(table, self.project, alone=self.listed and OWN not in self.places):
            return None
        try:
            pieces = self._pieces(table)
            if pieces[0].stretches() is not None:
                return pieces, iter(())
            rows = pieces[0].read(table.columns, table.coded)
            return pieces, chain([next(rows)], rows)
        except DataError as error:
            if not can_lack(table, self.project, error):
                raise
            if table.key == "outcome":
                self.counted["outcome"] = Counted("outcome", absent=True)
            return None

    def _bring(
        self, table: Table, pieces: list[Piece], begun: Iterator[Rows], typing: TypeRows,
        advance: Callable[[int], None],
    ) -> int:  # fmt: skip
        key = table.key
        counted = Counted(key if key != OWN else "leads")
        latest = np.full(self.parting.n_parts, NEVER, dtype=np.int64)
        brought, files = [], []
        for number, piece in enumerate(pieces):
            paths = piece.stretches()
            there = paths is not None
            if paths is None:
                rows = piece.read(table.columns, table.coded) if number else begun
                paths = self._write_all(piece, counted.table, rows, typing, partial(_further, advance, counted.n_rows))
            first = counted.n_rows
            for path in paths:
                if path not in self._written:
                    part_anew(path, self.parting)
                facts = facts_of(path)
                counted.add(Counted(**facts["counted"]))
                latest = np.maximum(latest, facts["latest"])
            files += (piece.about() or {})["files"]
            brought.append(Brought(piece, paths, first, counted.n_rows - first, there))
            advance(counted.n_rows)
        place = Rows(pa.table({}), tuple((name, n_rows) for name, n_rows in files))
        counted.refuse(place.name)
        self.counted[key], self.places[key] = counted, place
        self.brought[key], self._latest[key] = brought, latest
        if table.key in self._with_ids:
            self._settle(key)
        return counted.n_rows

    def _settle(self, key: str) -> None:
        """Find the rows whose id was delivered for another lead before, whichever part that is in."""
        files = [path.with_suffix(IDS) for of_piece in self.brought[key] for path in of_piece.paths]
        parts = range(self.parting.n_parts)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = np.concatenate(list(pool.map(partial(strays, files), parts)))
        if len(found):
            self.lost[key] = lost_rows(found, parts, lambda part: self.rows(key, part), self._lead_ids)

    def _lead_ids(self, part: int) -> pa.Array:
        found = [self.rows(key, part).texts["lead"] for key in ("leads", OWN) if key in self.brought]
        return pa.concat_arrays(found)

    def _write_all(
        self, piece: Piece, table: str, rows: Iterator[Rows], typing: TypeRows, advance: Callable[[int], None]
    ) -> list[Path]:
        waiting: deque[Future[None]] = deque()
        paths: list[Path] = []
        files: tuple[tuple[str, int], ...] = ()
        piece.begin()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for stretch in rows:
                files = stretch.parts
                path = piece.stretch(len(paths))
                if not path.exists():
                    waiting.append(pool.submit(self._write, path, table, stretch, typing))
                    self._written.add(path)
                paths.append(path)
                if len(waiting) > _AT_ONCE:
                    waiting.popleft().result()
                advance(stretch.first + stretch.table.num_rows)
            for future in waiting:
                future.result()
        piece.finish(len(paths), files)
        return paths

    def _write(self, path: Path, table: str, rows: Rows, typing: TypeRows) -> None:
        counted, n_parts = Counted(table), self.parting.n_parts
        typed = typing(rows, counted)
        parts = self.parting.of(typed.texts["lead"])
        if "account" in typed.roles:
            write_accounts(path.with_suffix(ACCOUNTS), *accounts_of(self.project, rows))
        if "id" in typed.texts:
            write_ids(path.with_suffix(IDS), typed, n_parts)
        facts = {"counted": counted.to_dict(), "latest": latest_of(typed, parts, n_parts)}
        write_stretch(path, typed, parts, n_parts, facts)

    @property
    def latest(self) -> NDArray[np.int64]:
        """The last instant in the rows of each part, those that will be left out among them."""
        return np.asarray(np.maximum.reduce([*self._latest.values()]), dtype=np.int64)

    def part(self, number: int) -> PartSupply:
        """Hand out the rows of one part."""
        return PartSupply(self, number)

    def rows(self, key: str, number: int) -> TypedRows:
        """Return the rows of a table in one part."""
        return joined([typed for of_piece in self.brought[key] for typed in of_piece.rows(number)])


def _further(advance: Callable[[int], None], before: int, done: int) -> None:
    advance(before + done)


class Parted(Protocol):
    """Holds typed rows by parts: a run's folder here, or what a cluster brought together."""

    listed: bool
    counted: dict[str, Counted]
    places: dict[str, Rows]
    lost: dict[str, NDArray[np.int64]]

    def rows(self, key: str, number: int) -> TypedRows:
        """Return the rows of a table in one part."""
        ...


class PartSupply:
    """The rows of one part, as `leadscore.reading.Supply`; `counted` is what assembling it counts."""

    def __init__(self, spill: Parted, number: int) -> None:
        self.listed = spill.listed
        self.places = spill.places
        self.counted = {key: Counted(found.table) for key, found in spill.counted.items()}
        self._spill, self._number = spill, number

    def leads(self) -> TypedRows:
        """Return the leads that are asked about."""
        return self._spill.rows("leads", self._number)

    def own(self) -> TypedRows | None:
        """Return the project's own leads beside a list."""
        return self._spill.rows(OWN, self._number) if OWN in self.places else None

    def events(self, spec: EventsSpec) -> TypedRows:
        """Return the events of one table, without what was delivered for another lead before."""
        typed, lost = self._spill.rows(spec.name, self._number), self._spill.lost.get(spec.name)
        if lost is None:
            return typed
        gone = np.isin(typed.row, lost)
        self.counted[spec.name].count("redelivered", spec.id, int(gone.sum()))
        return typed.kept(~gone)

    def outcome(self, *, alone: bool) -> TypedRows | None:
        """Return the outcomes, None where there are none."""
        return self._spill.rows("outcome", self._number) if "outcome" in self.places else None


def of_no_lead(table: Table, project: Project, *, alone: bool) -> bool:
    """Whether a table holds outcomes of the project's own leads, and a list stands alone."""
    return table.key == "outcome" and alone and project.outcome.source == project.leads.source


def can_lack(table: Table, project: Project, error: DataError) -> bool:
    """Whether a run does without a table that couldn't be opened: outcomes, or the own leads beside a list."""
    if table.key == "outcome" and project.outcome.source == project.leads.source:
        return True
    # a file that is there, but damaged, would put every closed lead on the call list
    return table.key in (OWN, "outcome") and isinstance(error, NoSourceError)


def typing_of(typing: Typing, table: Table) -> TypeRows:
    """Return what types the rows of a table."""
    if table.key in ("leads", OWN):
        return typing.leads
    if table.key == "outcome":
        return typing.outcomes
    spec = typing.project.events_named(table.key)
    return lambda rows, counted: typing.events(rows, spec, counted)
