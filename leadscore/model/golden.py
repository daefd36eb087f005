"""Golden leads: a few in raw form with their scores, by which a scorer is checked wherever it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from leadscore.errors import ArtifactError, DocumentError, LeadScoreError, TrainingError

TOLERANCE = 1e-9
Scored = Sequence[dict[str, Any] | DocumentError]


def of(documents: Sequence[dict[str, Any]], scored: Scored, probabilities: Sequence[float]) -> list[dict[str, Any]]:
    """Return documents with their scores; those that are too long for a lead document are left out.

    Parameters
    ----------
    probabilities : what each scores from the tables it is taken from, to the last bit

    Raises
    ------
    TrainingError
        If none is left.
    """
    golden: list[dict[str, Any]] = []
    refused: DocumentError | None = None
    for document, score, probability in zip(documents, scored, probabilities, strict=True):
        if isinstance(score, DocumentError):
            refused = score
            continue
        assert score["probability"] == probability, "a document must score as its table does"
        golden.append({"document": document, "score": score})
    if refused is not None and not golden:
        raise TrainingError(
            f"none of {len(documents)} test leads can be written as a lead document, to check the model by: {refused}. "
            "Leave out the column, or the rows, that make leads so long"
        )
    return golden


def check(golden: Sequence[dict[str, Any]], score: Callable[[Sequence[Any]], Scored], where: str) -> None:
    """Score golden leads again; raises ArtifactError, with `where` they are from, if any differs from its record."""
    try:
        raw = [one["document"] for one in golden]
        expected = [(float(one["score"]["probability"]), one["score"]["grade"]) for one in golden]
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{where}: golden.json holds no golden leads ({error}). Save the scorer anew") from None
    if not raw:
        raise ArtifactError(f"{where}: golden.json holds no golden leads. Save the scorer anew")
    for position, ((probability, grade), record) in enumerate(zip(expected, score(raw), strict=True)):
        if isinstance(record, LeadScoreError):
            raise ArtifactError(f"{where}: golden lead {position} is refused: {record}")
        drift = abs(record["probability"] - probability)
        if not drift <= TOLERANCE or record["grade"] != grade:
            raise ArtifactError(
                f"{where}: golden lead {position} scores {record['probability']:.12g} here, "
                f"{probability:.12g} when it was saved. Use the versions of leadscore and LightGBM "
                "that it was trained with, or train anew"
            )
