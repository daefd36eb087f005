"""The search: forward in time, the same after a kill, and plain about what it didn't find."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import leadscore as ls
from leadscore import tracking
from leadscore.cli import main
from leadscore.errors import TrackingError, TrainingError
from leadscore.evaluate.metrics import Difference
from leadscore.model.booster import PARAMETERS
from leadscore.snapshots import split
from leadscore.tracking.connection import connect
from training.train import train
from training.tune import Tuned, _concluded, _verdict, tune
from training.tuning import space
from training.tuning.folds import forward_folds
from training.tuning.study import Tried, best, lagging, open_study

QUICK = "\n[model]\nnum_iterations = 40\nlearning_rate = 0.1\n"
TUNE = """
import sys
from leadscore.cli import main
sys.argv = ["leadscore", "tune", sys.argv[1], "--trials", sys.argv[2]]
main()
"""
N_TRIALS = 6


@pytest.fixture(scope="module")
def quick_sample(fresh_sample: Callable[..., Path]) -> Callable[[], Path]:
    """Make a copy of half the sample, on which a trial takes a second or less."""

    def copy() -> Path:
        folder = fresh_sample(every=2)
        with (folder / "leadscore.toml").open("a", encoding="utf-8") as file:
            file.write(QUICK)
        return folder

    return copy


@pytest.fixture(scope="module")
def folder(quick_sample: Callable[[], Path]) -> Path:
    return quick_sample()


@pytest.fixture(scope="module")
def tuned(folder: Path) -> Tuned:
    return tune(ls.Project.load(folder), n_trials=N_TRIALS)


def test_first_trial_is_what_there_is(tuned) -> None:
    assert tuned.trials[0].parameters == {}
    assert not tuned.trials[0].pruned
    assert best(list(tuned.trials)).loss <= tuned.trials[0].loss


def test_verdict_is_plain_and_lines_come_only_with_a_proof(tuned, folder) -> None:
    assert tuned.text().startswith(tuned.verdict)
    assert (tuned.lines is not None) == tuned.better == (tuned.registered is not None)
    if not tuned.better:
        with pytest.raises(TrackingError):
            tracking.find_scorer(folder, "challenger")


@pytest.mark.slow
def test_better_model_is_registered_and_its_lines_are_printed(tuned, quick_sample) -> None:
    project = ls.Project.load(quick_sample())
    parameters = space.parameters(space.nearest({"max_depth": 3}))
    trained = train(project, parameters=parameters, track=False)
    found = _concluded(project, replace(tuned, better=True, parameters=parameters, registered=trained))
    assert found.registered is not None
    _, version = tracking.find_scorer(project.folder, "challenger")
    assert version == found.registered.version == "1"
    assert found.lines is not None
    assert tomllib.loads(found.lines)["model"] == parameters
    assert found.lines in found.text()
    assert found.to_dict()["model"]["version"] == "1"


@pytest.mark.slow
def test_finished_search_tries_nothing_again(tuned, folder) -> None:
    again = tune(ls.Project.load(folder), n_trials=N_TRIALS)
    assert again.trials == tuned.trials
    assert (again.verdict, again.run_id) == (tuned.verdict, tuned.run_id)


def test_mlflow_holds_one_parent_and_a_child_per_trial(tuned, folder) -> None:
    assert children(folder) == [(tuned.run_id, str(trial.place)) for trial in tuned.trials]
    with connect(folder) as client:
        parent = client.get_run(tuned.run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["verdict"] == tuned.verdict
    assert parent.data.metrics["default_log_loss"] == tuned.trials[0].loss


@pytest.mark.slow
def test_killed_search_goes_on_as_if_it_had_not_been(tuned, quick_sample) -> None:
    """SIGKILL in the middle, run again: the trials of an uninterrupted search, none lost, none twice."""
    folder = quick_sample()
    command = [sys.executable, "-c", TUNE, str(folder), str(N_TRIALS)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for_trials(folder, 2, process)
    time.sleep(0.3)  # somewhere within a trial, or its logging
    process.send_signal(signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, said
    assert 2 <= n_finished(folder) < N_TRIALS
    again = tune(ls.Project.load(folder), n_trials=N_TRIALS)
    assert [(trial.parameters, trial.losses, trial.pruned) for trial in again.trials] == [
        (trial.parameters, trial.losses, trial.pruned) for trial in tuned.trials
    ]
    assert n_finished(folder) == N_TRIALS
    assert children(folder) == [(again.run_id, str(place)) for place in range(N_TRIALS)]


def test_unfinished_trial_gives_its_place_back(tmp_path) -> None:
    with open_study(tmp_path, "s", seed=3, own={}) as study:
        for _ in range(3):
            study.try_next(rising)
        with pytest.raises(ZeroDivisionError):
            study.try_next(lambda parameters: (1 / 0 for _ in range(2)))
        assert len(study.tried()) == 3
    with open_study(tmp_path, "s", seed=3, own={}) as study:
        study._study.ask(space.distributions())  # killed here: it stays as running
    with open_study(tmp_path, "s", seed=3, own={}) as study:
        for _ in range(12):
            study.try_next(rising)
        resumed = study.tried()
    with open_study(tmp_path, "whole", seed=3, own={}) as study:
        for _ in range(15):
            study.try_next(rising)
        whole = study.tried()
    assert [(trial.parameters, trial.losses) for trial in resumed] == [
        (trial.parameters, trial.losses) for trial in whole
    ]
    assert any(trial.pruned for trial in whole)
    assert len({str(trial.parameters) for trial in whole}) == 15


def test_the_worst_quarter_lags_and_a_whole_trial_never() -> None:
    so_far = [Tried(place, {}, (0.2 + place / 100, 0.4)[: 1 + (place < 4)], place > 3, 0, 1) for place in range(8)]
    assert lagging([0.26], so_far)
    assert not lagging([0.25], so_far)
    assert not lagging([0.26, 0.4], so_far)
    assert not lagging([0.26], so_far[:4])


def test_only_one_search_at_a_time(tmp_path) -> None:
    with (
        open_study(tmp_path, "s", seed=0, own={}),
        pytest.raises(TrackingError, match="another search is at work"),
        open_study(tmp_path, "s", seed=0, own={}),
    ):
        pass


def test_damaged_database_is_named(tmp_path) -> None:
    (tmp_path / "optuna.db").write_bytes(b"no database at all, and long enough to be looked at" * 20)
    with pytest.raises(TrackingError, match=r"optuna\.db can't be used"), open_study(tmp_path, "s", seed=0, own={}):
        pass


def test_folds_lie_before_the_test_and_learn_from_settled_labels(sample, sample_snapshots) -> None:
    blocks = split(sample_snapshots)
    folds = forward_folds(sample_snapshots, blocks, seed=0)
    at, lead = sample_snapshots.at, sample_snapshots.lead
    horizon = sample.project.task.horizon
    test = blocks.rows["test"]
    assert len(folds) == 3
    ends = at[test].min()
    for fold in folds:
        assert at[fold.learn].max() <= at[fold.stop].min()
        assert at[fold.judge].max() < ends
        before = np.concatenate([fold.learn, fold.stop])
        assert not np.isin(np.concatenate([before, fold.judge]), test).any()
        early = split(sample_snapshots.take(np.arange(fold.judge.max() + 1))).embargo
        assert early is not None
        settled = at[before] + horizon <= at[fold.judge].min()
        same_lead = np.isin(lead[before], lead[fold.judge])
        assert settled[same_lead].all()
        assert (at[before] < at[fold.judge].min()).all()
        ends = at[fold.judge].min()


def test_nearest_point_takes_any_setting() -> None:
    point = space.nearest({"max_depth": -1, "lambda_l2": 0, "min_data_in_leaf": 10_000, "num_leaves": 500})
    assert set(point) == set(space.SPACE)
    for name, value in point.items():
        assert space.SPACE[name].low <= value <= space.SPACE[name].high, name
    assert space.nearest({})["learning_rate"] == PARAMETERS["learning_rate"]


def test_leaves_fit_the_depth() -> None:
    point = {**space.nearest({}), "max_depth": 1, "num_leaves": 24}
    assert space.parameters(point)["num_leaves"] == 2


def test_too_few_wins_name_the_rung_and_end_well(tmp_path) -> None:
    from leadscore.simulate import simulate

    folder = simulate(tmp_path / "few", n_leads=300, seed=1)
    found = tune(ls.Project.load(tmp_path / "few"), n_trials=2, track=False)
    assert folder is not None
    assert found.verdict.startswith("Tuning can't help here")
    assert "rung" in found.verdict
    assert (found.trials, found.better, found.lines) == ((), False, None)
    assert not (tmp_path / "few" / "optuna.db").exists()


def test_no_trials_are_refused(folder) -> None:
    with pytest.raises(TrainingError, match="a trial or more"):
        tune(ls.Project.load(folder), n_trials=0)


def test_command_speaks_to_machines(tuned, folder) -> None:
    done = CliRunner().invoke(main, ["tune", str(folder), "--trials", str(N_TRIALS), "--json"])
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["verdict"] == tuned.verdict
    assert [trial["losses"] for trial in told["trials"]] == [list(trial.losses) for trial in tuned.trials]
    steps = [json.loads(line) for line in done.stderr.splitlines()]
    assert steps[-1] == {
        "step": "Searching", "done": N_TRIALS, "total": N_TRIALS, "best": best(list(tuned.trials)).loss,
    }  # fmt: skip


@pytest.mark.parametrize("wrong", [["--timeout", "soon"], ["--timeout", "0m"], ["--trials", "0"]])
def test_wrong_budget_is_wrong_usage(wrong, folder) -> None:
    assert CliRunner().invoke(main, ["tune", str(folder), *wrong]).exit_code == 2


def test_spent_time_still_makes_the_first_trial(quick_sample) -> None:
    found = tune(ls.Project.load(quick_sample()), n_trials=9, seconds=1e-9, track=False)
    assert len(found.trials) == 1
    assert found.verdict.startswith("Of 1 trial the settings there are did best")


@pytest.mark.parametrize(
    ("rung", "default_rung", "high", "signal", "better", "says"),
    [
        ("trees", "trees", -0.001, True, True, "beat the default"),
        ("trees", "trees", 0.001, True, False, "do NOT beat the default"),
        ("trees", "trees", -0.001, False, False, "do NOT beat the default"),
        ("trees", "trees", 0.005, True, False, "are WORSE than the default"),
        ("trees", "base_rate", -0.001, True, True, "beat the default"),
        ("trees", "base_rate", 0.001, True, False, "NO SIGNAL"),
        ("base_rate", "base_rate", 0.0, False, False, "NO SIGNAL"),
        ("last_touch", "last_touch", 0.0, True, False, "Keep the default"),
    ],
)
def test_verdicts(rung, default_rung, high, signal, better, says) -> None:
    against = {"log_loss": Difference(high - 0.002, high - 0.004, high), "auc": None}
    found = _verdict(rung, default_rung, against, signal=signal, n_trials=7)
    assert found[0] is better
    assert says in found[1]


def test_default_that_wins_stays() -> None:
    assert _verdict("trees", "trees", {}, signal=False, n_trials=7)[1].startswith("Of 7 trials the settings")
    assert _verdict("base_rate", "base_rate", {}, signal=False, n_trials=7)[1].startswith("NO SIGNAL")


def rising(parameters):
    """Two folds that like shallow trees."""
    depth = parameters.get("max_depth", 2)
    yield 0.3 + 0.01 * depth
    yield 0.2 + 0.01 * depth


def children(folder: Path) -> list[tuple[str, str]]:
    """(parent, trial) of every child run, by trial."""
    with connect(folder) as client:
        experiment = client.get_experiment_by_name("market")
        runs = client.search_runs([experiment.experiment_id], "tags.`leadscore.trial` != ''")
    found = [(run.data.tags["mlflow.parentRunId"], run.data.tags["leadscore.trial"]) for run in runs]
    return sorted(found, key=lambda pair: int(pair[1]))


def n_finished(folder: Path) -> int:
    with sqlite3.connect(folder / "optuna.db") as database:
        return int(database.execute("SELECT count(*) FROM trials WHERE state IN ('COMPLETE', 'PRUNED')").fetchone()[0])


def wait_for_trials(folder: Path, n: int, process: subprocess.Popen[str]) -> None:
    """Until so many trials have finished."""
    deadline = time.monotonic() + 240
    while process.poll() is None and time.monotonic() < deadline:
        if (folder / "optuna.db").exists() and n_finished(folder) >= n:
            return
        time.sleep(0.05)
    raise AssertionError("the search ended or stood still before it could be killed")
