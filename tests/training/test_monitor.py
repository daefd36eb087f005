"""A monitor on a market whose later part was bent on purpose: it must say what was done to it, and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import leadscore as ls
from leadscore.cli import main
from leadscore.errors import DataError, ProjectError
from leadscore.model.baselines import RateByCategory
from leadscore.model.calibration import Identity
from leadscore.model.population import Reference
from tests import builders
from tests.training.steady import steady_market
from training.monitor import monitor, track
from training.monitoring.page import page
from training.train import train

QUICK = {"learning_rate": 0.1}
UNTIL = "2026-02-01"
SINCE = pd.Timestamp("2026-01-02", tz="UTC")  # one horizon before: what is new to the model


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A market large enough for outcomes to have a say."""
    return steady_market(tmp_path_factory.mktemp("monitor") / "market")


@pytest.fixture(scope="module")
def scorer(market: Path, tmp_path_factory: pytest.TempPathFactory) -> ls.LeadScorer:
    """Trained as of an earlier day, and read back from its folder as a monitor finds it."""
    folder = copy_of(market, tmp_path_factory.mktemp("earlier"))
    toml = (folder / "leadscore.toml").read_text(encoding="utf-8").splitlines()
    lines = [f'observed_until = "{UNTIL}"' if line.startswith("observed_until") else line for line in toml]
    (folder / "leadscore.toml").write_text("\n".join(lines), encoding="utf-8")
    train(ls.Project.load(folder), parameters=QUICK, track=False, out=folder / "scorer")
    return ls.LeadScorer.load(folder / "scorer")


@pytest.fixture
def bent(market: Path, tmp_path: Path) -> Callable[..., ls.Project]:
    """The market with some tables changed: name → function of its frame."""

    def bend(**changes: Callable[[pd.DataFrame], pd.DataFrame]) -> ls.Project:
        folder = copy_of(market, tmp_path)
        for name, change in changes.items():
            path = folder / f"{name}.csv"
            change(pd.read_csv(path, dtype=str)).to_csv(path, index=False)
        return ls.Project.load(folder)

    return bend


def copy_of(market: Path, into: Path) -> Path:
    return Path(shutil.copytree(market, into / "market", ignore=shutil.ignore_patterns("mlflow.db", "mlruns")))


def later(frame: pd.DataFrame, column: str) -> np.ndarray:
    return (pd.to_datetime(frame[column], utc=True, format="ISO8601") >= SINCE).to_numpy()


def test_an_unchanged_world_is_kept(scorer, bent) -> None:
    found = monitor(bent(), model=scorer)
    assert found.verdict.word == "keep", found.text()
    assert found.matured is not None
    assert found.matured.n_won_leads >= 100
    assert found.scores is not None
    assert found.scores.shift.beyond == 0
    assert found.scores.rewritten.psi == 0  # the model's own leads, taken again, score to the bit as they did
    assert not any(feed.stopped for feed in found.feeds)
    assert found.period["n_now"] > found.period["n_matured"]


def test_a_level_that_shifted_asks_for_calibration(scorer, bent) -> None:
    """Half the later wins never happen: who is best stays, how many buy does not."""

    def halve(outcomes: pd.DataFrame) -> pd.DataFrame:
        wins = np.flatnonzero(later(outcomes, "closed_at") & (outcomes["status"] == "won").to_numpy())
        spoilt = np.random.default_rng(1).permutation(wins)[: len(wins) // 2]
        return outcomes.drop(index=outcomes.index[spoilt])

    found = monitor(bent(outcomes=halve), model=scorer)
    assert found.verdict.word == "recalibrate", found.text()
    assert found.verdict.why[0].startswith("The level is off: predicted ")
    assert found.matured.metrics["calibration_intercept"] < -0.4
    assert "The ranking holds" in found.text()
    assert "leadscore train" in found.verdict.remedy


def test_labels_that_mean_nothing_any_more_ask_for_training(scorer, bent) -> None:
    """The later wins fall to leads that were drawn by lot."""

    def shuffle(outcomes: pd.DataFrame) -> pd.DataFrame:
        rows = np.flatnonzero(later(outcomes, "closed_at"))
        changed = outcomes.copy()
        drawn = np.random.default_rng(2).permutation(rows)
        changed.iloc[rows, changed.columns.get_loc("status")] = outcomes["status"].to_numpy()[drawn]
        return changed

    found = monitor(bent(outcomes=shuffle), model=scorer)
    assert found.verdict.word == "retrain", found.text()
    assert found.verdict.why[0].startswith("The ranking fell: AUC ")


def test_a_category_that_was_renamed_is_named(scorer, bent) -> None:
    def rename(touchpoints: pd.DataFrame) -> pd.DataFrame:
        now = later(touchpoints, "occurred_at")
        return touchpoints.assign(
            channel=touchpoints["channel"].mask(now & (touchpoints["channel"] == "email"), "e-mail (new)")
        )

    found = monitor(bent(touchpoints=rename), model=scorer)
    column = found.unseen[0]
    assert (column.table, column.column) == ("touchpoints", "channel")
    assert [word for word, _ in column.new] == ["e-mail (new)"]
    assert [word for word, _ in column.gone] == ["email"]
    assert column.share_then == 0
    assert column.share_now == pytest.approx(column.gone[0][1], abs=0.05)
    assert any("e-mail (new)" in line for line in found.text().splitlines())


def test_a_profile_column_that_changes_its_words_is_named(scorer, bent) -> None:
    def rename(leads: pd.DataFrame) -> pd.DataFrame:
        now = later(leads, "created_at")
        return leads.assign(source=leads["source"].where(~now, leads["source"].str.upper()))

    found = monitor(bent(leads=rename), model=scorer)
    columns = {(column.table, column.column): column for column in found.unseen}
    assert columns["leads", "source"].share_now > 0.9
    assert columns["leads", "source"].share_then == 0
    assert found.verdict.word == "retrain"
    assert found.verdict.why[0].startswith("The ")


def test_a_table_that_stopped_is_named_before_anything_is_judged(scorer, bent) -> None:
    def stop(calls: pd.DataFrame) -> pd.DataFrame:
        at = pd.to_datetime(calls["occurred_at"], utc=True, format="ISO8601")
        return calls[(at < pd.Timestamp("2026-05-01", tz="UTC")).to_numpy()]

    project = bent(calls=stop)
    found = monitor(project, model=scorer)
    assert [feed.table for feed in found.feeds if feed.stopped] == ["calls"]
    assert found.verdict.word == "mend the data"
    assert found.verdict.why[0].startswith("calls has stopped: its last row is of 2026-04-30, ")
    before = monitor(project, model=scorer, as_of="2026-05-01")
    assert not any(feed.stopped for feed in before.feeds)


def test_a_past_that_was_rewritten_is_said(scorer, bent) -> None:
    """A field that the last sales call overwrites for everybody, without versions."""
    found = monitor(bent(leads=lambda leads: leads.assign(source="partner")), model=scorer)
    assert found.scores.rewritten.beyond > 0
    assert any(note.startswith("The past was rewritten") for note in found.notes)


def test_the_day_after_training_nothing_can_be_judged_and_that_is_said(scorer, bent) -> None:
    found = monitor(bent(), model=scorer, as_of=UNTIL)
    assert found.verdict.word == "keep"
    assert found.verdict.why[0].startswith("Too few matured wins to judge: 0 won leads of the 30 needed")
    assert found.matured is None
    assert found.period["model_age_days"] == 0
    assert "nothing has matured since" in found.text()


def test_no_lead_since_is_said(scorer, bent) -> None:
    found = monitor(bent(), model=scorer, as_of="2026-01-02T00:00:01Z")
    assert found.period["n_now"] == 0
    assert found.scores is None
    assert found.notes == ("No lead was open at any cutoff since: neither scores nor features can be compared",)
    assert found.verdict.word == "keep"
    assert "KEEP: Too few" in page(found)


def test_tables_that_forgot_the_past_ask_for_a_reference(scorer, bent, market) -> None:
    def forget(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["lead_id"] >= "L03300"]

    project = bent(leads=forget, outcomes=forget, touchpoints=forget, calls=forget)
    alone, beside = (monitor(project, model=scorer, reference=past) for past in (None, ls.Project.load(market)))
    assert any("--reference FOLDER" in note for note in alone.notes)
    assert alone.groups == ()
    assert alone.scores.rewritten is None
    assert alone.verdict.word == beside.verdict.word == "keep"
    assert alone.matured.auc.noise < beside.matured.auc.noise  # the promise's own noise is unknown without its test
    assert beside.groups
    assert beside.scores.rewritten.psi == 0


def test_a_base_rate_that_stands_in_has_no_signal(scorer, bent, tmp_path) -> None:
    """The plainest model of all: one score for everybody, which drifts nowhere and ranks nothing."""
    plain = ls.LeadScorer.load(scorer.save(tmp_path / "scorer"))
    plain.model, plain.calibrator = RateByCategory(-1.8), Identity()
    kept = plain.population.margin
    plain.population = replace(plain.population, margin=Reference.of(np.full(len(kept.values), -1.8), kept.weights))
    plain.manifest |= {"rung": "base_rate", "verdict": "NO SIGNAL BEYOND THE NOISE: …", "metrics": {"auc": 0.5}}
    found = monitor(bent(), model=plain)
    assert found.verdict.word == "no signal"
    assert found.verdict.why[0].startswith("There is no signal")
    assert "ranks what has matured since with AUC 0.500" in found.text()
    assert found.scores.shift.psi == 0
    assert {group.share for group in found.groups} == {0.0}
    assert "There is no signal" in page(found)
    json.dumps(found.to_dict(), allow_nan=False)


def test_since_never_reaches_what_the_model_knew(scorer, bent) -> None:
    project = bent()
    early = monitor(project, model=scorer, since="2025-06-01")
    assert early.notes[0].startswith("--since is moved to 2026-01-02T00:00:00.000001Z")
    late = monitor(project, model=scorer, since="2026-04-01")
    assert late.period["since"] == "2026-04-01T00:00:00Z"
    assert late.matured.n < early.matured.n
    with pytest.raises(DataError, match="nothing is newer than the model"):
        monitor(project, model=scorer, as_of="2025-12-01")
    with pytest.raises(ProjectError, match="soon"):
        monitor(project, model=scorer, since="soon")


def test_same_input_same_bytes(scorer, bent) -> None:
    project = bent()
    first, second = (monitor(project, model=scorer, seed=4) for _ in range(2))
    assert json.dumps(first.to_dict(), allow_nan=False) == json.dumps(second.to_dict(), allow_nan=False)
    assert page(first) == page(second)
    assert first.text() == second.text()


def test_page_holds_verdict_rule_and_pictures(scorer, bent) -> None:
    shown = page(monitor(bent(), model=scorer))
    assert "KEEP: " in shown
    assert "The rule" in shown
    assert shown.count("<svg") >= 2
    assert "STOPPED" not in shown


def test_it_is_a_run_of_the_project(scorer, bent) -> None:
    from leadscore.tracking.connection import connect

    project = bent()
    found = monitor(project, model=scorer)
    run_id = track(found, project)
    with connect(project.folder) as client:
        run = client.get_run(run_id)
        assert {path.path for path in client.list_artifacts(run_id)} == {"monitor.html", "monitor.json", "monitor.txt"}
    assert run.data.tags["kind"] == "monitor"
    assert run.data.tags["verdict"] == "keep"
    assert run.data.metrics["matured_auc"] == found.matured.metrics["auc"]
    assert run.info.status == "FINISHED"


def test_the_verb_exits_with_0_and_strictly_with_1(scorer, bent, tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder, model = str(bent().folder), str(scorer.save(tmp_path / "scorer"))
    call = ["monitor", folder, "--model", model, "--no-track", "--as-of", "2026-05-01"]
    done = CliRunner().invoke(main, [*call, "--json", "--html", str(tmp_path / "m.html")])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert {"verdict", "why", "remedy", "rule", "scores", "features", "matured", "unseen", "freshness"} <= set(told)
    assert (tmp_path / "m.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert not (Path(folder) / "mlflow.db").exists()
    assert CliRunner().invoke(main, [*call, "--strict"]).exit_code == (0 if told["verdict"] == "keep" else 1)
    assert CliRunner().invoke(main, [*call, "--html", str(tmp_path / "m.html" / "m.html")]).exit_code == 2


def rows(n_rows: int, changes: dict[str, Any] | None = None, *, n_open: int = 0, shifted: bool = False) -> ls.Project:
    """A labelled list where visits decide, in a frame of its own."""
    rng = np.random.default_rng(n_rows)
    visits = rng.poisson(3 + 3 * shifted, n_rows)
    won = rng.random(n_rows) < 0.1 + 0.08 * np.minimum(visits, 8)
    frame = pd.DataFrame(
        {"source": rng.choice(["ads", "web"], n_rows), "visits": visits, "converted": np.where(won, "1", "0")},
    ).astype(object)
    frame.loc[: n_open - 1, "converted"] = None
    return frame


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ls.Project]:
    def make(name: str, **options: Any) -> ls.Project:
        folder = tmp_path_factory.mktemp(name)
        rows(**options).to_csv(folder / "list.csv", index=False)
        return builders.project(base=builders.LABELLED, folder=folder)

    return make


def test_a_list_without_times_compares_its_open_leads(lists) -> None:
    project = lists("old", n_rows=1_500, n_open=200)
    data = project.read()
    scorer = ls.LeadScorer(parameters={"num_iterations": 20}).fit(data, ls.snapshots(data))
    found = monitor(project, model=scorer)
    assert found.period["n_now"] == 200
    assert found.matured is None
    assert found.groups
    assert found.feeds == ()
    assert found.verdict.word == "keep"
    with pytest.raises(DataError, match="has no times"):
        monitor(project, model=scorer, since="2026-01-01")


def test_a_newer_list_is_held_against_the_old(lists) -> None:
    old, new = lists("old", n_rows=1_500), lists("new", n_rows=1_501, shifted=True)
    data = old.read()
    scorer = ls.LeadScorer(parameters={"num_iterations": 20}).fit(data, ls.snapshots(data))
    with pytest.raises(DataError, match="the very list that the model was trained on"):
        monitor(old, model=scorer)
    alone, beside = monitor(new, model=scorer), monitor(new, model=scorer, reference=old)
    assert alone.groups == ()
    assert any("--reference FOLDER" in note for note in alone.notes)
    assert beside.scores.shift.beyond > 0.25
    assert beside.groups[0].name == "visits"
    assert beside.apart.auc > 0.7
    assert beside.matured.n == 1_501
    kept = scorer.population.margin
    moved = beside.settled.margin.mean() - np.average(kept.values, weights=kept.weights)
    assert moved > 0.1
    assert sum(group.moved_scores for group in beside.groups) == pytest.approx(moved)
