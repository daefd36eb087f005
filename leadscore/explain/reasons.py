"""Effects of features → a few reasons that a person can read.

Features that say one thing (the same events through several windows, how often and how long ago) are one reason: their
effects are added before anything is ranked. All groups together, and the base, sum to the margin.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadscore import time
from leadscore.explain.choosing import HARD, PLAIN, PLAIN_UNLESS_ZERO, add_up, choose, speaker
from leadscore.features.names import FeatureName
from leadscore.features.plan import FeaturePlan
from leadscore.features.primitives import EVENT_PRIMITIVES, LEAD_PRIMITIVES, RESPONSE, SIDE_OF_ROLE, family_of
from leadscore.features.voice import Usual, Voice
from leadscore.features.words import Words

NOISE = 0.01
"""Effects smaller than this, in log-odds, are no reason: they move the odds by less than 1 %."""


_MOST_REMEMBERED = 512
"""Values of a column of which what is said is remembered."""
HARD_TO_READ = ("min", "std", "entropy", "gap_std", "decay")
"""Ops that speak for their group only where no other does."""


def group_of(name: FeatureName) -> tuple[str, ...]:
    """Return what a feature is about: events of a kind, a column of them, one profile field, the company's past."""
    if name.table == "lead":
        return ("lead", str(name.column))
    if name.table in SIDE_OF_ROLE:
        return (name.table, family_of(name))
    if str(name) in LEAD_PRIMITIVES:
        return (name.table, name.op)
    if name.op in RESPONSE:
        return (name.table, "", "replies")
    return tuple(part for part in (name.scope, name.table, name.column, name.category) if part is not None)


@dataclass(frozen=True)
class Reasons:
    """Groups of a plan's features, and how their effects become reasons.

    Attributes
    ----------
    words : how features read
    usual : by name of the feature, what most leads have; nothing is compared where it isn't known
    """

    plan: FeaturePlan
    words: Words = field(default_factory=Words)
    usual: Mapping[str, Usual] = field(default_factory=dict)

    @cached_property
    def voices(self) -> list[Voice]:
        """The features of the plan as they speak, in its order."""
        return [self.words.voice(name, self.usual.get(str(name))) for name in self.plan.features]

    @cached_property
    def _names(self) -> list[str]:
        return self.plan.names

    @cached_property
    def members(self) -> list[NDArray[np.int64]]:
        """Columns of the plan that make up each group, in the order of `group_names`."""
        members: dict[tuple[str, ...], list[int]] = {}
        for column, name in enumerate(self.plan.features):
            members.setdefault(group_of(name), []).append(column)
        return [np.array(columns) for columns in members.values()]

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        return np.concatenate(self.members) if self.members else np.empty(0, dtype=np.int64)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.cumsum([0, *(len(columns) for columns in self.members[:-1])])

    @cached_property
    def _layout(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8]]:
        """Members of all groups, where each group begins, and which members say what a seller would say."""
        ops = [self.plan.features[column].op for column in self._order]
        plain = np.array([_how_plain(op) for op in ops], dtype=np.int8)
        return self._order, np.append(self._starts, len(self._order)), plain

    @cached_property
    def _of_side(self) -> dict[str, NDArray[np.int64]]:
        """Groups whose story is that of each side."""
        sides = np.array([self.plan.side(self.plan.features[columns[0]]) for columns in self.members])
        return {side: np.flatnonzero(sides == side) for side in ("fit", "intent", "context")}

    def group_names(self) -> list[str]:
        """Return what each group is about, in words: ``webinar touchpoints``, ``minutes of interactions``."""
        return [self.words.topic(self.plan.features[columns[0]]) for columns in self.members]

    def by_column(self, groups: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return of every column of the plan the effects of its group: (n, n_groups) → (n, n_features)."""
        group = np.repeat(np.arange(len(self.members)), [len(columns) for columns in self.members])
        return groups[:, group[np.argsort(self._order)]]

    def by_name(self, groups: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return effects, (…, n_groups), by what the groups are about; those that a project calls alike are added."""
        found: dict[str, NDArray[np.float64]] = {}
        for name, effects in zip(self.group_names(), np.moveaxis(groups, -1, 0), strict=True):
            found[name] = found[name] + effects if name in found else effects
        return found

    def text(self, column: int, value: float, *, compare: bool = False) -> str:
        """Say what a column of the plan's matrix holds; with what is usual, where that helps."""
        return self._said(column, value, self.category(column, value), compare)

    def category(self, column: int, value: float) -> str | None:
        """Return the category behind a value, None of numbers and of NaN."""
        return self.plan.category(self.plan.features[column], value) if column in self._categorical else None

    def _said(self, column: int, value: float, category: str | None, compare: bool, named: str | None = None) -> str:
        if column in self._rates and self.plan.is_average(self.plan.features[column], value):
            value = math.nan
        return self.voices[column].say(value, category, compare=compare, named=named)

    def _is_young(self, matrix: NDArray[Any], row: int, column: int, value: float) -> bool:
        """Whether a lead with nothing in a window hasn't been there as long: "in the last 90 days" would mislead."""
        days = self._days_of_window.get(column)
        return days is not None and not value > 0 and bool(matrix[row, self._age] < days)

    @cached_property
    def _days_of_window(self) -> dict[int, float]:
        """Of columns that look at a lead's own events in a window its length in days, where the plan has its age."""
        features = enumerate(self.plan.features if self._age >= 0 else ())
        windows = {column: name.window for column, name in features if name.scope is None and _is_windowed(name)}
        return {column: time.parse_window(window) / time.DAY for column, window in windows.items() if window}

    @cached_property
    def _age(self) -> int:
        """The column of a lead's age in days, −1 if there is none."""
        return next((column for column, name in enumerate(self._names) if name == "profile.age"), -1)

    @cached_property
    def _young_voices(self) -> dict[int, Voice]:
        return {column: self.words.voice(self.plan.features[column], young=True) for column in self._days_of_window}

    @cached_property
    def _rates(self) -> frozenset[int]:
        """Columns whose average stands for nothing known."""
        prior = self.plan.prior
        features = enumerate(self.plan.features)
        return frozenset(column for column, name in features if prior is not None and self.plan.is_average(name, prior))

    @cached_property
    def _common(self) -> dict[int, int]:
        """Of columns that count other leads of an origin or owner, the column that names it, where the plan has it."""
        place = {name.column: column for column, name in enumerate(self.plan.features) if name.table == "lead"}
        features = enumerate(self.plan.features)
        asked = {column: self.words.roles.get(name.table) for column, name in features if name.table in SIDE_OF_ROLE}
        return {column: place[role] for column, role in asked.items() if role in place}

    @cached_property
    def _categorical(self) -> frozenset[int]:
        return frozenset(self.plan.categorical)

    def group_effects(self, contributions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up effects by group: (n, n_features + 1) → (n, n_groups), without the base."""
        if not self.members:
            return np.empty((len(contributions), 0))
        return np.asarray(np.add.reduceat(contributions.take(self._order, axis=1), self._starts, axis=1))

    def side_effects(self, group_effects: NDArray[np.float64], side: str) -> NDArray[np.float64]:
        """Return the part of each margin, (n,), that one side tells: fit, intent or context."""
        found = np.empty(len(group_effects))
        add_up(group_effects, self._of_side[side], found)
        return found

    def of_rows(
        self,
        matrix: NDArray[Any],
        contributions: NDArray[np.float64],
        group_effects: NDArray[np.float64],
        n_reasons: int,
    ) -> list[list[dict[str, Any]]]:
        """Return the strongest reasons of each lead, strongest first.

        If all of them point one way, the strongest of the other way, where there is one, takes the last place, so that
        both sides are heard.
        """
        reason = self._reason
        return [
            [reason(matrix, row, *one) for one in zip(*told, strict=True) if one[0] >= 0]
            for row, told in enumerate(self._chosen(matrix, contributions, group_effects, n_reasons))
        ]

    def json_of_rows(
        self,
        matrix: NDArray[Any],
        contributions: NDArray[np.float64],
        group_effects: NDArray[np.float64],
        n_reasons: int,
    ) -> list[str]:
        """Return the same, those of each lead as the text that ``json.dumps`` writes of them, many times faster.

        On a list the same is said of many leads: all but the effect is then written once.
        """
        begun = self._begun
        reasons = (
            [f"{begun(matrix, row, *one)}{one[2]!r}}}" for one in zip(*told, strict=True) if one[0] >= 0]
            for row, told in enumerate(self._chosen(matrix, contributions, group_effects, n_reasons))
        )
        return [f"[{', '.join(of_lead)}]" for of_lead in reasons]

    def _chosen(
        self,
        matrix: NDArray[Any],
        contributions: NDArray[np.float64],
        group_effects: NDArray[np.float64],
        n_reasons: int,
    ) -> Iterator[tuple[list[int], list[float], list[float]]]:
        """Yield of each lead the columns that speak, strongest first, −1 for none; their values; and the effects."""
        shape = (len(matrix), min(n_reasons, len(self.members)))
        speakers, values, effects = np.empty(shape, dtype=np.int64), np.empty(shape), np.empty(shape)
        choose(group_effects, matrix, contributions, *self._layout, NOISE, speakers, values, effects)
        return zip(speakers.tolist(), values.tolist(), effects.tolist(), strict=True)

    def all_of_row(
        self, values: NDArray[Any], contributions: NDArray[np.float64], group_effects: NDArray[np.float64]
    ) -> list[dict[str, Any]]:
        """Return every group of one lead as a reason, in the order of the plan, noise included; nothing is compared."""
        reasons = []
        for group, effect in enumerate(group_effects.tolist()):
            column = int(speaker(group, effect, values, contributions, *self._layout))
            reasons.append(self._reason(values[None], 0, column, float(values[column]), effect, compare=False))
        return reasons

    def _begun(self, matrix: NDArray[Any], row: int, column: int, value: float, effect: float) -> str:
        """Write a reason as JSON up to its effect, or find what was written of such a one."""
        common = self._common.get(column)
        shared = None if common is None else float(matrix[row, common])
        key = (None if value != value else value, shared, effect > 0, self._is_young(matrix, row, column, value))
        known = self._written[column]
        text = known.get(key)
        if text is None:
            reason = self._reason(matrix, row, column, value, effect)
            del reason["effect"]
            text = f'{json.dumps(reason, ensure_ascii=False)[:-1]}, "effect": '
            if len(known) < _MOST_REMEMBERED:
                known[key] = text
        return text

    @cached_property
    def _written(self) -> list[dict[tuple[float | None, float | None, bool, bool], str]]:
        return [{} for _ in self.plan.features]

    def _reason(
        self, matrix: NDArray[Any], row: int, column: int, value: float, effect: float, compare: bool = True
    ) -> dict[str, Any]:
        category = self.category(column, value)
        common, usual = self._common.get(column), self.voices[column].usual
        named = None if common is None else self.category(common, float(matrix[row, common]))
        compare = compare and (usual is None or usual.speaks_with(value, effect))
        if self._is_young(matrix, row, column, value):
            text = self._young_voices[column].say(value)
        else:
            text = self._said(column, value, category, compare, named)
        return {
            "feature": self._names[column],
            "value": category if category is not None else json_number(value),
            "text": text,
            "effect": effect,
        }


def _is_windowed(name: FeatureName) -> bool:
    primitive = EVENT_PRIMITIVES.get(name.op)
    return primitive is not None and primitive.span == "window" and name.window != "all"


def _how_plain(op: str) -> int:
    if op == "trend":  # one of 0 doesn't tell nothing at all from as much as ever
        return PLAIN_UNLESS_ZERO
    return HARD if op in HARD_TO_READ else PLAIN


def json_number(value: float) -> float | int | None:
    """Return a number as JSON can hold it: NaN is null, whole numbers have no point."""
    if value != value:
        return None
    return int(value) if value.is_integer() else value


def describe(reasons: Sequence[dict[str, Any]]) -> str:
    """Return reasons as one line for people: ``+ 2 webinar touchpoints in the last 30 days; − …``."""
    return "; ".join(f"{'+' if reason['effect'] > 0 else '−'} {reason['text']}" for reason in reasons)
