"""The way to a project's MLflow store: one client with an explicit address, quiet, its errors ours."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from leadscore.errors import MissingExtraError, TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATABASE = "mlflow.db"
ARTIFACTS = "mlruns"
CHAMPION = "champion"
CHALLENGER = "challenger"
SCORER = Path("artifacts", "scorer")
"""Where mlflow puts an artifact named scorer, inside a model."""
_LONGEST_NAME = 250
_SQLITE_STARTS_WITH = b"SQLite format 3\0"


def tracking_uri(folder: str | Path) -> str:
    """Return where a project's runs are: ``MLFLOW_TRACKING_URI`` if set, else the SQLite file in its folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or own_uri(folder)


def registered_name(name: str) -> str:
    """Return a project's name as the registry can hold it: letters, digits, ``_``, ``.``, ``-`` and inner spaces."""
    return re.sub(r"[^\w .-]+", "-", name).strip(" .-")[:_LONGEST_NAME] or "leadscore"


@contextmanager
def connect(folder: str | Path) -> Iterator[MlflowClient]:
    """A client of the project's store; mlflow neither reports usage nor chats, and its errors are ours."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError  # MLflow brings it
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
        raise TrackingError(f"MLflow at {shown(tracking_uri(folder))} refused: {error}") from error
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise TrackingError(f"MLflow's database at {shown(tracking_uri(folder))} can't be used: {reason}") from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def require_writable(folder: str | Path) -> None:
    """Refuse to track where that can't succeed, before anything is trained in vain.

    Raises
    ------
    MissingExtraError
        If mlflow isn't installed.
    TrackingError
        If the project's folder can't be written.
    """
    if importlib.util.find_spec("mlflow") is None:
        raise MissingExtraError("Tracking", "tracking")
    place = Path(folder).resolve()
    database = place / DATABASE
    if tracking_uri(folder) != own_uri(folder):
        return
    if not os.access(place, os.W_OK) or (database.exists() and not os.access(database, os.W_OK)):
        raise TrackingError(
            f"{place} can't be written, and its runs belong into it. Copy the project, set MLFLOW_TRACKING_URI, "
            "or train with --no-track --out FOLDER"
        )


def create_database(folder: str | Path) -> None:
    """Make the project's database whole or not at all: half of MLflow's migrations is beyond use."""
    path = Path(folder).resolve() / DATABASE
    if tracking_uri(folder) != own_uri(folder) or path.exists():
        return
    from mlflow import MlflowClient

    beside = path.with_name(f".{DATABASE}.{os.getpid()}.part")
    try:
        MlflowClient(tracking_uri=f"sqlite:///{beside.as_posix()}").search_experiments(max_results=1)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let Ctrl-C take effect at the end: MLflow's writes last seconds, and stopped in between leave half a version."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def own_uri(folder: str | Path) -> str:
    """Return the address of the SQLite file in a project's folder."""
    return f"sqlite:///{(Path(folder).resolve() / DATABASE).as_posix()}"


def shown(uri: str) -> str:
    """An address without the password it may hold."""
    return re.sub(r"//[^/@]*@", "//", uri)


def check_database(folder: str | Path, *, must_exist: bool) -> None:
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
        raise TrackingError(
            f"{path} does not exist: nothing was trained here yet. Run: leadscore train {folder}; or name a model that "
            "another project trained by its folder, the uri of leadscore train --json: --model FOLDER"
        )


def local_path(location: str) -> Path | None:
    """The path of a local location, None of a remote one."""
    if location.startswith("file:"):
        return Path(url2pathname(urlsplit(location).path))
    return Path(location) if "://" not in location and not location.startswith("mlflow-artifacts:") else None
