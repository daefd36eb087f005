"""Whether events have stopped arriving: then every number is one of the day of the last."""

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
    """How events arrive, UTC microseconds.

    Attributes
    ----------
    last : when the last event arrived; `NEVER` if none did
    pause : the longest time between two arrivals of which the later lies in ``(last − 30 d, last]``; 30 days if no
        two arrived
    """

    last: int
    pause: int

    @classmethod
    def of(cls, arrivals: Instants) -> Pulse:
        """Take when events became known, in any order."""
        if not len(arrivals):
            return cls(NEVER, USUAL)
        at = np.sort(arrivals)
        pauses = np.diff(at)[at[1:] > at[-1] - USUAL]
        return cls(int(at[-1]), int(pauses.max(initial=0)) or USUAL)

    def silence(self, as_of: int) -> int | None:
        """Return the microseconds since the last event, if that is long: more than any usual pause and than `LEAST`.

        None as well where no event ever arrived: a project without events has no pulse.
        """
        since = as_of - self.last
        return since if self.last != NEVER and since > max(self.pause, LEAST) else None


def day_of(instant: int, timezone: str) -> str:
    """Return the local day of an instant as it is written: ``24 November 2026``."""
    days, _ = time.local_days_and_microseconds(np.array([instant]), timezone)
    day = days.view("M8[D]")[0].item()
    return f"{day.day} {day:%B %Y}"
