"""The first sentence: whom the model beats, and when there is no signal."""

from __future__ import annotations

import pytest

from leadscore.evaluate.metrics import Difference
from leadscore.evaluate.verdict import NO_SIGNAL, beats, verdict, what_to_do

BETTER, SAME, WORSE = Difference(-0.02, -0.03, -0.01), Difference(-0.001, -0.01, 0.01), Difference(0.02, 0.01, 0.03)
LOSSES = {"base_rate": 0.5, "source_rate": 0.48, "trees": 0.47}


def said(rung, *, any_win=True, **against):
    losses = {name: LOSSES[name] for name in against}
    return verdict(rung, losses, {name: {"log_loss": pair} for name, pair in against.items()}, any_win=any_win)


@pytest.mark.parametrize(
    ("found", "does"),
    [
        (None, False),
        (Difference(-0.010, -0.020, -0.001), True),
        (Difference(-0.010, -0.020, 0.001), False),  # within the noise
        (Difference(-0.0004, -0.0006, -0.0002), False),  # beyond it, but a trifle of a loss of .2
        (Difference(0.010, 0.001, 0.020), False),
    ],
)
def test_beating_takes_more_than_noise_and_more_than_a_trifle(found, does) -> None:
    assert beats(found, 0.2) is does


def test_trees_that_beat_all_or_not_all() -> None:
    assert said("trees", base_rate=BETTER, source_rate=BETTER).startswith(
        "The model beats every baseline on log-loss: -0.0200 [-0.0300, -0.0100] against the best, source rate"
    )
    assert said("trees", base_rate=BETTER, source_rate=SAME).endswith("beyond the noise: not source rate")
    assert said("trees", base_rate=BETTER, source_rate=WORSE) == (
        "The model is BEATEN on log-loss, beyond the noise, by source rate"
    )
    assert said("trees", base_rate=BETTER).startswith("The model beats the base rate on log-loss")


def test_no_better_than_the_base_rate_is_no_signal_on_any_rung() -> None:
    for rung in ("trees", "source_rate", None):
        assert said(rung, base_rate=SAME, source_rate=BETTER).startswith(NO_SIGNAL)
    told = verdict("base_rate", LOSSES, {"trees": {"log_loss": BETTER}}, any_win=True)
    assert told.startswith(f"{NO_SIGNAL}: on held-out time nothing beats the base rate")
    told = verdict("base_rate", LOSSES, {"trees": {"log_loss": WORSE}}, any_win=True)
    assert told.endswith("ranks nobody; on the test, trees would have done better")


def test_a_plain_model_says_which_it_is() -> None:
    told = said("source_rate", base_rate=BETTER, trees=SAME)
    assert told.startswith("The model is the source rate: nothing richer did better on held-out time.")
    assert told.endswith("It beats the base rate on log-loss: -0.0200 [-0.0300, -0.0100]")
    assert said("source_rate", base_rate=BETTER, trees=WORSE).endswith("beyond the noise, by trees")


def test_nothing_to_compare_or_to_judge() -> None:
    assert verdict("trees", {}, {}, any_win=True) == "There is no baseline to compare with"
    assert said("trees", any_win=False, base_rate=None).startswith("There is no win among these snapshots")


def test_a_model_that_beats_not_all_says_what_to_do() -> None:
    """It is kept all the same, so whoever trained it must know what that means."""
    losses = {"base_rate": 0.5, "source_rate": 0.4}
    for worse, means in ((WORSE, "source rate did better, by more"), (SAME, "source rate, can't be told from it")):
        told = what_to_do(said("trees", base_rate=BETTER, source_rate=worse), losses, "p")
        assert told is not None
        assert means in told
        assert told.endswith("leadscore backtest p; then look for better parameters: leadscore tune p")
    assert what_to_do(said("trees", base_rate=BETTER, source_rate=BETTER), LOSSES, "p") is None
    assert what_to_do(said("trees", base_rate=SAME, source_rate=SAME), LOSSES, "p") is None
