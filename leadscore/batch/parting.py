"""Every table of a project in stretches of bounded size, typed, and written by parts of the list."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from leadscore import columns
from leadscore.batch.asked import Asked
from leadscore.batch.budget import Table
from leadscore.batch.keys import Parting, Shared
from leadscore.batch.run_folder import RunFolder
from leadscore.batch.spilling import facts_of, read_part, write_stretch
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
from leadscore.stretches import stretches
from leadscore.time import NEVER

_AT_ONCE = 2
"""Stretches that are typed and written while the next is read."""

TypeRows = Callable[[Rows, Counted], TypedRows]


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


class Spill:
    """Brings tables into the folder of a run, and hands out the rows of a part.

    Attributes
    ----------
    counted, places : by table, what was counted of all its rows, and where they stand
    lost : by table, rows that an earlier delivery for another lead replaces
    """

    def __init__(self, asked: Asked, folder: RunFolder, parting: Parting, n_rows: int) -> None:
        self.project = asked.project
        self.listed = asked.leads is not None
        self.parting = parting
        self.counted: dict[str, Counted] = {}
        self.places: dict[str, Rows] = {}
        self.lost: dict[str, NDArray[np.int64]] = {}
        self._folder = folder
        self._n_rows = n_rows
        self._paths: dict[str, list[Path]] = {}
        self._latest: dict[str, NDArray[np.int64]] = {}
        self._numbers = {table.key: number for number, table in enumerate(tables_of(asked))}
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
            rows = self._open(table)
            if rows is None:
                continue
            before = n_before

            def advance(done: int, before: int = before) -> None:
                progress(min(before + done, expected), expected)

            n_before += self._bring(table, rows, typing_of(typing, table), advance)

    def _open(self, table: Table) -> Iterator[Rows] | None:
        """Begin to read a table; None where it isn't there and needn't be."""
        if of_no_lead(table, self.project, alone=self.listed and OWN not in self.places):
            return None
        rows = stretches(
            table.source, self.project.folder, table.columns, where=table.where, n_rows=self._n_rows, coded=table.coded
        )
        try:
            return chain([next(rows)], rows)
        except DataError as error:
            if not can_lack(table, self.project, error):
                raise
            if table.key == "outcome":
                self.counted["outcome"] = Counted("outcome", absent=True)
            return None

    def _bring(self, table: Table, rows: Iterator[Rows], typing: TypeRows, advance: Callable[[int], None]) -> int:
        key, done = table.key, f"{self._numbers[table.key]:02}.done"
        about = self._folder.read(done)
        if about is None:
            if table.source.sql is not None:  # a query may give its rows in another order
                for path in self._folder.path.glob(f"{self._numbers[key]:02}-*"):
                    path.unlink()
            about = self._write_all(key, rows, typing, advance)
            self._folder.write(done, about)
        counted = Counted(key if key != OWN else "leads")
        paths = [self._path(key, number) for number in range(about["n"])]
        latest = np.full(self.parting.n_parts, NEVER, dtype=np.int64)
        for path in paths:
            facts = facts_of(path)
            counted.add(Counted(**facts["counted"]))
            latest = np.maximum(latest, facts["latest"])
        place = Rows(pa.table({}), tuple((name, n_rows) for name, n_rows in about["files"]))
        counted.refuse(place.name)
        self.counted[key], self.places[key] = counted, place
        self._paths[key], self._latest[key] = paths, latest
        if table.key in self._with_ids:
            self._settle(key)
        advance(counted.n_rows)
        return counted.n_rows

    def _settle(self, key: str) -> None:
        """Find the rows whose id was delivered for another lead before, whichever part that is in."""
        files, parts = [path.with_suffix(".ids") for path in self._paths[key]], range(self.parting.n_parts)
        found = np.concatenate([strays(files, part) for part in parts])
        if len(found):
            self.lost[key] = lost_rows(found, parts, lambda part: self.rows(key, part), self._lead_ids)

    def _lead_ids(self, part: int) -> pa.Array:
        found = [self.rows(key, part).texts["lead"] for key in ("leads", OWN) if key in self._paths]
        return pa.concat_arrays(found)

    def _path(self, key: str, number: int) -> Path:
        return self._folder.path / f"{self._numbers[key]:02}-{number:06}.rows"

    def _write_all(
        self, key: str, rows: Iterator[Rows], typing: TypeRows, advance: Callable[[int], None]
    ) -> dict[str, Any]:
        waiting: deque[Future[None]] = deque()
        number = 0
        files: tuple[tuple[str, int], ...] = ()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for number, stretch in enumerate(rows, 1):
                files = stretch.parts
                path = self._path(key, number - 1)
                if not path.exists():
                    waiting.append(pool.submit(self._write, path, key, stretch, typing))
                if len(waiting) > _AT_ONCE:
                    waiting.popleft().result()
                advance(stretch.first + stretch.table.num_rows)
            for future in waiting:
                future.result()
        return {"n": number, "files": files}

    def _write(self, path: Path, key: str, rows: Rows, typing: TypeRows) -> None:
        counted = Counted(key if key != OWN else "leads")
        typed = typing(rows, counted)
        parts = self.parting.of(typed.texts["lead"])
        latest = np.full(self.parting.n_parts, NEVER, dtype=np.int64)
        for at in typed.instants.values():
            np.maximum.at(latest, parts, at)
        if "id" in typed.texts:
            write_ids(path.with_suffix(".ids"), typed, self.parting.n_parts)
        facts = {"counted": counted.to_dict(), "latest": latest.tolist()}
        write_stretch(path, typed, parts, self.parting.n_parts, facts)

    @property
    def latest(self) -> NDArray[np.int64]:
        """The last instant in the rows of each part, those that will be left out among them."""
        return np.asarray(np.maximum.reduce([*self._latest.values()]), dtype=np.int64)

    def part(self, number: int) -> PartSupply:
        """Hand out the rows of one part."""
        return PartSupply(self, number)

    def rows(self, key: str, number: int) -> TypedRows:
        """Return the rows of a table in one part."""
        return joined([read_part(path, number) for path in self._paths[key]])


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


def shared_accounts(project: Project, tables: list[Table], n_parts: int, n_rows: int) -> Shared:
    """Read which leads share an account; see `Shared` for what that holds in memory."""
    leads: list[NDArray[np.uint64]] = []
    accounts: list[NDArray[np.uint64]] = []
    lead, account = str(project.leads.id), str(project.leads.account)
    for table in tables:
        if table.key not in ("leads", OWN):
            continue
        try:
            for rows in stretches(table.source, project.folder, [lead, account], where=table.where, n_rows=n_rows):
                leads.append(columns.hashed(columns.text_column(rows.table[lead])))
                text = columns.text_column(rows.table[account])
                missing = pc.is_in(text, value_set=pa.array(project.leads.missing, pa.string()))
                accounts.append(np.where(missing.to_numpy(zero_copy_only=False), columns.NOTHING, columns.hashed(text)))
        except NoSourceError:
            if table.key == "leads":
                raise
    return Shared.of(np.concatenate(leads), np.concatenate(accounts), n_parts)
