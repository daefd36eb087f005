"""CSV, Parquet, SQL and pandas → validated tables: what is rejected, counted, or refused on the way."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, Literal, Protocol

import pandas as pd

from leadscore.errors import DataError, MissingExtraError, NoSourceError
from leadscore.project import EventsSpec, Project, Source
from leadscore.reading.assembling import assemble_events, assemble_leads, assemble_outcomes
from leadscore.reading.counting import MOST_REJECTED, Counted
from leadscore.reading.typed import TypedRows, Typing
from leadscore.sources import Rows, header, read_rows, rows_from_frame
from leadscore.tables import Contexts, Data, Note, Outcomes

__all__ = ["MOST_REJECTED", "OWN", "Counted", "Supply", "TypedRows", "Typing", "assemble", "read", "told"]

OWN = "lead"
"""By what the project's own leads beside a list are known; no event table may be called so."""


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
    return assemble(project, _Reader(project, leads, outcome, dict(frames or {})))


def _from_store(project: Project) -> Data:
    """Read what the service keeps; the service says how."""
    points = entry_points(group="leadscore.stores")
    if not points:
        raise MissingExtraError("A store", "service")
    data: Data = next(iter(points)).load()(project)
    return data


class Supply(Protocol):
    """Hands out the typed rows of a project's tables: of all leads, or of some with all their rows.

    Attributes
    ----------
    listed : whether the leads are another list than the project's own
    counted, places : by table, what was counted of it, and where its rows stand
    """

    listed: bool
    counted: dict[str, Counted]
    places: dict[str, Rows]

    def leads(self) -> TypedRows:
        """Return the leads that are asked about."""
        ...

    def own(self) -> TypedRows | None:
        """Return the project's own leads beside a list, where a plan may ask for them and they are there."""
        ...

    def events(self, spec: EventsSpec) -> TypedRows:
        """Return the events of one table."""
        ...

    def outcome(self, *, alone: bool) -> TypedRows | None:
        """Return the outcomes, None where there are none; `alone` says that the project's own leads aren't there."""
        ...


def assemble(project: Project, supply: Supply) -> Data:
    """Make tables of typed rows: the same of a lead, whichever others are there. Raises DataError for repeated ids."""
    own, quiet = supply.own(), supply.listed
    if own is not None:
        own_leads = assemble_leads(own, project.leads, supply.places[OWN])
        del own
    leads, listed = assemble_leads(supply.leads(), project.leads, supply.places["leads"]), None
    alone = quiet and OWN not in supply.places
    if OWN in supply.places:
        leads, listed = leads.beside(own_leads)
    logs = {
        spec.name: assemble_events(supply.events(spec), spec, leads, supply.counted[spec.name], quiet=quiet)
        for spec in project.events
    }
    typed = supply.outcome(alone=alone)
    outcomes = Outcomes.none(len(leads.ids), timed=project.timed)
    if typed is not None:
        outcomes = assemble_outcomes(typed, project, leads, supply.counted["outcome"], quiet=quiet)
    alone |= typed is None
    context = Contexts([{}] * len(leads.ids)) if alone else None
    notes, n_rows = told(project, supply.counted)
    return Data(project, leads, logs, outcomes, notes, n_rows, context, listed)


def told(project: Project, counted: Mapping[str, Counted]) -> tuple[tuple[Note, ...], dict[str, int]]:
    """Return what is to be said of all tables, and how many rows each has."""
    notes: list[Note] = []
    for table, of_table in counted.items():
        notes += of_table.notes(project.outcome if table == "outcome" else None)
    read_tables = {table: found.n_rows for table, found in counted.items() if table != OWN and not found.absent}
    return tuple(notes), read_tables


class _Reader:
    """Supplies whole tables from their sources."""

    def __init__(
        self, project: Project, leads: Source | None, need: Literal["required", "optional"],
        frames: dict[str, pd.DataFrame],
    ) -> None:  # fmt: skip
        self.project, self.need, self.frames = project, need, frames
        self.listed = leads is not None
        self.counted: dict[str, Counted] = {}
        self.places: dict[str, Rows] = {}
        self._leads = leads or project.leads.source
        self._typing = Typing(project)

    def leads(self) -> TypedRows:
        return self._typed_leads("leads", self._leads)

    def own(self) -> TypedRows | None:
        if not asks_for_own(self.project, self._leads if self.listed else None):
            return None
        try:
            return self._typed_leads(OWN, self.project.leads.source)
        except NoSourceError:
            return None

    def _typed_leads(self, key: str, source: Source) -> TypedRows:
        rows = self._rows("leads", source, lead_columns(self.project), "leads")
        return self._settled(key, rows, self._typing.leads(rows, self._count(key, "leads")))

    def events(self, spec: EventsSpec) -> TypedRows:
        rows = self._rows(spec.name, spec.source, event_columns(spec), f"events.{spec.name}")
        return self._settled(spec.name, rows, self._typing.events(rows, spec, self._count(spec.name, spec.name)))

    def outcome(self, *, alone: bool) -> TypedRows | None:
        spec = self.project.outcome
        same_list = spec.source == self.project.leads.source
        if alone and same_list:
            return None
        try:
            rows = self._rows("outcome", spec.source, outcome_columns(self.project), "outcome")
        except DataError as error:
            # a file that is there, but damaged, would put every closed lead on the call list
            if self.need == "required" or not (same_list or isinstance(error, NoSourceError)):
                raise
            self.counted["outcome"] = Counted("outcome", absent=True)
            return None
        return self._settled("outcome", rows, self._typing.outcomes(rows, self._count("outcome", "outcome")))

    def _count(self, key: str, table: str) -> Counted:
        self.counted[key] = Counted(table)
        return self.counted[key]

    def _settled(self, key: str, rows: Rows, typed: TypedRows) -> TypedRows:
        """Refuse a table of which too much is unreadable; remember where its rows stand."""
        self.counted[key].refuse(rows.name)
        self.places[key] = Rows(rows.table.slice(0, 0), rows.parts)
        return typed

    def _rows(self, table: str, source: Source, names: list[str], where: str) -> Rows:
        if table in self.frames:
            return rows_from_frame(self.frames[table], names, where=where)
        wanted = names or header(source, self.project.folder, where=where)[:1]
        return read_rows(source, self.project.folder, wanted, where=where)


def asks_for_own(project: Project, listed: Source | None) -> bool:
    """Whether a list of leads is read beside the project's own."""
    return listed is not None and bool(project.schema["roles"]) and project.timed


def lead_columns(project: Project) -> list[str]:
    """Every column of ``[leads]`` that is read."""
    return list(project.leads.blank)


def event_columns(spec: EventsSpec) -> list[str]:
    """Every column of an event table that is read."""
    return list(spec.blank)


def outcome_columns(project: Project) -> list[str]:
    """Every column of ``[outcome]`` that is read."""
    spec = project.outcome
    names: list[Any] = [spec.lead or project.leads.id, spec.time, spec.column, spec.known]
    return [name for name in names if name is not None]
