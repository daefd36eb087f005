"""From snapshots to the parts of a scorer, and what a report needs to judge them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadscore.errors import TrainingError
from leadscore.explain.reasons import Reasons
from leadscore.explain.usual import usual_values
from leadscore.features.plan import FeaturePlan
from leadscore.model import baselines, booster, calibration, ladder
from leadscore.model.booster import Block, Model, Predictor, Progress, TreeModel
from leadscore.model.ladder import TREES, Ladder, level_shift
from leadscore.model.population import Population, Reference
from leadscore.model.pruning import redundant
from leadscore.project import Project
from leadscore.snapshots import FEWEST_WINS, Blocks, Snapshots, split
from leadscore.tables import Data

MOST_EXPLAINED = 2_000
"""Rows of the reference population whose fit and intent are taken."""
N_GOLDEN = 5
SHARE_WITHOUT_COMPANY = 0.1
"""Of the rows that the model learns from."""
_NOT_OF_LIGHTGBM = ("seed", "trials")


@dataclass(frozen=True)
class Learnt:
    """A plan as the train block taught it, and what it makes of every snapshot.

    Attributes
    ----------
    matrix : float32 (n_snapshots, n_features)
    pruned : features left out, with the one that says the same on train; None for one that never varies there
    """

    plan: FeaturePlan
    matrix: NDArray[np.float32]
    pruned: Mapping[str, str | None]


@dataclass(frozen=True)
class Fitted:
    """A fitted scorer's parts, with the snapshots, blocks and margins they came from.

    Attributes
    ----------
    matrix : float32 (n_snapshots, n_features), after pruning
    every_column : the same, wider where the model stands on a rung that needs only some columns; for the baselines
    margin : float64 (n_snapshots,), of the model on calibrate and test; NaN where nobody asks
    baselines : by name, fitted on train; the trees among them where the model stands on a lower rung
    pruned : features left out, with the one that says the same on train; None for one that never varies there
    ladder : on which rung the model stands, and why
    """

    snapshots: Snapshots
    blocks: Blocks
    plan: FeaturePlan
    matrix: NDArray[np.float32]
    every_column: NDArray[np.float32]
    model: Model
    margin: NDArray[np.float64]
    calibration: calibration.Choice
    population: Population
    baselines: Mapping[str, Predictor]
    pruned: Mapping[str, str | None]
    ladder: Ladder

    def train_rate(self) -> float:
        """Return the weighted share of wins among the train snapshots."""
        return self._rate("train")

    def latest_rate(self) -> float:
        """Return the weighted share of wins among the calibrate snapshots, the latest that were settled."""
        return self._rate("calibrate" if len(self.blocks.rows["calibrate"]) else "train")

    def _rate(self, block: str) -> float:
        rows = self.snapshots.take(self.blocks.rows[block])
        total = float(rows.weight.sum())
        return (float((rows.weight * rows.label).sum()) + 0.5) / (total + 1.0)  # kept off 0 and 1 by half a win

    def rival_margin(self, name: str, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return a baseline's margins, its level set on calibrate as the model's is: drift is no merit of a model."""
        rival, held = self.baselines[name], self.blocks.rows["calibrate"]
        margin = rival.margin(self.every_column[rows])
        known = self.snapshots.take(held)
        if not 0 < known.label.sum() < len(known):
            return margin
        return margin + level_shift(rival.margin(self.every_column[held]), known.label, known.weight)

    def golden_rows(self) -> list[int]:
        """Return test snapshots spread over the ranking, lowest first."""
        rows = self.blocks.rows["test"]
        ranked = rows[np.argsort(self.margin[rows], kind="stable")]
        places = np.linspace(0, len(ranked) - 1, min(N_GOLDEN, len(ranked))).astype(np.int64)
        return [int(row) for row in ranked[places]]


def fit(
    data: Data,
    snapshots: Snapshots,
    *,
    seed: int,
    parameters: Mapping[str, Any],
    plan: FeaturePlan | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """Fit plan, model, calibration, population and baselines, each on its own block.

    `plan` is fitted anew on the train block, then spared what `pruning.redundant` finds; default is the project's own.

    Raises
    ------
    TrainingError
        If there are no snapshots, none or all of them are wins, or the plan has no feature.
    """
    check_labels(snapshots)
    blocks = split(snapshots, seed=seed)
    learnt = learn(data, snapshots, blocks, plan)
    plan, matrix = learnt.plan, learnt.matrix
    parts = {name: block(snapshots, matrix, rows) for name, rows in blocks.rows.items()}
    for part, name in enumerate(("train", "tune")):
        forget_company(parts[name].matrix, plan.company, seed=(seed, part))
    rivals = baselines.fit_all(data.project, plan, parts["train"], parts["tune"], seed=seed)
    if blocks.complete:
        rivals[TREES] = booster.train(
            parts["train"], parts["tune"], categorical=plan.categorical, parameters=settings(data.project, parameters),
            seed=seed, progress=progress,
        )  # fmt: skip
    climbed = _climb(snapshots, blocks, rivals, parts)
    stood_on = rivals.pop(TREES) if climbed.stands_on == TREES else rivals[climbed.stands_on]
    every_column = matrix
    if isinstance(stood_on, baselines.OnColumns):
        plan, matrix = plan.select(stood_on.columns), np.ascontiguousarray(matrix[:, stood_on.columns])
        stood_on = stood_on.model
    assert isinstance(stood_on, TreeModel | baselines.RateByCategory | baselines.Logistic), "a rung can be shipped"
    model: Model = stood_on
    margin = _margins(model, matrix, blocks)
    return Fitted(
        snapshots=snapshots,
        blocks=blocks,
        plan=plan,
        matrix=matrix,
        every_column=every_column,
        model=model,
        margin=margin,
        calibration=_calibrate(snapshots, blocks, margin, seed),
        population=_population(snapshots, blocks, plan, model, matrix, margin),
        baselines=rivals,
        pruned=learnt.pruned,
        ladder=climbed,
    )


def learn(data: Data, snapshots: Snapshots, blocks: Blocks, plan: FeaturePlan | None = None) -> Learnt:
    """Fit a plan on the train block, spare it what `pruning.redundant` finds there, and compute every snapshot.

    Raises
    ------
    TrainingError
        If the plan has no feature.
    """
    rows = blocks.rows["train"]
    wide = (plan or FeaturePlan.default(data.project)).fit(data, snapshots.take(rows).cutoffs)
    if not wide.features:
        raise TrainingError("the plan has no feature to learn from. Drop less in [features]")
    matrix = wide.transform(data, snapshots.cutoffs)
    left_out = redundant(wide, matrix[rows])
    kept = [column for column in range(matrix.shape[1]) if column not in left_out]
    names = wide.names
    pruned = {names[column]: None if twin is None else names[twin] for column, twin in left_out.items()}
    return Learnt(wide.select(kept), np.ascontiguousarray(matrix[:, kept]), pruned)


def settings(project: Project, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the LightGBM parameters of ``[model]``, with others over them."""
    own = {key: value for key, value in project.model.items() if key not in _NOT_OF_LIGHTGBM}
    return {**own, **parameters}


def check_labels(snapshots: Snapshots) -> None:
    """Raise TrainingError if there are no snapshots, or none or all of them are wins."""
    n_wins = int(snapshots.label.sum())
    counts = ", ".join(f"{name} {n:,}" for name, n in snapshots.counts.items())
    if len(snapshots) == 0:
        raise TrainingError(
            f"no mature snapshot to learn from ({counts}). Shorten [task] horizon, widen observed_from and "
            "observed_until, or wait until labels are settled"
        )
    if n_wins == 0:
        raise TrainingError(
            f"none of {len(snapshots):,} snapshots is a win ({counts}). Check [outcome] won, time and [task] horizon"
        )
    if n_wins == len(snapshots):
        raise TrainingError(
            f"all {len(snapshots):,} snapshots are wins ({counts}). Leads that didn't convert must be in [leads] too"
        )


def block(snapshots: Snapshots, matrix: NDArray[np.float32], rows: NDArray[np.int64]) -> Block:
    """Return some snapshots as trees take them; the matrix is a copy."""
    return Block(matrix[rows], snapshots.label[rows], snapshots.weight[rows])


def forget_company(matrix: NDArray[np.float32], company: Sequence[int], *, seed: tuple[int, int]) -> None:
    """Make some rows look like a lead document that came without what is known of its company.

    Else no tree would ever have seen it missing, and LightGBM would take it for 0: a company that never bought.
    """
    rows = np.flatnonzero(np.random.default_rng(seed).random(len(matrix)) < SHARE_WITHOUT_COMPANY)
    matrix[np.ix_(rows, np.array(company, dtype=np.int64))] = np.nan


def _margins(model: Model, matrix: NDArray[np.float32], blocks: Blocks) -> NDArray[np.float64]:
    """Margins of the rows that calibrate, rank and judge; the rest is most of the data."""
    margin = np.full(len(matrix), np.nan)
    asked = np.concatenate([blocks.rows["calibrate"], blocks.rows["test"]])
    margin[asked] = model.margin(matrix[asked])
    return margin


def _climb(snapshots: Snapshots, blocks: Blocks, rivals: Mapping[str, Predictor], parts: Mapping[str, Block]) -> Ladder:
    held_out = ("tune", "calibrate")
    return ladder.climb(
        rivals,
        [parts[name] for name in held_out],
        [snapshots.take(blocks.rows[name]).clusters() for name in held_out],
        n_fewest=FEWEST_WINS,
    )


def _calibrate(snapshots: Snapshots, blocks: Blocks, margin: NDArray[np.float64], seed: int) -> calibration.Choice:
    rows = blocks.rows["calibrate"]
    if not blocks.complete or len(rows) == 0:
        return calibration.Choice(calibration.Identity(), ())
    return calibration.choose(
        margin[rows],
        snapshots.label[rows],
        groups=snapshots.data.leads.ids[snapshots.lead[rows]].astype(str),
        seed=seed,
        weight=snapshots.weight[rows],
    )


def _population(
    snapshots: Snapshots,
    blocks: Blocks,
    plan: FeaturePlan,
    model: Model,
    matrix: NDArray[np.float32],
    margin: NDArray[np.float64],
) -> Population:
    """References from calibrate and test; fit, intent and what is usual from an even sample of them."""
    rows = np.concatenate([blocks.rows["calibrate"], blocks.rows["test"]])
    sample = rows[:: max(1, -(-len(rows) // MOST_EXPLAINED))]
    reasons = Reasons(plan)
    groups = reasons.group_effects(model.contributions(matrix[sample]))
    sides = {side: reasons.side_effects(groups, side) for side in ("fit", "intent")}
    return Population(
        margin=Reference.of(margin[rows], snapshots.weight[rows]),
        fit=Reference.of(sides["fit"], snapshots.weight[sample]),
        intent=Reference.of(sides["intent"], snapshots.weight[sample]),
        usual=usual_values(plan, matrix[sample], snapshots.weight[sample], reasons.by_column(groups)),
    )
