"""Whether events have stopped: then every number is one of the day of the last, whatever the clock says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leadscore import time
from leadscore.time import NEVER, Instants

USUAL = 30 * time.DAY
"""Before the last event, in which pauses are usual."""
LEAST = 2 * time.DAY
"""A shorter silence is told of no project."""


@dataclass(frozen=True)
class Pulse:
    """How events follow each other, UTC microseconds.

    Attributes
    ----------
    last : when the last event happened; `NEVER` if none did
    pause : the longest time between two events of which the later lies in ``(last − 30 d, last]``; 30 days if there
        are no two
    """

    last: int
    pause: int

    @classmethod
    def of(cls, happened: Instants) -> Pulse:
        """Take when the events that are known happened, in any order; a late arrival of an old one ends no silence."""
        if not len(happened):
            return cls(NEVER, USUAL)
        at = np.sort(happened)
        pauses = np.diff(at)[at[1:] > at[-1] - USUAL]
        return cls(int(at[-1]), int(pauses.max(initial=0)) or USUAL)

    def silence(self, as_of: int) -> int | None:
        """Return the microseconds since the last event, if that is long: more than any usual pause and than `LEAST`.

        None as well where none ever happened: a project without events has no pulse.
        """
        since = as_of - self.last
        return since if self.last != NEVER and since > max(self.pause, LEAST) else None


def day_of(instant: int, timezone: str) -> str:
    """Return the local day of an instant as it is written: ``24 November 2026``."""
    days, _ = time.local_days_and_microseconds(np.array([instant]), timezone)
    day = days.view("M8[D]")[0].item()
    return f"{day.day} {day:%B %Y}"
