"""The validated, typed tables of a project: leads with their versions, events grouped by lead, outcomes, cutoffs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, pairwise
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

from leadscore import columns
from leadscore.company import Among, Company
from leadscore.errors import DataError
from leadscore.eventlog import EventLog
from leadscore.hashing import TextIndex
from leadscore.project import Project
from leadscore.time import FOREVER, NEVER, Instants, Mask, parse_instants


@dataclass(frozen=True)
class Note:
    """Something that reading counted; `n` rows of `table` (and `column`), in words that quote no row."""

    kind: str
    table: str
    n: int
    text: str
    column: str | None = None


@dataclass(frozen=True)
class Leads:
    """Every lead once, sorted by id, with the versions of its profile.

    Lead i owns profile versions ``offsets[i]`` to ``offsets[i + 1]``, ordered by when each became known; where the
    project declares no `known` there is one, known since ever.

    Attributes
    ----------
    ids : object (n_leads,), str
    created : int64 (n_leads,), UTC microseconds, `NEVER` where null
    row : int64 (n_leads,), position of the lead's first row in the source
    offsets : int64 (n_leads + 1,)
    known : int64 (n_versions,)
    codes, values, vocabularies : the profile columns, as in `EventLog`
    roles : account, origin, owner where declared: (codes int32 (n_versions,), vocabulary)
    """

    ids: NDArray[np.object_]
    created: Instants
    row: NDArray[np.int64]
    offsets: NDArray[np.int64]
    known: Instants
    codes: NDArray[np.int32]
    values: NDArray[np.float64]
    vocabularies: tuple[tuple[str, ...], ...]
    roles: Mapping[str, tuple[NDArray[np.int32], tuple[str, ...]]]

    @cached_property
    def index(self) -> pd.Index:
        """The ids as a pandas Index, for look-ups."""
        return pd.Index(self.ids, dtype=object)

    def find(self, ids: Any) -> NDArray[np.int64]:
        """Return the position of each id, int64, −1 where there is no such lead."""
        wanted = pd.Index([columns.text_value(value) for value in ids], dtype=object)
        return np.asarray(self.index.get_indexer(wanted), dtype=np.int64)

    @cached_property
    def _by_text(self) -> TextIndex:
        return TextIndex(pa.array(self.ids, pa.string()))

    def positions(self, ids: pa.Array) -> NDArray[np.int64]:
        """Return `find` of a column of trimmed text."""
        return self._by_text.find(ids)

    def latest(self, role: str) -> NDArray[np.int32]:
        """Return the codes of a role in each lead's latest version, −1 where null or not declared."""
        if role not in self.roles:
            return np.full(len(self.ids), -1, dtype=np.int32)
        return self.roles[role][0][self.offsets[1:] - 1]

    def take(self, lead: NDArray[np.int64]) -> Leads:
        """Return some of the leads, by position, in this order, each with its versions."""
        n_versions = np.diff(self.offsets)[lead]
        offsets = np.concatenate([[0], np.cumsum(n_versions)])
        rows = np.repeat(self.offsets[lead] - offsets[:-1], n_versions) + np.arange(offsets[-1])
        return Leads(
            ids=self.ids[lead],
            created=self.created[lead],
            row=self.row[lead],
            offsets=offsets,
            known=self.known[rows],
            codes=self.codes[:, rows],
            values=self.values[:, rows],
            vocabularies=self.vocabularies,
            roles={role: (codes[rows], vocabulary) for role, (codes, vocabulary) in self.roles.items()},
        )

    def beside(self, others: Leads) -> tuple[Leads, Mask]:
        """Return these leads and those of the others that aren't among them, and which of all are these."""
        joined = _joined(self, others.take(np.flatnonzero(self.find(others.ids) < 0)))
        order = np.argsort(joined.ids, kind="stable")
        return joined.take(order), order < len(self.ids)


def _joined(first: Leads, second: Leads) -> Leads:
    """One after the other; their categories get codes in common."""
    columns_of = [list(zip(leads.codes, leads.vocabularies, strict=True)) for leads in (first, second)]
    coded = [recoded(*pair) for pair in zip(*columns_of, strict=True)]
    n_versions = len(first.known) + len(second.known)
    return Leads(
        ids=np.concatenate([first.ids, second.ids]),
        created=np.concatenate([first.created, second.created]),
        row=np.concatenate([first.row, second.row]),
        offsets=np.concatenate([first.offsets, second.offsets[1:] + first.offsets[-1]]),
        known=np.concatenate([first.known, second.known]),
        codes=np.array([codes for codes, _ in coded], dtype=np.int32).reshape(len(coded), n_versions),
        values=np.concatenate([first.values, second.values], axis=1),
        vocabularies=tuple(vocabulary for _, vocabulary in coded),
        roles={role: recoded(first.roles[role], second.roles[role]) for role in first.roles},
    )


Coded = tuple[NDArray[np.int32], tuple[str, ...]]
"""Codes, −1 where null, and the words that they index."""


def recoded(*parts: Coded) -> Coded:
    """Coded columns one after the other as one, with the sorted words of all."""
    first = parts[0][1]
    if all(words == first for _, words in parts):
        return np.concatenate([codes for codes, _ in parts]), first
    all_words = pa.concat_arrays([pa.array(words, pa.string()) for _, words in parts])
    position, vocabulary = columns.encode(all_words)
    edges = np.cumsum([0, *(len(words) for _, words in parts)])
    lookups = [np.append(position[start:end], np.int32(-1)) for start, end in pairwise(edges)]
    # −1, null, stays the last
    return np.concatenate([lookup[codes] for lookup, (codes, _) in zip(lookups, parts, strict=True)]), vocabulary


@dataclass(frozen=True)
class Outcomes:
    """First win and first loss of every lead, with when each became known; all int64 (n_leads,), `NEVER` for none.

    `won_seen` and `lost_seen` are when any win, any loss, had both happened and become known: the first win may be
    recorded after a later one, and must not hide what was seen before.

    A labelled list has `label` instead: int8 (n_leads,), 1 won, 0 not won, −1 open.
    """

    won_at: Instants
    won_known: Instants
    lost_at: Instants
    lost_known: Instants
    won_seen: Instants
    lost_seen: Instants
    label: NDArray[np.int8] | None = None

    @classmethod
    def none(cls, n_leads: int, *, timed: bool) -> Outcomes:
        """Outcomes of leads of which nothing is known: all open."""
        never = np.full(n_leads, NEVER, dtype=np.int64)
        return cls(never, never, never, never, never, never, None if timed else np.full(n_leads, -1, dtype=np.int8))


class Contexts(Mapping[str, NDArray[np.float64]]):
    """What came with each lead in place of others, as columns that are made when they are asked for.

    Ten thousand documents with a thousand names each, all different, are little; a column for every name would not be.
    """

    def __init__(self, contexts: Sequence[Mapping[str, float]]) -> None:
        self._contexts = contexts

    @property
    def any_given(self) -> bool:
        """Whether anything came with any lead."""
        return any(self._contexts)

    def table(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Return some columns side by side, (n_leads, n_names), NaN where not given."""
        rows = [[context.get(name, np.nan) for name in names] for context in self._contexts]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(names))

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        if not any(name in context for context in self._contexts):
            raise KeyError(name)
        return self.table([name])[:, 0]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(chain.from_iterable(self._contexts)))

    def __len__(self) -> int:
        return len(set().union(*self._contexts))


class Elsewhere(Protocol):
    """Where the events of leads are, if they aren't beside them: it does with them there what is else done here.

    Attributes
    ----------
    fingerprint : of the content of all tables
    """

    fingerprint: str

    def seen(self, asked: Cutoffs) -> Mapping[str, tuple[Mapping[str, int], int]]:
        """Count categories as `leadscore.features.learning.seen_events`."""
        ...

    def transform(self, plan: Any, asked: Cutoffs, dtype: DTypeLike) -> NDArray[Any]:
        """Compute the features of a plan as `leadscore.features.plan.FeaturePlan.transform`."""
        ...

    def near(self, asked: Cutoffs) -> tuple[Data, Cutoffs]:
        """Bring all rows of some leads here, and say which of them each cutoff asks about."""
        ...

    def words(self, table: str, column: str) -> tuple[str, ...] | None:
        """Return the categories of a column of events; None where there are no events."""
        ...

    def after_events(self) -> tuple[NDArray[np.int64], Instants]:
        """Name leads and instants as `leadscore.snapshots.after_events`."""
        ...


@dataclass(frozen=True, repr=False)
class Data:
    """The validated tables of a project; events grouped by lead, all indices into `leads`.

    `context` is None where features over other leads are computed from these tables. For leads that came alone, as in
    lead documents, it has what came in their place: float64 (n_leads,) by feature name, NaN where not given.
    `listed` says which leads a list is of, where others stand beside them for what they have in common; None is all.
    `among` is the base that these leads were taken from, where accounts, origins and owners have more leads than these.
    `elsewhere` has the events where `logs` are empty: too many for one machine.
    """

    project: Project
    leads: Leads
    logs: Mapping[str, EventLog]
    outcomes: Outcomes
    notes: tuple[Note, ...] = ()
    n_rows: Mapping[str, int] = field(default_factory=dict)
    context: Contexts | None = None
    listed: Mask | None = None
    among: Among | None = None
    elsewhere: Elsewhere | None = None

    def __repr__(self) -> str:
        events = ", ".join(f"{log.n_events:,} {name}" for name, log in self.logs.items())
        return f"<Data of {self.project.name}: {len(self.leads.ids):,} leads{', ' + events if events else ''}>"

    @cached_property
    def company(self) -> Company:
        """What leads of one account, origin or owner have in common."""
        return Company(self)

    @cached_property
    def observed_until(self) -> int:
        """The instant up to which outcomes are known: as declared, or the last instant in the data."""
        declared = self.project.task.observed_until
        if declared is not None:
            return declared
        outcomes = self.outcomes
        stamps = [self.leads.created, self.leads.known, outcomes.won_at, outcomes.lost_at]
        stamps += [outcomes.won_known, outcomes.lost_known]
        stamps += [array for log in self.logs.values() for array in (log.time, log.known)]
        return max((int(stamp.max()) for stamp in stamps if len(stamp)), default=NEVER)

    def near(self, asked: Cutoffs) -> tuple[Data, Cutoffs]:
        """Return tables that hold the events of these leads, and the cutoffs as of those tables."""
        return (self, asked) if self.elsewhere is None else self.elsewhere.near(asked)

    def words(self, table: str, column: str) -> tuple[str, ...] | None:
        """Return the categories of a column of events; None where there are no events."""
        if self.elsewhere is not None:
            return self.elsewhere.words(table, column)
        log = self.logs[table]
        position = self.project.events_named(table).categorical.index(column)
        return log.vocabularies[position] if log.n_events else None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content, whatever the order and format of the input."""
        if self.elsewhere is not None:
            return self.elsewhere.fingerprint
        digest = hashlib.sha256()
        lead_columns = (self.leads.created, self.leads.offsets, self.leads.known, self.leads.codes, self.leads.values)
        outcomes = [self.outcomes.won_at, self.outcomes.won_known, self.outcomes.won_seen]
        outcomes += [self.outcomes.lost_at, self.outcomes.lost_known, self.outcomes.lost_seen]
        roles = dict(sorted(self.leads.roles.items()))
        words = [(role, vocabulary) for role, (_, vocabulary) in roles.items()]
        digest.update(repr((list(self.leads.ids), self.leads.vocabularies, words)).encode())
        arrays: list[NDArray[Any]] = [*lead_columns, *outcomes, *(codes for codes, _ in roles.values())]
        if self.outcomes.label is not None:
            arrays.append(self.outcomes.label)
        for name, log in self.logs.items():
            digest.update(repr((name, log.vocabularies)).encode())
            arrays += [log.offsets, log.time, log.known, log.codes, log.values]
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Cutoffs:
    """Which leads are looked at, and when: row i is lead ``lead[i]`` of a `Data` as of ``at[i]``.

    Any order, repeats allowed, any instant; the risk set belongs to snapshots alone. In a labelled list without times
    `at` is `FOREVER`: everything is known.
    """

    lead: NDArray[np.int64]
    at: Instants

    def __len__(self) -> int:
        return len(self.lead)

    @classmethod
    def of(cls, data: Data, frame: pd.DataFrame) -> Cutoffs:
        """Read a DataFrame with the columns lead_id and cutoff (without times: lead_id alone).

        A cutoff without time zone is UTC where it is a timestamp, local to the project where it is text.

        Raises
        ------
        DataError
            Naming the rows, if a lead is unknown or a cutoff unreadable.
        """
        needed = ["lead_id", "cutoff"] if data.project.timed else ["lead_id"]
        lacking = [column for column in needed if column not in frame.columns]
        if lacking:
            raise DataError(f"cutoffs are missing column '{lacking[0]}'; found {', '.join(map(str, frame.columns))}")
        lead = data.leads.find(frame["lead_id"])
        refuse_strangers(lead < 0)
        return cls(lead, cls.instants(data.project, frame))

    @staticmethod
    def instants(project: Project, frame: pd.DataFrame) -> Instants:
        """Read the column cutoff of a DataFrame, as `of` does."""
        if not project.timed:
            return np.full(len(frame), FOREVER, dtype=np.int64)
        cutoff = frame["cutoff"]
        if pd.api.types.infer_dtype(cutoff) == "datetime":  # timestamps in a column of objects are still timestamps
            cutoff = pd.to_datetime(cutoff, utc=True)
        timezone = "UTC" if pd.api.types.is_datetime64_any_dtype(cutoff.dtype) else project.timezone
        try:
            at, _ = parse_instants(cutoff, timezone)
        except ValueError as error:
            raise DataError(f"cutoffs: column 'cutoff': {error}") from None
        _refuse_rows(at == NEVER, "have no readable cutoff; write ISO 8601, as in 2026-05-01T09:00:00Z")
        return at


def refuse_strangers(unknown: Mask) -> None:
    """Raise DataError if rows of cutoffs name leads that aren't there."""
    _refuse_rows(unknown, "name a lead_id that is not in [leads]")


def _refuse_rows(bad: Mask, what: str) -> None:
    if bad.any():
        rows = ", ".join(str(row + 1) for row in np.flatnonzero(bad)[:3])
        raise DataError(f"cutoffs: {int(bad.sum())} rows {what} (first: row {rows})")
