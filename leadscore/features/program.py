"""From the features of a plan to what a kernel runs: blocks, look-ups, cells.

Built in two steps. `compile_table` depends on the plan alone and is done once; `Program.lookups` depends on the
vocabulary of the data at hand and is done for every table that is read, or every request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leadscore import time
from leadscore.eventlog import EventLog
from leadscore.features import kernels
from leadscore.features.names import MISSING, OTHER, FeatureName
from leadscore.features.primitives import EVENT_PRIMITIVES, Subject
from leadscore.project import EventsSpec

Slots = dict[str, int]
"""Category → slot; `OTHER` catches what isn't named, where it is a slot."""


def subject_of(name: FeatureName, spec: EventsSpec) -> Subject:
    """What an event feature is taken of."""
    if name.column is None:
        return "any"
    if name.category is not None:
        return "category"
    return "categorical" if name.column in spec.categorical else "numeric"


@dataclass(frozen=True)
class _Step:
    kernel: int
    column: int
    base: int
    slots: Slots
    n_windows: int


@dataclass(frozen=True)
class Program:
    """Everything `kernels.fill` needs for one table, but the look-ups."""

    table: str
    windows: NDArray[np.int64]
    steps: tuple[_Step, ...]
    sources: NDArray[np.int64]
    targets: NDArray[np.int64]
    n_cells: int

    def run(
        self,
        log: EventLog,
        lead: NDArray[np.int64],
        cutoff: time.Instants,
        row: NDArray[np.int64],
        out: NDArray[np.floating],
        bound: tuple[NDArray[np.int64], NDArray[np.int32]],
    ) -> None:
        """Fill this table's columns of `out` for the given rows; `bound` comes from `bind`."""
        kernels.fill(
            lead, cutoff, row, log.offsets, log.time, log.known, log.codes, log.values,
            self.windows, *bound, self.sources, self.targets, self.n_cells, out,
        )  # fmt: skip

    def bind(
        self, vocabularies: Sequence[Sequence[str]], kept: Mapping[int, frozenset[str]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Steps and look-ups for the vocabularies of a log; `kept` names each column's own categories."""
        steps = np.empty((len(self.steps), 6), dtype=np.int64)
        lookups: list[int] = []
        for position, step in enumerate(self.steps):
            row = (step.kernel, step.column, step.base, len(step.slots), step.n_windows, len(lookups))
            steps[position] = row
            if step.slots:
                lookups += _lookup(step, vocabularies[step.column], kept.get(step.column, frozenset()))
        return steps, np.array(lookups or [0], dtype=np.int32)


def _lookup(step: _Step, vocabulary: Sequence[str], kept: frozenset[str]) -> list[int]:
    """Slot of null and of every word; a word that is kept, but has no slot of its own, isn't OTHER."""
    slots, other = step.slots, step.slots.get(OTHER, -1)
    found = [slots.get(MISSING, -1)]
    for word in vocabulary:
        slot = slots.get(word, -1) if word not in (MISSING, OTHER) else -1
        found.append(slot if slot >= 0 or word in kept else other)
    return found


def compile_table(
    spec: EventsSpec,
    features: Sequence[tuple[int, FeatureName]],
    categories: Mapping[str, tuple[str, ...]],
) -> Program:
    """Lay out the blocks for a table's features, given as (column of the matrix, name).

    Parameters
    ----------
    categories : the categories of each column that has categorical features, in the order of their codes
    """
    windows = sorted({time.parse_window(name.window) for _, name in features if name.window})
    n_windows = {True: len(windows), False: 1}
    # (other) has a block of its own: a category outside the kept top, where the plan names it, is part of both
    blocks: dict[tuple[int, int, bool], list[tuple[int, FeatureName]]] = {}
    for target, name in features:
        kernel = EVENT_PRIMITIVES[name.op].subjects[subject_of(name, spec)]
        blocks.setdefault((kernel, _column(name, spec), name.category == OTHER), []).append((target, name))
    steps: list[_Step] = []
    cells: list[tuple[int, int]] = []
    base = 0
    for (kernel, column, _), members in sorted(blocks.items()):
        windowed = EVENT_PRIMITIVES[members[0][1].op].windowed
        slots = _slots(kernel, members, categories)
        fields = kernels.FIELDS[kernel]
        steps.append(_Step(kernel, column, base, slots, n_windows[windowed]))
        for target, name in members:
            slot = slots[name.category] if name.category is not None else 0
            window = windows.index(time.parse_window(name.window)) if name.window else 0
            cell = (slot * len(fields) + fields.index(name.op)) * n_windows[windowed] + window
            cells.append((base + cell, target))
        base += max(len(slots), 1) * len(fields) * n_windows[windowed]
    sources, targets = np.array(cells, dtype=np.int64).reshape(-1, 2).T
    return Program(
        spec.name,
        np.array(windows, dtype=np.int64),
        tuple(steps),
        np.ascontiguousarray(sources),
        np.ascontiguousarray(targets),
        base,
    )


def _column(name: FeatureName, spec: EventsSpec) -> int:
    if name.column is None:
        return 0
    columns = spec.categorical if name.column in spec.categorical else spec.numeric
    return columns.index(name.column)


def _slots(kernel: int, members: list[tuple[int, FeatureName]], categories: Mapping[str, tuple[str, ...]]) -> Slots:
    if kernel == kernels.SEQUENCE:
        return {word: code for code, word in enumerate(categories[str(members[0][1].column)])}
    words = sorted({name.category for _, name in members if name.category is not None})
    return {word: slot for slot, word in enumerate(words)}
