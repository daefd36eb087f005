"""What a whole base counts per origin and owner, added up part by part: no part knows the others' leads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from leadscore.company import Counts, Memberships, Tally, Totals
from leadscore.features.plan import FeaturePlan
from leadscore.tables import Data
from leadscore.time import Instants

_TALLIES: tuple[Tally, ...] = get_args(Tally)
Steps = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Group and cutoff as one number, ascending, and by how much the total grows there."""


def counted_roles(plan: FeaturePlan) -> frozenset[str]:
    """The roles whose leads a plan counts: account, origin, owner."""
    of_company = (plan.features[target] for target in plan.company)
    return frozenset(name.table for name in of_company if name.scope is None)


def looks_at_accounts(plan: FeaturePlan) -> bool:
    """Whether all leads of an account have to be in one part."""
    return plan.reads_accounts or "account" in counted_roles(plan)


@dataclass
class Tallied:
    """Running totals at the cutoffs that are asked for, and nowhere else: a number per group where one suffices.

    Parameters
    ----------
    cutoffs : int64, ascending and distinct
    roles : what to count by; accounts are whole in every part and need no counting here
    """

    cutoffs: Instants
    roles: tuple[str, ...]
    names: dict[str, dict[str, int]] = field(default_factory=dict)
    steps: dict[tuple[str, Tally], Steps] = field(default_factory=dict)

    def add(self, data: Data) -> None:
        """Count the leads of one part; it needs no events."""
        for role in self.roles:
            members = data.company.members(role)
            codes = self.names.setdefault(role, {})
            vocabulary = data.leads.roles[role][1]
            group = np.array([codes.setdefault(name, len(codes)) for name in vocabulary], dtype=np.int64)
            for tally in _TALLIES:
                self._add_steps((role, tally), members, group, *data.company.spans[tally])

    def _add_steps(
        self, key: tuple[str, Tally], members: Memberships, group: NDArray[np.int64], start: Instants, end: Instants
    ) -> None:
        """Add the members for whom ``start < t ≤ end``, from the first such cutoff on to the last."""
        start = np.maximum(members.start, start[members.lead])
        end = np.minimum(members.end, end[members.lead])
        there = start < end
        n_cutoffs = len(self.cutoffs)
        first, after = (np.searchsorted(self.cutoffs, at[there], side="right") for at in (start, end))
        base = group[members.group[there]] * n_cutoffs
        begins, ceases = first < n_cutoffs, after < n_cutoffs
        found = np.concatenate([(base + first)[begins], (base + after)[ceases]])
        grown = np.concatenate([np.ones(begins.sum(), np.int64), -np.ones(ceases.sum(), np.int64)])
        self._grow(key, found, grown)

    def merge(self, other: Tallied) -> None:
        """Add what was counted of other leads, at the same cutoffs and by the same roles."""
        for (role, tally), (places, steps) in other.steps.items():
            codes = self.names.setdefault(role, {})
            ours = np.array([codes.setdefault(name, len(codes)) for name in other.names[role]], dtype=np.int64)
            group, cutoff = np.divmod(places, len(self.cutoffs))
            self._grow((role, tally), ours[group] * len(self.cutoffs) + cutoff, steps)

    def _grow(self, key: tuple[str, Tally], found: NDArray[np.int64], grown: NDArray[np.int64]) -> None:
        places, steps = self.steps.get(key, (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)))
        found, grown = np.concatenate([places, found]), np.concatenate([steps, grown])
        distinct, position = np.unique(found, return_inverse=True)
        self.steps[key] = distinct, np.bincount(position, grown, len(distinct)).astype(np.int64)

    def counts(self) -> Counts:
        """Return what was counted, for any lead as of any of the cutoffs."""
        return Counts(self.names, {key: self._totals(key[0], *steps) for key, steps in self.steps.items()})

    def _totals(self, role: str, places: NDArray[np.int64], steps: NDArray[np.int64]) -> Totals:
        n_cutoffs = len(self.cutoffs)
        group, cutoff = np.divmod(places, n_cutoffs)
        edges = np.searchsorted(group, np.arange(len(self.names[role]) + 1))
        running = np.concatenate([[0], np.cumsum(steps)])
        before = np.repeat(running[edges[:-1]], np.diff(edges))
        # what holds at a cutoff was known strictly before it
        return Totals(edges[:-1], edges[1:], self.cutoffs[cutoff] - 1, running[1:] - before)
