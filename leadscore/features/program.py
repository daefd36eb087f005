"""From the features of a plan to what a kernel runs: blocks, look-ups, cells.

Built in two steps. `compile_table` depends on the plan alone and is done once; `Program.bind` depends on the
vocabulary of the data at hand and is done for every table that is read, or every request, so it does little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from leadscore import time
from leadscore.company import AccountLog
from leadscore.contacts import Sides, sides
from leadscore.eventlog import EventLog
from leadscore.features import kernels
from leadscore.features.learning import Learnt, Remembered
from leadscore.features.names import MISSING, OTHER, FeatureName
from leadscore.features.primitives import EVENT_PRIMITIVES, Subject
from leadscore.project import EventsSpec

Slots = dict[str, int]
"""Category → slot; `OTHER` catches what isn't named, where it is a slot."""

Clock = tuple[time.Instants, NDArray[np.int64]]
Bound = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]
"""Where each look-up starts, how many words each column has, and the look-ups one after the other."""

_NOBODY = AccountLog.empty().arrays
_NO_ACCOUNT = np.empty(0, dtype=np.int64)
_NO_SIDES = np.empty(0, dtype=np.int8)


def subject_of(name: FeatureName, spec: EventsSpec) -> Subject:
    """What an event feature is taken of."""
    if name.column is None:
        return "any"
    if name.category is not None:
        return "category"
    return "categorical" if name.column in spec.categorical else "numeric"


@dataclass(frozen=True)
class _Lookup:
    """What becomes of a column's words: the slot of a category."""

    column: int
    slots: Slots
    kept: Sequence[str] = ()

    @cached_property
    def of(self) -> Mapping[tuple[str, ...], list[int]]:
        """Slot of null and of every word, by vocabulary; what short ones gave is remembered."""
        return Remembered(self._of)

    def _of(self, vocabulary: tuple[str, ...]) -> list[int]:
        slot_of, other = self._slot_of, self.slots.get(OTHER, -1)
        return [self.slots.get(MISSING, -1), *[slot_of.get(word, other) for word in vocabulary]]

    @cached_property
    def _slot_of(self) -> Slots:
        """Slots of all words but those that are OTHER; a word that is kept has none, if not of its own."""
        own = {word: slot for word, slot in self.slots.items() if word not in (MISSING, OTHER)}
        return {**dict.fromkeys(self.kept, -1), **own}


Content = Literal["none", "words", "other", "codes"]
"""What a step looks up. (other) has slots of its own: a category outside the kept top is part of both."""

_CONTENTS: dict[int, Content] = {
    kernels.COUNT_BY: "words",
    kernels.RECENCY_BY: "words",
    kernels.DECAY_BY: "words",
    kernels.SEQUENCE: "codes",
}


@dataclass(frozen=True)
class Program:
    """Everything `kernels.fill` needs for one table, but the look-ups; `spec` is the table's declaration."""

    spec: EventsSpec
    of_account: bool
    windows: NDArray[np.int64]
    half_lives: NDArray[np.float64]
    steps: NDArray[np.int64]
    lookups: tuple[_Lookup, ...]
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
        bound: Bound,
        sides: Sides,
        clock: Clock,
        others: tuple[AccountLog, NDArray[np.int64]] | None = None,
    ) -> None:
        """Fill this table's columns of `out` for the given rows; `bound` comes from `bind`, `sides` from `sides_of`.

        `others` are the table's events by account, and the account of each row as of its cutoff.
        """
        company, account = (_NOBODY, _NO_ACCOUNT) if others is None else (others[0].arrays, others[1])
        kernels.fill(
            lead, cutoff, row, account, log.offsets, log.time, log.known, log.codes, log.values, sides, company, clock,
            self.windows, self.half_lives, self.steps, *bound, self.sources, self.targets, self.n_cells, out,
        )  # fmt: skip

    def sides_of(self, log: EventLog) -> Sides:
        """Who spoke in each event of a log; nothing where no feature asks."""
        return sides(self.spec, log) if self._replies else _NO_SIDES

    @cached_property
    def _replies(self) -> bool:
        return bool((self.steps[:, 0] == kernels.REPLY).any())

    def bind(self, vocabularies: Sequence[tuple[str, ...]]) -> Bound:
        """Look-ups for the vocabularies of a log."""
        lookups: list[int] = []
        starts = [0]
        for lookup in self.lookups:
            lookups += lookup.of[vocabularies[lookup.column]]
            starts.append(len(lookups))
        n_words = np.array([*map(len, vocabularies)], dtype=np.int64)
        return np.array(starts, dtype=np.int64), n_words, np.array(lookups, dtype=np.int32)


def compile_table(
    spec: EventsSpec,
    features: Sequence[tuple[int, FeatureName]],
    learnt: Mapping[str, Learnt],
    *,
    of_account: bool = False,
) -> Program:
    """Lay out the blocks for a table's features, given as (column of the matrix, name).

    Parameters
    ----------
    learnt : what was learnt of columns, of those that have categorical features in any case
    of_account : whether the features are of the account's other leads
    """
    spans = {"window": "window", "finite": "window", "half-life": "half-life", "none": "none"}
    lengths: dict[str, list[int]] = {"window": [], "half-life": [], "none": [0]}
    for kind in ("window", "half-life"):
        found = {time.parse_window(str(name.window)) for _, name in features if spans[_span(name)] == kind}
        lengths[kind] = sorted(found)
    blocks: dict[tuple[int, int, Content], list[tuple[int, FeatureName]]] = {}
    for target, name in features:
        blocks.setdefault(_block_of(name, spec), []).append((target, name))
    lookups: dict[tuple[int, Content], _Lookup] = {}
    for _, column, content in sorted(blocks):
        if content != "none" and (column, content) not in lookups:
            members = [name for key, block in blocks.items() if key[1:] == (column, content) for _, name in block]
            lookups[column, content] = _lookup(column, content, members, spec, learnt)
    steps, cells = [], []
    base = 0
    for (kernel, column, content), block in sorted(blocks.items()):
        slots = lookups[column, content].slots if content != "none" else {}
        spans_of_block = lengths[spans[_span(block[0][1])]]
        fields = kernels.FIELDS[kernel]
        has_mean = kernel == kernels.AMOUNTS and any(name.op in ("mean", "std") for _, name in block)
        lookup = list(lookups).index((column, content)) if content != "none" else 0
        steps.append((kernel, column, base, len(slots) + has_mean, len(spans_of_block), lookup))
        for target, name in block:
            slot = slots[name.category] if name.category is not None else 0
            span = spans_of_block.index(time.parse_window(name.window) if name.window else 0)
            cell = (slot * len(fields) + fields.index(name.op)) * len(spans_of_block) + span
            cells.append((base + (span * len(slots) + slot if kernel == kernels.COUNT_BY else cell), target))
        n_slots = 1 if content in ("codes", "none") else len(slots)
        base += n_slots * len(fields) * len(spans_of_block)
    sources, targets = np.array(cells, dtype=np.int64).reshape(-1, 2).T
    return Program(
        spec,
        of_account,
        np.array(lengths["window"], dtype=np.int64),
        np.array(lengths["half-life"], dtype=np.float64),
        np.array(steps, dtype=np.int64).reshape(-1, 6),
        tuple(lookups.values()),
        np.ascontiguousarray(sources),
        np.ascontiguousarray(targets),
        base,
    )


def _span(name: FeatureName) -> str:
    return EVENT_PRIMITIVES[name.op].span


def _block_of(name: FeatureName, spec: EventsSpec) -> tuple[int, int, Content]:
    """Which kernel computes a feature, from which column, looking up what."""
    kernel = EVENT_PRIMITIVES[name.op].subjects[subject_of(name, spec)]
    content = _CONTENTS.get(kernel, "none")
    if content == "words" and name.category == OTHER:
        content = "other"
    if name.column is None:
        return kernel, 0, content
    columns = spec.categorical if name.column in spec.categorical else spec.numeric
    return kernel, columns.index(name.column), content


def _lookup(
    column: int,
    content: Content,
    members: Sequence[FeatureName],
    spec: EventsSpec,
    learnt: Mapping[str, Learnt],
) -> _Lookup:
    name = spec.categorical[column]
    if content == "codes":
        words: Sequence[str] = learnt[name].codes
    else:
        words = sorted({name.category for name in members if name.category is not None})
    kept = learnt[name].kept if name in learnt else ()
    return _Lookup(column, {word: slot for slot, word in enumerate(words)}, kept)
