"""Who gets the credit for a win: the touches on the way to it, by four rules that each fit in a sentence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leadscore import time

Floats = NDArray[np.float64]

RULES = {
    "first_touch": "The first touch gets all the credit: who made the lead aware.",
    "last_touch": "The last touch before gets all the credit: who was there at the end.",
    "time_decay": "Every touch gets a share that halves with each week between it and the end.",
    "shapley": "Every channel on the way gets an equal share, however often it touched: the Shapley value of the game "
    "in which a set of channels wins the leads that no other channel touched.",
}
"""The rules by name, and what each says."""
HALF_LIFE = 7 * time.DAY


@dataclass(frozen=True)
class Paths:
    """Touches of leads in time order, one row each, grouped by lead.

    Attributes
    ----------
    lead : int64 (n_touches,), ascending; which of the `n_leads` was touched
    channel : int64 (n_touches,), position in `names`
    before : int64 (n_touches,), microseconds from the touch to the end of the path, ≥ 0, descending within a lead
    names : what the channels are called
    """

    lead: NDArray[np.int64]
    channel: NDArray[np.int64]
    before: NDArray[np.int64]
    names: tuple[str, ...]
    n_leads: int

    def credit(self, rule: str, value: Floats) -> Floats:
        """Share out what each lead is worth among the channels that touched it, by one of `RULES`.

        Parameters
        ----------
        value : (n_leads,), such as 1 for a win, or the probability of one

        Returns
        -------
        ndarray (n_channels,)
            Sums to the value of all leads that were touched at all.
        """
        share = getattr(self, f"_{rule}")()
        return _sums(self.channel, share * value[self.lead], len(self.names))

    def touched(self) -> NDArray[np.bool_]:
        """Return which leads each channel touched, bool (n_channels, n_leads)."""
        found = np.zeros((len(self.names), self.n_leads), dtype=bool)
        found[self.channel, self.lead] = True
        return found

    def _first_touch(self) -> Floats:
        return np.asarray(np.append(True, np.diff(self.lead) > 0)[: len(self.lead)], dtype=np.float64)

    def _last_touch(self) -> Floats:
        return np.asarray(np.append(np.diff(self.lead) > 0, True)[: len(self.lead)], dtype=np.float64)

    def _time_decay(self) -> Floats:
        # Counted from the last touch, so that nothing underflows on the way of a slow lead.
        last = np.full(self.n_leads, np.iinfo(np.int64).max)
        np.minimum.at(last, self.lead, self.before)
        weight = np.exp2(-(self.before - last[self.lead]) / HALF_LIFE)
        return np.asarray(weight / _sums(self.lead, weight, self.n_leads)[self.lead])

    def _shapley(self) -> Floats:
        # Each lead is a game of unanimity among its distinct channels, so the value is known without any subsets.
        pair = self.lead * max(len(self.names), 1) + self.channel
        _, first = np.unique(pair, return_index=True)
        share = np.zeros(len(pair))
        share[first] = 1.0
        return share / _sums(self.lead, share, self.n_leads)[self.lead]


def _sums(group: NDArray[np.int64], value: Floats, n_groups: int) -> Floats:
    return np.bincount(group, value, minlength=n_groups).astype(np.float64)
