"""What every check looks at: the tables, their snapshots, who won, and each profile column once per lead.

Words: a lead is **judged** if its outcome within the horizon is settled: it was created within what is observed and
at least one horizon before its end. Of the judged, those with a win (at any time) are **won**, all others **not won**.
**Closed** leads have a win or a loss; all others are **open**.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leadscore import columns, time
from leadscore.project import ROLES, Project
from leadscore.snapshots import Snapshots
from leadscore.sources import header, read_rows
from leadscore.tables import Data
from leadscore.time import NEVER, Mask

if TYPE_CHECKING:
    from leadscore.evaluate.check.forward import Forward
    from leadscore.evaluate.check.signal import Signal

_Scalar = TypeVar("_Scalar", np.int32, np.float64)

N_BINS = 32
N_STRATA = 12
FEWEST = 30
"""Leads of each kind below which nothing is said about a difference between them."""
MOST_UNDECLARED = 100


@dataclass(frozen=True)
class Column:
    """One profile column, one value per lead.

    Attributes
    ----------
    key : the key of ``[leads]`` that declares it, or ``undeclared``
    codes : int32 (n_leads,), category, or bin of a number; −1 where missing
    vocabulary : the categories, empty for numbers
    values : float64 (n_leads,), empty for categories
    """

    name: str
    key: str
    codes: NDArray[np.int32]
    vocabulary: tuple[str, ...] = ()
    values: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    @property
    def filled(self) -> Mask:
        """Which leads have a value."""
        return np.asarray(self.codes >= 0)

    @property
    def n_distinct(self) -> int:
        """Distinct values, without nulls."""
        if len(self.values):
            return len(np.unique(self.values[self.filled]))
        return len(np.unique(self.codes[self.filled]))

    @classmethod
    def of_numbers(cls, name: str, key: str, values: NDArray[np.float64]) -> Column:
        """Bin numbers at their quantiles."""
        known = values[~np.isnan(values)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, N_BINS + 1)[1:-1])) if len(known) else np.empty(0)
        codes = np.where(np.isnan(values), -1, np.searchsorted(edges, values)).astype(np.int32)
        return cls(name, key, codes, values=values)


@dataclass(frozen=True)
class Groups:
    """Who won, lost or is open; all masks (n_leads,). `stratum` (n_leads,) numbers equal shares by creation."""

    won: Mask
    lost: Mask
    judged: Mask
    stratum: NDArray[np.int64]

    @property
    def closed(self) -> Mask:
        """Leads with an outcome."""
        return self.won | self.lost

    @property
    def open(self) -> Mask:
        """Leads without an outcome."""
        return ~self.closed


@dataclass(frozen=True)
class Material:
    """All that the checks read, read once."""

    project: Project
    data: Data
    snapshots: Snapshots
    groups: Groups
    columns: tuple[Column, ...]
    seed: int

    @classmethod
    def of(cls, data: Data, snapshots: Snapshots, *, seed: int) -> Material:
        """Lay out the profile columns as the model would see them."""
        return cls(data.project, data, snapshots, _groups(data), _declared(data, snapshots), seed)

    @cached_property
    def forward(self) -> Forward | None:
        """The plan's features of the snapshots, in forward time."""
        from leadscore.evaluate.check.forward import Forward

        return Forward.of(self.snapshots, seed=self.seed)

    @cached_property
    def signal(self) -> Signal:
        """What all columns together tell."""
        from leadscore.evaluate.check.signal import signal_of

        return signal_of(self.forward)

    @property
    def versioned(self) -> bool:
        """Whether profiles say since when they were known."""
        return self.project.leads.known is not None


def undeclared_columns(material: Material) -> list[Column]:
    """Return the columns of the leads' source that the project does not name; numbers where 95 % read as such."""
    project, leads = material.project, material.data.leads
    spec, outcome = project.leads, project.outcome
    if material.versioned or len(leads.ids) == 0:
        return []
    named = {spec.id, spec.created, spec.account, spec.origin, spec.owner, *spec.categorical, *spec.numeric}
    if outcome.source == spec.source:
        named |= {outcome.lead, outcome.time, outcome.column, outcome.known}
    names = header(spec.source, project.folder, where="leads")
    wanted = [name for name in names if name and name not in named and names.count(name) == 1][:MOST_UNDECLARED]
    if not wanted:
        return []
    table = read_rows(spec.source, project.folder, wanted, where="leads").table
    return [_of_raw(name, table[name].take(pa.array(leads.row)), spec.missing) for name in wanted]


def _of_raw(name: str, raw: pa.ChunkedArray, missing: tuple[str, ...]) -> Column:
    codes, vocabulary = columns.categories(raw, missing)
    values, _ = columns.numbers(raw, missing)
    n_filled = int((codes >= 0).sum())
    if n_filled and (~np.isnan(values)).sum() >= 0.95 * n_filled:
        return Column.of_numbers(name, "undeclared", values)
    return Column(name, "undeclared", codes, vocabulary)


def _groups(data: Data) -> Groups:
    outcomes = data.outcomes
    if outcomes.label is not None:
        order = np.argsort(data.leads.row, kind="stable")
        return Groups(outcomes.label == 1, outcomes.label == 0, outcomes.label >= 0, _strata(order))
    task, created = data.project.task, data.leads.created
    won = outcomes.won_at != NEVER
    judged = (created != NEVER) & time.mature(
        created,
        horizon=int(task.horizon or 0),
        observed_from=NEVER if task.observed_from is None else task.observed_from,
        observed_until=data.observed_until,
    )
    return Groups(won, (outcomes.lost_at != NEVER) & ~won, judged, _strata(np.argsort(created, kind="stable")))


def _strata(order: NDArray[np.int64]) -> NDArray[np.int64]:
    stratum = np.empty(len(order), dtype=np.int64)
    stratum[order] = np.arange(len(order)) * N_STRATA // max(1, len(order))
    return stratum


def _declared(data: Data, snapshots: Snapshots) -> tuple[Column, ...]:
    """Profile columns and roles, in the version that the lead's first snapshot sees (else the last)."""
    leads, spec = data.leads, data.project.leads
    version = leads.offsets[1:] - 1
    if spec.known is not None and len(snapshots):
        asked, first = np.unique(snapshots.lead, return_index=True)
        version = version.copy()
        version[asked] = _visible_version(data, asked, snapshots.at[first])
    found = [
        Column(name, "categorical", _taken(leads.codes[i], version, -1), leads.vocabularies[i])
        for i, name in enumerate(spec.categorical)
    ]
    found += [
        Column.of_numbers(name, "numeric", _taken(leads.values[i], version, np.nan))
        for i, name in enumerate(spec.numeric)
    ]
    for role in ROLES:
        name = getattr(spec, role)
        if name is not None and name not in (*spec.categorical, *spec.numeric):
            codes, vocabulary = leads.roles[role]
            found.append(Column(name, role, _taken(codes, version, -1), vocabulary))
    return tuple(found)


def _taken(values: NDArray[_Scalar], version: NDArray[np.int64], missing: float) -> NDArray[_Scalar]:
    return np.asarray(np.where(version >= 0, values[version], missing), dtype=values.dtype)


def _visible_version(data: Data, lead: NDArray[np.int64], at: time.Instants) -> NDArray[np.int64]:
    """Position of the last version known before each instant, −1 where there is none."""
    leads = data.leads
    found = [
        int(np.searchsorted(leads.known[leads.offsets[i] : leads.offsets[i + 1]], t)) - 1
        for i, t in zip(lead, at, strict=True)
    ]
    position = np.array(found, dtype=np.int64)
    return np.where(position >= 0, leads.offsets[lead] + position, -1)
