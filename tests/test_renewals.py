"""Customer success on the same code: contracts instead of leads, renewals instead of wins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import leadscore as ls
from leadscore.alignment import Cohort, channels, funnel
from leadscore.cli import main
from leadscore.simulate import simulate


@pytest.fixture(scope="module")
def renewals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(tmp_path_factory.mktemp("renewals") / "acme", n_leads=1_500, seed=4, kind="renewals")


@pytest.fixture(scope="module")
def data(renewals: Path) -> ls.Data:
    return ls.Project.load(renewals).read()


@pytest.fixture(scope="module")
def scorer(data: ls.Data) -> ls.LeadScorer:
    return ls.LeadScorer(parameters={"num_iterations": 60, "learning_rate": 0.1}).fit(data, ls.snapshots(data))


def test_the_same_seed_gives_the_same_bytes(renewals: Path, tmp_path: Path) -> None:
    again = simulate(tmp_path / "again", n_leads=1_500, seed=4, kind="renewals")
    other = simulate(tmp_path / "other", n_leads=1_500, seed=5, kind="renewals")
    for file in renewals.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes()
        assert (other / file.name).read_bytes() != file.read_bytes()


def test_the_truth_is_what_happens(renewals: Path) -> None:
    truth = pd.read_csv(renewals / "truth.csv", parse_dates=["cutoff"])
    decisions = pd.read_csv(renewals / "decisions.csv", parse_dates=["decided_at"])
    both = truth.merge(decisions, on="contract_id", how="left")
    ahead = (both["decided_at"] - both["cutoff"]).dt.total_seconds() / 86_400
    renewed = (both["decision"] == "renewed") & (ahead >= 0) & (ahead < 60)
    for low, high in ((0.0, 0.2), (0.2, 0.6), (0.6, 1.01)):
        band = both["probability"].between(low, high, inclusive="left")
        expected, found = both["probability"][band].mean(), renewed[band].mean()
        assert found == pytest.approx(expected, abs=4 * np.sqrt(0.25 / band.sum() * 8)), (low, high)


def test_every_row_makes_sense(data: ls.Data) -> None:
    assert data.notes == ()
    for log in data.logs.values():
        assert (log.time >= data.leads.created[log.lead_of_rows()] - 86_400_000_000).all()


def test_a_renewal_is_foreseen(data: ls.Data, scorer: ls.LeadScorer, renewals: Path) -> None:
    truth = pd.read_csv(renewals / "truth.csv", parse_dates=["cutoff"])
    late = truth[truth["cutoff"] >= "2026-01-01"].rename(columns={"contract_id": "lead_id"})
    found = scorer.score(data, cutoffs=late)["probability"]
    assert np.corrcoef(found, late["probability"])[0, 1] > 0.8
    assert found.mean() == pytest.approx(late["probability"].mean(), abs=0.05)


def test_its_reasons_speak_of_usage(data: ls.Data, scorer: ls.LeadScorer) -> None:
    open_ = scorer.score(data, as_of="2026-05-01")
    said = " ".join(reason["text"] for reasons in open_["reasons"] for reason in reasons)
    assert "uses of the product" in said


def test_its_reports_need_nothing_new(data: ls.Data, scorer: ls.LeadScorer) -> None:
    until = data.observed_until
    found = channels(data, scorer, by="lead.signed_through", as_of=until)
    assert set(found.table["channel"]) == {"self_service", "sales", "partner"}
    stages = funnel(Cohort.of(data, as_of=until))
    assert stages.names == ("lead", "touched", "worked", "answered", "won")


def test_the_command_writes_it(tmp_path: Path) -> None:
    command = ["simulate", str(tmp_path / "acme"), "--kind", "renewals", "--leads", "50", "--json"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "acme" / "decisions.csv").exists()
