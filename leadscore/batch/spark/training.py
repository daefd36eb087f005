"""Tables to train on whose events stay on a cluster: it learns categories and computes the matrix, the driver fits.

The driver holds leads and outcomes, the matrix, and what its model needs: no line of features or of fitting is written
twice. A list without times, a store, and cutoffs after every event want one machine.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

from leadscore.batch.asked import Asked, Phases
from leadscore.batch.budget import format_size, machine_memory
from leadscore.batch.parting import tables_of
from leadscore.batch.spark import tasks
from leadscore.batch.spark.cluster import STORE, Cluster, Read, disk, plan_parts, quiet, refuse
from leadscore.batch.spark.session import collect, session
from leadscore.batch.spark.shipping import Parcel, arrays_of, counts_to_bytes
from leadscore.company import Counts
from leadscore.errors import ProjectError, TrainingError
from leadscore.features.plan import FeaturePlan
from leadscore.project import Project
from leadscore.reading import Counted, told
from leadscore.tables import Cutoffs, Data
from leadscore.time import NEVER, Instants

_SHARE = 0.5
"""Of the driver's memory, what a matrix may take: what is learnt from it stands beside it."""


@contextmanager
def data_on_spark(project: Project, phases: Phases, *, master: str | None = None) -> Iterator[Data]:
    """Read a project on a cluster; the tables can be trained on while the block lasts.

    Raises
    ------
    ProjectError
        If the project is one for a single machine.
    DataError
        As `leadscore.reading.read`.
    ClusterError
        If Spark doesn't start or fails.
    """
    if project.store is not None:
        raise ProjectError(STORE)
    with session(master) as spark:
        tables = tables_of(Asked(project, Path()))
        cluster = Cluster(spark, project, tables, plan_parts(spark, tables, project, n_reasons=0), whole=True)
        with phases("Reading tables") as progress:
            read = cluster.read(progress, by_account="account" in project.schema["roles"])
        with phases("Looking at parts") as progress:
            data = _data(cluster, read, [json.loads(part) for part in cluster.answers(
                tasks.survey, {}, cluster.typed, progress)])  # fmt: skip
        yield data
        cluster.leave()


def _data(cluster: Cluster, read: Read, surveyed: list[dict[str, Any]]) -> Data:
    """Leads and outcomes here, the events on the cluster."""
    project, counted = cluster.project, read.counted
    for part in surveyed:
        for key, found in part["counted"].items():
            counted[key].add(Counted(**found))
    group = tasks.Group(cluster.job, _here(cluster.without_events().where("part >= 0").collect()))
    data, _ = group.data(events=False)
    if project.timed and project.task.observed_until is None:
        until = max((part["until"] for part in surveyed), default=NEVER)
        project = replace(project, task=replace(project.task, observed_until=until))
    notes, n_rows = told(project, counted)
    elsewhere = OnCluster(cluster, data, surveyed)
    return replace(data, project=project, logs={}, notes=notes, n_rows=n_rows, elsewhere=elsewhere)


def _here(rows: list[Any]) -> pa.Table:
    """Rows of several parts as those of one."""
    columns = [[row[name] for row in rows] for name in ("key", "part", "first", "payload")]
    columns[1] = [0] * len(rows)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, tasks.TYPED, strict=True)]
    return pa.Table.from_arrays(arrays, schema=tasks.TYPED)


class OnCluster:
    """The events of leads on a cluster, as `leadscore.tables.Elsewhere`."""

    def __init__(self, cluster: Cluster, data: Data, surveyed: list[dict[str, Any]]) -> None:
        self._cluster, self._ids, self._find = cluster, data.leads.ids, data.leads.find
        self._parts = cluster.job.parting.of(pa.array(self._ids, pa.string()))
        counts = Counts.of(data)
        others = {role: names for role, names in counts.groups.items() if role != "account"}
        totals = {key: found for key, found in counts.totals.items() if key[0] in others}
        self._counts = counts_to_bytes(Counts(others, totals))
        self._surveyed = surveyed
        self.fingerprint = hashlib.sha256("".join(part["fingerprint"] for part in surveyed).encode()).hexdigest()

    def _beside(self, asked: Cutoffs) -> Any:
        return self._cluster.beside(self._ids[asked.lead], asked.at, self._parts[asked.lead])

    def _asked_of(self, asked: Cutoffs) -> Any:
        """The rows of the parts that cutoffs ask about, with the cutoffs beside them."""
        rows = self._beside(asked)
        return rows.where(rows["part"].isin(np.unique(self._parts[asked.lead]).tolist()))

    def seen(self, asked: Cutoffs) -> Mapping[str, tuple[Mapping[str, int], int]]:
        """Count categories as `leadscore.features.learning.seen_events`."""
        words: dict[str, Counter[str]] = {}
        missing: Counter[str] = Counter()
        for part in self._cluster.answers(tasks.see, {}, self._asked_of(asked), quiet):
            for key, (found, n_missing) in json.loads(part).items():
                words.setdefault(key, Counter()).update(found)
                missing[key] += n_missing
        return {key: (found, missing[key]) for key, found in words.items()}

    def transform(self, plan: FeaturePlan, asked: Cutoffs, dtype: DTypeLike) -> NDArray[Any]:
        """Compute the features of a plan; the matrix comes here part by part.

        Raises
        ------
        TrainingError
            If it would take more than half of this machine's memory.
        """
        kind = np.dtype(dtype)
        shape = len(asked), len(plan.features)
        _require_room(*shape, kind.itemsize)
        parcel = {"plan": json.dumps(plan.to_dict()).encode(), "dtype": kind.name.encode(), "counts": self._counts}
        out = np.empty(shape, dtype=kind)
        for content in self._streamed(tasks.transform, parcel, self._asked_of(asked)):
            found = arrays_of(content)
            out[found["place"]] = found["matrix"]
        return out

    def _streamed(self, task: tasks.OfPart, parcel: Parcel, rows: Any) -> Iterator[bytes]:
        cluster = self._cluster
        done = cluster.of_parts(task, parcel, rows).persist(disk())
        refuse(collect(cluster.spark, done.where("block < 0"), quiet, cluster.budget.n_parts))
        for _, blocks in groupby(done.toLocalIterator(prefetchPartitions=True), key=lambda row: int(row["part"])):
            yield b"".join(bytes(row["payload"]) for row in blocks)
        done.unpersist()

    def after_events(self) -> tuple[NDArray[np.int64], Instants]:
        """Name leads and instants as `leadscore.snapshots.after_events`: 16 bytes an event here."""
        found = [pa.ipc.open_stream(part).read_next_batch() for part in self._cluster.answers(
            tasks.after_events_of, {}, self._cluster.typed, quiet)]  # fmt: skip
        places = [self._find(batch["lead"].dictionary.to_pylist())[batch["lead"].indices.to_numpy()] for batch in found]
        lead, at = np.concatenate(places), np.concatenate([batch["at"].to_numpy() for batch in found])
        order = np.lexsort((at, lead))
        return lead[order], at[order]

    def near(self, asked: Cutoffs) -> tuple[Data, Cutoffs]:
        """Bring all rows of some leads here."""
        ids = self._ids[asked.lead]
        rows = self._cluster.typed
        rows = rows.where(rows["part"].isin(np.unique(self._parts[asked.lead]).tolist()))
        parcel = {"leads": json.dumps(sorted(set(ids))).encode()}
        keys = list(self._cluster.job.inputs)
        found = [
            {"key": keys[row["block"]], "part": 0, "first": number, "payload": row["payload"]}
            for number, row in enumerate(self._cluster.asked(tasks.gather_leads, parcel, rows, quiet))
        ]
        data, _ = tasks.Group(self._cluster.job, _here(found)).data()
        return data, Cutoffs(data.leads.find(ids), asked.at)

    def words(self, table: str, column: str) -> tuple[str, ...] | None:
        """Return the categories of a column of directions; None where there are no events."""
        found = [part["words"].get(table) for part in self._surveyed]
        there = [words for words in found if words is not None]
        return tuple(sorted(set().union(*there))) if there else None


def _require_room(n_rows: int, n_columns: int, n_bytes: int) -> None:
    needs, memory = n_rows * n_columns * n_bytes, machine_memory()
    if needs > _SHARE * memory:
        raise TrainingError(
            f"{n_rows:,} snapshots of {n_columns:,} features take {format_size(needs)}, this driver has "
            f"{format_size(memory)}, and a model is fitted on one machine. Take fewer snapshots ([task] cutoffs "
            "max_per_lead), drop features, or choose a larger driver. Beyond that a distributed LightGBM is due, as "
            "SynapseML's, which fits where the rows are; leadscore doesn't use one"
        )
