"""The simulator knows the true probabilities: the model must come near them, and can't do better than luck allows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore import time
from leadscore.evaluate.metrics import evaluate, paired_bootstrap

TRUTH = Path(__file__).parents[2] / "data" / "sample" / "truth.csv"


@pytest.fixture(scope="module")
def compared(sample: ls.Data, sample_scorer: ls.LeadScorer) -> pd.DataFrame:
    """Label, model and truth at the cutoffs of truth.csv that lie in the test block's time and are mature."""
    fitted = sample_scorer.fitted
    assert fitted is not None
    horizon = sample.project.task.horizon
    truth = pd.read_csv(TRUTH)
    asked = ls.Cutoffs.of(sample, truth)
    mature = time.mature(
        asked.at, horizon=horizon, observed_from=fitted.blocks.starts["test"], observed_until=sample.observed_until
    )
    truth = truth[mature].reset_index(drop=True)
    lead, at = asked.lead[mature], asked.at[mature]
    scored = sample_scorer.score(sample, cutoffs=ls.Cutoffs(lead, at), n_reasons=0)
    won = time.won_within_horizon(sample.outcomes.won_at[lead], at, horizon=horizon)
    return pd.DataFrame(
        {"lead": lead, "label": won.astype(int), "model": scored["probability"], "truth": truth["probability"]}
    )


def test_truth_is_calibrated_and_an_upper_bound_within_the_noise(compared) -> None:
    difference = paired_bootstrap(
        compared["label"], compared["model"], compared["truth"], compared["lead"], seed=0, metrics=("auc", "log_loss")
    )
    assert difference["log_loss"].low > -0.02
    assert difference["auc"].low < 0.02


def test_model_comes_near_the_truth(compared) -> None:
    model = evaluate(compared["label"], compared["model"])
    truth = evaluate(compared["label"], compared["truth"])
    assert compared["label"].sum() >= 30
    assert model["auc"] > 0.65
    assert model["auc"] > truth["auc"] - 0.08
    assert np.corrcoef(np.log(compared["model"]), np.log(compared["truth"].clip(1e-4)))[0, 1] > 0.4
