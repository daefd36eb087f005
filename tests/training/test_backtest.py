"""A backtest knows nothing of the future, keeps what it has done, and says honestly what came true."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time as clock
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import leadscore as ls
from leadscore import time
from leadscore.cli import main
from leadscore.errors import DataError, ProjectError, TrainingError
from leadscore.tables import Outcomes
from leadscore.tracking.connection import connect
from tests import builders
from tests.training.steady import steady_market
from training.backtest import Backtest, backtest
from training.backtesting import origins, stood
from training.backtesting.judged import Mean
from training.backtesting.page import page
from training.backtesting.verdict import decide

QUICK = {"learning_rate": 0.2, "num_leaves": 7}
QUICK_MODEL = "\n[model]\nlearning_rate = 0.2\nnum_leaves = 7\n"
ORIGINS = 3
RUN = """
import sys
from leadscore.cli import main
sys.argv = ["leadscore", "backtest", *sys.argv[1:]]
main()
"""
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return steady_market(tmp_path_factory.mktemp("backtest") / "market")


@pytest.fixture(scope="module")
def found(market: Path) -> Backtest:
    return run(market)


def run(market: Path, **options) -> Backtest:
    return backtest(ls.Project.load(market), at_most=ORIGINS, parameters=QUICK, **options)


def copy_of(market: Path, into: Path) -> Path:
    return Path(shutil.copytree(market, into / "market", ignore=shutil.ignore_patterns("backtest", "ml*")))


def kept_at(found: Backtest, origin: int) -> stood.Stood:
    kept = stood.kept(found.scores.parent / found.key / f"{time.format_instant(origin)[:10]}.parquet")
    assert kept is not None
    return kept


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_steady_market_keeps_its_promise(found) -> None:
    assert found.verdict.signal is True
    assert found.verdict.promise_holds is True
    assert found.verdict.probabilities_hold is True
    assert found.judged.kept is not None
    assert found.verdict.sentence.startswith("THE PROMISE HOLDS")
    assert len(found.judged.periods) == ORIGINS


@pytest.mark.parametrize(
    ("gap", "holds", "words"),
    [
        (Mean(-0.05, -0.08, -0.02), False, "THE PROMISE DOES NOT HOLD"),
        (Mean(-0.05, -0.12, 0.02), None, "NEITHER KEPT NOR BROKEN"),
        (Mean(-0.01, -0.015, -0.005), True, "by less than 0.02"),
        (Mean(0.05, 0.02, 0.08), True, "to the good"),
    ],
)
def test_a_promise_is_broken_beyond_the_noise_only(found, gap, holds, words) -> None:
    verdict = decide(replace(found.judged, gap=gap))
    assert verdict.promise_holds is holds
    assert words in verdict.sentence


def test_few_wins_settle_nothing(found) -> None:
    verdict = decide(replace(found.judged, pooled=replace(found.judged.pooled, n_won=29)))
    assert verdict.sentence.startswith("TOO EARLY: 29 won leads")
    assert verdict.signal is verdict.promise_holds is verdict.retraining_pays is None


def test_every_settled_cutoff_is_judged_once_by_the_newest_model(found, market) -> None:
    data = ls.Project.load(market).read()
    first = found.judged.periods[0].origin
    taken = replace(data.project.task, cutoffs=replace(data.project.task.cutoffs, max_per_lead=None))
    rows = ls.snapshots(replace(data, project=replace(data.project, task=taken)))
    rows = rows.take(rows.at >= first)
    assert found.judged.pooled.n == len(rows) == sum(period.truth.n for period in found.judged.periods)
    scores = pd.read_csv(found.scores)
    assert list(scores) == ["lead_id", "cutoff", "origin", "probability", "score", "grade", "label"]
    assert not scores.duplicated(["lead_id", "cutoff"]).any()
    assert (scores["origin"] <= scores["cutoff"]).all()
    settled = scores.dropna(subset="label")
    assert len(settled) == len(rows)
    assert settled["label"].sum() == rows.label.sum()
    assert scores["label"].isna().sum() == sum(period.n_immature for period in found.judged.periods)


def test_scores_are_those_of_the_model_that_would_have_been_trained_that_day(found, market) -> None:
    """Trained by hand on tables from which everything after the origin is cut, it says the same."""
    origin = found.judged.periods[1].origin
    project = ls.Project.load(market)
    day = pd.Timestamp(origin, unit="us", tz="UTC")
    frames = {name: pd.read_csv(market / f"{name}.csv") for name in ("leads", "touchpoints", "calls", "outcomes")}
    stamps = {"leads": "created_at", "outcomes": "closed_at", "touchpoints": "occurred_at", "calls": "occurred_at"}
    cut = {name: frame[pd.to_datetime(frame[stamps[name]], utc=True) < day] for name, frame in frames.items()}
    task = {**project.raw["task"], "observed_until": time.format_instant(origin)}
    past = ls.Project.from_dict({**project.raw, "task": task})
    cut["outcome"] = cut.pop("outcomes")
    data = ls.read(past, frames={name: frame.reset_index(drop=True) for name, frame in cut.items()})
    scorer = ls.LeadScorer(parameters=QUICK).fit(data, ls.snapshots(data))
    scores = pd.read_csv(found.scores, parse_dates=["cutoff", "origin"])
    mine = scores[scores["origin"] == day]
    again = scorer.score(project.read(), cutoffs=mine[["lead_id", "cutoff"]], n_reasons=0)
    assert np.array_equal(again["probability"].to_numpy(), mine["probability"].to_numpy())
    assert again["grade"].tolist() == mine["grade"].tolist()


def test_the_future_changes_neither_models_nor_earlier_scores(found, market, tmp_path) -> None:
    """Everything after the last origin is bent: events, outcomes, new leads of new words. What stood before stands."""
    last = found.judged.periods[-1].origin
    day = pd.Timestamp(last, unit="us", tz="UTC")
    folder = copy_of(market, tmp_path)
    for name, column in (("touchpoints", "occurred_at"), ("calls", "occurred_at"), ("outcomes", "closed_at")):
        frame = pd.read_csv(folder / f"{name}.csv", dtype=str)
        frame[pd.to_datetime(frame[column], utc=True) < day].to_csv(folder / f"{name}.csv", index=False)
    leads = pd.read_csv(folder / "leads.csv", dtype=str)
    late = pd.to_datetime(leads["created_at"], utc=True) >= day
    leads.loc[late, "source"] = "a word that nobody knew"
    leads.loc[late, "lead_id"] = "A" + leads.loc[late, "lead_id"]
    leads.to_csv(folder / "leads.csv", index=False)
    bent = run(folder)
    assert bent.key != found.key
    for before, after in zip(found.judged.periods, bent.judged.periods, strict=True):
        assert before.promise == after.promise
        frames = [kept_at(each, before.origin).scores for each in (found, bent)]
        scores = [frame[frame["cutoff"] < day].drop(columns="label") for frame in frames]
        assert len(scores[0]) > 0 or before.origin == last
        pd.testing.assert_frame_equal(*[frame.reset_index(drop=True) for frame in scores], check_exact=True)


def test_outcomes_are_known_once_they_are_recorded(tmp_path) -> None:
    """Leads: won and recorded; won, recorded at the origin; won, of which a later win was seen first."""
    never = time.NEVER
    table = (
        "lead_id,closed_at,status,seen_at\n"
        "a,2025-01-05T00:00:00Z,won,2025-01-06T00:00:00Z\n"
        "b,2025-01-05T00:00:00Z,won,2025-01-20T00:00:00Z\n"
        "c,2025-01-05T00:00:00Z,won,2025-01-25T00:00:00Z\n"
        "c,2025-01-08T00:00:00Z,won,2025-01-09T00:00:00Z\n"
    )
    data = builders.read(tmp_path, {"outcomes.csv": table}, {"outcome.known": "seen_at"})
    known = origins.known_at(data, time.parse_instant("2025-01-20", "UTC"))
    expected = [time.parse_instant("2025-01-05", "UTC"), never, time.parse_instant("2025-01-09", "UTC")]
    assert known.outcomes.won_at.tolist() == expected
    assert known.outcomes.won_seen[1] == never
    assert isinstance(known.outcomes, Outcomes)
    assert known.observed_until == time.parse_instant("2025-01-20", "UTC")


def test_again_gives_the_same_bytes_and_trains_nothing(found, market, monkeypatch) -> None:
    before = files(found.scores.parent)

    def refuse(*_, **__):
        raise AssertionError("what is kept must not be trained again")

    monkeypatch.setattr("training.backtest.stand", refuse)
    again = run(market)
    assert again.to_dict() == found.to_dict()
    assert page(again) == page(found)
    assert files(found.scores.parent) == before


def test_what_cannot_be_read_is_made_anew_and_fresh_makes_all_anew(found, market, monkeypatch) -> None:
    before = files(found.scores.parent)
    made = []
    real = stood.stand
    monkeypatch.setattr("training.backtest.stand", lambda *a, **k: (made.append(a[2]), real(*a, **k))[1])
    torn = sorted((found.scores.parent / found.key).glob("*.parquet"))[1]
    torn.write_bytes(torn.read_bytes()[:-100])
    run(market)
    assert made == [found.judged.periods[1].origin]
    assert files(found.scores.parent) == before
    monkeypatch.setattr("training.backtest.stand", lambda *a, **k: (made.append(a[2]), again[a[2]])[1])
    days = [period.origin for period in found.judged.periods]
    again = {origin: kept_at(found, origin) for origin in days}
    run(market, fresh=True)
    assert made[1:] == days
    assert files(found.scores.parent) == before


def test_another_seed_is_kept_apart(found, market, tmp_path) -> None:
    other = run(market, seed=1, folder=tmp_path)
    assert other.key != found.key
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [other.key]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_killed_half_way_it_goes_on_and_ends_the_same(market, tmp_path) -> None:
    folders = [copy_of(market, tmp_path / name) for name in ("whole", "killed")]
    for folder in folders:
        with (folder / "leadscore.toml").open("a", encoding="utf-8") as file:
            file.write(QUICK_MODEL)
    whole, killed = folders
    expected = finished(whole)
    process = subprocess.Popen([sys.executable, "-c", RUN, *arguments(killed)], stdout=subprocess.DEVNULL)
    wait_for_first_origin(killed, process)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    done = list((killed / "backtest").rglob("*.parquet"))
    assert 0 < len(done) < ORIGINS
    assert not (killed / "backtest" / "scores.csv").exists()
    stamps = {path: path.stat().st_mtime_ns for path in done}
    assert finished(killed) == expected
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    seen = {name: content for name, content in files(killed / "backtest").items() if not name.endswith(".part")}
    assert seen == files(whole / "backtest")


def arguments(folder: Path) -> list[str]:
    return [str(folder), "--origins", str(ORIGINS), "--no-track", "--json"]


def finished(folder: Path) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments(folder)], capture_output=True, text=True, timeout=300, check=True
    )
    return {name: value for name, value in json.loads(done.stdout).items() if name != "scores"}


def wait_for_first_origin(folder: Path, process: subprocess.Popen) -> None:
    deadline = clock.monotonic() + 120
    while process.poll() is None and clock.monotonic() < deadline:
        if list((folder / "backtest").rglob("*.parquet")):
            return
        clock.sleep(0.005)


def test_a_list_without_times_is_refused_with_a_remedy(tmp_path) -> None:
    (tmp_path / "list.csv").write_text("source,visits,converted\nads,1,1\nads,2,0\n")
    project = replace(ls.Project.from_dict(builders.LABELLED), folder=tmp_path)
    with pytest.raises(DataError, match=r"\[outcome\] names no time.*leadscore train"):
        backtest(project)


def test_too_little_says_what_is_missing(market, tmp_path) -> None:
    with pytest.raises(TrainingError, match=r"2024-\d\d-\d\d.*0 won leads were settled.*Missing: 30 won leads"):
        run(market, every="600d", folder=tmp_path)


@pytest.mark.parametrize("every", ["12h", "0d", "monthly"])
def test_a_period_is_whole_days(every, market) -> None:
    with pytest.raises(ProjectError, match="--every"):
        run(market, every=every)


def test_no_signal_is_said_first_and_last(market, tmp_path) -> None:
    """With outcomes dealt out again among the leads, nothing predicts anything."""
    folder = copy_of(market, tmp_path)
    outcomes = pd.read_csv(folder / "outcomes.csv", dtype=str)
    outcomes["status"] = np.random.default_rng(0).permutation(outcomes["status"])
    outcomes.to_csv(folder / "outcomes.csv", index=False)
    project = ls.Project.load(folder)
    with (folder / "leadscore.toml").open("a", encoding="utf-8") as file:
        file.write('\n[features]\ndrop = ["touchpoints*", "calls*", "profile*", "calendar*"]\n')
    result = CliRunner().invoke(main, ["backtest", str(project.folder), "--no-track", "--origins", "2"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("NO SIGNAL")
    assert result.output.rstrip().endswith("There is no signal.")


def test_the_verb_prints_one_object_writes_a_page_and_logs_a_run(market, tmp_path) -> None:
    folder = copy_of(market, tmp_path)
    with (folder / "leadscore.toml").open("a", encoding="utf-8") as file:
        file.write(QUICK_MODEL)
    html = tmp_path / "backtest.html"
    result = CliRunner().invoke(
        main, ["backtest", str(folder), "--origins", "2", "--every", "60d", "--html", str(html), "--json"]
    )
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["every_days"] == 60
    assert len(told["periods"]) == 2
    assert told["kept"]["difference"]["log_loss"] is not None
    assert Path(told["scores"]).is_file()
    written = html.read_text(encoding="utf-8")
    assert told["verdict"].split(":")[0] in written
    assert "<script" not in written
    with connect(folder) as client:
        run_ = client.get_run(told["run_id"])
        names = {artifact.path for artifact in client.list_artifacts(told["run_id"])}
    assert run_.data.tags["kind"] == "backtest"
    assert run_.data.metrics["n_origins"] == 2
    assert names == {"backtest.json", "backtest.txt", "backtest.html", "origins.csv"}


@pytest.mark.parametrize("name", ["control_null"])
def test_a_control_without_signal(name, tmp_path) -> None:
    if not (SHARED / name).is_dir():
        pytest.skip("needs the shared data beside the project")
    result = backtest(ls.Project.load(SHARED / name), at_most=2, folder=tmp_path)
    assert result.verdict.sentence.startswith("NO SIGNAL")
