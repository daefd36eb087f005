"""What reading a table counted, stretch by stretch, and what is said of it once the whole table was seen."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from leadscore import columns
from leadscore.errors import DataError, LeadScoreWarning
from leadscore.project import OutcomeSpec
from leadscore.sources import Rows
from leadscore.tables import Note
from leadscore.time import NEVER, Instants, Mask

MOST_REJECTED = 0.05
"""Share of a table's rows that may be unusable before the run fails."""

_WORDS = {
    "rejected": "{n} rows have no readable '{column}': rejected",
    "without_created": "{n} rows have no creation time: never at risk",
    "unknown_lead": "{n} rows belong to no lead of [leads]: left out",
    "redelivered": "{n} rows repeat an event id: the delivery known first is the row",
    "won_before_created": "{n} rows are wins before the lead was created: left out",
    "ambiguous_time": "{n} local times are ambiguous (clocks going back): read as the later instant",
    "not_a_number": "{n} values of '{column}' are not finite numbers: taken as missing",
}
_SHOWN = 3
_STATUSES = 6


@dataclass
class Counted:
    """Counts of one table, which add up over its stretches.

    Attributes
    ----------
    absent : whether there is no such table
    n_rows, n_rejected : of the table so far
    counts : kind → column → rows, in the order found
    bad : column → rows without a readable value there; `examples` shows where the first of them stand
    unread : column of times as text → values that are neither ISO 8601 nor epochs, and all values
    n_won, statuses : rows that say won, and the first words of that column
    """

    table: str
    absent: bool = False
    n_rows: int = 0
    n_rejected: int = 0
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    bad: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    unread: dict[str, list[int]] = field(default_factory=dict)
    n_won: int = 0
    statuses: list[str] = field(default_factory=list)

    @property
    def section(self) -> str:
        """The section of leadscore.toml that declares the table."""
        return self.table if self.table in ("leads", "outcome") else f"events.{self.table}"

    def count(self, kind: str, column: str | None, n: int) -> None:
        """Count rows of a kind; a kind that no row is of is not mentioned."""
        if n:
            found = self.counts.setdefault(kind, {})
            found[column or ""] = found.get(column or "", 0) + n

    def reject(self, rows: Rows, bad: Mapping[str, Mask]) -> Mask:
        """Return the rows to keep, and count the others by the first column that is unreadable."""
        rejected = np.zeros(rows.table.num_rows, dtype=bool)
        for column, found in bad.items():
            self.count("rejected", column, int((found & ~rejected).sum()))
            self._show(rows, column, found)
            rejected |= found
        self.n_rejected += int(rejected.sum())
        return ~rejected

    def _show(self, rows: Rows, column: str, found: Mask) -> None:
        self.bad[column] = self.bad.get(column, 0) + int(found.sum())
        shown = self.examples.setdefault(column, [])
        at = np.flatnonzero(found)[: _SHOWN - len(shown)]
        if len(at):
            texts = columns.text_column(rows.table[column].take(pa.array(at))).to_pylist()
            shown += [f"{rows.place(int(row))} {columns.shape_of(text)}" for row, text in zip(at, texts, strict=True)]

    def see_times(self, column: str, read_at: Instants, filled: Mask) -> None:
        """Remember how many times of a stretch were read: a local format is recognised in whole columns only."""
        found = self.unread.setdefault(column, [0, 0])
        found[0] += int((filled & (read_at == NEVER)).sum())
        found[1] += int(filled.sum())

    def see_statuses(self, words: list[str | None], n_won: int) -> None:
        """Remember what stands where wins were looked for."""
        self.n_won += n_won
        new = [word for word in dict.fromkeys(words) if word is not None and word not in self.statuses]
        self.statuses = [*self.statuses, *new][:_STATUSES]

    def add(self, other: Counted) -> None:
        """Add what another stretch of the table counted."""
        self.n_rows += other.n_rows
        self.n_rejected += other.n_rejected
        for kind, found in other.counts.items():
            for column, n in found.items():
                self.count(kind, column, n)
        for column, n in other.bad.items():
            self.bad[column] = self.bad.get(column, 0) + n
            shown = [*self.examples.get(column, []), *other.examples.get(column, [])]
            self.examples[column] = shown[:_SHOWN]
        for column, (unread, filled) in other.unread.items():
            before = self.unread.get(column, [0, 0])
            self.unread[column] = [before[0] + unread, before[1] + filled]
        self.see_statuses(list(other.statuses), other.n_won)

    def refuse(self, name: str) -> None:
        """Fail the run where too much of a whole table is unreadable.

        Raises
        ------
        DataError
            If more than 5 % of the rows were rejected, or times want a format that only a whole column shows.
        """
        if self.n_rejected > MOST_REJECTED * self.n_rows:
            column = max(self.bad, key=lambda known: self.bad[known])
            raise DataError(
                f"{name}: {self.n_rejected} of {self.n_rows} rows have no readable '{column}' "
                f"(at most {MOST_REJECTED:.0%} may be rejected): {'; '.join(self.examples[column])}. "
                f"Mend the rows, or the column or time_format in [{self.section}]{self._hint()}"
            )
        if unread := self._mostly_unread():
            raise DataError(f"{name} column '{unread}': most of its times can't be read{self._hint()}")
        if self.n_rejected:
            text = f"{name}: {self.n_rejected} of {self.n_rows} rows rejected; Data.notes says why"
            warnings.warn(text, LeadScoreWarning, stacklevel=5)

    def _mostly_unread(self) -> str | None:
        return next((column for column, (unread, filled) in self.unread.items() if unread * 2 > filled), None)

    def _hint(self) -> str:
        column = self._mostly_unread()
        if column is None:
            return ""
        return (
            f". A list that is read in stretches can't be searched for the format of '{column}': say it, as in "
            f'time_format = "%d/%m/%Y" in [{self.section}], or give more --memory and no --keep'
        )

    def notes(self, outcome: OutcomeSpec | None = None) -> list[Note]:
        """Say what was counted; `outcome` is the declaration of the table, where it is the one of outcomes."""
        if self.absent:
            return [Note("no_outcomes", self.table, 0, "there are no outcomes: every lead is taken as open")]
        notes = []
        if outcome is not None and outcome.column is not None and self.n_rows and not self.n_won:
            found = ", ".join(self.statuses)
            text = f"no row says {' or '.join(outcome.won)}; found {found}. Mend won in [outcome]"
            notes.append(Note("no_wins", self.table, self.n_rows, text, outcome.column))
        for kind, found_in in self.counts.items():
            for column, n in found_in.items():
                text = _WORDS[kind].format(n=n, column=column)
                notes.append(Note(kind, self.table, n, text, column or None))
        return notes

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values; ``Counted(**…)`` is the inverse."""
        return asdict(self)
