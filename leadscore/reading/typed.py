"""Rows as they stand in a source → rows with typed columns, without those that can't be used.

The one reading of a value, whether a table is read at once or in stretches. What only a whole table can decide is
counted here, and decided in `leadscore.reading.counting` and `leadscore.reading.assembling`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from leadscore import columns
from leadscore.errors import DataError
from leadscore.project import EventsSpec, OutcomeSpec, Project
from leadscore.reading.counting import Counted
from leadscore.sources import Rows
from leadscore.tables import Coded, recoded
from leadscore.time import NEVER, Instants, Mask


@dataclass(frozen=True)
class TypedRows:
    """Typed rows of one table, in the order of their source; all (n,) but for `codes` and `values`.

    Attributes
    ----------
    row : int64, where each stands in its source
    texts : Arrow strings: ``lead``; of events that declare it ``id``
    instants : int64, UTC microseconds: ``created`` and ``known`` of leads, ``time`` and ``known`` of others; ``known``
        is there only where it is declared
    flags : bool: ``won``, ``lost`` and ``open`` of outcomes
    roles, codes, values, vocabularies : as in `leadscore.tables.Leads`
    """

    row: NDArray[np.int64]
    texts: Mapping[str, pa.Array]
    instants: Mapping[str, Instants] = field(default_factory=dict)
    flags: Mapping[str, Mask] = field(default_factory=dict)
    roles: Mapping[str, Coded] = field(default_factory=dict)
    codes: NDArray[np.int32] = field(default_factory=lambda: np.empty((0, 0), dtype=np.int32))
    vocabularies: tuple[tuple[str, ...], ...] = ()
    values: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0), dtype=np.float64))

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: NDArray[np.int64]) -> TypedRows:
        """Return some of the rows, by position, in this order."""
        chosen = pa.array(rows)
        return TypedRows(
            self.row[rows],
            {name: text.take(chosen) for name, text in self.texts.items()},
            {name: at[rows] for name, at in self.instants.items()},
            {name: flag[rows] for name, flag in self.flags.items()},
            {name: (codes[rows], words) for name, (codes, words) in self.roles.items()},
            np.take(self.codes, rows, axis=1) if len(self.codes) else np.empty((0, len(rows)), dtype=np.int32),
            self.vocabularies,
            np.take(self.values, rows, axis=1) if len(self.values) else np.empty((0, len(rows))),
        )

    def kept(self, keep: Mask) -> TypedRows:
        """Return the rows of a mask; all of them without a copy."""
        return self if keep.all() else self.take(np.flatnonzero(keep))


def joined(parts: Sequence[TypedRows]) -> TypedRows:
    """Rows of one table one after the other, with categories in common."""
    first = parts[0]
    if len(parts) == 1:
        return first
    columns_of = [list(zip(part.codes, part.vocabularies, strict=True)) for part in parts]
    coded = [recoded(*column) for column in zip(*columns_of, strict=True)]
    n_rows = sum(map(len, parts))
    return TypedRows(
        np.concatenate([part.row for part in parts]),
        {name: pa.concat_arrays([part.texts[name] for part in parts]) for name in first.texts},
        {name: np.concatenate([part.instants[name] for part in parts]) for name in first.instants},
        {name: np.concatenate([part.flags[name] for part in parts]) for name in first.flags},
        {name: recoded(*(part.roles[name] for part in parts)) for name in first.roles},
        np.array([codes for codes, _ in coded], dtype=np.int32).reshape(len(coded), n_rows),
        tuple(words for _, words in coded),
        np.concatenate([part.values for part in parts], axis=1),
    )


@dataclass(frozen=True)
class Typing:
    """How the rows of a project's tables are typed.

    `whole` says that rows are always those of a whole table, so that a local format of its times may be recognised.
    """

    project: Project
    whole: bool = True

    def leads(self, rows: Rows, counted: Counted) -> TypedRows:
        """Type rows of leads; those without id, or without `known` where it is declared, are rejected."""
        spec = self.project.leads
        ids = row_numbers(rows) if spec.id is None else columns.text_column(rows.table[spec.id])
        counted.n_rows += rows.table.num_rows
        instants: dict[str, Instants] = {}
        bad = {str(spec.id): ids.is_null().to_numpy(zero_copy_only=False)}
        if spec.known is not None:
            instants["known"] = self._instants(rows, spec.known, spec.time_format, counted)
            bad[spec.known] = instants["known"] == NEVER
        keep = counted.reject(rows, bad)
        if spec.created is not None:
            instants["created"] = created = self._instants(rows, spec.created, spec.time_format, counted)
            counted.count("without_created", spec.created, int((created == NEVER).sum()))
        codes, vocabularies = _categories(rows, spec.categorical, spec.missing)
        values = _numbers(rows, spec.numeric, spec.missing, counted)
        roles = {role: columns.categories(rows.table[name], spec.missing) for role, name in spec.roles.items()}
        return TypedRows(_places(rows), {"lead": ids}, instants, {}, roles, codes, vocabularies, values).kept(keep)

    def events(self, rows: Rows, spec: EventsSpec, counted: Counted) -> TypedRows:
        """Type rows of events; those without a lead, a time, or `known` where it is declared, are rejected."""
        counted.n_rows += rows.table.num_rows
        texts = {"lead": columns.text_column(rows.table[spec.lead])}
        instants = {"time": self._instants(rows, spec.time, spec.time_format, counted)}
        bad = {
            spec.lead: texts["lead"].is_null().to_numpy(zero_copy_only=False),
            spec.time: instants["time"] == NEVER,
        }
        if spec.known is not None:
            instants["known"] = self._instants(rows, spec.known, spec.time_format, counted)
            bad[spec.known] = instants["known"] == NEVER
        keep = counted.reject(rows, bad)
        codes, vocabularies = _categories(rows, spec.categorical)
        values = _numbers(rows, spec.numeric, (), counted)
        if spec.id is not None:
            texts["id"] = columns.text_column(rows.table[spec.id])
        return TypedRows(_places(rows), texts, instants, {}, {}, codes, vocabularies, values).kept(keep)

    def outcomes(self, rows: Rows, counted: Counted) -> TypedRows:
        """Type rows of outcomes; of timed ones, those that close no lead are left out, and unreadable ones rejected."""
        spec = self.project.outcome
        counted.n_rows += rows.table.num_rows
        lead_column = spec.lead or self.project.leads.id
        ids = row_numbers(rows) if lead_column is None else columns.text_column(rows.table[lead_column])
        won, lost, open_ = _statuses(rows, spec, counted)
        flags = {"won": won, "lost": lost, "open": open_}
        if not self.project.timed:
            return TypedRows(_places(rows), {"lead": ids}, {}, flags)
        instants = {"time": self._instants(rows, str(spec.time), spec.time_format, counted)}
        closed = won | lost
        bad = {
            str(lead_column): closed & ids.is_null().to_numpy(zero_copy_only=False),
            str(spec.time): closed & (instants["time"] == NEVER),
        }
        if spec.known is not None:
            instants["known"] = self._instants(rows, spec.known, spec.time_format, counted)
            bad[spec.known] = closed & (instants["known"] == NEVER)
        keep = counted.reject(rows, bad) & closed
        return TypedRows(_places(rows), {"lead": ids}, instants, flags).kept(keep)

    def _instants(self, rows: Rows, column: str, time_format: str | None, counted: Counted) -> Instants:
        values = rows.table[column]
        try:
            read_at, n_ambiguous = columns.instants(values, self.project.timezone, time_format, recognise=self.whole)
        except ValueError as error:
            raise DataError(f"{rows.name} column '{column}': {error} in [{counted.section}]") from None
        if not (self.whole or time_format or columns.is_clock(values.type)):
            filled = columns.text_column(values).is_valid()
            counted.see_times(column, read_at, np.asarray(filled.to_numpy(zero_copy_only=False)))
        counted.count("ambiguous_time", column, n_ambiguous)
        return read_at


def row_numbers(rows: Rows) -> pa.Array:
    """The numbers of rows, from 1, as text: the ids of a list that names none."""
    return pa.array([str(rows.first + row + 1) for row in range(rows.table.num_rows)], pa.string())


def _places(rows: Rows) -> NDArray[np.int64]:
    return np.arange(rows.first, rows.first + rows.table.num_rows)


def _categories(
    rows: Rows, names: tuple[str, ...], missing: tuple[str, ...] = ()
) -> tuple[NDArray[np.int32], tuple[tuple[str, ...], ...]]:
    coded = [columns.categories(rows.table[name], missing) for name in names]
    codes = np.empty((len(names), rows.table.num_rows), dtype=np.int32)
    for position, (column, _) in enumerate(coded):
        codes[position] = column
    return codes, tuple(vocabulary for _, vocabulary in coded)


def _numbers(rows: Rows, names: tuple[str, ...], missing: tuple[str, ...], counted: Counted) -> NDArray[np.float64]:
    values = np.empty((len(names), rows.table.num_rows), dtype=np.float64)
    for position, name in enumerate(names):
        values[position], n_unreadable = columns.numbers(rows.table[name], missing)
        counted.count("not_a_number", name, n_unreadable)
    return values


def _statuses(rows: Rows, spec: OutcomeSpec, counted: Counted) -> tuple[Mask, Mask, Mask]:
    """Which rows are wins, which losses, and which have no status at all."""
    if spec.column is None:
        dated = columns.text_column(rows.table[str(spec.time)]).is_valid().to_numpy(zero_copy_only=False)
        nothing = np.zeros(rows.table.num_rows, dtype=bool)
        return dated, nothing, ~dated  # in a table of leads, those without a date are open
    status = columns.text_column(rows.table[spec.column])
    won = pc.is_in(status, value_set=pa.array(spec.won, pa.string())).to_numpy(zero_copy_only=False)
    lost = pc.is_in(status, value_set=pa.array(spec.lost, pa.string())).to_numpy(zero_copy_only=False)
    counted.see_statuses(pc.unique(status).to_pylist()[:50], int(won.sum()))
    return won, lost, status.is_null().to_numpy(zero_copy_only=False)
