"""Training end to end: what is measured is what is registered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import leadscore as ls
from leadscore import tracking
from leadscore.simulate import simulate
from training.demo import demo, table
from training.train import Trained, train

QUICK = {"num_iterations": 60, "learning_rate": 0.1}


@pytest.fixture(scope="module")
def folder(fresh_sample: Callable[[], Path]) -> Path:
    return fresh_sample()


@pytest.fixture(scope="module")
def trained(folder: Path) -> Trained:
    return train(ls.Project.load(folder), parameters=QUICK, out=folder.parent / "scorer")


def test_first_model_is_champion_and_loads_from_anywhere(folder, trained, monkeypatch, tmp_path) -> None:
    champion, version = tracking.find_scorer(folder)
    assert version == trained.version == "1"
    monkeypatch.chdir(tmp_path)
    elsewhere, _ = tracking.find_scorer(tmp_path, trained.uri)
    assert elsewhere == champion


def test_saved_and_registered_scorers_are_the_same_files(folder, trained) -> None:
    champion, _ = tracking.find_scorer(folder)
    saved = folder.parent / "scorer"
    assert {path.name for path in saved.iterdir()} == {path.name for path in champion.iterdir()}
    for path in saved.iterdir():
        assert path.read_bytes() == (champion / path.name).read_bytes(), path.name


def test_second_training_is_the_challenger_with_the_same_text(folder, trained) -> None:
    again = train(ls.Project.load(folder), parameters=QUICK)
    assert again.version == "2"
    assert again.scorer.model.to_text() == trained.scorer.model.to_text()
    assert again.report.to_dict() == trained.report.to_dict()
    assert tracking.find_scorer(folder)[1] == "1"
    assert tracking.find_scorer(folder, "challenger")[1] == "2"


def test_report_holds_what_a_machine_reads(trained) -> None:
    told = trained.to_dict()
    assert {"auc", "average_precision", "log_loss", "brier", "calibration_slope", "lift_at_10pct"} <= set(
        told["metrics"]
    )
    assert set(told["baselines"]) == {"base_rate", "source_rate", "last_touch", "recency_frequency", "profile_only"}
    assert told["baselines"]["base_rate"]["auc"] == 0.5
    assert told["intervals"]["auc"][0] <= told["metrics"]["auc"] <= told["intervals"]["auc"][1]
    assert {"n", "n_positive", "n_immature"} <= set(told["snapshots"])
    for block in ("train", "tune", "calibrate", "test"):
        assert told["blocks"][block]["n_won_leads"] >= 30
    assert told["blocks"]["embargo_days"] == 30.0


def test_too_few_wins_register_a_lower_rung_and_say_so(tmp_path) -> None:
    folder = simulate(tmp_path / "small", n_leads=250, seed=1, truth=False)
    small = train(ls.Project.load(folder))
    assert small.report.warnings[0].startswith("Too few wins")
    assert small.report.ladder["rung"] != "trees"
    assert small.scorer.model.kind in ("rate", "logistic")
    scorer, _ = tracking.find_scorer(folder)
    scored = ls.LeadScorer.load(scorer).score(small.scorer.fitted.snapshots.data, as_of="2026-06-01")
    assert scored["probability"].between(0, 1, inclusive="neither").all()


def test_demo_prints_the_best_leads_with_reasons(folder) -> None:
    trained, best, scored = demo(folder, n_best=3)
    assert list(best["probability"]) == sorted(best["probability"], reverse=True)
    printed = table(best)
    assert all(lead in printed for lead in best["lead_id"])
    assert "+ " in printed
    assert scored.read_text(encoding="utf-8").count("\n") > 3
    assert trained.version is not None
