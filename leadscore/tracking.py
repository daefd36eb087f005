"""MLflow: log a training run, register its scorer, find it again.

A project's runs are in ``mlflow.db`` in its folder, their files in ``mlruns`` beside it, whatever the current folder;
an environment that sets ``MLFLOW_TRACKING_URI`` decides instead. Only clients with an explicit address are used:
MLflow's own state (active run, tracking address) stays as the caller has it. mlflow is imported on first use.

A registered scorer is a pyfunc model, see `leadscore.pyfunc`. Its requirements pin the installed versions, leadscore's
among them. Where leadscore comes from no index, serve in an environment that has it
(``mlflow models serve -m models:/acme@champion --env-manager local``), or build a wheel
(``pip wheel --no-deps -w dist .``) and let ``PIP_FIND_LINKS=dist`` show it to the environment that MLflow builds.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from leadscore.errors import MissingExtraError, TrackingError
from leadscore.model.artifact import MANIFEST
from leadscore.model.booster import PARAMETERS
from leadscore.model.scorer import LeadScorer
from leadscore.project import Project

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

DATABASE = "mlflow.db"
ARTIFACTS = "mlruns"
CHAMPION = "champion"
CHALLENGER = "challenger"
_MODEL = "model"
_SCORER = Path("artifacts", "scorer")  # where mlflow puts an artifact named scorer, inside a model
_MOST_PARAMETERS = 100  # of one batch, by mlflow's own limit
_LONGEST_DIGEST = 36
_LONGEST_NAME = 250
_SQLITE_STARTS_WITH = b"SQLite format 3\0"
_SERVERS = re.compile(r"(https?|databricks(-uc)?|uc)\b")


@dataclass(frozen=True)
class Registered:
    """A registered scorer; `uri` is its address, as in ``models:/acme/7``."""

    name: str
    version: str
    run_id: str
    uri: str


def tracking_uri(folder: str | Path) -> str:
    """Return where a project's runs are: ``MLFLOW_TRACKING_URI`` if set, else the SQLite file in its folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _own_uri(folder)


def registered_name(name: str) -> str:
    """Return a project's name as the registry can hold it: letters, digits, ``_``, ``.``, ``-`` and inner spaces."""
    return re.sub(r"[^\w .-]+", "-", name).strip(" .-")[:_LONGEST_NAME] or "leadscore"


def log(
    scorer: LeadScorer,
    folder: str | Path,
    *,
    metrics: Mapping[str, float | None],
    parameters: Mapping[str, Any],
    intervals: Mapping[str, tuple[float, float] | None] | None = None,
    tags: Mapping[str, str] | None = None,
    figures: Mapping[str, Figure] | None = None,
    texts: Mapping[str, str] | None = None,
) -> Registered:
    """Log one run and register its scorer, as one: what fails or is interrupted leaves no version behind.

    The run is in the experiment of the project's name, and the new version under that name in the registry, with alias
    ``challenger``, and ``champion`` where there is none. What the scorer knows of itself (LightGBM's parameters, seed,
    horizon, windows, plan, calibration, data) is logged without being asked for.

    Parameters
    ----------
    metrics : name → value; None and what isn't finite is left out
    parameters : name → value, over what the scorer knows; anything but text is written as JSON
    intervals : name → (low, high), logged as ``name_low`` and ``name_high``
    figures : name → figure, drawn to ``plots/name.png``
    texts : path → content, as in ``report.json``

    Raises
    ------
    TrackingError
        If MLflow refuses. The run is marked FAILED (KILLED when interrupted).
    MissingExtraError
        If mlflow isn't installed.
    """
    name = registered_name(str(scorer.manifest.get("name", scorer.name)))
    _check_database(folder, must_exist=False)
    with _mlflow(folder) as client:
        requirements = _requirements()
        experiment = _experiment(client, folder, name)
        run_id = client.create_run(experiment, tags=_tags(scorer, tags or {})).info.run_id
        model_id = None
        try:
            known = {**_parameters(scorer), **{key: _text(value) for key, value in parameters.items()}}
            model_id = client.create_logged_model(experiment, _MODEL, run_id, params=known).model_id
            _log_values(client, run_id, model_id, known, {**metrics, **_ends(intervals or {})})
            _log_data(client, run_id, scorer)
            for title, figure in (figures or {}).items():
                client.log_figure(run_id, figure, f"plots/{title}.png")
            for path, text in (texts or {}).items():
                client.log_text(run_id, text, path)
            _log_model(client, run_id, model_id, scorer, requirements)
            version = _register(client, name, run_id, model_id, by_server=bool(_SERVERS.match(tracking_uri(folder))))
        except BaseException as error:
            _abandon(client, run_id, model_id, "FAILED" if isinstance(error, Exception) else "KILLED")
            raise
    return Registered(name, version, run_id, f"models:/{name}/{version}")


def find_scorer(folder: str | Path, model: str | None = None) -> tuple[Path, str | None]:
    """Return the folder of a scorer, and its version in the registry if it has one.

    A local artifact store isn't copied, and may have been moved with the project's folder; from a remote one the scorer
    is fetched once, into ``mlruns/fetched``.

    Parameters
    ----------
    model : the project's champion if None; else an alias or version of the project's (``challenger``, ``7``), an
        address (``models:/name/7``, ``models:/name@alias``, ``models:/m-…``, ``runs:/…/model``), or a scorer's folder,
        for which mlflow isn't imported

    Raises
    ------
    TrackingError
        If nothing was trained yet, or there is no such model, version or alias; the message names those there are.
    ProjectError
        If a project's name is needed and `folder` holds no project.
    """
    if model is not None and (Path(model) / MANIFEST).is_file():
        return Path(model), None
    if model is not None and "/" in model and not model.startswith(("models:/", "runs:/")):
        raise TrackingError(f"{model} holds no scorer: it has no {MANIFEST}. Name a scorer's folder, or models:/name/7")
    project = None if model is not None and "/" in model else Project.load(folder)
    _check_database(folder, must_exist=True)
    with _mlflow(folder) as client:
        if model is not None and model.startswith("runs:/"):
            location, version = _of_run(client, model)
        elif model is not None and re.fullmatch(r"models:/m-\w+", model):
            location, version = client.get_logged_model(model.removeprefix("models:/")).artifact_location, None
        else:
            name, selector = _asked(client, project, model)
            version = _version(client, name, selector, folder)
            location = client.get_model_version_download_uri(name, version)
        return _scorer_at(str(location), folder), version


@contextmanager
def _mlflow(folder: str | Path) -> Iterator[MlflowClient]:
    """A client of the project's store; mlflow neither reports usage nor chats, and its errors are ours."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "mlflow":
            raise
        raise MissingExtraError("Tracking", "tracking") from None
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield MlflowClient(tracking_uri=tracking_uri(folder))
    except MlflowException as error:
        raise TrackingError(f"MLflow at {_shown(tracking_uri(folder))} refused: {error}") from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _own_uri(folder: str | Path) -> str:
    return f"sqlite:///{(Path(folder).resolve() / DATABASE).as_posix()}"


def _shown(uri: str) -> str:
    """An address without the password it may hold."""
    return re.sub(r"//[^/@]*@", "//", uri)


def _check_database(folder: str | Path, *, must_exist: bool) -> None:
    """Refuse a file that isn't there, because opening would create it, or is damaged, which mlflow retries for long."""
    uri = tracking_uri(folder)
    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///"):
        return
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(len(_SQLITE_STARTS_WITH))
        if start not in (b"", _SQLITE_STARTS_WITH):
            raise TrackingError(f"{path} is not an SQLite database. Move it away, or restore it from a backup")
    elif must_exist:
        raise TrackingError(f"{path} does not exist: nothing was trained here yet. Run: leadscore train {folder}")


def _experiment(client: MlflowClient, folder: str | Path, name: str) -> str:
    """The experiment's id; its files go under the project's folder, unless a server decides where."""
    uri = tracking_uri(folder)
    home = None if _SERVERS.match(uri) else Path(folder).resolve() / ARTIFACTS
    found = client.get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    if found is not None and uri == _own_uri(folder) and _moved(found.artifact_location, home):
        # an experiment's place can't be changed, and new files must not go to where the project once was
        client.rename_experiment(found.experiment_id, f"{name} (before it moved, {found.experiment_id})")
        found = None
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(name, artifact_location=None if home is None else home.as_uri()))


def _moved(location: str, home: Path | None) -> bool:
    path = _local_path(location)
    return path is not None and path.name == ARTIFACTS and path != home


def _tags(scorer: LeadScorer, tags: Mapping[str, str]) -> dict[str, str]:
    own = {"leadscore.version": metadata.version("leadscore"), "leadscore.plan": scorer.plan.hash}
    if scorer.manifest.get("data"):
        own["leadscore.data"] = str(scorer.manifest["data"])
    return {**own, **tags}


def _parameters(scorer: LeadScorer) -> dict[str, str]:
    """What the scorer knows of how it was made."""
    trees = {**PARAMETERS, **scorer.project.model, **scorer.parameters} if scorer.model.kind == "lightgbm" else {}
    known = {
        **trees,
        "seed": scorer.seed,
        "horizon": scorer.horizon,
        "windows": " ".join(scorer.project.windows),
        "plan": scorer.plan.hash,
        "n_features": len(scorer.plan.names),
        "model": scorer.model.kind,
        "calibration": scorer.calibrator.kind,
    }
    return {key: _text(value) for key, value in known.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _ends(intervals: Mapping[str, tuple[float, float] | None]) -> dict[str, float]:
    return {
        f"{name}_{end}": value
        for name, interval in intervals.items()
        if interval is not None
        for end, value in zip(("low", "high"), interval, strict=True)
    }


def _log_values(
    client: MlflowClient,
    run_id: str,
    model_id: str,
    parameters: Mapping[str, str],
    metrics: Mapping[str, float | None],
) -> None:
    """Parameters of the run, and metrics of the run and of its model at once."""
    from mlflow.entities import Metric, Param

    started = client.get_run(run_id).info.start_time
    measured = [
        Metric(name, float(value), started, 0, model_id=model_id, run_id=run_id)
        for name, value in metrics.items()
        if value is not None and math.isfinite(value)
    ]
    given = [Param(name, value) for name, value in parameters.items()]
    client.log_batch(run_id, metrics=measured)
    for start in range(0, len(given), _MOST_PARAMETERS):
        client.log_batch(run_id, params=given[start : start + _MOST_PARAMETERS])


def _log_data(client: MlflowClient, run_id: str, scorer: LeadScorer) -> None:
    """The data's fingerprint as an MLflow dataset: two runs show whether they saw the same rows."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    fingerprint = scorer.manifest.get("data")
    if not fingerprint:
        return
    source = json.dumps({"project": scorer.manifest.get("name"), "sha256": fingerprint})
    dataset = Dataset(scorer.name, str(fingerprint)[:_LONGEST_DIGEST], source_type="leadscore", source=source)
    client.log_inputs(run_id, datasets=[DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


def _log_model(client: MlflowClient, run_id: str, model_id: str, scorer: LeadScorer, requirements: list[str]) -> None:
    """Write the pyfunc model and store it.

    mlflow's `log_model` would also load it again in this process, infer what is known, and use the caller's run.
    """
    import pandas as pd
    from mlflow import pyfunc
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    logged = client.get_logged_model(model_id)
    example = pd.DataFrame([golden["document"] for golden in scorer.golden[:1]]) if scorer.golden else None
    with tempfile.TemporaryDirectory() as temporary:
        beside = Path(temporary)
        (beside / "no-uv-project").mkdir()  # else mlflow copies a uv.lock it finds in the current folder
        pyfunc.save_model(
            str(beside / _MODEL),
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={"scorer": str(scorer.save(beside / "scorer"))},
            signature=_signature(),
            input_example=example,
            pip_requirements=requirements,
            uv_project_path=str(beside / "no-uv-project"),
            mlflow_model=Model(
                artifact_path=logged.artifact_location, model_uuid=model_id, run_id=run_id, model_id=model_id
            ),
        )
        client.log_model_artifacts(model_id, str(beside / _MODEL))
    client.finalize_logged_model(model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])


def _signature() -> ModelSignature:
    """Any shape of document passes; what is wrong with it is said by leadscore, field by field."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    parts = [ColSpec(AnyType(), part, required=part == "lead") for part in ("lead", "events", "as_of", "context")]
    fields = {
        **{"lead_id": "string", "as_of": "string", "probability": "double", "score": "long", "grade": "string"},
        **{"fit": "long", "intent": "long", "horizon": "string"},
        **{"reasons": AnyType(), "warnings": AnyType(), "model": AnyType()},
    }
    always = ("probability", "score", "grade", "reasons", "warnings", "model")
    return ModelSignature(
        inputs=Schema(parts),
        outputs=Schema([ColSpec(kind, name, required=name in always) for name, kind in fields.items()]),
        params=ParamSchema([ParamSpec("n_reasons", "long", 3)]),
    )


def _requirements() -> list[str]:
    """Leadscore, mlflow and what leadscore needs, each pinned to what is installed here."""
    try:
        needed = [line for line in metadata.requires("leadscore") or [] if "extra ==" not in line]
    except metadata.PackageNotFoundError:
        raise TrackingError(
            "leadscore isn't installed as a package, so a model can't say which version it needs. "
            "Install it, as with: pip install -e ."
        ) from None
    return [_pinned("leadscore"), _pinned("mlflow"), *map(_pinned, needed)]


def _pinned(requirement: str) -> str:
    package = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
    with suppress(metadata.PackageNotFoundError):  # a package for other systems stays as declared
        return f"{package}=={metadata.version(package)}"
    return requirement


def _register(client: MlflowClient, name: str, run_id: str, model_id: str, *, by_server: bool) -> str:
    """Make the model a version, end the run, and only then let the aliases point to it."""
    # without a server, mlflow looks models:/ addresses up in its global store instead of the client's
    source = f"models:/{model_id}" if by_server else client.get_logged_model(model_id).artifact_location
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    version = str(client.create_model_version(name, source, run_id, model_id=model_id).version)
    client.set_terminated(run_id)
    if CHAMPION not in client.get_registered_model(name).aliases:
        client.set_registered_model_alias(name, CHAMPION, version)
    client.set_registered_model_alias(name, CHALLENGER, version)
    return version


def _abandon(client: MlflowClient, run_id: str, model_id: str | None, status: str) -> None:
    """Leave nothing registered of a run that failed; that the clean-up fails must not hide why it was needed."""
    with suppress(Exception):
        for version in client.search_model_versions(f"run_id = '{run_id}'"):
            client.delete_model_version(version.name, version.version)
    with suppress(Exception):
        client.set_terminated(run_id, status)
    if model_id is not None:
        with suppress(Exception):
            client.finalize_logged_model(model_id, "FAILED")


def _asked(client: MlflowClient, project: Project | None, model: str | None) -> tuple[str, str]:
    """The registered name, and the version or alias, that `model` means."""
    if project is None:
        address = str(model).removeprefix("models:/")
        name, _, selector = address.partition("@") if "@" in address else address.partition("/")
        return name, selector or CHAMPION
    name = registered_name(project.name)
    if "name" not in project.raw:  # it is named after its folder, which may have been renamed
        names = [registered.name for registered in client.search_registered_models()]
        name = names[0] if len(names) == 1 else name
    return name, (model or CHAMPION).removeprefix("@")


def _version(client: MlflowClient, name: str, selector: str, folder: str | Path) -> str:
    """The version that a number or alias stands for."""
    quoted = '"' if "'" in name else "'"
    versions = {str(found.version) for found in client.search_model_versions(f"name = {quoted}{name}{quoted}")}
    if not versions:
        others = ", ".join(sorted(registered.name for registered in client.search_registered_models()))
        raise TrackingError(
            f"no model is registered as '{name}' (registered are: {others or 'none'}). Run: leadscore train {folder}"
        )
    aliases = client.get_registered_model(name).aliases
    version = selector if selector in versions else aliases.get(selector)
    if version is not None:
        return str(version)
    there_are = f"versions {', '.join(sorted(versions, key=int))}; aliases " + (", ".join(sorted(aliases)) or "none")
    remedy = f"leadscore train {folder}" if selector == CHAMPION else f"leadscore promote {folder}"
    what = f"version {selector}" if selector.isdigit() else f"alias '{selector}'"
    raise TrackingError(
        f"model '{name}' has no {what} ({there_are})" + ("" if selector.isdigit() else f". Set one: {remedy}")
    )


def _of_run(client: MlflowClient, address: str) -> tuple[str, str | None]:
    """Where the model of ``runs:/<run>/<name>`` is, and its version if it was registered."""
    run_id, _, name = address.removeprefix("runs:/").partition("/")
    run = client.get_run(run_id)
    outputs = [] if run.outputs is None else run.outputs.model_outputs
    models = [client.get_logged_model(output.model_id) for output in outputs]
    places = [found.artifact_location for found in models if found.name == name]
    versions = [str(found.version) for found in client.search_model_versions(f"run_id = '{run_id}'")]
    if not places:
        named = ", ".join(sorted(found.name for found in models)) or "none"
        raise TrackingError(f"run {run_id} holds no model '{name}' (it holds: {named}). Write runs:/{run_id}/{_MODEL}")
    return places[0], versions[0] if versions else None


def _scorer_at(location: str, folder: str | Path) -> Path:
    """The scorer inside a model that mlflow keeps at `location`."""
    path = _local_path(location)
    if path is None:
        return _fetched(location, folder)
    tail = path.parts[::-1].index(ARTIFACTS) if ARTIFACTS in path.parts else 0
    here = Path(folder).resolve().joinpath(ARTIFACTS, *path.parts[len(path.parts) - tail :])
    # the project's own files first: its folder may be a copy, with the original still in the recorded place
    for place in (here, path):
        if (place / _SCORER / MANIFEST).is_file():
            return place / _SCORER
    raise TrackingError(f"the model's files are neither in {path} nor in {here}. Bring them back, or train anew")


def _local_path(location: str) -> Path | None:
    """The path of a local location, None of a remote one."""
    if location.startswith("file:"):
        return Path(url2pathname(urlsplit(location).path))
    return Path(location) if "://" not in location and not location.startswith("mlflow-artifacts:") else None


def _fetched(location: str, folder: str | Path) -> Path:
    """Copy a scorer from a remote store, whole or not at all; a copy that is there already is used."""
    from mlflow.artifacts import download_artifacts

    target = Path(folder).resolve() / ARTIFACTS / "fetched" / hashlib.sha256(location.encode()).hexdigest()[:32]
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as beside:
            source = f"{location}/{_SCORER.as_posix()}"
            found = download_artifacts(source, dst_path=beside, tracking_uri=tracking_uri(folder))
            try:
                Path(found).rename(target)
            except OSError:  # another process was first
                if not target.exists():
                    raise
    return target
