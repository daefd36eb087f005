"""Which features, in which order: the plan that training, batches and single requests share."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from leadscore import time
from leadscore.errors import PlanError
from leadscore.features import kernels
from leadscore.features.learning import Learnt, codes_of, key_of, learn
from leadscore.features.names import MISSING, OTHER, FeatureName
from leadscore.features.primitives import EVENT_PRIMITIVES, LEAD_PRIMITIVES, Side
from leadscore.features.program import Program, compile_table
from leadscore.features.recipe import category_features, check_feature, default_features
from leadscore.project import EventsSpec, Project
from leadscore.tables import Cutoffs, Data

_FEWEST_ROWS_PER_THREAD = 4_096
FORMAT = 1


@dataclass(frozen=True)
class FeaturePlan:
    """An ordered list of features over a project's tables.

    Attributes
    ----------
    features : the names, taken apart, in the order of the matrix's columns
    learnt : per categorical column (``lead.source``, ``touchpoints.channel``) what `fit` learnt
    schema : the tables and columns that the plan was made for
    expands : whether `fit` adds the per-category features of the default plan
    """

    features: tuple[FeatureName, ...]
    schema: Mapping[str, Any]
    learnt: Mapping[str, Learnt]
    expands: bool = False

    @classmethod
    def default(cls, project: Project) -> FeaturePlan:
        """Return the complete plan that a project's columns allow; `fit` learns the categories it still needs."""
        return cls(tuple(default_features(project)), project.schema, {}, expands=True)

    @classmethod
    def of(cls, project: Project, names: Sequence[str]) -> FeaturePlan:
        """Return a plan of exactly these columns. Nothing is to learn unless a name asks for codes of categories.

        Raises
        ------
        PlanError
            If a name is twice there, doesn't follow the grammar, or names what the project doesn't have.
        """
        features = tuple(FeatureName.parse(name) for name in names)
        if len(set(features)) < len(features):
            twice = next(str(name) for name in features if features.count(name) > 1)
            raise PlanError(f"'{twice}' is named twice; columns of a plan are unique")
        for name in features:
            check_feature(name, project)
        return cls(features, project.schema, {})

    @property
    def names(self) -> list[str]:
        """The feature names, in the order of the matrix's columns."""
        return [str(name) for name in self.features]

    @cached_property
    def hash(self) -> str:
        """SHA-256 of everything that decides a feature's value."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    @cached_property
    def categorical(self) -> list[int]:
        """Columns of the matrix whose values are codes of categories."""
        return [position for position, name in enumerate(self.features) if self.is_categorical(name)]

    def is_categorical(self, name: FeatureName) -> bool:
        """Whether a feature's values are codes of categories."""
        if name.table == "lead":
            return name.column in self.schema["leads"]["categorical"]
        primitive = EVENT_PRIMITIVES.get(name.op)
        return primitive is not None and primitive.categorical and name.column is not None

    def category(self, name: FeatureName, code: float) -> str | None:
        """Return the category behind a code, None for NaN."""
        return None if code != code else self.learnt_of(name).codes[int(code)]

    def learnt_of(self, name: FeatureName) -> Learnt:
        """Return what `fit` learnt of a feature's column; raises KeyError if it learnt nothing."""
        return self.learnt[key_of(name.table, str(name.column))]

    def side(self, name: FeatureName) -> Side:
        """Return whose story a feature tells: fit (who they are), intent (what happened), context (when, how busy)."""
        if name.table == "lead":
            return "fit"
        declared = LEAD_PRIMITIVES.get(str(name))
        return declared.side if declared else "intent"

    def fit(self, data: Data, cutoffs: pd.DataFrame | Cutoffs) -> FeaturePlan:
        """Learn the categories to keep from the rows visible at these cutoffs, and nothing from any other.

        See `leadscore.features.learning.learn`. Returns a new plan; never prunes.
        """
        self._check_schema(data.project)
        asked = cutoffs if isinstance(cutoffs, Cutoffs) else Cutoffs.of(data, cutoffs)
        learnt = learn(data, asked)
        features = self.features
        if self.expands:
            features += tuple(category_features(data.project, learnt))
        needed = {key_of(name.table, name.column) for name in features if name.column is not None}
        return replace(
            self, features=features, learnt={key: learnt[key] for key in learnt if key in needed}, expands=False
        )

    def select(self, columns: Sequence[int]) -> FeaturePlan:
        """Return the plan of some of these columns, in the given order, with everything learnt kept."""
        return replace(self, features=tuple(self.features[column] for column in columns))

    def transform(
        self,
        data: Data,
        cutoffs: pd.DataFrame | Cutoffs,
        *,
        dtype: DTypeLike = np.float32,
        threads: int | None = None,
    ) -> NDArray[Any]:
        """Compute the features of leads as of cutoffs.

        Parameters
        ----------
        cutoffs : DataFrame with lead_id and cutoff (UTC): any order, repeats allowed, any instant
        dtype : float32, or float64 to see sums before they are rounded
        threads : at most so many; default all processors. The result doesn't depend on it

        Returns
        -------
        ndarray (n_cutoffs, n_features)
            Row i is cutoff i; columns as in `names`.

        Raises
        ------
        PlanError
            If the plan isn't fitted but needs to be, or the data have another schema than the plan.
        """
        self._check_schema(data.project)
        self._check_fitted()
        asked = cutoffs if isinstance(cutoffs, Cutoffs) else Cutoffs.of(data, cutoffs)
        out = np.empty((len(asked), len(self.features)), dtype=dtype)
        self._fill_lead_features(data, asked, out)
        for spec, program in self._programs:
            self._fill_events(data, spec, program, asked, out, threads)
        return out

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values; `from_dict` is its inverse."""
        return {
            "format": FORMAT,
            "features": self.names,
            "schema": dict(self.schema),
            "learnt": {
                key: {"seen": list(column.seen), "has_missing": column.has_missing}
                for key, column in self.learnt.items()
            },
            "expands": self.expands,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """Rebuild a plan from `to_dict`; raises PlanError for another format."""
        if raw.get("format") != FORMAT:
            raise PlanError(f"this plan has format {raw.get('format')!r}; this version of leadscore reads {FORMAT}")
        learnt = {key: Learnt(tuple(column["seen"]), column["has_missing"]) for key, column in raw["learnt"].items()}
        return cls(tuple(FeatureName.parse(name) for name in raw["features"]), raw["schema"], learnt, raw["expands"])

    @cached_property
    def _programs(self) -> list[tuple[EventsSpec, Program]]:
        """One program per event table that the plan uses; compiled once."""
        programs = []
        for name, columns in self.schema["events"].items():
            spec = _bare_spec(name, columns)
            features = [(target, feature) for target, feature in enumerate(self.features) if feature.table == name]
            if features:
                codes = {
                    column: self.learnt[key_of(name, column)].codes
                    for column in spec.categorical
                    if key_of(name, column) in self.learnt
                }
                programs.append((spec, compile_table(spec, features, codes)))
        return programs

    @cached_property
    def _lead_features(self) -> list[tuple[int, FeatureName]]:
        """The features that need no events, with their columns."""
        return [(target, name) for target, name in enumerate(self.features) if name.table not in self.schema["events"]]

    def _fill_events(
        self, data: Data, spec: EventsSpec, program: Program, asked: Cutoffs, out: NDArray[Any], threads: int | None
    ) -> None:
        log = data.logs[spec.name]
        kept = {
            position: frozenset(self.learnt[key_of(spec.name, column)].kept)
            for position, column in enumerate(spec.categorical)
            if key_of(spec.name, column) in self.learnt
        }
        bound = program.bind(log.vocabularies, kept)
        n_rows = len(asked)
        order = np.arange(n_rows)
        if n_rows > 1 and (np.diff(asked.lead) < 0).any():
            order = np.argsort(asked.lead, kind="stable")
        n_threads = 1
        if n_rows >= 2 * _FEWEST_ROWS_PER_THREAD:
            n_threads = min(threads or os.cpu_count() or 1, n_rows // _FEWEST_ROWS_PER_THREAD)

        def run(rows: NDArray[np.int64]) -> None:
            program.run(log, asked.lead[rows], asked.at[rows], rows, out, bound)

        if n_threads == 1:
            run(order)
            return
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(run, np.array_split(order, n_threads * 4)))

    def _fill_lead_features(self, data: Data, asked: Cutoffs, out: NDArray[Any]) -> None:
        wanted = self._lead_features
        if not wanted:
            return
        leads, spec = data.leads, data.project.leads
        version = np.empty(len(asked), dtype=np.int64)
        kernels.version_at(asked.lead, asked.at, leads.offsets, leads.known, version)
        unknown = version < 0
        calendar = _calendar(asked.at, data.project.timezone) if data.project.timed else {}
        for target, name in wanted:
            if name.table == "lead" and name.column in spec.categorical:
                position = spec.categorical.index(str(name.column))
                codes = codes_of(self.learnt_of(name), leads.vocabularies[position])
                out[:, target] = codes[np.where(unknown, -1, leads.codes[position, version]) + 1]
            elif name.table == "lead":
                values = leads.values[spec.numeric.index(str(name.column)), version]
                out[:, target] = np.where(unknown, np.nan, values)
            elif str(name) == "profile.missing":
                empty = (leads.codes[:, version] < 0).sum(axis=0) + np.isnan(leads.values[:, version]).sum(axis=0)
                out[:, target] = np.where(unknown, len(leads.codes) + len(leads.values), empty)
            elif str(name) == "profile.age":
                created = leads.created[asked.lead]
                age = (asked.at - np.where(created == time.NEVER, asked.at, created)) / time.DAY
                out[:, target] = np.where(created == time.NEVER, np.nan, age)
            else:
                out[:, target] = calendar[name.op]

    def _check_fitted(self) -> None:
        if self._unlearnt is not None:
            raise PlanError(
                f"{self._unlearnt} has categories to learn first: plan = plan.fit(data, cutoffs), "
                "with cutoffs of the train block"
            )

    @cached_property
    def _unlearnt(self) -> str | None:
        """What can't be computed before `fit`, None if nothing."""
        needs = [name for name in self.features if self.is_categorical(name) or name.category in (MISSING, OTHER)]
        lacking = [name for name in needs if key_of(name.table, str(name.column)) not in self.learnt]
        if lacking:
            return f"'{lacking[0]}'"
        return "the default plan" if self.expands else None

    def _check_schema(self, project: Project) -> None:
        found = project.schema
        if found is self.schema or found == self.schema:
            return
        for name, columns in self.schema["events"].items():
            if name not in found["events"]:
                raise PlanError(f"the plan was made for a project with [events.{name}], this one has none")
            _check_same(f"[events.{name}]", columns, found["events"][name])
        _check_same("[leads]", self.schema["leads"], found["leads"])
        for key in ("timezone", "timed"):
            if self.schema[key] != found[key]:
                raise PlanError(f"the plan was made with {key} {self.schema[key]!r}, this project has {found[key]!r}")


def _check_same(where: str, expected: Mapping[str, list[str]], found: Mapping[str, list[str]]) -> None:
    for kind, columns in expected.items():
        if list(columns) != list(found[kind]):
            raise PlanError(
                f"the plan was made for {where} {kind} = {list(columns)}, this project says {list(found[kind])}. "
                "Use the columns the model was trained on, in their order, or train anew"
            )


def _bare_spec(name: str, columns: Mapping[str, Sequence[str]]) -> EventsSpec:
    """Return the part of a table's declaration that features depend on."""
    from leadscore.project import Source

    return EventsSpec(
        name=name, source=Source(), lead="", time="", known=None, id=None, time_format=None,
        categorical=tuple(columns["categorical"]), numeric=tuple(columns["numeric"]),
    )  # fmt: skip


def _calendar(at: time.Instants, timezone: str) -> dict[str, NDArray[np.int64]]:
    days, microseconds = time.local_days_and_microseconds(at, timezone)
    month = days.astype("M8[D]").astype("M8[M]")
    next_month = (month + 1).astype("M8[D]").astype(np.int64)
    return {
        "weekday": (days + 3) % 7,
        "hour": microseconds // (3_600 * time.SECOND),
        "days_to_month_end": next_month - 1 - days,
    }
