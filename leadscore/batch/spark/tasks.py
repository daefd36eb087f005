"""What workers do with Arrow rows: type a unit, and with all rows of a part, tally or score it.

A task that meets an error of ours doesn't fail, which Spark would only repeat: it sends the error as a row.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from leadscore.batch.merging import write_sorted
from leadscore.batch.parting import PartSupply, typing_of
from leadscore.batch.run import about_data, score_data
from leadscore.batch.spark.shipping import (
    Job,
    Parcel,
    Question,
    arrays_to_bytes,
    counts_of,
    tally_of,
    tally_to_bytes,
    unpacked,
)
from leadscore.batch.spark.units import Unit, count_unit, read_unit
from leadscore.batch.spilling import part_bytes, read_part
from leadscore.batch.strays import deliveries, ids_by_part, with_several
from leadscore.company import Among
from leadscore.errors import LeadScoreError
from leadscore.features.learning import seen_events
from leadscore.features.plan import FeaturePlan
from leadscore.reading import OWN, Counted, TypedRows, assemble
from leadscore.reading.typed import joined
from leadscore.snapshots import after_events
from leadscore.sources import Rows
from leadscore.tables import Cutoffs, Data
from leadscore.time import NEVER

TYPED = pa.schema([("key", pa.string()), ("part", pa.int32()), ("first", pa.int64()), ("payload", pa.binary())])
"""Typed rows of one table in one part, that begin at row `first` of the table."""
CHUNKS = pa.schema([("part", pa.int32()), ("block", pa.int32()), ("payload", pa.binary())])
"""What came of a part, in blocks from 0 on."""
ABOUT, FAILED, STRANGERS = -1, -2, -3
"""Numbers of parts, or blocks, that are none: what was counted, an error of ours, rows of cutoffs of no lead."""
CUTOFFS = "--cutoffs"
"""The key of rows of the cutoffs, which are no table."""
IDS = "--ids "
"""Before the name of a table: the key of its event ids, by their own parts."""
_BLOCK = 1 << 23

Answer = Iterator[tuple[int, bytes]]
OfPart = Callable[["Group", Parcel], Answer]


def type_units(job: Any) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return what turns numbers of units into rows as `TYPED`; `job` is the broadcast parcel of a `Job`."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from _type_unit(unpacked(job.value, Job.unpack), number)

    return run


def _type_unit(job: Job, number: int) -> Iterator[pa.RecordBatch]:
    unit = job.units[number]
    table = job.inputs[unit.key].table
    counted = Counted(unit.key if unit.key != OWN else "leads")
    latest = np.full(job.parting.n_parts, NEVER, dtype=np.int64)
    typing = typing_of(job.typing, table)
    try:
        for rows in read_unit(job.inputs[unit.key], unit, job.project.folder, job.n_rows):
            typed = typing(rows, counted)
            parts = job.parting.of(typed.texts["lead"])
            for at in typed.instants.values():
                np.maximum.at(latest, parts, at)
            for part, content in part_bytes(typed, parts, job.parting.n_parts):
                yield _row(TYPED, unit.key, part, rows.first, content)
            if "id" in typed.texts:
                for part, ids in enumerate(ids_by_part(typed, job.parting.n_parts)):
                    if ids.num_rows:
                        yield _row(TYPED, IDS + unit.key, part, rows.first, stream(ids))
        about = {"counted": counted.to_dict(), "latest": latest.tolist()}
        yield _row(TYPED, unit.key, ABOUT, unit.first, json.dumps(about).encode())
    except LeadScoreError as error:
        yield _row(TYPED, unit.key, FAILED, unit.first, _told(error))


def count_units(job: Any) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return what counts the rows of units, as `TYPED`: the number of rows stands for `first`."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        of: Job = unpacked(job.value, Job.unpack)
        for batch in batches:
            for number in batch.column(0).to_pylist():
                unit: Unit = of.units[number]
                try:
                    yield _row(TYPED, unit.key, number, count_unit(of.inputs[unit.key], unit), b"")
                except LeadScoreError as error:
                    yield _row(TYPED, unit.key, FAILED, number, _told(error))

    return run


class Group:
    """All rows of one part."""

    def __init__(self, job: Job, table: pa.Table) -> None:
        self.job, self.part = job, int(table["part"][0].as_py())
        self.listed, self.lost = job.listed, job.lost
        self.places = {key: found.place for key, found in job.inputs.items()}
        self.counted = {key: Counted(key if key != OWN else "leads") for key in job.inputs}
        self.contents: dict[str, list[bytes]] = {}
        keys, contents = table["key"].to_pylist(), table["payload"]
        for row in np.argsort(table["first"].to_numpy(), kind="stable").tolist():
            self.contents.setdefault(keys[row], []).append(contents[row].as_py())

    def rows(self, key: str, number: int) -> TypedRows:
        """Return the rows of a table."""
        pieces = [read_part(content, 0) for content in self.contents.get(key, [])]
        return joined(pieces) if pieces else self._none(key)

    def _none(self, key: str) -> TypedRows:
        found = self.job.inputs[key]
        return typing_of(self.job.typing, found.table)(Rows(found.schema.empty_table(), ()), Counted(key))

    def data(self, *, events: bool = True) -> tuple[Data, dict[str, Counted]]:
        """Return the tables of the part, and what assembling them counted."""
        supply = PartSupply(self, self.part)
        project = self.job.project if events else replace(self.job.project, events=())
        return assemble(project, supply), supply.counted

    def asked(self) -> tuple[Data, Cutoffs]:
        """Return the tables of the part, and the cutoffs that fall into it."""
        data, _ = self.data()
        assert self.cutoffs is not None
        ids, at, _ = self.cutoffs
        return data, Cutoffs(data.leads.find(ids), at)

    @property
    def cutoffs(self) -> tuple[Any, Any, Any] | None:
        """The rows of the cutoffs that fall into the part; None where all open leads are asked about."""
        if CUTOFFS not in self.contents:
            return None
        found = pyarrow.ipc.open_stream(self.contents[CUTOFFS][0]).read_all()
        ids = np.array(found["lead_id"].to_pylist(), dtype=object)
        return ids, found["at"].to_numpy(), found["place"].to_numpy()


def of_parts(task: OfPart, job: Any, parcel: Any) -> Callable[[pa.Table], pa.Table]:
    """Return what does a task with all rows of a part, as `CHUNKS`; `job` and `parcel` are broadcast."""

    def run(table: pa.Table) -> pa.Table:
        group = Group(unpacked(job.value, Job.unpack), table)
        try:
            answer = list(task(group, parcel.value))
        except LeadScoreError as error:
            answer = [(FAILED, _told(error))]
        return pa.Table.from_batches([_row(CHUNKS, group.part, *each) for each in answer], CHUNKS)

    return run


def find_strays(group: Group, parcel: Parcel) -> Answer:
    """Say which event ids, of those in one part, have several leads; nothing where none has."""
    found: dict[str, list[int]] = {}
    for key, contents in group.contents.items():
        tables = [pyarrow.ipc.open_stream(content).read_all() for content in contents]
        ids = with_several((table["id"].to_numpy(), table["lead"].to_numpy()) for table in tables)
        if len(ids):
            found[key.removeprefix(IDS)] = ids.tolist()
    if found:
        yield 0, json.dumps(found).encode()


def gather_strays(group: Group, parcel: Parcel) -> Answer:
    """Hand over the rows of such ids: a block for each table."""

    def leads() -> pa.Array:
        there = [key for key in ("leads", OWN) if key in group.job.inputs]
        return pa.concat_arrays([group.rows(key, group.part).texts["lead"] for key in there])

    for block, (key, ids) in enumerate(json.loads(parcel["ids"]).items()):
        typed = deliveries(np.array(ids, dtype=np.uint64), group.rows(key, group.part), leads)
        if typed is not None and len(typed):
            nowhere = np.zeros(len(typed), dtype=np.uint16)
            yield block, next(content for _, content in part_bytes(typed, nowhere, 1))


def reach(group: Group, parcel: Parcel) -> Answer:
    """Say what the last instant of a part is."""
    yield 0, str(group.data()[0].observed_until).encode()


def youngest(group: Group, parcel: Parcel) -> Answer:
    """Say when the last lead of a part was created."""
    yield 0, str(group.data(events=False)[0].leads.created.max(initial=NEVER)).encode()


def tally(group: Group, parcel: Parcel) -> Answer:
    """Count the leads of a part at the cutoffs that the parcel names; nothing where they stand without their base."""
    data, _ = group.data(events=False)
    if data.context is not None:
        yield 0, b""
        return
    asked = tally_of(parcel["tally"])
    asked.add(data)
    yield 0, tally_to_bytes(asked)


def survey(group: Group, parcel: Parcel) -> Answer:
    """Say what assembling a part counts, its last instant, its fingerprint, and the words of directions."""
    data, counted = group.data()
    columns = {spec.name: spec.direction.column for spec in data.project.events if spec.direction is not None}
    told = {
        "counted": {key: found.to_dict() for key, found in counted.items()},
        "until": data.observed_until,
        "fingerprint": data.fingerprint,
        "words": {table: data.words(table, column) for table, column in columns.items()},
    }
    yield 0, json.dumps(told).encode()


def see(group: Group, parcel: Parcel) -> Answer:
    """Count the categories that a plan learns, at the cutoffs of a part."""
    data, asked = group.asked()
    yield 0, json.dumps(seen_events(data, asked)).encode()


def after_events_of(group: Group, parcel: Parcel) -> Answer:
    """Name the leads of a part and the instants after their events."""
    data, _ = group.data()
    lead, at = after_events(data)
    ids = pa.DictionaryArray.from_arrays(lead, pa.array(data.leads.ids, pa.string()))
    yield 0, stream(pa.record_batch({"lead": ids, "at": at}))


def transform(group: Group, parcel: Parcel) -> Answer:
    """Compute the features of a plan at the cutoffs of a part: where each row stands, and the rows."""
    data, asked = group.asked()
    data = replace(data, among=Among(counts_of(parcel["counts"]), data.leads, data.outcomes))
    plan = FeaturePlan.from_dict(json.loads(parcel["plan"]))
    matrix = plan.transform(data, asked, dtype=parcel["dtype"].decode(), threads=1)
    assert group.cutoffs is not None
    yield from _blocks(arrays_to_bytes({"place": group.cutoffs[2], "matrix": matrix}))


def gather_leads(group: Group, parcel: Parcel) -> Answer:
    """Hand over all rows of the leads that the parcel names: a block for each table."""
    wanted = pa.array(json.loads(parcel["leads"]), pa.string())
    for block, key in enumerate(group.job.inputs):
        typed = group.rows(key, group.part)
        typed = typed.kept(pc.is_in(typed.texts["lead"], value_set=wanted).to_numpy(zero_copy_only=False))
        if len(typed):
            nowhere = np.zeros(len(typed), dtype=np.uint16)
            yield block, next(content for _, content in part_bytes(typed, nowhere, 1))


def score(group: Group, parcel: Parcel) -> Answer:
    """Score a part: a file as `leadscore.batch.merging` reads it, in blocks."""
    data, counted = group.data()
    asked, mine = unpacked(parcel, Question.unpack), group.cutoffs
    if mine is not None and (unknown := data.leads.find(mine[0]) < 0).any():
        yield STRANGERS, json.dumps(mine[2][unknown].tolist()).encode()
        return
    table = score_data(asked.scorer, data, asked.as_of, asked.counts, asked.n_reasons, mine)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scored"
        write_sorted(path, table, about_data(data, counted))
        content = path.read_bytes()
    yield from _blocks(content)


def _blocks(content: bytes) -> Answer:
    for block, start in enumerate(range(0, len(content), _BLOCK)):
        yield block, content[start : start + _BLOCK]


def stream(batch: pa.RecordBatch) -> bytes:
    """Write a batch as a stream."""
    sink = pa.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def _row(schema: pa.Schema, *values: Any) -> pa.RecordBatch:
    arrays = [pa.array([value], field.type) for value, field in zip(values, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _told(error: LeadScoreError) -> bytes:
    return json.dumps({"type": type(error).__name__, "message": str(error)}).encode()
