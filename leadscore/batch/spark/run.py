"""One run on a cluster: the steps of `leadscore.batch.run`, with Spark for the folder and the loops over parts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray

from leadscore.batch.asked import Asked, Listed, Phases
from leadscore.batch.lists import MERGED_BY
from leadscore.batch.local import Say, carry_out
from leadscore.batch.merging import write_sorted
from leadscore.batch.parting import tables_of
from leadscore.batch.run import Run
from leadscore.batch.spark import tasks
from leadscore.batch.spark.cluster import STORE, Cluster, Read, disk, plan_parts, quiet, refuse
from leadscore.batch.spark.session import collect, session
from leadscore.batch.spark.shipping import Question, tally_of, tally_to_bytes
from leadscore.batch.tally import Tallied, looks_at_accounts
from leadscore.batch.writing import COLUMNS, require_place, whole_or_nothing
from leadscore.company import Counts
from leadscore.errors import ProjectError
from leadscore.model.booster import Progress
from leadscore.model.scorer import LeadScorer
from leadscore.tables import refuse_strangers
from leadscore.time import NEVER


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
        raise ProjectError(STORE)
    with session(master) as spark:
        tables = tables_of(asked)
        budget = plan_parts(spark, tables, asked.project, n_reasons=asked.n_reasons)
        run = SparkRun.begin(scorer, asked, budget, fresh=fresh)
        run.cluster = Cluster(spark, asked.project, tables, run.budget, listed=asked.leads is not None)
        return carry_out(run, phases, say)


class SparkRun(Run):
    """A list that is scored part by part on a cluster."""

    cluster: Cluster
    spill: Read  # type: ignore[assignment]

    def read(self, phases: Phases) -> None:
        """Let the cluster read all tables."""
        with phases("Reading tables") as progress:
            by_account = looks_at_accounts(self.scorer.plan)
            self.spill = self.cluster.read(progress, by_account=by_account)

    def _reach(self, part: int) -> int:
        of_part = self.cluster.typed.where(self.cluster.typed["part"] == part)
        return max((int(found) for found in self.cluster.answers(tasks.reach, {}, of_part, quiet)), default=NEVER)

    def _youngest(self) -> int:
        found = self.cluster.answers(tasks.youngest, {}, self.cluster.without_events(), quiet)
        return max(map(int, found), default=NEVER)

    def _refuse_strangers(self, ids: NDArray[np.object_], parts: NDArray[np.uint16]) -> None:
        """Workers find them, where the leads are."""

    def count(self, phases: Phases, as_of: int | None) -> Counts | None:
        """Count as `Run.count`, and remember what workers need of it."""
        self._tallied: Tallied | None = None
        return super().count(phases, as_of)

    def _tally(self, tallied: Tallied, progress: Progress) -> Tallied | None:
        found = self.cluster.answers(
            tasks.tally, {"tally": tally_to_bytes(tallied)}, self.cluster.without_events(), progress
        )
        if not all(found):
            return None
        for content in found:
            tallied.merge(tally_of(content))
        self._tallied = tallied
        return tallied

    def score(self, phases: Phases, as_of: int | None, counts: Counts | None) -> list[Path]:
        """Let tasks score every part, then bring the parts into the folder; those that are there are kept."""
        there = [part for part in self.parts if self._scored(part).exists()]
        rows = self.cluster.typed if self.cutoffs is None else self.cluster.beside(*self.cutoffs)
        rows = rows.where(~rows["part"].isin(there)) if there else rows
        asked = Question.pack(self.scorer, as_of, self.asked.n_reasons, self._tallied)
        scored = self.cluster.of_parts(tasks.score, asked, rows).persist(disk())
        with phases("Scoring leads") as progress:
            wrong = collect(self.cluster.spark, scored.where("block < 0"), progress, self.budget.n_parts)
            self._refuse_unscored(wrong)
        with phases("Fetching parts") as progress:
            self._fetch(scored.toLocalIterator(prefetchPartitions=True), progress)
        scored.unpersist()
        self.cluster.leave()
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
        refuse(sorted((row for row in wrong if row["block"] == tasks.FAILED), key=lambda row: int(row["part"])))
        if self.cutoffs is not None:
            unknown = np.zeros(len(self.cutoffs[0]), dtype=bool)
            for row in wrong:
                unknown[json.loads(bytes(row["payload"]))] = True
            refuse_strangers(unknown)
