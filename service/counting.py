"""What accounts, origins and owners have in common: counted by one process, written to a file, read by the others.

To count takes a second and the whole base, to read a few milliseconds; no request waits for either.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import numpy as np

from leadscore.batch import whole_or_nothing
from leadscore.company import Counts, Tally, Totals
from leadscore.project import Project
from service.store import Store
from service.store.tables import Counted, whole

FILE = "counts.npz"
_ARRAYS = ("first", "end", "at", "total")
_TALLIES: tuple[Tally, ...] = get_args(Tally)


def count(store: Store, project: Project) -> Counted:
    """Count the whole base as it is stored now; `project` is the model's: it says what a win is, and an owner."""
    until = store.journal.until()
    return Counted(Counts.of(whole(store.journal, project=project, until=until, events=False)), until)


def write(counted: Counted, path: Path) -> None:
    """Write counts whole or not at all."""
    arrays = {
        f"{role}.{tally}.{name}": getattr(totals, name)
        for (role, tally), totals in counted.counts.totals.items()
        for name in _ARRAYS
    }
    names = {role: list(groups) for role, groups in counted.counts.groups.items()}
    arrays["about"] = np.frombuffer(json.dumps({"until": counted.until, "names": names}).encode(), dtype=np.uint8)
    with whole_or_nothing(path) as beside, beside.open("wb") as file:
        np.savez(file, **arrays)


def read(path: Path) -> Counted:
    """Read what `write` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes())
        totals = {
            (role, tally): Totals(*(arrays[f"{role}.{tally}.{name}"] for name in _ARRAYS))
            for role in about["names"]
            for tally in _TALLIES
        }
    groups = {role: {name: code for code, name in enumerate(names)} for role, names in about["names"].items()}
    return Counted(Counts(groups, totals), about["until"])
