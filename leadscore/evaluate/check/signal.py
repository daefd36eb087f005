"""Is there anything to learn? All columns together, in forward time, and which of them the answer rests on.

========================= ============================================================================================
no_signal                 the 95 % interval of the AUC of all columns together reaches .5: **warning** where it ends
                          below .60, so that no useful signal is left to hope for, else **note**
signal_does_not_last      so, and yet with leads shuffled over time the AUC is above .60 by three standard errors:
                          **warning**; what was true of earlier leads isn't of later ones
carries_the_forecast      taking all features of one column of events, or of a whole table, out costs .03 of AUC or
                          more, and three standard errors: **note**, the costliest first. Events are dated, so this is
                          knowledge, not suspicion; see ``event_tells_outcome`` and ``entered_after_win``
========================= ============================================================================================

Intervals are those of an AUC's influence on itself, by account or lead. Columns that bring less than a twentieth of
all gain are not taken out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from leadscore.evaluate.check.findings import Finding, Series, Severity, leave_out, section_of
from leadscore.evaluate.check.forward import Forward, Place
from leadscore.evaluate.check.material import Material

HOPELESS = 0.60
CARRIES, STANDARD_ERRORS = 0.03, 3.0
SMALLEST_SHARE = 0.05
MOST_ABLATED = 3


Verdict = Literal["signal", "does not last", "none", "unclear", "too few wins"]


@dataclass(frozen=True)
class Signal:
    """What all columns together reach, in forward time; numbers are None where there is too little to say.

    Attributes
    ----------
    verdict : ``signal`` where the interval is above .5; ``none`` where it reaches .5 and ends below .60, ``unclear``
        where it goes on; ``does not last`` where only leads shuffled over time show one
    auc, low, high : with the 95 % interval
    sentence : the same for people
    """

    verdict: Verdict
    auc: float | None
    low: float | None
    high: float | None
    n_judged: int
    n_won: int
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON holds them."""
        return asdict(self)


def signal_of(forward: Forward | None) -> Signal:
    """Measure what all columns together tell."""
    if forward is None or not forward.folds:
        few = "Too few wins to say whether anything here predicts the outcome."
        return Signal("too few wins", None, None, None, 0, 0, few)
    label = forward.snapshots.label[forward.judged]
    auc, spread = forward.ranking.auc, 1.96 * forward.ranking.error(forward.clusters)
    low, high = max(0.0, auc - spread), min(1.0, auc + spread)
    verdict: Verdict = "signal" if low > 0.5 else "none" if high < HOPELESS else "unclear"
    measured = f"all columns together reach AUC {auc:.3f} [{low:.3f}, {high:.3f}] on {len(label):,} snapshots"
    sentence = f"{_SAID[verdict]} {_how(forward)} {measured}."
    shuffled, error = forward.shuffled() if verdict != "signal" and _ordered(forward) else (0.5, 0.0)
    if shuffled - STANDARD_ERRORS * error > HOPELESS:
        verdict = "does not last"
        sentence = f"{_SAID[verdict]} {_how(forward)} {measured}; shuffled over time they would reach {shuffled:.3f}."
    return Signal(verdict, auc, low, high, len(label), int(label.sum()), sentence)


_SAID = {
    "signal": "There is a signal:",
    "none": "NO SIGNAL: nothing here predicts the outcome;",
    "unclear": "NO SIGNAL that could be told from chance;",
    "does not last": "NO SIGNAL that lasts: what was true of earlier leads isn't of later ones;",
}


def _ordered(forward: Forward) -> bool:
    project = forward.snapshots.data.project
    return project.timed or project.task.split == "ordered"


def _how(forward: Forward) -> str:
    return "in forward time" if _ordered(forward) else "out of fold"


_REMEDY: dict[Verdict, str] = {
    "none": "Don't score by these columns: map what leads did, [events.…], or more of their profile",
    "unclear": "Collect more wins, or map more tables, [events.…], before scores are used",
    "does not last": "Ask what changed, and learn from the time since: [task] observed_from, or later rows only",
}


def no_signal(material: Material) -> list[Finding]:
    """Say so where nothing predicts the outcome."""
    signal = material.signal
    if signal.verdict not in _REMEDY:
        return []
    kind = "signal_does_not_last" if signal.verdict == "does not last" else "no_signal"
    severity: Severity = "note" if signal.verdict == "unclear" else "warning"
    return [Finding(severity, kind, "task", None, signal.sentence, _REMEDY[signal.verdict])]


def carriers(material: Material) -> list[Finding]:
    """Take the columns of events that the forecast rests on most out of it, one at a time."""
    forward = material.forward
    if forward is None or not forward.folds or not material.project.events:
        return []
    tables = {spec.name for spec in material.project.events}
    found = []
    gains = forward.gains()
    strong = [[place] for place in gains if place[0] in tables and gains[place] >= SMALLEST_SHARE][:MOST_ABLATED]
    whole = [[place for place in gains if place[0] == table] for table in sorted(tables)]
    for places in [*strong, *(table for table in whole if len(table) > 1)]:
        without = forward.without(places)
        cost, error = forward.ranking.gain_over(without, forward.clusters)
        if cost >= CARRIES and cost >= STANDARD_ERRORS * error:
            found.append((cost, _carrier(places, forward.ranking.auc, without.auc, material)))
    return [finding for _, finding in sorted(found, key=lambda pair: -pair[0])]


def _carrier(places: list[Place], whole: float, without: float, material: Material) -> Finding:
    table, column = places[0] if len(places) == 1 else (places[0][0], None)
    what = "the features of this column" if len(places) == 1 else "all features of this table"
    evidence = f"without {what} the AUC of all together, in forward time, falls from {whole:.3f} to {without:.3f}"
    spec = next(spec for spec in material.project.events if spec.name == table)
    remedy = "Nothing to mend if its rows are written when they happen"
    if spec.known is None:
        remedy += f'; if they may be written later, declare when: [{section_of(table)}] known = "…"'
    remedy += f". To do without it: {leave_out(material.project, table, column)}"
    series = Series(
        "bars", "AUC in forward time", ("all columns", f"without {what}"), {"AUC": (whole, without)}, share=False
    )
    return Finding("note", "carries_the_forecast", table, column, evidence, remedy, series)
