"""The generated log: events of a year in arrival order, and cutoffs, as flat typed arrays in a folder."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from tests.bench.features.columns import CHANNELS

START = 1_735_689_600_000_000
"""2025-01-01 in microseconds."""
DAYS = 365
SECOND = 1_000_000


@dataclass(frozen=True)
class Log:
    """Events and cutoffs in no order; times in UTC microseconds, leads by index, `channel` an index into `CHANNELS`."""

    lead: np.ndarray
    time: np.ndarray
    channel: np.ndarray
    cost: np.ndarray
    cutoff_lead: np.ndarray
    cutoff: np.ndarray
    n_leads: int

    @property
    def n_bytes(self) -> int:
        """Size of the typed arrays: what every engine is given."""
        return sum(array.nbytes for array in vars(self).values() if isinstance(array, np.ndarray))

    def save(self, folder: Path) -> None:
        for name, value in vars(self).items():
            np.save(folder / f"{name}.npy", value)

    @classmethod
    def load(cls, folder: Path) -> Log:
        found = {field.name: np.load(folder / f"{field.name}.npy") for field in fields(cls)}
        return cls(**(found | {"n_leads": int(found["n_leads"])}))

    def first_cutoffs(self, n: int) -> Log:
        """Return the same events with fewer cutoffs."""
        return Log(**(vars(self) | {"cutoff_lead": self.cutoff_lead[:n], "cutoff": self.cutoff[:n]}))


def generate(n_events: int, seed: int) -> Log:
    """Draw a log with a tenth as many leads, and as many cutoffs.

    Cutoffs are on a weekly grid, as a project's snapshots are by default (and as featuretools likes them best). Events
    fall on whole seconds, one in fifty on midnight: at a cutoff, at the start of a window, at the time of another.
    """
    rng = np.random.default_rng(seed)
    n_leads = n_cutoffs = n_events // 10
    seconds = rng.integers(0, DAYS * 86_400, n_events)
    at_midnight = rng.random(n_events) < 0.02
    seconds[at_midnight] -= seconds[at_midnight] % 86_400
    return Log(
        lead=rng.integers(0, n_leads, n_events),
        time=START + seconds * SECOND,
        channel=rng.integers(0, len(CHANNELS), n_events).astype(np.int32),
        cost=np.round(rng.gamma(2.0, 3.0, n_events), 2),
        cutoff_lead=rng.integers(0, n_leads, n_cutoffs),
        cutoff=START + rng.integers(5, DAYS // 7, n_cutoffs) * 7 * 86_400 * SECOND,
        n_leads=n_leads,
    )
