"""What became known of a lead between two times: fields that were edited, events that arrived; named, not weighed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np

from leadscore import time
from leadscore.explain.states import version_before, visible_rows
from leadscore.features.words import in_words
from leadscore.project import EventsSpec
from leadscore.tables import Data

Value = str | float | None


@dataclass(frozen=True)
class Edit:
    """A profile field whose value, as known, changed; None is not filled in, or not known yet."""

    field: str
    before: Value
    after: Value

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Arrivals:
    """Events of one kind that became visible.

    Attributes
    ----------
    table : the event table
    kind : the values of its first two categorical columns, in words; empty where there are none
    n : how many
    first_at, last_at : when the earliest and the latest happened, UTC microseconds
    n_late : how many of them had happened before the first time already, and became known only then
    """

    table: str
    kind: tuple[str, ...]
    n: int
    first_at: int
    last_at: int
    n_late: int

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        instants = {name: time.format_instant(getattr(self, name)) for name in ("first_at", "last_at")}
        return {**asdict(self), "kind": list(self.kind), **instants}


def profile_before(data: Data, lead: int, before: int) -> dict[str, Value]:
    """Return the fields of a lead's profile as known strictly before an instant, those not filled in as None."""
    spec, leads = data.project.leads, data.leads
    version = version_before(leads, lead, before)
    coded = dict(zip(spec.categorical, zip(leads.codes, leads.vocabularies, strict=True), strict=True))
    coded |= {str(getattr(spec, role)): column for role, column in leads.roles.items()}
    fields: dict[str, Value] = {}
    for name, (codes, vocabulary) in coded.items():
        fields[name] = vocabulary[codes[version]] if version >= 0 and codes[version] >= 0 else None
    for name, values in zip(spec.numeric, leads.values, strict=True):
        value = float(values[version]) if version >= 0 else np.nan
        fields[name] = None if np.isnan(value) else value
    return fields


def not_filled_in(data: Data, lead: int, before: int) -> list[str]:
    """Return the declared profile columns that were empty, or not known yet, at an instant."""
    fields = profile_before(data, lead, before)
    return [name for name in (*data.project.leads.categorical, *data.project.leads.numeric) if fields[name] is None]


def edits(data: Data, lead: int, before: int, after: int) -> tuple[Edit, ...]:
    """Compare the profiles known strictly before two instants, field by field."""
    first, then = profile_before(data, lead, before), profile_before(data, lead, after)
    return tuple(Edit(name, first[name], then[name]) for name in first if first[name] != then[name])


def arrivals(data: Data, lead: int, before: int, after: int) -> tuple[Arrivals, ...]:
    """Collect what became visible from one instant to the other, by kind, the kind with the latest event first.

    An event exactly at `before` was not visible then, so it is among them; one exactly at `after` is not yet.
    """
    found = [kind for spec in data.project.events for kind in _of_table(data, spec, lead, before, after)]
    return tuple(sorted(found, key=lambda kind: (-kind.last_at, kind.table, kind.kind)))


def _of_table(data: Data, spec: EventsSpec, lead: int, before: int, after: int) -> list[Arrivals]:
    log = data.logs[spec.name]
    rows = np.setdiff1d(visible_rows(log, lead, after), visible_rows(log, lead, before), assume_unique=True)
    codes = log.codes[:2, rows].T.tolist()
    kinds = [
        tuple(in_words(words[code]) for code, words in zip(row, log.vocabularies, strict=False) if code >= 0)
        for row in codes
    ]
    told = sorted(zip(kinds, log.time[rows].tolist(), strict=True))
    found = []
    for kind, rows_of_kind in groupby(told, key=lambda event: event[0]):
        at = [instant for _, instant in rows_of_kind]
        found.append(Arrivals(spec.name, kind, len(at), at[0], at[-1], sum(instant < before for instant in at)))
    return found
