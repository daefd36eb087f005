"""What any model must beat: base rate, source rate, last touch, recency and frequency, the profile alone.

All look at the same matrix, and each is a rung of `leadscore.model.ladder`.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadscore.errors import ArtifactError
from leadscore.features.names import FeatureName
from leadscore.features.plan import FeaturePlan
from leadscore.model import booster
from leadscore.model.booster import Block, Model, Predictor, TreeModel
from leadscore.project import Project

PRIOR_STRENGTH = 20.0
"""Leads' worth of base rate that a category's own rate is smoothed with."""
SHRINKAGE = 0.03
"""Inverse strength of the logistic's penalty on standardised terms; chosen for small funnels (training/LOG.md)."""
SELDOM = 0.01
"""Share of rows in which a term must differ from its commonest value to be used: what hardly ever varies in training
gets a coefficient that a lead who has it can't bear, as calls on a Sunday where all cutoffs are Mondays."""
PROFILE_TREES = {"learning_rate": 0.1, "early_stopping_rounds": 30}
"""Larger steps than the model's own: few columns need fewer, and training is to cost little beside the model."""
_SOURCE_NAMES = ("origin", "source", "lead source", "lead_source", "leadsource", "lead origin")


@dataclass(frozen=True)
class RateByCategory:
    """The smoothed win rate of a category, in log-odds; without a column the base rate of all.

    ``(wins + prior · base) ÷ (leads + prior)``, weighted. A code that training never saw has the base rate.
    """

    base: float
    column: int | None = None
    effects: tuple[float, ...] = ()
    unknown: float = 0.0
    kind: str = "rate"

    def margin(self, matrix: NDArray[Any]) -> NDArray[np.float64]:
        """Return log-odds (n,)."""
        return np.asarray(self.contributions(matrix).sum(axis=1))

    def contributions(self, matrix: NDArray[Any]) -> NDArray[np.float64]:
        """Return one effect, of the column, and the base."""
        out = np.zeros((len(matrix), matrix.shape[1] + 1))
        out[:, -1] = self.base
        if self.column is not None:
            codes = matrix[:, self.column]
            known = ~np.isnan(codes)
            effects = np.full(len(matrix), self.unknown)
            effects[known] = np.array([*self.effects, 0.0])[
                np.minimum(codes[known].astype(np.int64), len(self.effects))
            ]
            out[:, self.column] = effects
        return out

    def to_text(self) -> str:
        """Return JSON."""
        return json.dumps(asdict(self), indent=1)


@dataclass(frozen=True)
class Logistic:
    """A logistic regression on ``log(1 + x)`` of counts and days, standardised; never is one more indicator.

    Effects are exact: ``coefficient · (z − mean z)``, the base is the margin of the mean lead.
    """

    base: float
    columns: tuple[int, ...]
    coefficients: tuple[float, ...]
    never: tuple[float, ...]
    centers: tuple[float, ...]
    kind: str = "logistic"

    def margin(self, matrix: NDArray[Any]) -> NDArray[np.float64]:
        """Return log-odds (n,)."""
        return np.asarray(self.contributions(matrix).sum(axis=1))

    def contributions(self, matrix: NDArray[Any]) -> NDArray[np.float64]:
        """Return the effect of every column used, and the base."""
        out = np.zeros((len(matrix), matrix.shape[1] + 1))
        out[:, -1] = self.base
        for column, coefficient, never, center in zip(
            self.columns, self.coefficients, self.never, self.centers, strict=True
        ):
            values = matrix[:, column].astype(np.float64)
            there = ~np.isnan(values)
            scaled = np.where(there, _log1p(np.where(there, values, 0.0)), 0.0)
            out[:, column] = np.where(there, coefficient * scaled, never) - center
        return out

    def to_text(self) -> str:
        """Return JSON."""
        return json.dumps(asdict(self), indent=1)


def read(kind: str, text: str) -> Model:
    """Read the text of a model of any kind; raises ArtifactError for an unknown kind or damaged text."""
    if kind == "lightgbm":
        return TreeModel.from_text(text)
    try:
        raw = json.loads(text)
        if kind == "rate":
            return RateByCategory(**{**raw, "effects": tuple(raw["effects"])})
        if kind == "logistic":
            lists = ("columns", "coefficients", "never", "centers")
            return Logistic(**{**raw, **{name: tuple(raw[name]) for name in lists}})
    except (json.JSONDecodeError, TypeError, KeyError) as error:
        raise ArtifactError(f"model.txt is not a {kind} model: {error}") from None
    raise ArtifactError(f"manifest.json names the model kind {kind!r}; this version reads lightgbm, rate, logistic")


def fit_all(project: Project, plan: FeaturePlan, train: Block, tune: Block, *, seed: int) -> dict[str, Predictor]:
    """Fit every baseline that the project's columns allow, on the train block, by name."""
    models: dict[str, Predictor] = {"base_rate": RateByCategory(_logit(_rate(train)))}
    source = source_column(project, plan)
    if source is not None:
        models["source_rate"] = _fit_rates(plan, train, source)
    touch = _last_touch_column(project, plan)
    if touch is not None:
        models["last_touch"] = _fit_rates(plan, train, touch)
    recency = _recency_frequency_columns(plan)
    if recency and 0 < train.label.sum() < len(train.label):
        models["recency_frequency"] = _fit_logistic(recency, train)
    profile = [column for column, name in enumerate(plan.features) if name.table in ("lead", "profile")]
    has_events = any(name.table in plan.schema["events"] for name in plan.features)
    if has_events and profile and len(tune.label) and tune.label.sum() > 0:
        models["profile_only"] = _fit_profile(plan, profile, train, tune, seed)
    return models


def source_column(project: Project, plan: FeaturePlan) -> int | None:
    """Return the matrix column that says where a lead came from: ``[leads] origin``, or one that is called so."""
    categorical = project.leads.categorical
    names = [project.leads.origin] if project.leads.origin in categorical else []
    names += [column for known in _SOURCE_NAMES for column in categorical if column.lower() == known]
    return _find(plan, FeatureName("lead", "value", names[0])) if names else None


@dataclass(frozen=True)
class OnColumns:
    """Trees over some columns of a wider matrix; shipped, they come with the plan of these columns alone."""

    model: TreeModel
    columns: tuple[int, ...]

    def margin(self, matrix: NDArray[Any]) -> NDArray[np.float64]:
        """Return log-odds (n,) of a matrix that has all columns."""
        return self.model.margin(np.ascontiguousarray(matrix[:, self.columns]))


def _fit_profile(plan: FeaturePlan, columns: list[int], train: Block, tune: Block, seed: int) -> OnColumns:
    categorical = [position for position, column in enumerate(columns) if column in plan.categorical]
    model = booster.train(
        train.columns(columns), tune.columns(columns), categorical=categorical, parameters=PROFILE_TREES, seed=seed
    )
    return OnColumns(model, tuple(columns))


def _fit_rates(plan: FeaturePlan, train: Block, column: int) -> RateByCategory:
    base = _rate(train)
    name = plan.features[column]
    n_codes = len(plan.learnt_of(name).codes)
    codes = train.matrix[:, column]
    never = np.isnan(codes)
    position = np.where(never, n_codes, np.nan_to_num(codes)).astype(np.int64)
    leads = np.bincount(position, train.weight, minlength=n_codes + 1)
    wins = np.bincount(position, train.weight * train.label, minlength=n_codes + 1)
    rates = (wins + PRIOR_STRENGTH * base) / (leads + PRIOR_STRENGTH)
    effects = [_logit(rate) - _logit(base) for rate in rates]
    return RateByCategory(_logit(base), column, tuple(effects[:-1]), effects[-1])


def _fit_logistic(columns: list[int], train: Block) -> Logistic:
    from sklearn.linear_model import LogisticRegression

    values = train.matrix[:, columns].astype(np.float64)
    never = np.isnan(values)
    terms = np.concatenate([np.where(never, 0.0, _log1p(np.nan_to_num(values))), never.astype(np.float64)], axis=1)
    spread = np.where(_varies(terms), terms.std(axis=0), 0.0)
    scale = np.where(spread > 0, spread, np.inf)
    fitted = LogisticRegression(C=SHRINKAGE, max_iter=1_000).fit(terms / scale, train.label, sample_weight=train.weight)
    coefficients = fitted.coef_[0] / scale
    of_value, of_never = np.split(coefficients, 2)
    centers = np.average(terms * coefficients, axis=0, weights=train.weight)
    center = centers[: len(columns)] + centers[len(columns) :]
    return Logistic(
        float(fitted.intercept_[0] + center.sum()),
        tuple(columns),
        tuple(map(float, of_value)),
        tuple(map(float, of_never)),
        tuple(map(float, center)),
    )


def _varies(terms: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which terms differ from their commonest value in more than `SELDOM` of the rows."""
    commonest = [np.unique(term, return_counts=True)[1].max() for term in terms.T]
    return np.array(commonest) < (1 - SELDOM) * len(terms)


def _recency_frequency_columns(plan: FeaturePlan) -> list[int]:
    """How many events of each table in each window, how long since the last, and the lead's age where there is one."""
    tables = plan.schema["events"]
    columns = [
        column
        for column, name in enumerate(plan.features)
        if name.table in tables and name.scope is None and name.column is None and name.op in ("count", "since_last")
    ]
    age = _find(plan, FeatureName("profile", "age"))
    return columns + ([age] if columns and age is not None else [])


def _last_touch_column(project: Project, plan: FeaturePlan) -> int | None:
    """Return the last value of the first categorical column of the first event table that has one."""
    for spec in project.events:
        if spec.categorical:
            return _find(plan, FeatureName(spec.name, "last", spec.categorical[0]))
    return None


def _find(plan: FeaturePlan, name: FeatureName) -> int | None:
    return plan.features.index(name) if name in plan.features else None


def _rate(block: Block) -> float:
    """Weighted win rate, kept off 0 and 1 by half a win."""
    total = float(block.weight.sum())
    return (float((block.weight * block.label).sum()) + 0.5) / (total + 1.0)


def _logit(rate: float) -> float:
    return math.log(rate / (1 - rate))


def _log1p(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scalar loops of scipy: NumPy's own log gives other last bits in a batch than alone."""
    from scipy.special import log1p

    return np.asarray(log1p(np.maximum(values, 0.0)))
