"""One run out of memory, step by step; every step leaves in the folder of the run what it need not do again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from leadscore import columns, sources, time
from leadscore.batch.accounts import Accounts, accounts_in, shared_accounts
from leadscore.batch.asked import Asked, Listed, Phases
from leadscore.batch.budget import Budget, Table
from leadscore.batch.keeping import Kept
from leadscore.batch.keys import Parting
from leadscore.batch.lists import score_part
from leadscore.batch.merging import about_sorted, write_sorted
from leadscore.batch.parting import Spill, tables_of
from leadscore.batch.pieces import Piece, stamp_of, whole_table
from leadscore.batch.run_folder import RunFolder
from leadscore.batch.skipped import Rest, settled
from leadscore.batch.tally import Tallied, counted_roles, looks_at_accounts
from leadscore.company import Among, Counts
from leadscore.errors import NoSourceError
from leadscore.model.scorer import LeadScorer
from leadscore.reading import Counted, assemble, told
from leadscore.snapshots import open_leads
from leadscore.tables import Cutoffs, Data, refuse_strangers
from leadscore.threads import ahead, one_of

FORMAT = 4
Mine = tuple[NDArray[np.object_], time.Instants, NDArray[np.int64]]
"""Of some rows of the cutoffs their leads, their instants, and where they stand."""
_AT_ONCE = 2
"""Parts that are loaded, or scored, at once: most of it lets go of the interpreter, the rest is then not waited for."""


class Run:
    """A list that is scored part by part."""

    def __init__(
        self, scorer: LeadScorer, asked: Asked, budget: Budget, folder: RunFolder, kept: Kept | None = None
    ) -> None:
        self.scorer, self.asked, self.budget, self.folder, self.kept = scorer, asked, budget, folder, kept
        self.tables = tables_of(asked)
        self.rest: Rest | None = None
        self._roles = counted_roles(scorer.plan)

    @classmethod
    def begin(cls, scorer: LeadScorer, asked: Asked, budget: Budget, *, fresh: bool, kept: Kept | None = None) -> Self:
        """Open the folder of the run, or go on with an earlier one of the same; `kept` is where rows outlast it."""
        manifest = _manifest(scorer, asked, budget)
        return cls(scorer, asked, budget, RunFolder.open(asked.out, manifest, fresh=fresh), kept)

    def read(self, phases: Phases) -> None:
        """Bring all tables into the folder, by parts; where rows are kept, from there what was read before."""
        n_parts = self.budget.n_parts
        with phases("Reading tables") as progress:
            shared = None
            if looks_at_accounts(self.scorer.plan):
                shared = shared_accounts(self.tables, n_parts, self._accounts)
                self.folder.hold(_digest(shared.leads.data, shared.parts.data))
            self.spill = Spill(self.asked, self._pieces, Parting(n_parts, shared))
            self.spill.bring(self.tables, progress, max(1, sum(self.budget.rows.values())))
            if self.asked.cutoffs is None:  # nobody asks any more which part a lead is in
                self.spill.parting = Parting(n_parts)
            if self.kept is not None:
                self.rest = settled(self.kept, self.tables, self.spill.brought)

    def _accounts(self, table: Table) -> Iterator[Accounts]:
        return accounts_in(self.asked.project, self._pieces(table))

    def _pieces(self, table: Table) -> list[Piece]:
        if self.kept is not None and table.source.sql is None:
            return self.kept.pieces(table)
        stem = self.folder.path / f"{self.tables.index(table):02}"
        return [whole_table(stem, table, self.asked.project.folder, self.budget.n_rows)]

    def data(self, part: int, *, events: bool = True) -> tuple[Data, dict[str, Counted]]:
        """Return one part of all tables, and what assembling it counted."""
        supply = self.spill.part(part)
        project = self.asked.project if events else replace(self.asked.project, events=())
        return assemble(project, supply), supply.counted

    @property
    def parts(self) -> range:
        """The numbers of all parts."""
        return range(self.budget.n_parts)

    def instants(self, phases: Phases) -> tuple[int | None, int | None]:
        """Return as of when leads are scored (None where that is said for each), and how far the data reach."""
        project, asked = self.asked.project, self.asked
        if not project.timed:
            return None, None
        until = project.task.observed_until
        if until is None:
            with phases("Finding the last instant") as progress:
                until = self._last_instant(progress)
        if asked.cutoffs is not None:
            return None, until
        if asked.as_of is not None or asked.leads is None:
            return until if asked.as_of is None else asked.as_of, until
        return max(until, self._youngest()), until  # a new list is younger than the project

    def _youngest(self) -> int:
        """When the last lead was created."""
        created = [self.data(part, events=False)[0].leads.created for part in self.parts]
        return max(int(of_part.max(initial=time.NEVER)) for of_part in created)

    def _last_instant(self, progress: Any) -> int:
        """Look into parts from the one with the latest rows on, until none can hold a later one."""
        latest, found = self.spill.latest, time.NEVER
        for done, part in enumerate(np.argsort(-latest, kind="stable")):
            if latest[part] <= found:
                break
            found = max(found, self._reach(int(part)))
            progress(done + 1, len(latest))
        return found

    def _reach(self, part: int) -> int:
        """The last instant in a part."""
        return self.data(part)[0].observed_until

    @cached_property
    def cutoffs(self) -> tuple[NDArray[np.object_], time.Instants, NDArray[np.uint16]] | None:
        """Of every row of the cutoffs its lead, its instant, and the part of the lead."""
        frame = self.asked.cutoffs
        if frame is None:
            return None
        ids = np.array([columns.text_value(value) for value in frame["lead_id"]], dtype=object)
        parts = self.spill.parting.of(pa.array(ids, pa.string()))
        self._refuse_strangers(ids, parts)
        return ids, Cutoffs.instants(self.asked.project, frame), parts

    def _refuse_strangers(self, ids: NDArray[np.object_], parts: NDArray[np.uint16]) -> None:
        unknown = np.zeros(len(ids), dtype=bool)
        for part in self.parts:
            mine = np.flatnonzero(parts == part)
            if len(mine):
                unknown[mine] = self.data(part, events=False)[0].leads.find(ids[mine]) < 0
        refuse_strangers(unknown)

    def _mine(self, part: int) -> Mine | None:
        """The rows of the cutoffs that fall into a part."""
        if self.cutoffs is None:
            return None
        ids, at, parts = self.cutoffs
        place = np.flatnonzero(parts == part)
        return ids[place], at[place], place

    def count(self, phases: Phases, as_of: int | None) -> Counts | None:
        """Count what the model asks of all leads of an origin or owner; None where it asks for nothing."""
        roles = tuple(sorted(self._roles - {"account"}))
        at = np.array([] if as_of is None else [as_of], dtype=np.int64)
        if self.cutoffs is not None:
            at = np.unique(self.cutoffs[1])
        if not roles or not len(at):
            return None
        with phases("Counting leads") as progress:
            tallied = self._tally(Tallied(at, roles), progress)
        return None if tallied is None else tallied.counts()

    def _tally(self, tallied: Tallied, progress: Any) -> Tallied | None:
        """Count the leads of all parts; None where they stand without their base."""
        for part, data in enumerate(ahead(lambda part: self.data(part, events=False)[0], self.parts, n=_AT_ONCE)):
            if data.context is not None:
                return None
            tallied.add(data)
            progress(part + 1, self.budget.n_parts)
        return tallied

    def score(self, phases: Phases, as_of: int | None, counts: Counts | None) -> list[Path]:
        """Score every part into a file, best first; parts that are there are kept."""
        paths = list(map(self._scored, self.parts))
        todo = [part for part in self.parts if not paths[part].exists()]
        n_leads, n_done = max(1, self.spill.counted["leads"].n_rows), len(paths) - len(todo)

        def work(part: int) -> None:
            with one_of(_AT_ONCE):
                self._score_part(part, paths[part], as_of, counts)

        with phases("Scoring leads") as progress, ThreadPoolExecutor(_AT_ONCE) as pool:
            progress(n_leads * n_done // len(paths), n_leads)
            try:
                for done, _ in enumerate(pool.map(work, todo), n_done + 1):
                    progress(n_leads * done // len(paths), n_leads)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return paths

    def _score_part(self, part: int, path: Path, as_of: int | None, counts: Counts | None) -> None:
        data, counted = self.data(part)
        table = score_data(self.scorer, data, as_of, counts, self.asked.n_reasons, self._mine(part))
        write_sorted(path, table, about_data(data, counted))

    def _scored(self, part: int) -> Path:
        return self.folder.path / f"part-{part:06}.scored"

    def listed(
        self, paths: list[Path], as_of: int | None, until: int | None,
        probability: NDArray[np.float64], grades: dict[str, int],
    ) -> Listed:  # fmt: skip
        """Say what came of the run."""
        counted, n_leads = self.spill.counted, 0
        for path in paths:
            about = json.loads(about_sorted(path))
            n_leads += about["n_leads"]
            for key, found in about["counted"].items():
                counted[key].add(Counted(**found))
        rest = None if self.rest is None else self.rest.to_dict()
        return Listed(as_of, until, probability, grades, n_leads, told(self.asked.project, counted)[0], rest)


def score_data(
    scorer: LeadScorer, data: Data, as_of: int | None, counts: Counts | None, n_reasons: int, mine: Mine | None
) -> pa.Table:
    """Score one part: its open leads as of an instant, or its rows of the cutoffs; `counts` are of the whole base."""
    if counts is not None:
        data = replace(data, among=Among(counts, data.leads, data.outcomes))
    if mine is None:
        asked = open_leads(data, time.FOREVER if as_of is None else as_of)
        return score_part(scorer, data, asked, n_reasons=n_reasons)
    ids, at, place = mine
    return score_part(scorer, data, Cutoffs(data.leads.find(ids), at), n_reasons=n_reasons, place=place)


def about_data(data: Data, counted: dict[str, Counted]) -> bytes:
    """Return what stands beside the scores of a part: leads that were asked about, and what assembling it counted."""
    n_leads = len(data.leads.ids) if data.listed is None else int(data.listed.sum())
    return json.dumps({"n_leads": n_leads, "counted": {key: of.to_dict() for key, of in counted.items()}}).encode()


def _manifest(scorer: LeadScorer, asked: Asked, budget: Budget) -> dict[str, Any]:
    """What makes two runs the same, as plain JSON values."""
    project = asked.project
    cutoffs = None if asked.cutoffs is None else _digest(pd.util.hash_pandas_object(asked.cutoffs).to_numpy().tobytes())
    manifest = {
        "format": FORMAT,
        "project": _digest(json.dumps(project.raw, sort_keys=True, default=str).encode()),
        "scorer": scorer.digest,
        "inputs": {table.key: _stamps(table, project.folder) for table in tables_of(asked)},
        "asked": [str(asked.leads), asked.as_of, cutoffs, asked.n_reasons],
        "cut": [budget.n_parts, budget.n_rows],
    }
    return json.loads(json.dumps(manifest))  # type: ignore[no-any-return]


def _stamps(table: Table, folder: Path) -> list[Any]:
    """What every file of a table is known by."""
    if table.source.sql is not None:
        return [[table.source.sql, table.source.url]]
    try:
        return list(map(stamp_of, sources.paths_of(table.source, folder, table.where)))
    except NoSourceError:
        return []


def _digest(*contents: bytes | memoryview) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content)
    return digest.hexdigest()
