"""The reference population: where a lead stands among those that the model was calibrated and tested on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from leadscore.explain import usual
from leadscore.features.voice import Usual

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """A weighted sample of one quantity: distinct values ascending, and the weight at each."""

    values: Floats
    weights: Floats

    @classmethod
    def of(cls, values: Floats, weights: Floats) -> Reference:
        """Collect the distinct values."""
        distinct, position = np.unique(values, return_inverse=True)
        return cls(distinct, np.bincount(position, weights, minlength=len(distinct)).astype(np.float64))

    @property
    def varies(self) -> bool:
        """Whether it tells anybody from anybody else: what the model doesn't look at is one value for all."""
        return len(self.values) > 1

    @cached_property
    def _percentiles(self) -> Floats:
        """Of what lies before the first value, of that value, of what lies between it and the second, and so on."""
        upto = np.concatenate([[0.0], np.cumsum(self.weights)])
        below, with_ties = np.repeat(upto, 2)[:-1], np.repeat(upto, 2)[1:]
        return np.asarray(100.0 * (below + with_ties) / 2.0 / upto[-1])

    @cached_property
    def _scores(self) -> NDArray[np.int64]:
        return np.floor(self._percentiles + 0.5).astype(np.int64)

    def percentile(self, values: Floats) -> Floats:
        """Return the mid-rank percentile, 0 to 100, of each value: weight below plus half the weight that ties.

        Of an empty reference everything is 50.
        """
        found = np.full(len(values), 50.0)
        if len(self.values):
            _rank(values, self.values, self._percentiles, found)
        return found

    def score(self, values: Floats) -> NDArray[np.int64]:
        """Return the percentile of each value as a whole number; halves go up."""
        found = np.empty(len(values), dtype=np.int64)
        if len(self.values):
            _rank(values, self.values, self._scores, found)
        else:
            found.fill(50)
        return found


@njit(nogil=True, cache=True)
def _rank(values, reference, percentiles, found):  # type: ignore[no-untyped-def]
    """Write the percentile of each value: one of the reference stands one further from the right than from the left."""
    for i in range(len(values)):
        left = np.searchsorted(reference, values[i], "left")
        found[i] = percentiles[left + np.searchsorted(reference, values[i], "right")]


@dataclass(frozen=True)
class Population:
    """References of the margin, and of the parts of it that fit and intent tell.

    Attributes
    ----------
    usual : by name of the feature, what most leads have; empty of scorers that were saved before it was learnt
    """

    margin: Reference
    fit: Reference
    intent: Reference
    usual: Mapping[str, Usual] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values; `from_dict` is its inverse."""
        parts = {"margin": self.margin, "fit": self.fit, "intent": self.intent}
        references = {
            name: {"values": part.values.tolist(), "weights": part.weights.tolist()} for name, part in parts.items()
        }
        return {**references, "usual": usual.to_json(self.usual)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Population:
        """Rebuild from `to_dict`."""
        return cls(
            **{
                name: Reference(np.array(raw[name]["values"], float), np.array(raw[name]["weights"], float))
                for name in ("margin", "fit", "intent")
            },
            usual=usual.from_json(raw.get("usual", {})),
        )


WORST = "D"
"""The grade of who reaches no floor."""


def grade(score: int, floors: Mapping[str, float]) -> str:
    """Return the best grade whose percentile floor the score reaches, `WORST` below all."""
    return next((name for name, floor in floors.items() if score >= floor), WORST)
