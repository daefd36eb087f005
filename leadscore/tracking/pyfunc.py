"""The scorer as MLflow runs it: a DataFrame of lead documents in, one score record a row out.

MLflow copies this file into every model that `leadscore.tracking.log` registers, and runs it there ("models from
code"): nothing is pickled, and leadscore itself must be installed where the model is used.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml  # type: ignore[import-untyped]
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from leadscore.errors import DocumentError
from leadscore.model.scorer import LeadScorer

PARTS = ("lead", "events", "context")
"""Columns whose cells are JSON objects, or the text of one."""
RECORD = (
    *("lead_id", "as_of", "probability", "score", "grade", "fit", "intent", "horizon"),
    *("reasons", "warnings", "model"),
)
"""Columns of the answer: the fields of a score record, in order."""
N_REASONS = 3
_MOST_EXAMPLES = 3


class LeadScorerModel(PythonModel):  # type: ignore[misc]  # mlflow has no types here
    """A saved scorer behind MLflow's `predict`."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the scorer, which checks its golden leads."""
        folder = Path(context.artifacts["scorer"])
        self.scorer = LeadScorer.load(folder, version=_registered_version(folder))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Score one lead document a row.

        Parameters
        ----------
        model_input : DataFrame with the column ``lead`` and, optionally, ``events``, ``as_of`` and ``context``. A cell
            holds a JSON object or its text (which Spark and CSV can carry); an empty one counts as left out. Without
            ``as_of`` a lead is scored now: this is an outermost edge, and may read the clock
        params : ``n_reasons``, how many reasons each (3); 0 leaves out fit and intent as well, and is far faster

        Returns
        -------
        DataFrame
            One row per input row, in its order and with its index: the columns of `RECORD`. Reasons, warnings and
            model are lists and objects, as over HTTP; what is undefined is None.

        Raises
        ------
        DocumentError
            If any document is wrong, with its row and field. No row is scored then: a null among probabilities would
            be averaged away unseen.
        ValueError
            If ``n_reasons`` is negative.
        """
        n_reasons = int((params or {}).get("n_reasons", N_REASONS))
        if n_reasons < 0:
            raise ValueError(f"n_reasons must be 0 or more, not {n_reasons}")
        raw = [_document(row) for row in model_input.to_dict(orient="records")]
        scored = self.scorer.score_documents(raw, now=time.time_ns() // 1_000, n_reasons=n_reasons)
        records = _all_scored(scored)
        columns = {field: pd.Series([record[field] for record in records], dtype=object) for field in RECORD}
        frame = pd.DataFrame(columns).astype({"probability": "float64", "score": "int64"})
        return frame.set_axis(model_input.index)


def _all_scored(scored: list[dict[str, Any] | DocumentError]) -> list[dict[str, Any]]:
    wrong = [f"row {row}: {result}" for row, result in enumerate(scored) if isinstance(result, DocumentError)]
    if wrong:
        raise DocumentError(
            f"{len(wrong)} of {len(scored)} lead documents can't be scored, so none was. "
            + "; ".join(wrong[:_MOST_EXAMPLES])
        )
    return [result for result in scored if not isinstance(result, DocumentError)]


def _document(row: Mapping[Any, Any]) -> dict[str, Any]:
    """The lead document of one row: empty cells left out, text read as JSON, arrays of events as lists."""
    document = {str(part): cell for part, cell in row.items() if not _is_empty(cell)}
    for part in PARTS:
        if isinstance(document.get(part), str):
            document[part] = _json(document[part])
    events = document.get("events")
    if isinstance(events, Mapping):
        document["events"] = {
            table: rows.tolist() if isinstance(rows, np.ndarray) else rows for table, rows in events.items()
        }
    return document


def _is_empty(cell: Any) -> bool:
    return cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and cell != cell) or cell == ""


def _json(text: str) -> Any:
    """What the text says; text that isn't JSON stays text, and is refused with its place as such."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _registered_version(scorer_folder: Path) -> str | None:
    """The version that MLflow noted beside the model when it was loaded by a ``models:/`` address."""
    note = scorer_folder.parents[1] / "registered_model_meta"
    if not note.is_file():
        return None
    version = yaml.safe_load(note.read_text(encoding="utf-8")).get("model_version")
    return None if version is None else str(version)


set_model(LeadScorerModel())
