"""All that a model may look at, in forward time: the plan's features of snapshots, learnt before they are judged.

The snapshots, in their order, are judged in three stretches, each a fifth, from 40 % on. Each is scored by small trees
that learnt from the snapshots before it whose label was settled when it began; where that leaves fewer than 30
wins, from all before it of other leads. A labelled list is judged in the order that its split has: ordered, or by a
seeded hash of ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from leadscore.evaluate.check.power import MOST_ROWS, Fit, Folds, Ranking, fit_out_of_fold
from leadscore.features.names import FeatureName
from leadscore.features.plan import FeaturePlan
from leadscore.features.primitives import SIDE_OF_ROLE
from leadscore.project import Project
from leadscore.snapshots import FEWEST_WINS, Snapshots

STRETCHES = ((0.4, 0.6), (0.6, 0.8), (0.8, 1.0))
N_SHUFFLED = 3
FEATURE_FRACTION, MANY_FEATURES = 0.3, 60
Place = tuple[str, str | None]
"""A table and one of its columns, as a finding names them; None for the rows of the table as such."""


@dataclass(frozen=True)
class Forward:
    """The features of an even sample of at most 20,000 snapshots, and the stretches that judge them.

    Attributes
    ----------
    rows : int64 (n,), positions in the project's snapshots
    matrix : float32 (n, n_features) of `plan`, whose categories were learnt before the first stretch
    folds : positions in the sample to learn from and to judge; empty where there is too little
    places : which features stem from which column
    """

    snapshots: Snapshots
    rows: NDArray[np.int64]
    plan: FeaturePlan
    matrix: NDArray[np.float32]
    folds: Folds
    places: Mapping[Place, list[int]]
    seed: int

    @classmethod
    def of(cls, snapshots: Snapshots, *, seed: int) -> Forward | None:
        """Compute the features; None where there is no snapshot, or no feature."""
        rows = np.arange(0, len(snapshots), max(1, -(-len(snapshots) // MOST_ROWS)))
        data, some = snapshots.data, snapshots.take(rows)
        folds = _folds(some)
        learnt = folds[0][0] if folds else np.arange(len(some))
        plan = FeaturePlan.default(data.project)
        if not len(learnt):
            return None
        plan = plan.fit(data, some.take(learnt).cutoffs)
        if not plan.features:
            return None
        matrix = plan.transform(data, some.cutoffs)
        places: dict[Place, list[int]] = {}
        for column, name in enumerate(plan.features):
            places.setdefault(place_of(name, data.project), []).append(column)
        return cls(some, rows, plan, matrix, folds, places, seed)

    @cached_property
    def judged(self) -> NDArray[np.int64]:
        """Positions of the snapshots that a stretch judges."""
        return np.concatenate([judged for _, judged in self.folds]) if self.folds else np.empty(0, dtype=np.int64)

    @cached_property
    def fit(self) -> Fit:
        """Trees on all features."""
        return self._fit(list(range(self.matrix.shape[1])))

    @cached_property
    def ranking(self) -> Ranking:
        """How all features together rank; `influence` is that of the judged rows."""
        return self._rank(self.fit)

    @property
    def clusters(self) -> NDArray[np.int64]:
        """Account or lead of the judged rows."""
        return self.snapshots.clusters()[self.judged]

    def without(self, places: list[Place]) -> Ranking:
        """How the features rank that don't stem from these columns."""
        gone = {column for place in places for column in self.places[place]}
        return self._rank(self._fit([column for column in range(self.matrix.shape[1]) if column not in gone]))

    def shuffled(self) -> tuple[float, float]:
        """Return the AUC and its standard error out of fold, leads or accounts shuffled over time."""
        cluster = np.unique(self.snapshots.clusters(), return_inverse=True)[1]
        ticket = np.random.default_rng(self.seed).permutation(int(cluster.max()) + 1)
        fold = ticket[cluster] % N_SHUFFLED
        folds = [(np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(N_SHUFFLED)]
        score = self._fit(list(range(self.matrix.shape[1])), folds).score
        ranking = Ranking.within(self.snapshots.label == 1, score, fold)
        return ranking.auc, ranking.error(cluster)

    def gains(self) -> dict[Place, float]:
        """Return each column's share of all gain, the largest first."""
        sums = {place: float(self.fit.gain[columns].sum()) for place, columns in self.places.items()}
        total = sum(sums.values()) or 1.0
        return {place: sums[place] / total for place in sorted(sums, key=lambda place: -sums[place])}

    def _fit(self, columns: list[int], folds: Folds | None = None) -> Fit:
        categorical = [position for position, column in enumerate(columns) if column in set(self.plan.categorical)]
        return fit_out_of_fold(
            self.matrix[:, columns],
            self.snapshots.label == 1,
            folds or self.folds,
            categorical=categorical,
            seed=self.seed,
            feature_fraction=FEATURE_FRACTION if len(columns) > MANY_FEATURES else 1.0,
        )

    def _rank(self, fit: Fit) -> Ranking:
        stretch = np.repeat(np.arange(len(self.folds)), [len(judged) for _, judged in self.folds])
        return Ranking.within(self.snapshots.label[self.judged] == 1, fit.score[self.judged], stretch)


def place_of(name: FeatureName, project: Project) -> Place:
    """Return the table and column that a feature stems from; ``task`` for age, calendar and load."""
    if name.table == "lead":
        return "leads", name.column
    if name.table in SIDE_OF_ROLE:
        return "leads", getattr(project.leads, name.table)
    if any(spec.name == name.table for spec in project.events):
        return name.table, name.column
    return "task", f"{name.table}.{name.op}"


def _folds(some: Snapshots) -> Folds:
    """The stretches that hold thirty wins, each with thirty before it."""
    horizon = int(some.data.project.task.horizon or 0)
    folds = []
    for start, end in STRETCHES:
        first, last = int(start * len(some)), int(end * len(some))
        judged = np.arange(first, last)
        if not len(judged):
            continue
        began = some.at[first]
        timed = some.data.project.timed
        learnt = np.flatnonzero(some.at <= began - horizon) if timed else np.arange(first)
        if _n_wins(some, learnt) < FEWEST_WINS:
            learnt = np.flatnonzero((some.at < began) & ~np.isin(some.lead, some.lead[judged])) if timed else learnt
        if min(_n_wins(some, learnt), _n_wins(some, judged)) >= FEWEST_WINS:
            folds.append((learnt, judged))
    return folds


def _n_wins(some: Snapshots, rows: NDArray[np.int64]) -> int:
    return len(np.unique(some.lead[rows][some.label[rows] == 1]))
