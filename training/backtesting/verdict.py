"""What a backtest says, in sentences: is there a signal, do promise and probabilities hold, does retraining pay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leadscore.evaluate.metrics import Difference
from leadscore.evaluate.page.blocks import Tone
from leadscore.evaluate.verdict import NO_SIGNAL, beats
from leadscore.model.ladder import BASE_RATE, words
from leadscore.snapshots import FEWEST_WINS
from training.backtesting.judged import Beside, Judged, Mean
from training.monitoring.verdict import AUC_FALL, LEVEL_OFF, SLOPE_OFF, SOME_SIGNAL


@dataclass(frozen=True)
class Verdict:
    """`sentences`, the deciding one first; `signal` is whether the scores as they stood said anything at all.

    `promise_holds`, `probabilities_hold` and `retraining_pays` are None where it can't be told.
    """

    sentences: tuple[str, ...]
    signal: bool | None
    promise_holds: bool | None
    probabilities_hold: bool | None
    retraining_pays: bool | None

    @property
    def sentence(self) -> str:
        """The verdict in one line."""
        return self.sentences[0]

    @property
    def tone(self) -> Tone:
        """How a page marks it."""
        if self.signal is False:
            return "bad"
        if None in (self.signal, self.promise_holds):
            return "unsure"
        return "good" if self.promise_holds and self.probabilities_hold else "unsure"


def decide(found: Judged) -> Verdict:
    """Say what outcomes say."""
    few = found.pooled.n_won < FEWEST_WINS
    signal, ranked = _signal(found)
    probable, level = _probabilities(found, ranks=signal)
    pays, retrained = _retraining(found.kept)
    if few:
        early = (
            f"TOO EARLY: {found.pooled.n_won} won leads have matured since the first origin, and {FEWEST_WINS} are "
            "needed to settle anything. Read the numbers as anecdotes"
        )
        return Verdict((early, level, retrained), None, None, None, None)
    if not signal:
        return Verdict((ranked, level), False, None, probable, None)
    holds, promise = _promise(found.gap)
    return Verdict((promise, ranked, *_plainer(found), level, retrained), True, holds, probable, pays)


def _signal(found: Judged) -> tuple[bool, str]:
    """Scores that rank carry a signal; whether their probabilities beat the base rate as well is said."""
    base = found.baselines[BASE_RATE]
    loss = base.difference["log_loss"]
    within = f"AUC within periods {span(found.auc)}"
    against = f"log-loss {span(loss, signed=True)} against the base rate as known at each origin"
    if all(period.promise["rung"] == BASE_RATE for period in found.periods):
        return False, (
            f"{NO_SIGNAL}: on each of {len(found.periods)} days nothing beat the base rate on held-out time, so it was "
            f"the model, and ranked nobody; {within}"
        )
    if found.auc is None or found.auc.value < SOME_SIGNAL or found.auc.low <= 0.5:
        return False, f"{NO_SIGNAL}: the scores as they stood rank no better than chance: {within}, {against}"
    if beats(loss, base.other["log_loss"] or 0.0):
        return True, f"The scores as they stood beat the base rate: {within}, {against}"
    return True, (
        f"The scores as they stood rank, but as probabilities they do NOT beat the base rate: {within}, {against}"
    )


def _plainer(found: Judged) -> list[str]:
    """Say whether a plainer rung, used all the time, would have done as well."""
    rungs = {name: beside for name, beside in found.baselines.items() if name != BASE_RATE}
    if not rungs:
        return []
    best = min(rungs, key=lambda name: rungs[name].other["log_loss"] or 0.0)
    loss = rungs[best].difference["log_loss"]
    told = f"the best of them at all times, {words(best)}: log-loss {span(loss, digits=4, signed=True)}"
    if loss is not None and loss.low > 0:
        return [f"A plainer rung BEATS the scores beyond the noise, {told}"]
    if beats(loss, rungs[best].other["log_loss"] or 0.0):
        return [f"They beat every plainer rung beyond the noise, {told}"]
    return [f"They do NOT beat every plainer rung beyond the noise, {told}"]


def _promise(gap: Mean | None) -> tuple[bool | None, str]:
    if gap is None:
        return None, "Whether the promise holds can't be told: too little was won in the tests or since"
    told = f"what came true less what each training's test promised, in AUC: {span(gap, signed=True)}"
    if gap.high < 0 and gap.value <= -AUC_FALL:
        return False, f"THE PROMISE DOES NOT HOLD: {told}"
    if gap.value <= -AUC_FALL:
        return None, f"THE PROMISE IS NEITHER KEPT NOR BROKEN, for less came true, but within the noise: {told}"
    beyond = ""
    if gap.high < 0 or gap.low > 0:
        beyond = ", beyond the noise, " + ("to the good" if gap.value > 0 else f"but by less than {AUC_FALL:g}")
    return True, f"THE PROMISE HOLDS: {told}{beyond}"


def _probabilities(found: Judged, *, ranks: bool) -> tuple[bool | None, str]:
    """Level and slope, each off only beyond its interval and by enough to matter, as in `training.monitoring`."""
    pooled = found.pooled
    if pooled.predicted is None:
        return None, "Nothing has matured: probabilities can't be judged"
    told = f"predicted {pooled.predicted:.1%}, observed {pooled.metrics['base_rate'] or 0.0:.1%}"
    off = []
    for metric, right, enough, word in (
        ("calibration_intercept", 0.0, LEVEL_OFF, "level"),
        ("calibration_slope", 1.0, SLOPE_OFF, "slope"),
    ):
        value, interval = pooled.metrics[metric], pooled.intervals[metric]
        if value is None or interval is None or (word == "slope" and not ranks):
            continue
        told += f", {word} {value:.2f} [{interval[0]:.2f}, {interval[1]:.2f}]"
        if not interval[0] <= right <= interval[1] and abs(value - right) >= enough:
            off.append(word)
    by_period = _level_by_period(found)
    if pooled.n_won < FEWEST_WINS:
        return None, f"Whether the probabilities hold can't be told with {pooled.n_won} won leads: {told}"
    if off:
        return False, f"The probabilities do NOT hold ({' and '.join(off)}): {told}{by_period}"
    return True, f"The probabilities hold: {told}{by_period}"


def _level_by_period(found: Judged) -> str:
    """Say in how many periods the observed rate lies away from the predicted one; in the pool they may cancel."""
    away = []
    for period in found.periods:
        interval = period.truth.intervals["base_rate"]
        if interval is not None and period.truth.predicted is not None:
            away.append(not interval[0] <= period.truth.predicted <= interval[1])
    return f"; away from it beyond the noise in {sum(away)} of {len(away)} periods" if any(away) else ""


def _retraining(kept: Beside | None) -> tuple[bool | None, str]:
    if kept is None:
        return None, "With one origin, retraining can't be compared with keeping a model"
    loss = kept.difference["log_loss"]
    told = f"the first origin's model, kept, less those retrained at each, on {kept.n:,} later snapshots: log-loss "
    told += f"{span(loss, digits=4, signed=True)}, AUC {span(kept.difference['auc'], signed=True)}"
    if kept.n_won < FEWEST_WINS or loss is None:
        return None, f"Whether retraining pays can't be told from {kept.n_won} won leads: {told}"
    if loss.low > 0:
        return True, f"Retraining pays: {told}"
    if loss.high < 0:
        return False, f"Retraining did harm: {told}"
    return False, f"Retraining does not pay beyond the noise: {told}"


def span(found: Mean | Difference | None, *, digits: int = 3, signed: bool = False) -> str:
    """Return a number with its interval, for people."""
    if found is None:
        return "–"
    value, *ends = _ends(found)
    sign = "+" if signed else ""
    low, high = (f"{end:{sign}.{digits}f}" for end in ends)
    return f"{value:{sign}.{digits}f} [{low}, {high}]"


def _ends(found: Mean | Difference) -> Sequence[float]:
    return tuple(found) if isinstance(found, Difference) else (found.value, found.low, found.high)
