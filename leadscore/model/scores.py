"""Scores of leads as arrays, and as the table and the records that others are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadscore import time

COLUMNS = (
    *("lead_id", "as_of", "probability", "score", "grade", "fit", "intent"),
    *("reasons", "warnings", "model_version"),
)
"""Columns of a scored list, in order."""


@dataclass(frozen=True)
class Scores:
    """Scores of n leads as arrays; `fit`, `intent` and `reasons` are None where no reasons were asked for."""

    lead_ids: NDArray[np.object_]
    at: time.Instants
    margin: NDArray[np.float64]
    probability: NDArray[np.float64]
    score: NDArray[np.int64]
    grade: list[str]
    fit: list[int] | None
    intent: list[int] | None
    reasons: Sequence[Any] | None
    warnings: list[list[str]]

    def frame(self, *, version: str | None, timed: bool) -> pd.DataFrame:
        """Return the scores of a version of a model as a table of `COLUMNS`."""
        n = len(self.margin)
        at = self.at if timed else np.full(n, time.NEVER)
        nothing = [None] * n
        columns: dict[str, Any] = {
            "lead_id": self.lead_ids,
            "as_of": pd.to_datetime(at.view("M8[us]"), utc=True),
            "probability": self.probability,
            "score": self.score,
            "grade": self.grade,
            "fit": pd.array(self.fit or nothing, dtype="Int64"),
            "intent": pd.array(self.intent or nothing, dtype="Int64"),
            "reasons": self.reasons or [[] for _ in range(n)],
            "warnings": self.warnings,
            "model_version": [version] * n,
        }
        return pd.DataFrame({name: columns[name] for name in COLUMNS})

    def records(self, model: Mapping[str, Any], *, horizon: str | None, timed: bool) -> list[dict[str, Any]]:
        """Return the scores of a model, and of its horizon, as the records that go over the wire."""
        return [
            {
                "lead_id": self.lead_ids[row],
                "as_of": time.format_instant(int(self.at[row])) if timed else None,
                "probability": float(self.probability[row]),
                "score": int(self.score[row]),
                "grade": self.grade[row],
                "fit": None if self.fit is None else self.fit[row],
                "intent": None if self.intent is None else self.intent[row],
                "horizon": horizon,
                "reasons": [] if self.reasons is None else self.reasons[row],
                "warnings": self.warnings[row],
                "model": model,
            }
            for row in range(len(self.margin))
        ]
