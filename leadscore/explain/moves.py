"""What moved a margin between two states of one lead, group by group of features, like compared with like."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadscore.explain.reasons import HARD_TO_READ, Reasons, group_of
from leadscore.features.plan import FeaturePlan


@dataclass(frozen=True)
class Move:
    """How much one group of features added to the margin before and after, and how one feature of it read.

    Attributes
    ----------
    about : what the group is about, in words
    feature : the feature that speaks for it, the same before and after; None for the base
    before, after : its value in words; equal where nothing that can be said of the group changed
    effect_before, effect_after : of the whole group, in log-odds; 0 in a model that doesn't have the group
    """

    about: str
    feature: str | None
    before: str
    after: str
    effect_before: float
    effect_after: float

    @property
    def effect(self) -> float:
        """By how much the group moved the margin, in log-odds."""
        return self.effect_after - self.effect_before

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        fields = ("about", "feature", "before", "after", "effect_before", "effect_after", "effect")
        return {field: getattr(self, field) for field in fields}


@dataclass(frozen=True)
class Explained:
    """A lead's states under one model: features (n_states, n_features), effects (n_states, n_features + 1)."""

    reasons: Reasons
    matrix: NDArray[Any]
    effects: NDArray[np.float64]

    @property
    def plan(self) -> FeaturePlan:
        """The plan whose features they are."""
        return self.reasons.plan

    @cached_property
    def groups(self) -> NDArray[np.float64]:
        """Effects by group, (n_states, n_groups)."""
        return self.reasons.group_effects(self.effects)

    def said(self, state: int, column: int) -> str:
        """Say the value of a feature in a state."""
        return self.reasons.text(column, float(self.matrix[state, column]))

    def about(self, group: int) -> str:
        """Say what a group is about."""
        return self.reasons.words.topic(self.plan.features[self.reasons.members[group][0]])

    def strongest(self, group: int, pull: NDArray[np.float64]) -> list[int]:
        """Return the columns of a group: plain ones that pull first, then others that pull, then the rest."""
        columns = self.reasons.members[group]
        plain = np.array([self.plan.features[column].op not in HARD_TO_READ for column in columns])
        order = np.lexsort((-pull, ~plain, pull <= 0))
        return [int(column) for column in columns[order]]


def moves_between(explained: Explained, before: int, after: int) -> tuple[Move, ...]:
    """Compare two states under one model, largest move first; the moves add up to the change of margin.

    A group speaks through the feature that moved most the way the group did, of those that read otherwise now; where
    none does (the group counts differently beside what else changed) through the one that moved most.
    """
    change = explained.groups[after] - explained.groups[before]
    return _by_size([_move(explained, int(group), before, after) for group in np.flatnonzero(change)])


def moves_of_models(before: Explained, after: Explained) -> tuple[Move, ...]:
    """Compare the last states of two models: one state of one lead, so that only what it counts for has changed.

    Groups are matched by what they are about; one that a model doesn't have adds nothing there. The base is a move of
    its own. Together they are the change of margin.
    """
    found = [Move("where every lead starts", None, "", "", float(before.effects[-1, -1]), float(after.effects[-1, -1]))]
    groups = [
        {group_of(side.plan.features[columns[0]]): group for group, columns in enumerate(side.reasons.members)}
        for side in (before, after)
    ]
    for about in dict.fromkeys([*groups[1], *groups[0]]):
        effects = [
            float(side.groups[-1, own[about]]) if about in own else 0.0
            for side, own in zip((before, after), groups, strict=True)
        ]
        speaker, own = (after, groups[1]) if about in groups[1] else (before, groups[0])
        group = own[about]
        pull = np.abs(speaker.effects[-1, speaker.reasons.members[group]])
        column = speaker.strongest(group, pull)[0]
        said = speaker.said(-1, column)
        found.append(Move(speaker.about(group), str(speaker.plan.features[column]), said, said, *effects))
    return _by_size([move for move in found if move.effect])


def _move(explained: Explained, group: int, before: int, after: int) -> Move:
    columns = explained.reasons.members[group]
    first, then = float(explained.groups[before, group]), float(explained.groups[after, group])
    pull = np.sign(then - first) * (explained.effects[after, columns] - explained.effects[before, columns])
    ranked = explained.strongest(group, pull)
    speaker = ranked[0]
    said = explained.said(before, speaker), explained.said(after, speaker)
    for column in ranked:
        if not np.array_equal(explained.matrix[before, column], explained.matrix[after, column], equal_nan=True):
            texts = explained.said(before, column), explained.said(after, column)
            if texts[0] != texts[1]:
                speaker, said = column, texts
                break
    return Move(explained.about(group), str(explained.plan.features[speaker]), *said, first, then)


def _by_size(moves: list[Move]) -> tuple[Move, ...]:
    return tuple(sorted(moves, key=lambda move: -abs(move.effect)))
