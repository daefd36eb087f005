"""What a plan learns of categories: which were seen, and which are common enough to have a code of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from leadscore import time
from leadscore.features import lead_kernels
from leadscore.features.names import MISSING, OTHER, encode
from leadscore.project import EventsSpec
from leadscore.tables import Cutoffs, Data

SEEN_CATEGORIES = 10_000
"""How many categories of a column are remembered as seen in training, commonest first."""


_SHORT, _MOST_REMEMBERED = 8, 1_024
"""Words of a vocabulary, as that of one lead, that is looked up once and remembered; and how many are."""


class Remembered(dict[tuple[str, ...], list[int]]):
    """What was found of vocabularies, short ones once for all; when full it forgets all."""

    def __init__(self, find: Callable[[tuple[str, ...]], list[int]]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, vocabulary: tuple[str, ...]) -> list[int]:
        found = self._find(vocabulary)
        if len(vocabulary) <= _SHORT:
            if len(self) >= _MOST_REMEMBERED:
                self.clear()
            self[vocabulary] = found
        return found


@dataclass(frozen=True)
class Learnt:
    """What `fit` learnt of one categorical column: categories seen, commonest first; the first `most` are kept."""

    seen: tuple[str, ...]
    has_missing: bool
    most: int

    @property
    def kept(self) -> tuple[str, ...]:
        """The commonest categories, those that have a code of their own."""
        return self.seen[: self.most]

    @cached_property
    def known(self) -> frozenset[str]:
        """The categories seen, to look one up."""
        return frozenset(self.seen)

    @cached_property
    def rank(self) -> dict[str, int]:
        """The code of every kept category."""
        return {word: code for code, word in enumerate(self.kept)}

    @cached_property
    def codes_of(self) -> Mapping[tuple[str, ...], list[int]]:
        """The code of null and of every word, by vocabulary; what short ones gave is remembered."""
        return Remembered(self._codes_of)

    def _codes_of(self, vocabulary: tuple[str, ...]) -> list[int]:
        other = len(self.rank)
        return [other + 1, *[self.rank.get(word, other) for word in vocabulary]]

    @property
    def codes(self) -> tuple[str, ...]:
        """Categories in the order of their codes: the kept ones, then (other), then (missing)."""
        return (*self.kept, OTHER, MISSING)


@cache
def key_of(table: str, column: str) -> str:
    """Return the name under which a column's categories are kept: ``touchpoints.channel``, ``lead.source``."""
    return f"{encode(table)}.{encode(column)}"


def learn(data: Data, asked: Cutoffs) -> dict[str, Learnt]:
    """Learn every categorical column from the rows visible at these cutoffs, and from no other.

    An event row counts once if it is visible at any of its lead's cutoffs; a profile counts once per lead, as it stood
    at the lead's last cutoff. Ties go to the alphabetically first.
    """
    leads, last = _last_cutoffs(asked)
    once = Cutoffs(leads, last)
    seen = seen_events(data, once) if data.elsewhere is None else data.elsewhere.seen(once)
    most = data.project.features.categories
    return _learn_profiles(data, leads, last) | {key: _ranked(*found, most) for key, found in seen.items()}


Seen = tuple[Mapping[str, int], int]
"""How many rows have each category, and how many have none: adds up over leads."""


def seen_events(data: Data, asked: Cutoffs) -> dict[str, Seen]:
    """Count the categories of every column of events; each lead is asked about once."""
    seen: dict[str, Seen] = {}
    for spec in data.project.events:
        seen |= _seen_events(data, spec, asked.lead, asked.at)
    return seen


def prior_win_rate(data: Data, asked: Cutoffs) -> float:
    """Return the share won of all leads that were resolved before the latest of these cutoffs, one of two added."""
    latest = int(asked.at.max()) if len(asked) else time.NEVER
    spans = data.company.spans
    n_won, n_resolved = (int(np.count_nonzero(spans[tally][0] < latest)) for tally in ("won", "resolved"))
    return (n_won + 1) / (n_resolved + 2)


def _last_cutoffs(asked: Cutoffs) -> tuple[NDArray[np.int64], time.Instants]:
    """Return each lead that is asked about, and its last cutoff."""
    leads, position = np.unique(asked.lead, return_inverse=True)
    last = np.full(len(leads), time.NEVER, dtype=np.int64)
    np.maximum.at(last, position, asked.at)
    return leads, last


def _learn_profiles(data: Data, leads: NDArray[np.int64], last: time.Instants) -> dict[str, Learnt]:
    version = np.empty(len(leads), dtype=np.int64)
    lead_kernels.version_at(leads, last, data.leads.offsets, data.leads.known, version)
    known = version >= 0
    learnt = {}
    for position, column in enumerate(data.project.leads.categorical):
        codes = np.where(known, data.leads.codes[position, version], -1)
        seen = _counted(codes, data.leads.vocabularies[position])
        learnt[key_of("lead", column)] = _ranked(*seen, data.project.features.categories)
    return learnt


def _seen_events(data: Data, spec: EventsSpec, leads: NDArray[np.int64], last: time.Instants) -> dict[str, Seen]:
    log = data.logs[spec.name]
    cutoff_of_lead = np.full(len(data.leads.ids), time.NEVER, dtype=np.int64)
    cutoff_of_lead[leads] = last
    cutoff = cutoff_of_lead[log.lead_of_rows()]
    seen = time.visible(log.time, log.known, cutoff)
    return {
        key_of(spec.name, column): _counted(log.codes[position, seen], log.vocabularies[position])
        for position, column in enumerate(spec.categorical)
    }


def _counted(codes: NDArray[np.int32], vocabulary: Sequence[str]) -> Seen:
    counts = np.bincount(codes + 1, minlength=len(vocabulary) + 1).tolist()
    # data that use our words: never a category of their own
    words = {word: n for word, n in zip(vocabulary, counts[1:], strict=True) if n and word not in (MISSING, OTHER)}
    return words, counts[0]


def _ranked(words: Mapping[str, int], n_missing: int, most: int) -> Learnt:
    commonest = sorted(words, key=lambda word: (-words[word], word))[:SEEN_CATEGORIES]
    return Learnt(tuple(commonest), bool(n_missing), most)
