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

import json
import math
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadscore.errors import TrackingError
from leadscore.model.booster import PARAMETERS
from leadscore.model.scorer import LeadScorer
from leadscore.tracking.connection import (
    ARTIFACTS,
    CHALLENGER,
    CHAMPION,
    check_database,
    connect,
    create_database,
    interrupts_wait,
    local_path,
    own_uri,
    registered_name,
    tracking_uri,
)
from leadscore.tracking.registry import MODEL

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

_MOST_PARAMETERS = 100  # of one batch, by mlflow's own limit
_LONGEST_DIGEST = 36
_SERVERS = re.compile(r"(https?|databricks(-uc)?|uc)\b")


@dataclass(frozen=True)
class Registered:
    """A registered scorer.

    `uri` is its address in the registry, as in ``models:/acme/7``. `location` is where MLflow keeps the model: a path
    where the store is local, so that other projects and tools can load it without this registry.
    """

    name: str
    version: str
    run_id: str
    uri: str
    location: str


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
    check_database(folder, must_exist=False)
    with interrupts_wait(), connect(folder) as client:
        create_database(folder)
        requirements = _requirements()
        experiment = experiment_of(client, folder, name)
        run_id = client.create_run(experiment, tags=_tags(scorer, tags or {})).info.run_id
        model_id = None
        try:
            known = {**_parameters(scorer), **{key: _text(value) for key, value in parameters.items()}}
            logged = client.create_logged_model(experiment, MODEL, run_id, params=known)
            model_id, location = logged.model_id, str(logged.artifact_location)
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
    return Registered(name, version, run_id, f"models:/{name}/{version}", str(local_path(location) or location))


def experiment_of(client: MlflowClient, folder: str | Path, name: str) -> str:
    """Return the id of a project's experiment; its files go under the folder, unless a server decides where."""
    uri = tracking_uri(folder)
    home = None if _SERVERS.match(uri) else Path(folder).resolve() / ARTIFACTS
    found = client.get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    if found is not None and uri == own_uri(folder) and _moved(found.artifact_location, home):
        # an experiment's place can't be changed, and new files must not go to where the project once was
        client.rename_experiment(found.experiment_id, f"{name} (before it moved, {found.experiment_id})")
        found = None
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(name, artifact_location=None if home is None else home.as_uri()))


def _moved(location: str, home: Path | None) -> bool:
    path = local_path(location)
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
        "windows": " ".join(scorer.project.features.windows),
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
            str(beside / MODEL),
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
        client.log_model_artifacts(model_id, str(beside / MODEL))
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
