"""The verdict: what beats the baselines, what doesn't, and what a reader is warned of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore.errors import TrainingError
from leadscore.evaluate.report import Report, importance, judge, report
from leadscore.evaluate.warnings import off_level


@pytest.fixture(scope="module")
def told(sample_scorer: ls.LeadScorer) -> Report:
    return report(sample_scorer)


def coin_flips(n_leads: int = 3_000) -> ls.Data:
    """Leads whose columns have nothing to do with who wins."""
    rng = np.random.default_rng(3)
    project = ls.Project.from_dict(
        {
            "name": "coin",
            "leads": {"source": "l", "id": "id", "created": "at", "categorical": ["source"], "numeric": ["size"]},
            "outcome": {"source": "o", "lead": "id", "time": "at"},
            "task": {"horizon": "7d", "observed_until": "2026-01-01"},
        }
    )
    created = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 360 * 24, n_leads), "h")
    leads = pd.DataFrame(
        {
            "id": [f"L{lead}" for lead in range(n_leads)],
            "at": created,
            "source": rng.choice(["ads", "web", "fair"], n_leads),
            "size": rng.normal(size=n_leads),
        }
    )
    won = rng.random(n_leads) < 0.3
    outcome = pd.DataFrame({"id": leads["id"][won], "at": leads["at"][won] + pd.Timedelta("1D")})
    return ls.read(project, frames={"leads": leads, "outcome": outcome})


def test_coin_flips_are_no_signal() -> None:
    data = coin_flips()
    scorer = ls.LeadScorer().fit(data, ls.snapshots(data))
    found = report(scorer)
    assert found.verdict.startswith("NO SIGNAL BEYOND THE NOISE")
    assert found.text().startswith(found.verdict)
    assert found.ladder["rung"] == "base_rate"
    assert scorer.model.kind == "rate"
    assert set(scorer.score(data, as_of="2025-12-01")["score"]) == {50}


def test_groups_and_blocks_account_for_every_test_snapshot(told, sample_scorer) -> None:
    n_test = told.blocks["test"]["n"]
    assert n_test == told.metrics["n"] == len(sample_scorer.fitted.blocks.rows["test"])
    for name in ("month", "lead_age", "touches", "history", "account"):
        assert sum(group["n"] for group in told.groups[name]) == n_test, name
    sizes = sum(told.blocks[block]["n"] for block in ("train", "tune", "calibrate", "test"))
    assert sizes + told.blocks["n_dropped"] == told.snapshots["n"]


def test_text_says_what_was_judged_and_whether_the_probabilities_hold(told) -> None:
    lines = told.text().splitlines()
    assert any(line.startswith(f"Judged on {told.metrics['n']:,} snapshots") for line in lines)
    assert lines[-2].startswith("Predicted ")
    left_out = told.features["left_out"]
    n_constant = sum(twin is None for twin in left_out.values())
    made_of = f"Made of {told.features['n']:,} features; left out: {n_constant} that never vary on train, "
    assert lines[-1].startswith(f"{made_of}{len(left_out) - n_constant} that order leads as a plainer one does (")
    model = next(place for place, line in enumerate(lines) if line.startswith("the model"))
    assert "its 95% interval" in lines[model + 1]


def test_what_was_trained_on_flatters_and_is_said(sample_scorer, sample) -> None:
    found = judge(sample_scorer, sample)
    assert found.warnings[0].startswith("The scorer was trained on these very data")
    assert found.verdict.startswith("The model beats the base rate on log-loss")


@pytest.mark.parametrize(("span", "word"), [((-0.4, -0.1), "high"), ((0.1, 0.4), "low")])
def test_a_level_beyond_the_noise_is_a_warning(span, word) -> None:
    (warning,) = off_level({"calibration_intercept": span})
    assert f"too {word} here" in warning
    assert off_level({"calibration_intercept": (-0.1, 0.1)}) == off_level({"calibration_intercept": None}) == []


def test_importance_is_largest_first_and_names_no_feature(sample_scorer) -> None:
    found = importance(sample_scorer)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert not set(found) & set(sample_scorer.plan.names)


def test_a_loaded_scorer_has_no_test_block_left(sample_scorer_folder) -> None:
    with pytest.raises(TrainingError, match="leadscore evaluate --model M"):
        report(ls.LeadScorer.load(sample_scorer_folder))


def test_features_added_in_vain_and_directions_without_words_are_named(sample) -> None:
    raw = dict(sample.project.raw) | {"features": {"add": ["touchpoints.channel=wbinar.count.7d", "load"]}}
    raw["events"] = {name: dict(table) for name, table in raw["events"].items()}
    raw["events"]["interactions"]["direction"] = {"column": "kind", "outbound": ["outbund"], "inbound": ["email"]}
    project = ls.Project.from_dict(raw)
    data = ls.Data(project, sample.leads, sample.logs, sample.outcomes)
    scorer = ls.LeadScorer(parameters={"num_iterations": 5}).fit(data, ls.snapshots(data))
    told = report(scorer)
    assert "owner.open_leads" in scorer.plan.names
    assert [text for text in told.warnings if text.startswith("[")] == [
        "[features] add: 'touchpoints.channel=wbinar.count.7d' is the same for every lead of train; "
        "is its category spelt so?",
        "[events.interactions] direction: none of 3 values of 'kind' means outbound, so nobody ever answers; "
        "looked for outbund",
    ]
