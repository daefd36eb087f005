"""Which features, in which order: the plan that training, batches and single requests share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from leadscore.direction import Direction
from leadscore.errors import PlanError
from leadscore.eventlog import by_lead
from leadscore.features import filling, lead_kernels
from leadscore.features.filling import Fill
from leadscore.features.learning import Learnt, key_of, learn, prior_win_rate
from leadscore.features.names import ACCOUNT, MISSING, OTHER, FeatureName
from leadscore.features.primitives import (
    EVENT_PRIMITIVES,
    HISTORY_PRIMITIVES,
    LEAD_PRIMITIVES,
    SIDE_OF_ROLE,
    HistoryPrimitive,
    Side,
    is_of_company,
)
from leadscore.features.program import Program, compile_table
from leadscore.features.recipe import category_features, check_feature, default_features
from leadscore.features.schema import check_schema
from leadscore.project import EventsSpec, Project, Source
from leadscore.tables import Cutoffs, Data
from leadscore.threads import n_threads

_FEWEST_ROWS_PER_THREAD = 4_096
FORMAT = 2


@dataclass(frozen=True)
class FeaturePlan:
    """An ordered list of features over a project's tables.

    Attributes
    ----------
    features : the names, taken apart, in the order of the matrix's columns
    learnt : per categorical column (``lead.source``, ``touchpoints.channel``) what `fit` learnt
    schema : the tables and columns that the plan was made for
    smoothing : how many average leads a conversion rate is mixed with
    prior : the conversion rate of an average lead, None before `fit`
    expands : whether `fit` adds the per-category features of the default plan
    """

    features: tuple[FeatureName, ...]
    schema: Mapping[str, Any]
    learnt: Mapping[str, Learnt]
    smoothing: float
    prior: float | None = None
    expands: bool = False

    @classmethod
    def default(cls, project: Project) -> FeaturePlan:
        """Return the plan that a project's columns and its ``[features]`` give; `fit` learns the categories it needs.

        Raises
        ------
        PlanError
            If ``[features]`` adds what can't be computed, or drops what isn't there.
        """
        features = tuple(default_features(project))
        return cls(features, project.schema, {}, project.features.smoothing, expands=True)

    @classmethod
    def of(cls, project: Project, names: Sequence[str]) -> FeaturePlan:
        """Return a plan of exactly these columns. Nothing is to learn unless a name asks for codes of categories.

        Raises
        ------
        PlanError
            If `names` is one text, or a name is twice there, doesn't follow the grammar, or names what the project
            doesn't have.
        """
        if isinstance(names, str):
            raise PlanError(f"names must be a list, as in ['{names}']")
        features = tuple(FeatureName.parse(name) for name in names)
        if len(set(features)) < len(features):
            twice = next(str(name) for name in features if features.count(name) > 1)
            raise PlanError(f"'{twice}' is named twice; columns of a plan are unique")
        for name in features:
            check_feature(name, project)
        return cls(features, project.schema, {}, project.features.smoothing)

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

    def is_average(self, name: FeatureName, value: float) -> bool:
        """Whether a conversion rate is the average, float32: that of an account, origin or owner without a past."""
        return _is_rate(name) and self.prior is not None and np.float32(value) == np.float32(self.prior)

    def learnt_of(self, name: FeatureName) -> Learnt:
        """Return what `fit` learnt of a feature's column; raises KeyError if it learnt nothing."""
        return self.learnt[key_of(name.table, str(name.column))]

    def side(self, name: FeatureName) -> Side:
        """Return whose story a feature tells: fit (who they are), intent (what happened), context (when, how busy)."""
        if name.table == "lead":
            return "fit"
        if name.table in SIDE_OF_ROLE:
            return SIDE_OF_ROLE[name.table]
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
            self,
            features=features,
            learnt={key: learnt[key] for key in learnt if key in needed},
            prior=prior_win_rate(data, asked) if any(map(_is_rate, features)) else None,
            expands=False,
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
        if data.elsewhere is not None:
            return data.elsewhere.transform(self, asked, dtype)
        out = np.empty((len(asked), len(self.features)), dtype=dtype)
        fills = self._fills(data, asked, out)

        def run(rows: NDArray[np.int64]) -> None:
            for fill in fills:
                fill(rows)

        n_rows = len(asked)
        order = np.arange(n_rows)
        if n_rows > 1 and (np.diff(asked.lead) < 0).any():
            order = by_lead(asked.lead, len(data.leads.ids))
        at_once = n_rows // _FEWEST_ROWS_PER_THREAD
        if at_once > 1:  # to ask for the processors takes longer than a row
            at_once = min(threads or n_threads(), at_once)
        if at_once < 2:
            run(order)
        else:
            with ThreadPoolExecutor(at_once) as pool:
                list(pool.map(run, np.array_split(order, at_once * 4)))
        return out

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values; `from_dict` is its inverse."""
        return {
            "format": FORMAT,
            "features": self.names,
            "schema": dict(self.schema),
            "learnt": {
                key: {"seen": list(column.seen), "has_missing": column.has_missing, "most": column.most}
                for key, column in self.learnt.items()
            },
            "smoothing": self.smoothing,
            "prior": self.prior,
            "expands": self.expands,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """Rebuild a plan from `to_dict`; raises PlanError for another format."""
        if raw.get("format") != FORMAT:
            raise PlanError(f"this plan has format {raw.get('format')!r}; this version of leadscore reads {FORMAT}")
        learnt = {
            key: Learnt(tuple(column["seen"]), column["has_missing"], column["most"])
            for key, column in raw["learnt"].items()
        }
        features = tuple(FeatureName.parse(name) for name in raw["features"])
        return cls(features, raw["schema"], learnt, raw["smoothing"], raw["prior"], raw["expands"])

    @cached_property
    def _programs(self) -> list[Program]:
        """One program per event table and scope that the plan uses; compiled once."""
        programs = []
        for table, columns in self.schema["events"].items():
            spec = _bare_spec(table, columns)
            keys = {column: key_of(table, column) for column in spec.categorical}
            learnt = {column: self.learnt[key] for column, key in keys.items() if key in self.learnt}
            for scope in (None, ACCOUNT):
                features = [
                    (target, name)
                    for target, name in enumerate(self.features)
                    if name.table == table and name.scope == scope
                ]
                if features:
                    programs.append(compile_table(spec, features, learnt, of_account=scope == ACCOUNT))
        return programs

    @cached_property
    def _lead_steps(self) -> NDArray[np.int64]:
        """The steps of features of profile and calendar, with their columns."""
        leads = self.schema["leads"]
        steps = []
        for target, name in enumerate(self.features):
            if str(name) in LEAD_PRIMITIVES:
                steps.append((LEAD_PRIMITIVES[str(name)].kernel, 0, target))
            elif name.table == "lead" and name.column in leads["categorical"]:
                steps.append((lead_kernels.CATEGORY, leads["categorical"].index(name.column), target))
            elif name.table == "lead":
                steps.append((lead_kernels.NUMBER, leads["numeric"].index(name.column), target))
        return np.array(steps, dtype=np.int64).reshape(-1, 3)

    @cached_property
    def company(self) -> list[int]:
        """Columns of the matrix that need other leads: those that a lead document carries as its context."""
        return [target for target, name in enumerate(self.features) if is_of_company(name)]

    @cached_property
    def _company_columns(self) -> NDArray[np.int64]:
        return np.array(self.company, dtype=np.int64)

    @cached_property
    def company_names(self) -> list[str]:
        """The names of `company`."""
        return [str(self.features[target]) for target in self.company]

    @cached_property
    def reads_accounts(self) -> bool:
        """Whether a feature looks at the events of the account's other leads."""
        return any(self.features[target].scope is not None for target in self.company)

    @cached_property
    def reads_counts(self) -> bool:
        """Whether a feature counts all leads of an account, an origin or an owner."""
        return any(self.features[target].scope is None for target in self.company)

    def context(self, data: Data, asked: Cutoffs) -> list[dict[str, float]]:
        """Return the features of `company` by name, for every lead and cutoff: what makes a document complete."""
        plan = self.select(self.company)
        return [
            dict(zip(plan.names, row, strict=True)) for row in plan.transform(data, asked, dtype=np.float64).tolist()
        ]

    def _fills(self, data: Data, asked: Cutoffs, out: NDArray[Any]) -> list[Fill]:
        """What fills the columns, any rows at a time; everything that threads share is built here."""
        fills = []
        if len(self._lead_steps):
            fills.append(filling.lead_fill(data, self._lead_steps, self._profile_learnt, asked, out))
        for program in self._programs:
            if not program.of_account or data.context is None:
                fills.append(filling.event_fill(data, program, asked, out))
        if data.context is not None:
            given = data.context.table(self.company_names)[asked.lead] if data.context.any_given else np.nan
            out[:, self._company_columns] = given
            return fills
        average = (self.smoothing, self.prior or 0.0)
        fills += [
            filling.history_fill(data, role, primitives, average, asked, out)
            for role, primitives in self._histories.items()
        ]
        return fills

    @cached_property
    def _histories(self) -> dict[str, dict[int, HistoryPrimitive]]:
        """Per role, the columns that count what became of its other leads."""
        histories: dict[str, dict[int, HistoryPrimitive]] = {}
        for target in self.company:
            name = self.features[target]
            if name.scope is None:
                histories.setdefault(name.table, {})[target] = HISTORY_PRIMITIVES[name.op]
        return histories

    @cached_property
    def known_words(self) -> dict[str, list[tuple[int, str, frozenset[str]]]]:
        """Per table (``lead`` is the profile), of its columns that were learnt of: position, name, words seen."""
        tables = {"lead": self.schema["leads"], **self.schema["events"]}
        return {
            table: [
                (position, column, self.learnt[key_of(table, column)].known)
                for position, column in enumerate(columns["categorical"])
                if key_of(table, column) in self.learnt
            ]
            for table, columns in tables.items()
        }

    @cached_property
    def _profile_learnt(self) -> dict[int, Learnt]:
        """What was learnt of the profile's categorical columns, by their position."""
        columns = enumerate(self.schema["leads"]["categorical"])
        keys = {position: key_of("lead", column) for position, column in columns}
        return {position: self.learnt[key] for position, key in keys.items() if key in self.learnt}

    def check(self, project: Project) -> None:
        """Refuse a plan that a project can't compute: one that was read from a file is not to be trusted.

        Raises
        ------
        PlanError
            If the schemas differ, a feature can't be of the project, or something that was to be learnt is lacking.
        """
        self._check_schema(project)
        for name in self.features:
            check_feature(name, project)
        self._check_fitted()

    def _check_fitted(self) -> None:
        if self._unlearnt is not None:
            raise PlanError(
                f"{self._unlearnt} has something to learn first: plan = plan.fit(data, cutoffs), "
                "with cutoffs of the train block"
            )

    @cached_property
    def _unlearnt(self) -> str | None:
        """What can't be computed before `fit`, None if nothing."""
        needs = [name for name in self.features if self.is_categorical(name) or name.category in (MISSING, OTHER)]
        lacking = [name for name in needs if key_of(name.table, str(name.column)) not in self.learnt]
        lacking += [name for name in self.features if _is_rate(name) and self.prior is None]
        if lacking:
            return f"'{lacking[0]}'"
        return "the default plan" if self.expands else None

    def _check_schema(self, project: Project) -> None:
        if project.schema is not self.schema and project.schema != self.schema:
            check_schema(self.schema, project.schema, self.features)


def _is_rate(name: FeatureName) -> bool:
    return name.table in SIDE_OF_ROLE and HISTORY_PRIMITIVES[name.op].over is not None


def _bare_spec(name: str, columns: Mapping[str, Any]) -> EventsSpec:
    """Return the part of a table's declaration that features depend on."""
    direction = Direction.from_dict(columns["direction"]) if "direction" in columns else None
    return EventsSpec(
        name=name, source=Source(), lead="", time="", known=None, id=None, time_format=None,
        categorical=tuple(columns["categorical"]), numeric=tuple(columns["numeric"]), direction=direction,
    )  # fmt: skip
