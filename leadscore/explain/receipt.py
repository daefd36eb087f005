"""What moved a lead's score between two times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Move:
    """How much one reason added to the margin, in log-odds, and how it read before and after."""

    effect: float
    before: str
    after: str


def moves(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[Move]:
    """Compare all reasons of a lead at two times, largest move first; the moves add up to the change of margin.

    Parameters
    ----------
    before, after : what `LeadScorer.explain` gives under ``groups``: one entry per group of features, in one order
    """
    found = [
        Move(then["effect"] - first["effect"], first["text"], then["text"])
        for first, then in zip(before, after, strict=True)
    ]
    return sorted(found, key=lambda move: -abs(move.effect))
