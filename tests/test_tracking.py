from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import leadscore as ls
from leadscore import tracking
from leadscore.errors import MissingExtraError, TrackingError
from leadscore.model.artifact import MANIFEST
from leadscore.tracking import connection, registry

TOML = Path(__file__).parents[1] / "data" / "sample" / "leadscore.toml"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """No setting of the machine counts, and nothing may depend on the current folder."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    """MLflow's database before anything was trained: its migrations take a second or more."""
    folder = tmp_path_factory.mktemp("empty")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with connection.connect(folder):
            connection.create_database(folder)
    return folder / connection.DATABASE


@pytest.fixture
def bare_project(tmp_path):
    """A project without a database: whoever logs first makes it."""
    return project_at(tmp_path / "project")


@pytest.fixture
def project(bare_project, empty_database):
    shutil.copy(empty_database, bare_project)
    return bare_project


def project_at(folder, toml=None):
    folder.mkdir()
    (folder / "leadscore.toml").write_text(TOML.read_text("utf-8") if toml is None else toml, encoding="utf-8")
    return folder


def client_of(folder):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracking.tracking_uri(folder))


def aliases_of(folder):
    aliases = client_of(folder).get_registered_model("market").aliases
    return {alias: str(version) for alias, version in aliases.items()}


def log(scorer, folder, **more):
    return tracking.log(scorer, folder, metrics={"auc": 0.7}, parameters={}, **more)


@pytest.fixture(scope="module")
def logged(sample_scorer, tmp_path_factory):
    """A project with one version, for tests that only look."""
    folder = project_at(tmp_path_factory.mktemp("logged") / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return folder, log(sample_scorer, folder)


@pytest.fixture
def drawing():
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([0, 1], [0, 1])
    return figure


def test_a_run_holds_everything_and_its_model_is_champion_and_challenger(bare_project, sample_scorer, drawing):
    registered = tracking.log(
        sample_scorer,
        bare_project,
        metrics={"auc": 0.7, "calibration_slope": None, "log_loss": float("nan"), "brier": 1},
        intervals={"auc": (0.6, 0.8), "brier": None},
        parameters={"learning_rate": 0.5, "blocks": {"train": 3}, "note": None},
        tags={"commit": "abc"},
        figures={"reliability": drawing},
        texts={"report.json": '{"n": 1}'},
    )
    client = client_of(bare_project)
    run = client.get_run(registered.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"auc": 0.7, "brier": 1.0, "auc_low": 0.6, "auc_high": 0.8}
    expected = {
        **{"learning_rate": "0.5", "blocks": '{"train": 3}', "note": "null", "num_iterations": "60"},
        **{"seed": "0", "horizon": "30d", "windows": "1d 7d 30d 90d all", "model": "lightgbm"},
        **{"plan": sample_scorer.plan.hash, "calibration": sample_scorer.calibrator.kind},
    }
    assert expected.items() <= run.data.params.items()
    assert run.data.tags["commit"] == "abc"
    assert run.data.tags["leadscore.data"] == sample_scorer.manifest["data"]
    assert sample_scorer.manifest["data"].startswith(run.inputs.dataset_inputs[0].dataset.digest)
    files = Path(bare_project, "mlruns", registered.run_id, "artifacts")
    assert json.loads((files / "report.json").read_text()) == {"n": 1}
    assert (files / "plots" / "reliability.png").read_bytes().startswith(b"\x89PNG")
    assert client.get_experiment(run.info.experiment_id).name == "market"
    assert registered.uri == "models:/market/1"
    assert aliases_of(bare_project) == {"champion": "1", "challenger": "1"}


def test_a_second_run_takes_the_challenger_alias_only(project, sample_scorer):
    log(sample_scorer, project)
    assert log(sample_scorer, project).version == "2"
    assert aliases_of(project) == {"champion": "1", "challenger": "2"}


def test_a_logged_model_pins_its_requirements_and_holds_no_pickle(project, sample_scorer, tmp_path):
    for name in ("uv.lock", "pyproject.toml"):
        (tmp_path / "elsewhere" / name).write_text("", encoding="utf-8")
    log(sample_scorer, project)
    model = tracking.find_scorer(project)[0].parents[1]
    files = {path.name for path in model.rglob("*") if path.is_file()}
    assert not {"uv.lock", "pyproject.toml", "python_model.pkl"} & files
    requirements = (model / "requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in requirements} >= {"leadscore", "mlflow", "lightgbm", "numpy"}
    assert f"lightgbm=={metadata.version('lightgbm')}" in requirements


def test_everything_stays_in_the_project_and_nothing_is_said(tmp_path, sample_scorer, capfd):
    project = project_at(tmp_path / "pro ject #1 ä 50%")
    log(sample_scorer, project)
    folder, _ = tracking.find_scorer(project)
    assert capfd.readouterr() == ("", "")
    assert folder.is_relative_to(project)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert sorted(path.name for path in project.iterdir()) == ["leadscore.toml", "mlflow.db", "mlruns"]


def test_the_callers_mlflow_is_left_alone(project, sample_scorer):
    import mlflow

    before = mlflow.get_tracking_uri()
    log(sample_scorer, project)
    tracking.find_scorer(project)
    assert mlflow.get_tracking_uri() == before
    assert mlflow.active_run() is None
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_find_scorer_understands_every_way_to_name_a_model(project, sample_scorer):
    first, second = log(sample_scorer, project), log(sample_scorer, project)
    client = client_of(project)
    champion, challenger = tracking.find_scorer(project), tracking.find_scorer(project, "challenger")
    assert (champion[1], challenger[1]) == ("1", "2")
    assert champion[0] != challenger[0]
    for same in ("1", "champion", "@champion", "models:/market/1", "models:/market@champion", "models:/market"):
        assert tracking.find_scorer(project, same) == champion
    assert tracking.find_scorer(project, f"runs:/{second.run_id}/model") == challenger
    model_id = client.get_run(first.run_id).outputs.model_outputs[0].model_id
    assert tracking.find_scorer(project, f"models:/{model_id}") == (champion[0], None)
    assert ls.LeadScorer.load(champion[0], version="1").plan.hash == sample_scorer.plan.hash


def test_a_scorer_folder_is_found_without_mlflow(sample_scorer_folder):
    code = (
        "import sys, leadscore.tracking as t; print(t.find_scorer('.', sys.argv[1])[1]); "
        "assert not {'mlflow', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(sample_scorer_folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    assert (done.returncode, done.stdout) == (0, "None\n"), done.stderr


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("9", r"has no version 9 \(versions 1; aliases challenger, champion\)\. Name one of them"),
        ("shadow", r"has no alias 'shadow' \(versions 1; .*Name one of them"),
        ("models:/nobody/1", r"no model is registered as 'nobody' \(registered are: market\)"),
        ("models:/market@shadow", "has no alias 'shadow'"),
        ("runs:/0123/model", "Run with id=0123 not found"),
        (str(Path(__file__).parent), "tests holds no scorer: it has no manifest.json"),
        ("some/folder", r"there is no folder some/folder\. Name a folder that leadscore train --out wrote"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(logged, model, said):
    with pytest.raises(TrackingError, match=said):
        tracking.find_scorer(logged[0], model)


def test_a_run_without_that_model_names_those_it_holds(logged):
    project, run_id = logged[0], logged[1].run_id
    with pytest.raises(TrackingError, match=rf"holds no model 'other' \(it holds: model\). Write runs:/{run_id}/model"):
        tracking.find_scorer(project, f"runs:/{run_id}/other")


def test_a_project_without_champion_says_how_to_get_one(project, sample_scorer):
    log(sample_scorer, project)
    client_of(project).delete_registered_model_alias("market", "champion")
    with pytest.raises(TrackingError, match=r"no alias 'champion' .* or run: leadscore train"):
        tracking.find_scorer(project)


def test_looking_creates_no_database(bare_project):
    with pytest.raises(TrackingError, match=r"mlflow\.db does not exist: .* Run: leadscore train"):
        tracking.find_scorer(bare_project)
    assert [path.name for path in bare_project.iterdir()] == ["leadscore.toml"]


def test_a_damaged_database_is_named_at_once(bare_project, sample_scorer):
    (bare_project / "mlflow.db").write_text("not a database at all", encoding="utf-8")
    for use in (lambda: tracking.find_scorer(bare_project), lambda: log(sample_scorer, bare_project)):
        with pytest.raises(TrackingError, match="is not an SQLite database"):
            use()


def test_a_moved_project_keeps_its_models_and_logs_to_its_new_place(project, sample_scorer, tmp_path):
    log(sample_scorer, project)
    moved = project.rename(tmp_path / "moved")
    folder, version = tracking.find_scorer(moved)
    assert folder.is_relative_to(moved)
    assert version == "1"
    assert log(sample_scorer, moved).version == "2"
    assert tracking.find_scorer(moved, "2")[0].is_relative_to(moved)
    assert not project.exists()


def test_a_copied_project_uses_its_own_files(project, sample_scorer, tmp_path):
    log(sample_scorer, project)
    before = sorted(project.rglob("*"))
    copy = Path(shutil.copytree(project, tmp_path / "copy"))
    assert tracking.find_scorer(copy)[0].is_relative_to(copy)
    log(sample_scorer, copy)
    assert log(sample_scorer, copy).version == "3"
    assert sorted(project.rglob("*")) == before
    assert aliases_of(project)["challenger"] == "1"


def test_a_project_named_after_its_folder_is_found_after_a_rename(tmp_path):
    toml = """
        leads = { source = "leads.csv", numeric = ["employees"] }
        outcome = { source = "leads.csv", column = "won", won = ["yes"] }
        """
    project = project_at(tmp_path / "spring", toml)
    (project / "leads.csv").write_text("employees,won\n" + "1,yes\n2,no\n" * 6, encoding="utf-8")
    data = ls.Project.load(project).read()
    assert log(ls.LeadScorer().fit(data, ls.snapshots(data)), project).name == "spring"
    assert tracking.find_scorer(project.rename(tmp_path / "summer"))[1] == "1"


def test_files_that_are_gone_are_named(project, sample_scorer):
    log(sample_scorer, project)
    shutil.rmtree(project / "mlruns" / "models")
    with pytest.raises(TrackingError, match="the model's files are neither in"):
        tracking.find_scorer(project)


@pytest.mark.parametrize(("stop", "status"), [(RuntimeError("disk"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
@pytest.mark.parametrize("during", ["log_model_artifacts", "set_registered_model_alias"])
def test_what_stops_midway_leaves_no_version(project, sample_scorer, monkeypatch, stop, status, during):
    from mlflow import MlflowClient

    log(sample_scorer, project)

    def stops(*_args, **_more):
        raise stop

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, during, stops)
        with pytest.raises(type(stop)):
            log(sample_scorer, project)
    client = client_of(project)
    runs = client.search_runs([client.get_experiment_by_name("market").experiment_id])
    assert sorted(run.info.status for run in runs) == sorted(["FINISHED", status])
    assert [found.version for found in client.search_model_versions("name = 'market'")] == [1]
    assert aliases_of(project) == {"champion": "1", "challenger": "1"}
    assert log(sample_scorer, project).version in {"2", "3"}


def test_what_mlflow_refuses_is_a_tracking_error_and_a_failed_run(project, sample_scorer):
    with pytest.raises(TrackingError, match=r"refused: .*what\?"):
        tracking.log(sample_scorer, project, metrics={"what?": 1.0}, parameters={})
    client = client_of(project)
    (run,) = client.search_runs([client.get_experiment_by_name("market").experiment_id])
    assert run.info.status == "FAILED"
    with pytest.raises(TrackingError, match="no model is registered as 'market'"):
        tracking.find_scorer(project)


def test_a_deleted_experiment_is_restored(project, sample_scorer):
    log(sample_scorer, project)
    client = client_of(project)
    client.delete_experiment(client.get_experiment_by_name("market").experiment_id)
    assert log(sample_scorer, project).version == "2"


def test_the_environment_decides_where_runs_are(bare_project, sample_scorer, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'team.db'}")
    assert tracking.tracking_uri(bare_project) == f"sqlite:///{tmp_path / 'team.db'}"
    with pytest.raises(TrackingError, match=r"team\.db does not exist"):
        tracking.find_scorer(bare_project)
    log(sample_scorer, bare_project)
    assert tracking.find_scorer(bare_project)[0].is_relative_to(bare_project / "mlruns")
    assert not (bare_project / "mlflow.db").exists()


def test_the_address_is_absolute_whatever_the_current_folder(tmp_path):
    assert tracking.tracking_uri("p") == f"sqlite:///{tmp_path / 'elsewhere' / 'p' / 'mlflow.db'}"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("market", "market"),
        ("EMEA/Nord: Ärzte", "EMEA-Nord- Ärzte"),
        ("o'hara@home%", "o-hara-home"),
        ("../..", "leadscore"),
        ("a" * 400, "a" * 250),
    ],
)
def test_names_that_the_registry_refuses_are_rewritten(name, kept):
    from mlflow.utils.validation import _validate_model_name

    assert tracking.registered_name(name) == kept
    _validate_model_name(kept)


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_trained(bare_project, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(TrackingError, match=r"can't be written.*--no-track --out FOLDER"):
        tracking.require_writable(bare_project)


def test_a_remote_model_is_fetched_once(project, sample_scorer):
    log(sample_scorer, project)
    model = tracking.find_scorer(project)[0].parents[1]
    fetched = registry._fetched(model.as_uri(), project)
    assert sorted(path.name for path in fetched.parent.iterdir()) == [fetched.name]
    assert (fetched / MANIFEST).read_bytes() == (model / "artifacts" / "scorer" / MANIFEST).read_bytes()
    shutil.rmtree(model)
    assert registry._fetched(model.as_uri(), project) == fetched


def test_without_mlflow_the_extra_is_named(bare_project, sample_scorer, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match=r"leadscore\[tracking\]"):
        log(sample_scorer, bare_project)
