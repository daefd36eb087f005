"""The tables of a project on a cluster: typed rows by part on the workers' disks, and what tasks make of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leadscore import errors
from leadscore.batch.accounts import Accounts, account_columns, accounts_of, shared_accounts
from leadscore.batch.budget import MOST_PARTS, Budget, Table, plan_budget
from leadscore.batch.keys import Parting, Parts
from leadscore.batch.parting import can_lack, of_no_lead
from leadscore.batch.spark import tasks, units
from leadscore.batch.spark.session import collect
from leadscore.batch.spark.shipping import Job, Parcel
from leadscore.batch.spilling import read_part
from leadscore.batch.strays import all_but_first
from leadscore.errors import DataError, LeadScoreError, MissingExtraError
from leadscore.model.booster import Progress
from leadscore.project import Project
from leadscore.reading import OWN, Counted, TypedRows
from leadscore.sources import Rows
from leadscore.stretches import stretches
from leadscore.time import NEVER, Instants

STORE = (
    "leadscore.toml names a store, which one machine reads and workers don't see. Use --engine local, or a project "
    "without a store whose tables are files, or queries, that the workers see"
)
"""What to do where a cluster is asked for a store."""
_TASK_MEMORY = 2**31
"""What a part is cut for: a worker may run one task a core."""
_PARTS_A_CORE = 2


def plan_parts(spark: Any, tables: list[Table], project: Project, *, n_reasons: int) -> Budget:
    """Cut tables for the memory of a task, and into parts for every core."""
    budget = plan_budget(tables, project.folder, memory=_TASK_MEMORY, n_reasons=n_reasons)
    n_parts = max(budget.n_parts, _PARTS_A_CORE * spark.sparkContext.defaultParallelism)
    return replace(budget, n_parts=min(n_parts, MOST_PARTS))


@dataclass(frozen=True)
class Read:
    """What is known of tables once they were read; `latest` as in `leadscore.batch.parting.Spill`."""

    counted: dict[str, Counted]
    places: dict[str, Rows]
    parting: Parting
    latest: NDArray[np.int64]


class Cluster:
    """A session that reads tables and works on their parts.

    Parameters
    ----------
    tables, listed : as in `leadscore.batch.parting.tables_of`; whether the leads are another list
    budget : into how many parts, and how many rows a stretch has
    whole : no table may be lacking, outcomes neither
    """

    def __init__(
        self, spark: Any, project: Project, tables: list[Table], budget: Budget, *, listed: bool = False,
        whole: bool = False,
    ) -> None:  # fmt: skip
        self.spark, self.project, self.tables, self.budget = spark, project, tables, budget
        self.listed, self.whole = listed, whole

    def read(self, progress: Progress, *, by_account: bool) -> Read:
        """Let tasks read and type all tables, and keep the rows by part on the workers' disks.

        Parameters
        ----------
        by_account : leads of one account stay together, as far as memory of the driver holds 7 bytes for each lead

        Raises
        ------
        DataError
            As `leadscore.reading.read`.
        """
        inputs, cut, absent = self._inputs()
        parting, n_rows = Parting(self.budget.n_parts), self.budget.n_rows
        if by_account:
            parting = replace(parting, shared=shared_accounts(self.tables, parting.n_parts, self._accounts))
        self.job = self._placed(Job(self.project, self.listed, inputs, tuple(cut), parting, n_rows))
        self._job = self.ship(self.job.pack())
        self._read_once = self._of_units(tasks.type_units, self._job, len(self.job.units)).persist(disk())
        self.typed = self._read_once
        told = collect(self.spark, self._read_once.where("part < 0"), progress, len(self.job.units))
        read = _read(self.job, told, absent)
        self._settle(self.job)
        return read

    def _accounts(self, table: Table) -> Iterator[Accounts]:
        names, where = account_columns(self.project), table.where
        rows = stretches(table.source, self.project.folder, names, where=where, n_rows=self.budget.n_rows)
        return (accounts_of(self.project, stretch) for stretch in rows)

    def leave(self) -> None:
        """Let the workers forget the rows."""
        self._read_once.unpersist()

    def _inputs(self) -> tuple[dict[str, units.Input], list[units.Unit], bool]:
        """Tables that are there, their units, and whether there are no outcomes."""
        inputs: dict[str, units.Input] = {}
        cut: list[units.Unit] = []
        project, absent = self.project, False
        for table in self.tables:
            if of_no_lead(table, project, alone=self.listed and OWN not in inputs):
                continue
            try:
                inputs[table.key], of_table = units.cut(table, project.folder, self.budget.n_rows)
                cut += of_table
            except DataError as error:
                if self.whole or not can_lack(table, project, error):
                    raise
                absent |= table.key == "outcome"
        return inputs, cut, absent

    def _placed(self, job: Job) -> Job:
        """Count the rows of tables of several CSV files, so that a row has a number."""
        lacking = {key: found for key, found in job.inputs.items() if units.uncounted(found)}
        if not lacking:
            return job
        paths = {(unit.key, unit.path): replace(unit, groups=None) for unit in job.units if unit.key in lacking}
        counting = replace(job, units=tuple(paths.values()), parting=Parting(1))
        frame = self._of_units(tasks.count_units, self.ship(counting.pack()), len(counting.units))
        told = {row["first"] if row["part"] == tasks.FAILED else row["part"]: row for row in frame.collect()}
        n_rows: dict[tuple[str, str], int] = {}
        for number, unit in enumerate(counting.units):
            refuse([told[number]])
            n_rows[unit.key, str(unit.path)] = told[number]["first"]
        inputs, placed = dict(job.inputs), []
        for key, found in job.inputs.items():
            mine = [unit for unit in job.units if unit.key == key]
            if key in lacking:
                of_table = {path: n for (table, path), n in n_rows.items() if table == key}
                inputs[key], mine = units.counted(found, mine, of_table)
            placed += mine
        return replace(job, inputs=inputs, units=tuple(placed))

    def _settle(self, job: Job) -> None:
        """Find the rows whose event id was delivered for another lead before, whichever part that is in."""
        is_id = self.typed["key"].startswith(tasks.IDS)
        ids, self.typed = self.typed.where(is_id), self.typed.where(~is_id)
        if not any(spec.id is not None and spec.name in job.inputs for spec in job.project.events):
            return
        found: dict[str, list[int]] = {}
        for answer in self.answers(tasks.find_strays, {}, ids, quiet):
            for key, of_part in json.loads(answer).items():
                found.setdefault(key, []).extend(of_part)
        if not found:
            return
        names = sorted(found)
        rows = self.typed.where(self.typed["key"].isin(OWN, "leads", *names))
        asked = {"ids": json.dumps({name: found[name] for name in names}).encode()}
        pieces: list[list[TypedRows]] = [[] for _ in names]
        for row in self.asked(tasks.gather_strays, asked, rows, quiet):
            pieces[row["block"]].append(read_part(bytes(row["payload"]), 0))
        lost = {name: all_but_first(of_table) for name, of_table in zip(names, pieces, strict=True) if of_table}
        self.job = replace(job, lost=lost)
        self._job = self.ship(self.job.pack())

    def _of_units(self, task: Any, job: Any, n_units: int) -> Any:
        numbers = self.spark.range(0, n_units, 1, n_units)
        return numbers.mapInArrow(task(job), _ddl(tasks.TYPED))

    def ship(self, parcel: Parcel) -> Any:
        """Send bytes to every worker."""
        return self.spark.sparkContext.broadcast(parcel)

    def beside(self, ids: NDArray[np.object_], at: Instants, parts: Parts) -> Any:
        """Return all rows with those of some cutoffs beside them, by the parts of their leads."""
        contents = []
        asked_of = np.unique(parts).tolist()
        for part in asked_of:
            place = np.flatnonzero(parts == part)
            batch = pa.record_batch({"lead_id": pa.array(ids[place], pa.string()), "at": at[place], "place": place})
            contents.append(tasks.stream(batch))
        columns = [[tasks.CUTOFFS] * len(asked_of), asked_of, [0] * len(asked_of), contents]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, tasks.TYPED, strict=True)]
        rows = self.spark.createDataFrame(pa.Table.from_arrays(arrays, schema=tasks.TYPED))
        return self.typed.unionByName(rows)

    def of_parts(self, task: tasks.OfPart, parcel: Parcel, rows: Any) -> Any:
        """Do a task with all rows of every part."""
        run = tasks.of_parts(task, self._job, self.ship(parcel))
        parted = rows.where("part >= 0").repartition(self.budget.n_parts, "part")
        return parted.groupBy("part").applyInArrow(run, _ddl(tasks.CHUNKS))

    def answers(self, task: tasks.OfPart, parcel: Parcel, rows: Any, progress: Progress) -> list[bytes]:
        """As `asked`, the blocks of each part put together."""
        found = groupby(self.asked(task, parcel, rows, progress), key=lambda row: int(row["part"]))
        return [b"".join(bytes(row["payload"]) for row in blocks) for _, blocks in found]

    def asked(self, task: tasks.OfPart, parcel: Parcel, rows: Any, progress: Progress) -> list[Any]:
        """Do a task with all rows of every part; answers in the order of parts, the first error raised."""
        found = collect(self.spark, self.of_parts(task, parcel, rows), progress, self.budget.n_parts)
        refuse(sorted((row for row in found if row["block"] == tasks.FAILED), key=lambda row: int(row["part"])))
        return sorted(found, key=lambda row: (int(row["part"]), int(row["block"])))

    def without_events(self) -> Any:
        """Return the rows of leads and outcomes."""
        return self.typed.where(self.typed["key"].isin(OWN, "leads", "outcome"))


def _read(job: Job, told: list[Any], absent: bool) -> Read:
    """Add up what tasks counted, table by table, and refuse what one machine would."""
    counted: dict[str, Counted] = {}
    latest = np.full(job.parting.n_parts, NEVER, dtype=np.int64)
    for key, found in job.inputs.items():
        of_table = Counted(key if key != OWN else "leads")
        for row in sorted((row for row in told if row["key"] == key), key=lambda row: int(row["first"])):
            refuse([row])
            about = json.loads(bytes(row["payload"]))
            of_table.add(Counted(**about["counted"]))
            latest = np.maximum(latest, about["latest"])
        of_table.refuse(found.place.name)
        counted[key] = of_table
    if absent:
        counted["outcome"] = Counted("outcome", absent=True)
    return Read(counted, {key: found.place for key, found in job.inputs.items()}, job.parting, latest)


def refuse(rows: Iterable[Any]) -> None:
    """Raise the first error that a task sent."""
    for row in rows:
        if tasks.FAILED in row[:2]:
            told = json.loads(bytes(row["payload"]))
            kind = getattr(errors, told["type"])
            raise (LeadScoreError if kind is MissingExtraError else kind)(told["message"])


def _ddl(schema: pa.Schema) -> str:
    names = {pa.string(): "string", pa.int32(): "int", pa.int64(): "bigint", pa.binary(): "binary"}
    return ", ".join(f"{field.name} {names[field.type]}" for field in schema)


def disk() -> Any:
    """Where rows are kept: on the disks of the workers."""
    from pyspark import StorageLevel

    return StorageLevel.DISK_ONLY


def quiet(done: int, total: int) -> None:
    """Say nothing: the step around it speaks."""
