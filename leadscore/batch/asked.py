"""What a run is asked for, and what it says when it is done."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadscore.model.booster import Progress
from leadscore.project import Project, Source
from leadscore.tables import Note

Phases = Callable[[str], AbstractContextManager[Progress]]
"""Opens a step of a run, by its name, and gives what is called with (steps done, steps at most)."""


@dataclass(frozen=True)
class Asked:
    """A list to be scored.

    Attributes
    ----------
    project : whose tables are read
    out : the file of the list, CSV or Parquet by ending
    leads : another list of leads than the project's own
    as_of : UTC microseconds; None is the last instant in the data
    cutoffs : lead_id and cutoff, scored as given instead
    n_reasons, capacity : reasons for each lead; how many leads are written, None for all
    """

    project: Project
    out: Path
    leads: Source | None = None
    as_of: int | None = None
    cutoffs: pd.DataFrame | None = None
    n_reasons: int = 3
    capacity: int | None = None


@dataclass(frozen=True)
class Listed:
    """What came of it.

    Attributes
    ----------
    as_of : the instant of all scores; None where there is no single one
    until : the instant up to which the data reach, where that was looked for
    probability : float64 (n,), in the order of the list
    grades : how many leads have each
    n_leads : leads that were asked about, open or not
    notes : what reading counted
    kept : of rows that outlast the run, where they are and what wasn't read, as plain JSON values
    """

    as_of: int | None
    until: int | None
    probability: NDArray[np.float64]
    grades: dict[str, int]
    n_leads: int
    notes: tuple[Note, ...]
    kept: dict[str, Any] | None = None
