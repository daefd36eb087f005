"""CSV, Parquet, SQL and pandas → validated tables: what is rejected, counted, or refused on the way."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from leadscore import columns
from leadscore.errors import DataError, LeadScoreWarning, MissingExtraError, NoSourceError
from leadscore.eventlog import EventLog
from leadscore.project import ROLES, EventsSpec, LeadsSpec, OutcomeSpec, Project, Source
from leadscore.sources import Rows, header, read_rows, rows_from_frame
from leadscore.tables import Contexts, Data, Leads, Note, Outcomes
from leadscore.time import NEVER, Instants, Mask

MOST_REJECTED = 0.05
"""Share of a table's rows that may be unusable before the run fails."""


def read(
    project: Project,
    *,
    leads: Source | None = None,
    outcome: Literal["required", "optional"] = "required",
    frames: Mapping[str, pd.DataFrame] | None = None,
) -> Data:
    """Read and validate every table of a project.

    Rows are rejected, counted and reported where their time, `known` (where declared) or lead id is null or
    unreadable; redelivered events keep the delivery with the earliest `known`.

    Parameters
    ----------
    project : where it names a store, its own tables are read from there
    leads : another source of leads, for scoring a new list. The project's own leads are read beside them, where they
        are there: they share accounts, origins and owners with the new ones
    outcome : ``"optional"`` takes every lead as open where the outcome's source isn't there, or is a list of leads
        without its columns
    frames : DataFrames to use in place of sources, by table name (``leads``, an event table, ``outcome``)

    Raises
    ------
    DataError
        If a source is missing, lacks a column, repeats an id, or more than 5 % of its rows are rejected.
    """
    if project.store is not None and leads is None and frames is None:
        return _from_store(project)
    reader = _Reader(project, dict(frames or {}))
    own = None if leads is None else reader.company()
    lead_table = reader.leads(leads or project.leads.source)
    listed = None
    if own is not None:
        lead_table, listed = lead_table.beside(own)
    alone = leads is not None and own is None
    logs = {spec.name: reader.events(spec, lead_table, quiet=leads is not None) for spec in project.events}
    outcomes = reader.outcomes(lead_table, outcome, quiet=leads is not None, alone=alone)
    alone |= any(note.kind == "no_outcomes" for note in reader.notes)
    context = Contexts([{}] * len(lead_table.ids)) if alone else None
    return Data(project, lead_table, logs, outcomes, tuple(reader.notes), reader.n_rows, context, listed)


def _from_store(project: Project) -> Data:
    """Read what the service keeps; the service says how."""
    points = entry_points(group="leadscore.stores")
    if not points:
        raise MissingExtraError("A store", "service")
    data: Data = next(iter(points)).load()(project)
    return data


class _Reader:
    """Reads table after table and keeps what it had to count."""

    def __init__(self, project: Project, frames: dict[str, pd.DataFrame]) -> None:
        self.project = project
        self.frames = frames
        self.notes: list[Note] = []
        self.n_rows: dict[str, int] = {}

    def leads(self, source: Source) -> Leads:
        spec = self.project.leads
        names = [spec.id, spec.created, spec.known, spec.account, spec.origin, spec.owner]
        rows = self._rows("leads", source, [*names, *spec.categorical, *spec.numeric], "leads")
        n_rows = rows.table.num_rows
        ids = _ids(rows, spec)
        known = np.full(n_rows, NEVER, dtype=np.int64)
        usable = ids.is_valid().to_numpy(zero_copy_only=False)
        if spec.known is not None:
            known = self._instants(rows, spec.known, spec.time_format, "leads")
            self._reject(rows, "leads", {str(spec.id): ~usable, spec.known: known == NEVER})
            usable &= known != NEVER
        else:
            self._reject(rows, "leads", {str(spec.id): ~usable})
        created = np.full(n_rows, NEVER, dtype=np.int64)
        if spec.created is not None:
            created = self._instants(rows, spec.created, spec.time_format, "leads")
            self._count(
                "without_created", "leads", spec.created, created == NEVER, "have no creation time: never at risk"
            )
        codes, vocabularies = self._categories(rows, spec.categorical, spec.missing)
        values = self._numbers(rows, "leads", spec.numeric, spec.missing)
        roles = {
            role: columns.categories(rows.table[getattr(spec, role)], spec.missing)
            for role in ROLES
            if getattr(spec, role) is not None
        }
        return _assemble_leads(rows, spec, ids, usable, known, created, codes, values, vocabularies, roles)

    def company(self) -> Leads | None:
        """The project's own leads, where a plan may ask for them and they are there."""
        if not self.project.schema["roles"] or not self.project.timed:
            return None
        try:
            return self.leads(self.project.leads.source)
        except NoSourceError:
            return None

    def events(self, spec: EventsSpec, leads: Leads, *, quiet: bool) -> EventLog:
        names = [spec.lead, spec.time, spec.known, spec.id, *spec.categorical, *spec.numeric]
        rows = self._rows(spec.name, spec.source, names, f"events.{spec.name}")
        table = rows.table
        lead_ids = columns.text_column(table[spec.lead])
        happened = self._instants(rows, spec.time, spec.time_format, spec.name)
        known = happened if spec.known is None else self._instants(rows, spec.known, spec.time_format, spec.name)
        nameless = lead_ids.is_null().to_numpy(zero_copy_only=False)
        bad = {spec.lead: nameless, spec.time: happened == NEVER}
        if spec.known is not None:
            bad[spec.known] = known == NEVER
        keep = self._reject(rows, spec.name, bad)
        lead = _positions(lead_ids, leads)
        if not quiet:
            self._count(
                "unknown_lead", spec.name, spec.lead, keep & (lead < 0), "belong to no lead of [leads]: left out"
            )
        codes, vocabularies = self._categories(rows, spec.categorical)
        values = self._numbers(rows, spec.name, spec.numeric)
        keep &= lead >= 0
        if spec.id is not None:
            keep = self._first_deliveries(spec, table, keep, happened, known, codes, values, lead)
        kept = np.flatnonzero(keep)
        at = happened[kept]
        return EventLog.group(
            lead[kept],
            at,
            at if known is happened else known[kept],
            codes[:, kept],
            values[:, kept],
            vocabularies,
            n_leads=len(leads.ids),
        )

    def _first_deliveries(
        self,
        spec: EventsSpec,
        table: pa.Table,
        keep: Mask,
        happened: Instants,
        known: Instants,
        codes: NDArray[np.int32],
        values: NDArray[np.float64],
        lead: NDArray[np.int64],
    ) -> Mask:
        """Of rows that share an id keep the one known first (then the first by content); rows without id all stay."""
        ids, _ = columns.encode(columns.text_column(table[str(spec.id)]))
        rows = np.flatnonzero(keep & (ids >= 0))
        content = [lead[rows], *values[::-1, rows], *codes[::-1, rows], happened[rows], known[rows], ids[rows]]
        order = rows[np.lexsort(content)]
        again = np.zeros(len(keep), dtype=bool)
        again[order[1:][ids[order][1:] == ids[order][:-1]]] = True
        self._count("redelivered", spec.name, spec.id, again, "repeat an event id: the delivery known first is the row")
        return keep & ~again

    def outcomes(self, leads: Leads, need: Literal["required", "optional"], *, quiet: bool, alone: bool) -> Outcomes:
        spec = self.project.outcome
        same_list = spec.source == self.project.leads.source
        if alone and same_list:
            return Outcomes.none(len(leads.ids), timed=self.project.timed)
        lead_column = spec.lead or self.project.leads.id
        try:
            rows = self._rows("outcome", spec.source, [lead_column, spec.time, spec.column, spec.known], "outcome")
        except DataError as error:
            # a file that is there, but damaged, would put every closed lead on the call list
            if need == "required" or not (same_list or isinstance(error, NoSourceError)):
                raise
            self.notes.append(Note("no_outcomes", "outcome", 0, "there are no outcomes: every lead is taken as open"))
            return Outcomes.none(len(leads.ids), timed=self.project.timed)
        ids = _row_numbers(rows) if lead_column is None else columns.text_column(rows.table[lead_column])
        lead = _positions(ids, leads)
        won, lost, open_ = self._statuses(rows, spec)
        if not self.project.timed:
            return _labels(leads, lead, won, open_)
        return self._closings(rows, spec, leads, lead, ids, won, lost, quiet=quiet)

    def _statuses(self, rows: Rows, spec: OutcomeSpec) -> tuple[Mask, Mask, Mask]:
        """Which rows are wins, which losses, and which have no status at all."""
        n_rows = rows.table.num_rows
        if spec.column is None:
            dated = columns.text_column(rows.table[str(spec.time)]).is_valid().to_numpy(zero_copy_only=False)
            return dated, np.zeros(n_rows, dtype=bool), ~dated  # in a table of leads, those without a date are open
        status = columns.text_column(rows.table[spec.column])
        won = pc.is_in(status, value_set=pa.array(spec.won, pa.string())).to_numpy(zero_copy_only=False)
        lost = pc.is_in(status, value_set=pa.array(spec.lost, pa.string())).to_numpy(zero_copy_only=False)
        if not won.any() and n_rows:
            found = [item for item in pc.unique(status).to_pylist() if item is not None][:6]
            text = f"no row says {' or '.join(spec.won)}; found {', '.join(found)}. Mend won in [outcome]"
            self.notes.append(Note("no_wins", "outcome", n_rows, text, spec.column))
        return won, lost, status.is_null().to_numpy(zero_copy_only=False)

    def _closings(
        self, rows: Rows, spec: OutcomeSpec, leads: Leads, lead: NDArray[np.int64], ids: pa.Array,
        won: Mask, lost: Mask, *, quiet: bool,
    ) -> Outcomes:  # fmt: skip
        """First win and first loss per lead from timed outcome rows."""
        at = self._instants(rows, str(spec.time), spec.time_format, "outcome")
        known = at if spec.known is None else self._instants(rows, spec.known, spec.time_format, "outcome")
        closed = won | lost
        bad = {
            str(spec.lead or self.project.leads.id): closed & ids.is_null().to_numpy(zero_copy_only=False),
            str(spec.time): closed & (at == NEVER),
        }
        if spec.known is not None:
            bad[spec.known] = closed & (known == NEVER)
        keep = self._reject(rows, "outcome", bad) & closed
        if not quiet:
            self._count(
                "unknown_lead", "outcome", spec.lead, keep & (lead < 0), "belong to no lead of [leads]: left out"
            )
        keep &= lead >= 0
        created = np.where(lead >= 0, leads.created[lead], NEVER) if len(leads.ids) else np.full(len(lead), NEVER)
        early = keep & won & (created != NEVER) & (at < created)
        self._count("won_before_created", "outcome", spec.time, early, "are wins before the lead was created: left out")
        wins, losses = keep & won & ~early, keep & lost
        won_at, won_known = _first(leads, lead, at, known, wins)
        lost_at, lost_known = _first(leads, lead, at, known, losses)
        seen = np.maximum(at, known)
        won_seen, _ = _first(leads, lead, seen, known, wins)
        lost_seen, _ = _first(leads, lead, seen, known, losses)
        return Outcomes(won_at, won_known, lost_at, lost_known, won_seen, lost_seen)

    def _rows(self, table: str, source: Source, names: list[Any], where: str) -> Rows:
        wanted = [name for name in names if name is not None]
        if table in self.frames:
            rows = rows_from_frame(self.frames[table], wanted, where=where)
        else:
            rows = read_rows(
                source, self.project.folder, wanted or _any_column(source, self.project, where), where=where
            )
        self.n_rows[table] = rows.table.num_rows
        return rows

    def _instants(self, rows: Rows, column: str, time_format: str | None, table: str) -> Instants:
        try:
            read_at, n_ambiguous = columns.instants(rows.table[column], self.project.timezone, time_format)
        except ValueError as error:
            raise DataError(f"{rows.name} column '{column}': {error} in [{_section(table)}]") from None
        if n_ambiguous:
            text = f"{n_ambiguous} local times are ambiguous (clocks going back): read as the later instant"
            self.notes.append(Note("ambiguous_time", table, n_ambiguous, text, column))
        return read_at

    def _categories(
        self, rows: Rows, names: tuple[str, ...], missing: tuple[str, ...] = ()
    ) -> tuple[NDArray[np.int32], tuple[tuple[str, ...], ...]]:
        coded = [columns.categories(rows.table[name], missing) for name in names]
        codes = np.empty((len(names), rows.table.num_rows), dtype=np.int32)
        for position, (column, _) in enumerate(coded):
            codes[position] = column
        return codes, tuple(vocabulary for _, vocabulary in coded)

    def _numbers(
        self, rows: Rows, table: str, names: tuple[str, ...], missing: tuple[str, ...] = ()
    ) -> NDArray[np.float64]:
        values = np.empty((len(names), rows.table.num_rows), dtype=np.float64)
        for position, name in enumerate(names):
            values[position], n_unreadable = columns.numbers(rows.table[name], missing)
            if n_unreadable:
                text = f"{n_unreadable} values of '{name}' are not finite numbers: taken as missing"
                self.notes.append(Note("not_a_number", table, n_unreadable, text, name))
        return values

    def _count(self, kind: str, table: str, column: str | None, rows: Mask, what: str) -> None:
        n_found = int(rows.sum())
        if n_found:
            self.notes.append(Note(kind, table, n_found, f"{n_found} rows {what}", column))

    def _reject(self, rows: Rows, table: str, bad: Mapping[str, Mask]) -> Mask:
        """Return the rows to keep; count the others, and fail the run where they are too many."""
        rejected = np.zeros(rows.table.num_rows, dtype=bool)
        for column, found in bad.items():
            self._count("rejected", table, column, found & ~rejected, f"have no readable '{column}': rejected")
            rejected |= found
        if rejected.sum() > MOST_REJECTED * len(rejected):
            column = max(bad, key=lambda name: int(bad[name].sum()))
            examples = np.flatnonzero(bad[column])[:3]
            texts = columns.text_column(rows.table[column].take(pa.array(examples)))
            shown = "; ".join(
                f"{rows.place(int(row))} {columns.shape_of(value)}"
                for row, value in zip(examples, texts.to_pylist(), strict=True)
            )
            raise DataError(
                f"{rows.name}: {int(rejected.sum())} of {len(rejected)} rows have no readable '{column}' "
                f"(at most {MOST_REJECTED:.0%} may be rejected): {shown}. "
                f"Mend the rows, or the column or time_format in [{_section(table)}]"
            )
        if rejected.any():
            text = f"{rows.name}: {int(rejected.sum())} of {len(rejected)} rows rejected; Data.notes says why"
            warnings.warn(text, LeadScoreWarning, stacklevel=5)
        return ~rejected


def _section(table: str) -> str:
    return table if table in ("leads", "outcome") else f"events.{table}"


def _any_column(source: Source, project: Project, where: str) -> list[str]:
    return header(source, project.folder, where=where)[:1]


def _row_numbers(rows: Rows) -> pa.Array:
    return pa.array([str(row + 1) for row in range(rows.table.num_rows)], pa.string())


def _ids(rows: Rows, spec: LeadsSpec) -> pa.Array:
    return _row_numbers(rows) if spec.id is None else columns.text_column(rows.table[spec.id])


def _positions(ids: pa.Array, leads: Leads) -> NDArray[np.int64]:
    """Return the lead index of each id, −1 where unknown or null."""
    found = pc.index_in(ids, value_set=pa.array(leads.ids, pa.string()), skip_nulls=True)
    return np.asarray(found.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _assemble_leads(
    rows: Rows, spec: LeadsSpec, ids: pa.Array, usable: Mask, known: Instants, created: Instants,
    codes: NDArray[np.int32], values: NDArray[np.float64], vocabularies: tuple[tuple[str, ...], ...],
    roles: Mapping[str, tuple[NDArray[np.int32], tuple[str, ...]]],
) -> Leads:  # fmt: skip
    """Sort versions by lead and `known`, refuse repeated ids where there are no versions."""
    lead, names = columns.encode(pc.if_else(pa.array(usable), ids, pa.scalar(None, pa.string())))
    kept = np.flatnonzero(usable)
    belonging = [coded[kept] for coded, _ in roles.values()]
    content = [*belonging, *values[::-1, kept], *codes[::-1, kept], created[kept], known[kept], lead[kept]]
    order = kept[np.lexsort(content)]
    n_versions = np.bincount(lead[kept], minlength=len(names))
    if spec.known is None and (n_versions > 1).any():
        where = np.flatnonzero(lead == int(np.argmax(n_versions > 1)))[:3]
        raise DataError(
            f"{rows.name}: column '{spec.id}' repeats an id ({int((n_versions > 1).sum())} ids; first at "
            f"{', '.join(rows.place(int(row)) for row in where)}). "
            f"Remove the repeats, or say which column tells versions of a lead apart: [leads] known"
        )
    offsets = np.zeros(len(names) + 1, dtype=np.int64)
    np.cumsum(n_versions, out=offsets[1:])
    return Leads(
        ids=np.array(names, dtype=object),
        created=_first_filled(created[order], offsets),
        row=np.minimum.reduceat(order, offsets[:-1]) if len(names) else np.empty(0, dtype=np.int64),
        offsets=offsets,
        known=known[order],
        codes=np.ascontiguousarray(codes[:, order]),
        values=np.ascontiguousarray(values[:, order]),
        vocabularies=vocabularies,
        roles={role: (coded[order], vocabulary) for role, (coded, vocabulary) in roles.items()},
    )


def _first_filled(created: Instants, offsets: NDArray[np.int64]) -> Instants:
    """Return the first creation time that any version of a lead states."""
    lead = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    first = np.full(len(offsets) - 1, NEVER, dtype=np.int64)
    filled = np.flatnonzero(created != NEVER)[::-1]
    first[lead[filled]] = created[filled]
    return first


def _first(
    leads: Leads, lead: NDArray[np.int64], at: Instants, known: Instants, rows: Mask
) -> tuple[Instants, Instants]:
    """Return the earliest `at` per lead among the rows, and the earliest `known` of those that tie."""
    chosen = np.flatnonzero(rows)
    order = chosen[np.lexsort((known[chosen], at[chosen]))][::-1]
    first_at = np.full(len(leads.ids), NEVER, dtype=np.int64)
    first_known = first_at.copy()
    first_at[lead[order]] = at[order]
    first_known[lead[order]] = known[order]
    return first_at, first_known


def _labels(leads: Leads, lead: NDArray[np.int64], won: Mask, open_: Mask) -> Outcomes:
    """Labels of a list without times: a win anywhere is a 1, an empty status is open."""
    outcomes = Outcomes.none(len(leads.ids), timed=False)
    label = np.full(len(leads.ids), -1, dtype=np.int8)
    known_lead = lead >= 0
    label[lead[known_lead & ~open_]] = 0
    label[lead[known_lead & won]] = 1
    return replace(outcomes, label=label)
