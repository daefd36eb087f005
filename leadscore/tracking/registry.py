"""Find a registered scorer again: by alias, version, address or folder."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from leadscore.errors import TrackingError
from leadscore.model.artifact import MANIFEST
from leadscore.project import Project
from leadscore.tracking.connection import (
    ARTIFACTS,
    CHAMPION,
    SCORER,
    check_database,
    connect,
    local_path,
    registered_name,
    tracking_uri,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL = "model"
"""What a run calls its model."""


def find_scorer(folder: str | Path, model: str | None = None) -> tuple[Path, str | None]:
    """Return the folder of a scorer, and its version in the registry if it has one.

    A local artifact store isn't copied, and may have been moved with the project's folder; from a remote one the scorer
    is fetched once, into ``mlruns/fetched``.

    Parameters
    ----------
    model : the project's champion if None; else an alias or version of the project's (``challenger``, ``7``), an
        address (``models:/name/7``, ``models:/name@alias``, ``models:/m-…``, ``runs:/…/model``), or the folder of a
        scorer or of an MLflow model that holds one, for which mlflow isn't imported

    Raises
    ------
    TrackingError
        If nothing was trained yet, or there is no such model, version or alias; the message names those there are.
    ProjectError
        If a project's name is needed and `folder` holds no project.
    """
    if model is not None:
        for place in (local_path(model) or Path(model), (local_path(model) or Path(model)) / SCORER):
            if (place / MANIFEST).is_file():
                return place, None
    if model is not None and "/" in model and not model.startswith(("models:/", "runs:/")):
        wrong = f"{model} holds no scorer: it has no {MANIFEST}"
        raise TrackingError(
            f"{wrong if Path(model).is_dir() else f'there is no folder {model}'}. Name a folder that leadscore train "
            "--out wrote, or a registered model: champion, 7, models:/name/7"
        )
    project = None if model is not None and "/" in model else Project.load(folder)
    check_database(folder, must_exist=True)
    with connect(folder) as client:
        if model is not None and model.startswith("runs:/"):
            location, version = _of_run(client, model)
        elif model is not None and re.fullmatch(r"models:/m-\w+", model):
            location, version = client.get_logged_model(model.removeprefix("models:/")).artifact_location, None
        else:
            name, selector = _asked(client, project, model)
            version = _version(client, name, selector, folder)
            location = client.get_model_version_download_uri(name, version)
        return _scorer_at(str(location), folder), version


def names_alias(model: str | None) -> bool:
    """Whether what `find_scorer` takes as a registered model names an alias, which may point elsewhere tomorrow."""
    if model is None:
        return True
    selector = re.split("[@/]", model.removeprefix("models:/"))[-1]
    return not model.startswith("runs:/") and not selector.isdigit()


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
    what = f"version {selector}" if selector.isdigit() else f"alias '{selector}'"
    raise TrackingError(
        f"model '{name}' has no {what} ({there_are}). Name one of them with --model, or run: leadscore train {folder}"
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
        raise TrackingError(f"run {run_id} holds no model '{name}' (it holds: {named}). Write runs:/{run_id}/{MODEL}")
    return places[0], versions[0] if versions else None


def _scorer_at(location: str, folder: str | Path) -> Path:
    """The scorer inside a model that mlflow keeps at `location`."""
    path = local_path(location)
    if path is None:
        return _fetched(location, folder)
    tail = path.parts[::-1].index(ARTIFACTS) if ARTIFACTS in path.parts else 0
    here = Path(folder).resolve().joinpath(ARTIFACTS, *path.parts[len(path.parts) - tail :])
    # the project's own files first: its folder may be a copy, with the original still in the recorded place
    for place in (here, path):
        if (place / SCORER / MANIFEST).is_file():
            return place / SCORER
    raise TrackingError(f"the model's files are neither in {path} nor in {here}. Bring them back, or train anew")


def _fetched(location: str, folder: str | Path) -> Path:
    """Copy a scorer from a remote store, whole or not at all; a copy that is there already is used."""
    from mlflow.artifacts import download_artifacts

    target = Path(folder).resolve() / ARTIFACTS / "fetched" / hashlib.sha256(location.encode()).hexdigest()[:32]
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as beside:
            source = f"{location}/{SCORER.as_posix()}"
            found = download_artifacts(source, dst_path=beside, tracking_uri=tracking_uri(folder))
            try:
                Path(found).rename(target)
            except OSError:  # another process was first
                if not target.exists():
                    raise
    return target
