"""Forward-in-time folds before the test, and what trees of some parameters lose on them.

Each fold is cut by `leadscore.snapshots.split`, the very rule a launch goes by: trees learn on its train block, stop on
tune and calibrate, and are judged on its test block, which begins an embargo after their last label. The next fold is
what lies before that. No snapshot of the project's own test block is in any fold, nor one whose label wasn't settled
when that began.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadscore.model import booster
from leadscore.model.booster import Block
from leadscore.model.fitting import Learnt, block, forget_company, settings
from leadscore.model.ladder import losses_at_best_level
from leadscore.project import Project
from leadscore.snapshots import Blocks, Snapshots, split

MOST_FOLDS = 3
BEFORE_TEST = ("train", "tune", "calibrate")


@dataclass(frozen=True)
class Fold:
    """Positions in the snapshots: what trees learn on, stop on and are judged on, one after the other."""

    learn: NDArray[np.int64]
    stop: NDArray[np.int64]
    judge: NDArray[np.int64]


def forward_folds(snapshots: Snapshots, blocks: Blocks, *, seed: int) -> list[Fold]:
    """Cut what lies before the test into at most `MOST_FOLDS` folds, the latest first.

    There is always one where `blocks` are complete: where the fewest wins leave no room for another test, it is the
    project's own train, tune and calibrate.
    """
    rest = np.sort(np.concatenate([blocks.rows[name] for name in BEFORE_TEST]))
    folds: list[Fold] = []
    while len(folds) < MOST_FOLDS and len(rest):
        cut = split(snapshots.take(rest), seed=seed)
        if not cut.complete:
            break
        stop = np.concatenate([cut.rows["tune"], cut.rows["calibrate"]])
        folds.append(Fold(rest[cut.rows["train"]], rest[stop], rest[cut.rows["test"]]))
        rest = rest[: int(cut.rows["test"][0])]
    own = Fold(*(blocks.rows[name] for name in BEFORE_TEST))
    return folds or [own]


@dataclass(frozen=True)
class Objective:
    """The folds with their features, ready to be learnt from with any parameters."""

    project: Project
    seed: int
    categorical: Sequence[int]
    folds: tuple[tuple[Block, Block, Block], ...]

    @classmethod
    def of(cls, snapshots: Snapshots, blocks: Blocks, learnt: Learnt, *, seed: int) -> Objective:
        """Take features and folds of a project's snapshots."""
        parts = []
        for number, fold in enumerate(forward_folds(snapshots, blocks, seed=seed)):
            learn, stop, judge = (block(snapshots, learnt.matrix, rows) for rows in (fold.learn, fold.stop, fold.judge))
            for part, rows in enumerate((learn, stop)):
                forget_company(rows.matrix, learnt.plan.company, seed=(seed, 2 * number + part))
            parts.append((learn, stop, judge))
        return cls(snapshots.data.project, seed, learnt.plan.categorical, tuple(parts))

    def losses(self, parameters: Mapping[str, Any]) -> Iterator[float]:
        """Yield the log-loss of each fold, the latest first: weighted, after the best shift of the level.

        The shift, because calibration sets the level anyway, and a base rate that drifts between what stops and what
        judges must not choose the parameters.
        """
        chosen = settings(self.project, parameters)
        for learn, stop, judge in self.folds:
            trees = booster.train(learn, stop, categorical=self.categorical, parameters=chosen, seed=self.seed)
            yield float(np.average(losses_at_best_level(trees, [judge]), weights=judge.weight))
