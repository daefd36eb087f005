"""The first sentence of a report: is there a signal, and does the model beat what is simpler?"""

from __future__ import annotations

from collections.abc import Mapping

from leadscore.evaluate.metrics import Difference
from leadscore.model.ladder import BASE_RATE, MATERIAL, TREES, words

NO_SIGNAL = "NO SIGNAL BEYOND THE NOISE"
"""What the verdict on a model begins with that is no better than the base rate."""

THERE_IS_NONE = "There is no signal: don't rank leads, or promise wins, by this model"
"""What a command ends with that was about such a model."""

_BEATEN, _UNBEATEN = "The model is BEATEN", "The model does NOT beat every baseline"

Against = Mapping[str, Mapping[str, Difference | None]]
"""By baseline, then metric: the model's less the baseline's, with its interval."""


def verdict(rung: str | None, losses: Mapping[str, float], against: Against, *, any_win: bool) -> str:
    """Say in one sentence what the test says of a model.

    A baseline is *beaten* if the model's log-loss is lower beyond the noise (95 % interval, paired) and by at least
    `MATERIAL` of it; the model is *beaten* if a baseline's is lower beyond the noise.

    Parameters
    ----------
    rung : on which the model stands, None if unknown
    losses : log-loss of every baseline on the test
    against : of every baseline but the model itself
    any_win : whether the test holds a win at all
    """
    if not losses:
        return "There is no baseline to compare with"
    if not any_win:
        return "There is no win among these snapshots: nothing can be judged"
    stronger = [words(name) for name, pairs in against.items() if _beaten_by(pairs["log_loss"])]
    if rung == BASE_RATE:
        told = f"{NO_SIGNAL}: on held-out time nothing beats the base rate, so it is the model, and ranks nobody"
        return told + (f"; on the test, {', '.join(stronger)} would have done better" if stronger else "")
    beaten = [name for name, pairs in against.items() if beats(pairs["log_loss"], losses[name])]
    if BASE_RATE not in beaten:
        return (
            f"{NO_SIGNAL}: the model does not beat the base rate on log-loss. "
            "Its ranking and its probabilities are not to be used"
        )
    if stronger:
        return f"{_BEATEN} on log-loss, beyond the noise, by {', '.join(stronger)}"
    if rung is not None and rung != TREES:
        return _of_a_plain_model(rung, against)
    unbeaten = [words(name) for name in against if name not in beaten]
    if unbeaten:
        return f"{_UNBEATEN} on log-loss beyond the noise: not {', not '.join(unbeaten)}"
    best = min(against, key=lambda name: losses[name])
    whom = "every baseline" if len(against) > 1 else f"the {words(best)}"
    of_best = f" against the best, {words(best)}" if len(against) > 1 else ""
    return f"The model beats {whom} on log-loss: {_span(against[best]['log_loss'])}{of_best}"


def what_to_do(told: str, losses: Mapping[str, float | None], project: str) -> str | None:
    """Say what a verdict of a model that was trained means, and what to do; None where there is nothing to do.

    `told` is what `verdict` said, `losses` the log-loss of every baseline, `project` the folder as it was named.
    """
    if not told.startswith((_BEATEN, _UNBEATEN)):
        return None
    best = words(min((loss, name) for name, loss in losses.items() if loss is not None)[1])
    means = (
        f"It is kept, and used where it is the first, but on held-out time {best} did better, by more than chance"
        if told.startswith(_BEATEN)
        else f"It may be used, but on held-out time a plain model, {best}, can't be told from it"
    )
    return (
        f"{means}. See whether that holds at other times: leadscore backtest {project}; "
        f"then look for better parameters: leadscore tune {project}"
    )


def beats(found: Difference | None, loss: float) -> bool:
    """Whether log-loss falls beyond the noise, and by enough to matter."""
    return found is not None and found.high < 0 and -found.difference >= MATERIAL * loss


def _beaten_by(found: Difference | None) -> bool:
    return found is not None and found.low > 0


def _of_a_plain_model(rung: str, against: Against) -> str:
    told = f"The model is the {words(rung)}: nothing richer did better on held-out time"
    return f"{told}. It beats the base rate on log-loss: {_span(against[BASE_RATE]['log_loss'])}"


def _span(found: Difference | None) -> str:
    assert found is not None, "what beats has an interval"
    return f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
