"""One run on a cluster: the steps of `leadscore.batch.run`, with Spark for the folder and the loops over parts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray

from leadscore import errors
from leadscore.batch.asked import Asked, Listed, Phases
from leadscore.batch.budget import MOST_PARTS, plan_budget
from leadscore.batch.keys import Parting
from leadscore.batch.lists import MERGED_BY
from leadscore.batch.local import Say, carry_out
from leadscore.batch.merging import write_sorted
from leadscore.batch.parting import can_lack, of_no_lead, shared_accounts, tables_of
from leadscore.batch.run import Run
from leadscore.batch.spark import tasks, units
from leadscore.batch.spark.session import collect, session
from leadscore.batch.spark.shipping import Job, Parcel, Question, tally_of, tally_to_bytes
from leadscore.batch.spilling import read_part
from leadscore.batch.strays import all_but_first
from leadscore.batch.tally import Tallied
from leadscore.batch.writing import COLUMNS, require_place, whole_or_nothing
from leadscore.company import Counts
from leadscore.errors import DataError, LeadScoreError, MissingExtraError, ProjectError
from leadscore.model.booster import Progress
from leadscore.model.scorer import LeadScorer
from leadscore.reading import Counted, TypedRows
from leadscore.sources import Rows
from leadscore.tables import refuse_strangers
from leadscore.time import NEVER

_TASK_MEMORY = 2**31
"""What a part is cut for: a worker may run one task a core."""
_PARTS_A_CORE = 2


def score_on_spark(
    scorer: LeadScorer,
    asked: Asked,
    phases: Phases,
    *,
    master: str | None = None,
    fresh: bool = False,
    say: Say = print,
) -> Listed:
    """Score a list on a cluster into its file, which appears whole or not at all; the bytes are those of one machine.

    Parameters
    ----------
    master : as `leadscore.batch.spark.session.session` takes it
    fresh, say : as `leadscore.batch.local.score_project` takes them

    Raises
    ------
    DataError
        As `leadscore.batch.local.score_project`.
    ClusterError
        If Spark doesn't start or fails.
    """
    require_place(asked.out)
    if asked.project.store is not None and asked.leads is None:
        raise ProjectError("this project's tables are in a store, which one machine reads: use --engine local")
    with session(master) as spark:
        tables = tables_of(asked)
        budget = plan_budget(tables, asked.project.folder, memory=_TASK_MEMORY, n_reasons=asked.n_reasons)
        n_parts = max(budget.n_parts, _PARTS_A_CORE * spark.sparkContext.defaultParallelism)
        run = SparkRun.begin(scorer, asked, replace(budget, n_parts=min(n_parts, MOST_PARTS)), fresh=fresh)
        run.spark = spark
        return carry_out(run, phases, say)


@dataclass(frozen=True)
class Read:
    """What is known of tables once they were read; `latest` as in `leadscore.batch.parting.Spill`."""

    counted: dict[str, Counted]
    places: dict[str, Rows]
    parting: Parting
    latest: NDArray[np.int64]


class SparkRun(Run):
    """A list that is scored part by part on a cluster."""

    spark: Any
    spill: Read  # type: ignore[assignment]

    def read(self, phases: Phases) -> None:
        """Let tasks read and type all tables, and keep the rows by part on the workers' disks."""
        with phases("Reading tables") as progress:
            inputs, cut, absent = self._inputs()
            parting = Parting(self.budget.n_parts)
            if self.scorer.plan.reads_accounts or "account" in self._roles:
                project, n_rows = self.asked.project, self.budget.n_rows
                parting = replace(parting, shared=shared_accounts(project, self.tables, parting.n_parts, n_rows))
            job = Job(self.asked.project, self.asked.leads is not None, inputs, tuple(cut), parting, self.budget.n_rows)
            job = self._placed(job)
            self._job = self._ship(job.pack())
            self._read_once = self._of_units(tasks.type_units, self._job, len(job.units)).persist(_disk())
            self._typed = self._read_once
            told = collect(self.spark, self._typed.where("part < 0"), progress, len(job.units))
            self.spill = _read(job, told, absent)
            self._settle(job)

    def _inputs(self) -> tuple[dict[str, units.Input], list[units.Unit], bool]:
        """Tables that are there, their units, and whether there are no outcomes."""
        inputs: dict[str, units.Input] = {}
        cut: list[units.Unit] = []
        project, listed, absent = self.asked.project, self.asked.leads is not None, False
        for table in self.tables:
            if of_no_lead(table, project, alone=listed and "own" not in inputs):
                continue
            try:
                inputs[table.key], of_table = units.cut(table, project.folder, self.budget.n_rows)
                cut += of_table
            except DataError as error:
                if not can_lack(table, project, error):
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
        frame = self._of_units(tasks.count_units, self._ship(counting.pack()), len(counting.units))
        told = {row["first"] if row["part"] == tasks.FAILED else row["part"]: row for row in frame.collect()}
        n_rows: dict[tuple[str, str], int] = {}
        for number, unit in enumerate(counting.units):
            _refuse([told[number]])
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
        is_id = self._typed["key"].startswith(tasks.IDS)
        ids, self._typed = self._typed.where(is_id), self._typed.where(~is_id)
        if not any(spec.id is not None and spec.name in job.inputs for spec in job.project.events):
            return
        found: dict[str, list[int]] = {}
        for answer in self._answers(tasks.find_strays, {}, ids, _quiet):
            for key, of_part in json.loads(answer).items():
                found.setdefault(key, []).extend(of_part)
        if not found:
            return
        names = sorted(found)
        rows = self._typed.where(self._typed["key"].isin("own", "leads", *names))
        asked = {"ids": json.dumps({name: found[name] for name in names}).encode()}
        pieces: list[list[TypedRows]] = [[] for _ in names]
        for row in self._asked(tasks.gather_strays, asked, rows, _quiet):
            pieces[row["block"]].append(read_part(bytes(row["payload"]), 0))
        lost = {name: all_but_first(of_table) for name, of_table in zip(names, pieces, strict=True) if of_table}
        self._job = self._ship(replace(job, lost=lost).pack())

    def _of_units(self, task: Any, job: Any, n_units: int) -> Any:
        numbers = self.spark.range(0, n_units, 1, n_units)
        return numbers.mapInArrow(task(job), _ddl(tasks.TYPED))

    def _ship(self, parcel: Parcel) -> Any:
        return self.spark.sparkContext.broadcast(parcel)

    def _of_parts(self, task: tasks.OfPart, parcel: Parcel, rows: Any) -> Any:
        """Do a task with all rows of every part."""
        run = tasks.of_parts(task, self._job, self._ship(parcel))
        parted = rows.where("part >= 0").repartition(self.budget.n_parts, "part")
        return parted.groupBy("part").applyInArrow(run, _ddl(tasks.CHUNKS))

    def _answers(self, task: tasks.OfPart, parcel: Parcel, rows: Any, progress: Progress) -> list[bytes]:
        return [bytes(row["payload"]) for row in self._asked(task, parcel, rows, progress)]

    def _asked(self, task: tasks.OfPart, parcel: Parcel, rows: Any, progress: Progress) -> list[Any]:
        """Do a task with all rows of every part; answers in the order of parts, the first error raised."""
        found = collect(self.spark, self._of_parts(task, parcel, rows), progress, self.budget.n_parts)
        _refuse(sorted((row for row in found if row["block"] == tasks.FAILED), key=lambda row: int(row["part"])))
        return sorted(found, key=lambda row: int(row["part"]))

    def _without_events(self) -> Any:
        return self._typed.where(self._typed["key"].isin("own", "leads", "outcome"))

    def _reach(self, part: int) -> int:
        of_part = self._typed.where(self._typed["part"] == part)
        return max((int(found) for found in self._answers(tasks.reach, {}, of_part, _quiet)), default=NEVER)

    def _youngest(self) -> int:
        found = self._answers(tasks.youngest, {}, self._without_events(), _quiet)
        return max(map(int, found), default=NEVER)

    def _refuse_strangers(self, ids: NDArray[np.object_], parts: NDArray[np.uint16]) -> None:
        """Workers find them, where the leads are."""

    def count(self, phases: Phases, as_of: int | None) -> Counts | None:
        """Count as `Run.count`, and remember what workers need of it."""
        self._tallied: Tallied | None = None
        return super().count(phases, as_of)

    def _tally(self, tallied: Tallied, progress: Progress) -> Tallied | None:
        found = self._answers(tasks.tally, {"tally": tally_to_bytes(tallied)}, self._without_events(), progress)
        if not all(found):
            return None
        for content in found:
            tallied.merge(tally_of(content))
        self._tallied = tallied
        return tallied

    def score(self, phases: Phases, as_of: int | None, counts: Counts | None) -> list[Path]:
        """Let tasks score every part, then bring the parts into the folder; those that are there are kept."""
        there = [part for part in self.parts if self._scored(part).exists()]
        rows = self._typed if self.cutoffs is None else self._typed.unionByName(self._cutoff_rows())
        rows = rows.where(~rows["part"].isin(there)) if there else rows
        asked = Question.pack(self.scorer, as_of, self.asked.n_reasons, self._tallied)
        scored = self._of_parts(tasks.score, asked, rows).persist(_disk())
        with phases("Scoring leads") as progress:
            wrong = collect(self.spark, scored.where("block < 0"), progress, self.budget.n_parts)
            self._refuse_unscored(wrong)
        with phases("Fetching parts") as progress:
            self._fetch(scored.toLocalIterator(prefetchPartitions=True), progress)
        for kept in (scored, self._read_once):
            kept.unpersist()
        if not any(self._scored(part).exists() for part in self.parts):
            nothing = COLUMNS.empty_table().append_column(MERGED_BY, pa.array([], pa.float64()))
            write_sorted(self._scored(0), nothing, b'{"n_leads": 0, "counted": {}}')
        return [self._scored(part) for part in self.parts if self._scored(part).exists()]

    def _fetch(self, rows: Iterable[Any], progress: Progress) -> None:
        for done, (part, blocks) in enumerate(groupby(rows, key=lambda row: int(row["part"])), 1):
            with whole_or_nothing(self._scored(part)) as beside, beside.open("wb") as file:
                for row in blocks:
                    file.write(row["payload"])
            progress(done, self.budget.n_parts)

    def _refuse_unscored(self, wrong: list[Any]) -> None:
        _refuse(sorted((row for row in wrong if row["block"] == tasks.FAILED), key=lambda row: int(row["part"])))
        if self.cutoffs is not None:
            unknown = np.zeros(len(self.cutoffs[0]), dtype=bool)
            for row in wrong:
                unknown[json.loads(bytes(row["payload"]))] = True
            refuse_strangers(unknown)

    def _cutoff_rows(self) -> Any:
        """The rows of the cutoffs as those of a table, by part."""
        assert self.cutoffs is not None
        contents = []
        asked_of = np.unique(self.cutoffs[2]).tolist()
        for part in asked_of:
            ids, at, place = self._mine(part) or ((), (), ())
            table = pa.table({"lead_id": pa.array(ids, pa.string()), "at": at, "place": place})
            sink = pa.BufferOutputStream()
            with pyarrow.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(table)
            contents.append(sink.getvalue().to_pybytes())
        n_parts = len(asked_of)
        columns = [[tasks.CUTOFFS] * n_parts, asked_of, [0] * n_parts, contents]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, tasks.TYPED, strict=True)]
        return self.spark.createDataFrame(pa.Table.from_arrays(arrays, schema=tasks.TYPED))


def _read(job: Job, told: list[Any], absent: bool) -> Read:
    """Add up what tasks counted, table by table, and refuse what one machine would."""
    counted: dict[str, Counted] = {}
    latest = np.full(job.parting.n_parts, NEVER, dtype=np.int64)
    for key, found in job.inputs.items():
        of_table = Counted(key if key != "own" else "leads")
        for row in sorted((row for row in told if row["key"] == key), key=lambda row: int(row["first"])):
            _refuse([row])
            about = json.loads(bytes(row["payload"]))
            of_table.add(Counted(**about["counted"]))
            latest = np.maximum(latest, about["latest"])
        of_table.refuse(found.place.name)
        counted[key] = of_table
    if absent:
        counted["outcome"] = Counted("outcome", absent=True)
    return Read(counted, {key: found.place for key, found in job.inputs.items()}, job.parting, latest)


def _refuse(rows: Iterable[Any]) -> None:
    """Raise the first error that a task sent."""
    for row in rows:
        if tasks.FAILED in row[:2]:
            told = json.loads(bytes(row["payload"]))
            kind = getattr(errors, told["type"])
            raise (LeadScoreError if kind is MissingExtraError else kind)(told["message"])


def _ddl(schema: pa.Schema) -> str:
    names = {pa.string(): "string", pa.int32(): "int", pa.int64(): "bigint", pa.binary(): "binary"}
    return ", ".join(f"{field.name} {names[field.type]}" for field in schema)


def _disk() -> Any:
    from pyspark import StorageLevel

    return StorageLevel.DISK_ONLY


def _quiet(done: int, total: int) -> None:
    """Say nothing: the step around it speaks."""
