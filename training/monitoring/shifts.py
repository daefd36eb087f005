"""What has moved since the model's own time: the scores, the features behind them, and whether times look alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import leadscore as ls
from leadscore.evaluate import drift
from leadscore.evaluate.adversarial import tell_apart
from leadscore.evaluate.drift import Shift
from leadscore.explain.reasons import group_of
from leadscore.model.population import Reference, grade

MOST_ROWS = 10_000
MOST_EXPLAINED = 2_000
LEVEL = 0.99


@dataclass(frozen=True)
class Scored:
    """Snapshots with what the model says of them: matrix (n, n_features), the others (n,)."""

    rows: ls.Snapshots
    matrix: NDArray[np.float32]
    margin: NDArray[np.float64]
    probability: NDArray[np.float64]

    @classmethod
    def of(cls, scorer: ls.LeadScorer, data: ls.Data, rows: ls.Snapshots) -> Scored:
        """Score snapshots on the tables they were taken from."""
        matrix = scorer.plan.transform(data, rows.cutoffs)
        margin = scorer.model.margin(matrix)
        return cls(rows, matrix, margin, scorer.calibrator.apply(margin))

    def sample(self, at_most: int) -> Scored:
        """Return an even sample of the rows."""
        every = slice(None, None, max(1, -(-len(self.rows) // at_most)))
        chosen = np.arange(len(self.rows))[every]
        return Scored(self.rows.take(chosen), self.matrix[every], self.margin[every], self.probability[every])

    @property
    def n_effective(self) -> float:
        """How many independent leads the rows are worth."""
        return drift.effective(self.rows.weight, self.rows.clusters())


@dataclass(frozen=True)
class ScoreShift:
    """Scores then (the model's reference population) and now.

    `months` has month, n, mean_probability and the share of each grade, of leads open in that month. `rewritten` is the
    shift of the very same leads at the very same cutoffs, between what the model kept of them and what today's tables
    say: anything beyond chance means that the past was changed.
    """

    shift: Shift
    mean_then: float
    mean_now: float
    grades_then: Mapping[str, float]
    grades_now: Mapping[str, float]
    months: tuple[Mapping[str, Any], ...]
    rewritten: Shift | None


@dataclass(frozen=True)
class GroupShift:
    """Features that say one thing: the one of them that moved most, and what that does to the scores.

    Attributes
    ----------
    share : of the mean absolute effect of all groups on the scores then
    moved_scores : mean effect now minus then, in log-odds; over all groups these sum to the move of the mean margin
    distance : of the distributions of the effect then and now (Wasserstein, log-odds). PSI sees every move, however
        small beside what the model makes of it; this sees only what reaches the scores
    """

    name: str
    feature: str
    n_features: int
    shift: Shift
    share: float
    moved_scores: float
    distance: float


@dataclass(frozen=True)
class Apart:
    """How well a model tells now from then (AUC, .5 is not at all) and by which groups of features.

    `by_chance` is what 99 % of guesses stay below, `usual` how well the two halves of the model's own time are told
    apart.
    """

    auc: float
    by_chance: float
    usual: float | None
    by: tuple[tuple[str, float], ...]


def of_scores(scorer: ls.LeadScorer, then: Scored | None, now: Scored) -> ScoreShift:
    """Compare the scores of leads now with the population that the model ranks them in."""
    reference = scorer.population.margin
    n_then = _kish(reference.weights) if then is None else then.n_effective
    n = (n_then, now.n_effective)
    shift = drift.of_numbers(
        reference.values, now.margin, weights=(reference.weights, now.rows.weight), n=n, level=LEVEL
    )
    rewritten = None
    if then is not None:
        rewritten = drift.of_numbers(
            reference.values, then.margin, weights=(reference.weights, then.rows.weight), n=(n_then, n_then)
        )
    return ScoreShift(
        shift=shift,
        mean_then=float(np.average(scorer.calibrator.apply(reference.values), weights=reference.weights)),
        mean_now=float(np.average(now.probability, weights=now.rows.weight)),
        grades_then=_grades(scorer, reference, reference.values, reference.weights),
        grades_now=_grades(scorer, reference, now.margin, now.rows.weight),
        months=_by_month(scorer, now) if now.rows.data.project.timed else (),
        rewritten=rewritten,
    )


def of_features(scorer: ls.LeadScorer, then: Scored, now: Scored) -> tuple[GroupShift, ...]:
    """Compare every feature of the plan, and rank groups of them by importance times drift."""
    from scipy.stats import wasserstein_distance

    plan, reasons = scorer.plan, scorer.reasons
    n = (then.n_effective, now.n_effective)
    then, now = then.sample(MOST_ROWS), now.sample(MOST_ROWS)
    shifts = [_of_feature(scorer, column, then, now, n) for column in range(len(plan.features))]
    members: dict[tuple[str, ...], list[int]] = {}
    for column, feature in enumerate(plan.features):
        members.setdefault(group_of(feature), []).append(column)
    explained = [part.sample(MOST_EXPLAINED) for part in (then, now)]
    effects = [reasons.group_effects(scorer.model.contributions(part.matrix)) for part in explained]
    weights = [part.rows.weight for part in explained]
    importance = np.average(np.abs(effects[0]), axis=0, weights=weights[0])
    moved = np.average(effects[1], axis=0, weights=weights[1]) - np.average(effects[0], axis=0, weights=weights[0])
    total = float(importance.sum()) or 1.0
    groups = []
    for position, (name, columns) in enumerate(zip(reasons.group_names(), members.values(), strict=True)):
        most = max(columns, key=lambda column: (shifts[column].beyond, shifts[column].psi))
        groups.append(
            GroupShift(
                name, plan.names[most], len(columns), shifts[most], float(importance[position]) / total,
                float(moved[position]),
                float(wasserstein_distance(effects[0][:, position], effects[1][:, position], *weights)),
            )
        )  # fmt: skip
    return tuple(sorted(groups, key=lambda group: (-group.share * group.shift.beyond, -group.shift.psi, group.name)))


def apart(scorer: ls.LeadScorer, then: Scored, now: Scored, *, seed: int) -> Apart | None:
    """Ask a small model to tell now from then; None where either has fewer than 30 rows."""
    found = _told(scorer, then, now, seed)
    if found is None:
        return None
    auc, by = found
    n = (then.n_effective, now.n_effective)
    usual = None
    if then.rows.data.project.timed:
        later = then.rows.at > np.median(then.rows.at)
        halves = [
            Scored(then.rows.take(part), then.matrix[part], then.margin[part], then.probability[part])
            for part in (~later, later)
        ]
        told = _told(scorer, halves[0], halves[1], seed) if later.any() else None
        usual = None if told is None else told[0]
    return Apart(auc, drift.auc_by_chance(*n, level=LEVEL), usual, by)


def _told(
    scorer: ls.LeadScorer, first: Scored, second: Scored, seed: int
) -> tuple[float, tuple[tuple[str, float], ...]] | None:
    first, second = first.sample(MOST_ROWS), second.sample(MOST_ROWS)
    told = tell_apart(
        first.matrix, second.matrix, names=scorer.plan.names, categorical=scorer.plan.categorical,
        groups=(_owners(first), _owners(second)), seed=seed,
    )  # fmt: skip
    if told is None:
        return None
    words = dict(zip(dict.fromkeys(map(group_of, scorer.plan.features)), scorer.reasons.group_names(), strict=True))
    by: dict[str, float] = {}
    for name, feature in zip(scorer.plan.names, scorer.plan.features, strict=True):
        if name in told.by:
            group = words[group_of(feature)]
            by[group] = by.get(group, 0.0) + told.by[name]
    return told.auc, tuple(sorted(by.items(), key=lambda pair: (-pair[1], pair[0])))


def _owners(scored: Scored) -> NDArray[np.str_]:
    """Account, or else lead, of each row by name, which means the same in two projects; positions don't."""
    rows = scored.rows
    leads = rows.data.leads
    owners = leads.ids[rows.lead].astype(str)
    if "account" in leads.roles:
        account, words = leads.latest("account")[rows.lead], np.array([*leads.roles["account"][1], ""], dtype=str)
        owners = np.where(account >= 0, np.char.add("account ", words[account]), np.char.add("lead ", owners))
    return owners


def _of_feature(scorer: ls.LeadScorer, column: int, then: Scored, now: Scored, n: tuple[float, float]) -> Shift:
    """One column; all of them are looked at, so each must be surer."""
    name = scorer.plan.features[column]
    values = (then.matrix[:, column], now.matrix[:, column])
    weights = (then.rows.weight, now.rows.weight)
    level = 1 - (1 - LEVEL) / len(scorer.plan.features)
    if scorer.plan.is_categorical(name):
        names = scorer.plan.learnt_of(name).codes
        return drift.of_codes(*values, names=names, weights=weights, n=n, level=level)
    return drift.of_numbers(*values, weights=weights, n=n, level=level)


def _grades(
    scorer: ls.LeadScorer, reference: Reference, margin: NDArray[np.float64], weight: NDArray[np.float64]
) -> dict[str, float]:
    """Share of the weight by grade, the best first."""
    floors = scorer.project.grades
    steps = reference.score(margin)
    upto = np.bincount(steps, weight, minlength=101)
    shares = dict.fromkeys([*floors, "D"], 0.0)
    for step, share in enumerate(upto / upto.sum()):
        shares[grade(step, floors)] += float(share)
    return shares


def _by_month(scorer: ls.LeadScorer, now: Scored) -> tuple[dict[str, Any], ...]:
    months = now.rows.at.view("M8[us]").astype("M8[M]").astype(str)
    found = []
    for month in np.unique(months):
        mine = months == month
        weight = now.rows.weight[mine]
        found.append(
            {
                "month": str(month),
                "n": int(mine.sum()),
                "mean_probability": float(np.average(now.probability[mine], weights=weight)),
                "grades": _grades(scorer, scorer.population.margin, now.margin[mine], weight),
            }
        )
    return tuple(found)


def _kish(weights: NDArray[np.float64]) -> float:
    return float(weights.sum() ** 2 / np.sum(weights**2))
