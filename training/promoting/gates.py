"""What a challenger must pass to become the champion, each with its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import leadscore as ls
from leadscore.evaluate.metrics import Difference
from leadscore.evaluate.verdict import NO_SIGNAL, beats
from leadscore.model.ladder import BASE_RATE
from training.promoting.beside import Beside

LARGEST_BYTES = 50_000_000
GROWTH = 5.0
"""Times the champion's bytes that a challenger may have."""
SLOPES = (0.8, 1.25)
"""Calibration slopes that pass whatever their interval and the champion's."""


@dataclass(frozen=True)
class Gate:
    """One condition: its name, whether it is passed, and the sentence with the numbers. `hard` ones can't be forced."""

    name: str
    passed: bool
    told: str
    hard: bool = False


def schema(challenger: ls.LeadScorer, project: ls.Project) -> Gate:
    """The model's tables and columns are those of the project as it stands."""
    theirs, ours = challenger.project.schema, project.schema
    differ = sorted({key for key in {*theirs, *ours} if theirs.get(key) != ours.get(key)})
    if not differ:
        return Gate("schema", True, "its tables and columns are the project's", hard=True)
    parts = [name for key in differ for name in _differing(key, theirs.get(key), ours.get(key))]
    return Gate("schema", False, f"it was trained on another schema: {', '.join(parts)}. Train anew", hard=True)


def _differing(key: str, theirs: object, ours: object) -> list[str]:
    if key == "events" and isinstance(theirs, dict) and isinstance(ours, dict):
        return [f"events.{name}" for name in sorted({*theirs, *ours}) if theirs.get(name) != ours.get(name)]
    return [key]


def size(folder: Path, champion: Path | None) -> Gate:
    """The scorer is no larger than a request path can bear, nor many times the champion."""
    n_bytes = _bytes(folder)
    told = f"{n_bytes / 1e6:.2f} MB"
    if champion is None:
        return Gate("size", n_bytes <= LARGEST_BYTES, told)
    before = _bytes(champion)
    passed = n_bytes <= min(LARGEST_BYTES, max(GROWTH * before, 5_000_000))
    return Gate("size", passed, f"{told}, the champion has {before / 1e6:.2f} MB")


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def signal(challenger: ls.LeadScorer, beside: Beside) -> Gate:
    """The model is better than saying the base rate, beyond the noise."""
    found = beside.against_base["log_loss"]
    if challenger.manifest.get("rung") == BASE_RATE:
        return Gate("signal", False, f"{NO_SIGNAL}: the challenger is the base rate itself")
    passed = beats(found, beside.base_loss)
    told = f"log-loss {_span(found)} against the base rate"
    return Gate("signal", passed, told if passed else f"{NO_SIGNAL}: {told}")


def log_loss(beside: Beside) -> Gate:
    """Not worse than the champion beyond the noise."""
    found = beside.against_champion["log_loss"]
    return Gate("log-loss", found is None or found.low <= 0, f"{_span(found)} against the champion")


def precision(beside: Beside) -> Gate:
    """The list that sellers work is not poorer than the champion's beyond the noise."""
    found, (new, old) = beside.precision_difference, beside.precision
    told = f"the best {beside.share:.1%} hold {new:.1%} wins, the champion's {old or 0.0:.1%}: {_span(found)}"
    return Gate("precision at capacity", found is None or found.high >= 0, told)


def slope(beside: Beside) -> Gate:
    """The probabilities are neither too bold nor too timid: 1 is right."""
    value = beside.challenger.metrics["calibration_slope"]
    span = beside.challenger.intervals["calibration_slope"]
    if value is None:
        return Gate("calibration slope", False, "it has none: its probabilities don't differ, or separate the classes")
    inside = span is not None and span[0] <= 1 <= span[1]
    other = None if beside.champion is None else beside.champion.metrics["calibration_slope"]
    closer = other is not None and abs(value - 1) <= abs(other - 1)
    told = f"{value:.2f}" + ("" if span is None else f" [{span[0]:.2f}, {span[1]:.2f}]")
    told += "" if other is None else f", the champion's {other:.2f}"
    return Gate("calibration slope", inside or closer or SLOPES[0] <= value <= SLOPES[1], told)


def _span(found: Difference | None) -> str:
    if found is None:
        return "nothing can be said"
    return f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
