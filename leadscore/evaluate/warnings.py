"""What a reader of a report is warned of; each returns its sentences, none where there is nothing to say."""

from __future__ import annotations

from collections.abc import Mapping

from leadscore.direction import INBOUND, OUTBOUND
from leadscore.evaluate.metrics import Interval
from leadscore.model.fitting import Fitted
from leadscore.model.scorer import LeadScorer
from leadscore.snapshots import Snapshots
from leadscore.tables import Data


def seen_in_training(scorer: LeadScorer, data: Data) -> list[str]:
    """Warn if a scorer is judged on the data that it was trained on."""
    if scorer.manifest.get("data") != data.fingerprint:
        return []
    return ["The scorer was trained on these very data, which flatters it; its training report has its honest figures"]


def added_in_vain(fitted: Fitted) -> list[str]:
    """Name features that were asked for by name and never vary: often a category that is written otherwise."""
    asked = set(fitted.snapshots.data.project.features.add)
    vain = sorted(name for name, twin in fitted.pruned.items() if name in asked and twin is None)
    return [f"[features] add: '{name}' is the same for every lead of train; is its category spelt so?" for name in vain]


def without_direction(fitted: Fitted) -> list[str]:
    """Name tables whose column of directions has no word that means outbound or inbound; what it has may be names."""
    warnings = []
    for spec in fitted.snapshots.data.project.events:
        if spec.direction is None:
            continue
        words = fitted.snapshots.data.words(spec.name, spec.direction.column)
        if words is None:
            continue
        sides = {spec.direction.of(word) for word in words}
        for side, name in ((OUTBOUND, "outbound"), (INBOUND, "inbound")):
            if side not in sides:
                meant = spec.direction.outbound if side == OUTBOUND else spec.direction.inbound
                warnings.append(
                    f"[events.{spec.name}] direction: none of {len(words)} values of '{spec.direction.column}' means "
                    f"{name}, so nobody ever answers; looked for {', '.join(meant)}"
                )
    return warnings


def off_level(intervals: Mapping[str, Interval | None]) -> list[str]:
    """Warn where probabilities are too high or too low on the whole, beyond the noise."""
    span = intervals.get("calibration_intercept")
    if span is None or span[0] <= 0 <= span[1]:
        return []
    which = "high" if span[1] < 0 else "low"
    return [
        f"The probabilities are too {which} here, beyond the noise (calibration intercept {span[0]:+.2f} to "
        f"{span[1]:+.2f} in log-odds): the level has drifted since training"
    ]


def without_times(rows: Snapshots) -> list[str]:
    """Warn of what nobody can check in a list without times."""
    if rows.data.project.timed:
        return []
    return ["This list has no times: whether a column was known before the outcome can't be checked, nor can drift"]


def counted_on_reading(data: Data) -> list[str]:
    """Repeat what reading had to count or leave out."""
    return [f"{note.table}: {note.text}" for note in data.notes]
