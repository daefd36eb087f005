"""What one rule holds against one profile column; a finding on the column gathers all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from leadscore.evaluate.check.findings import Severity
from leadscore.evaluate.check.material import FEWEST, Column, Groups
from leadscore.time import Mask


@dataclass(frozen=True)
class Suspicion:
    """What one rule holds against one column."""

    severity: Severity
    kind: str
    column: Column
    evidence: str


def severe_columns(found: Iterable[Suspicion]) -> set[str]:
    """Return the names of the columns that something severe is held against."""
    return {suspicion.column.name for suspicion in found if suspicion.severity == "severe"}


def judged_leads(groups: Groups) -> Mask:
    """Return the judged leads; the closed ones where the judged are too few or all alike."""
    won = groups.won[groups.judged]
    return groups.closed if min(won.sum(), (~won).sum()) < FEWEST else groups.judged
