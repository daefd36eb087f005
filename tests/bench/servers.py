"""The peers of the service benchmark, each a process of its own on a free port, with one worker."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_SECONDS = 120


@contextlib.contextmanager
def empty_bentoml() -> Iterator[str]:
    """Yield the address of a BentoML service that does nothing."""
    with tempfile.TemporaryDirectory() as home:
        arguments = ["bentoml", "serve", "tests.bench.empty_service:Empty", "--host", "127.0.0.1", "--port"]
        with _running(arguments, "/readyz", {"BENTOML_HOME": home, "BENTOML_DO_NOT_TRACK": "True"}) as url:
            yield url


@contextlib.contextmanager
def empty_fastapi() -> Iterator[str]:
    """Yield the address of a FastAPI application that does nothing, under uvicorn."""
    with _running(["uvicorn", "tests.bench.empty_api:app", "--no-access-log", "--port"], "/health", {}) as url:
        yield url


@contextlib.contextmanager
def mlflow_models_serve(project: Path, uri: str) -> Iterator[str]:
    """Yield the address of ``mlflow models serve`` on a registered model of a project."""
    from leadscore.tracking import tracking_uri

    arguments = ["mlflow", "models", "serve", "-m", uri, "--env-manager", "local", "--workers", "1", "--port"]
    with _running(arguments, "/ping", {"MLFLOW_TRACKING_URI": tracking_uri(project)}) as url:
        yield url


@contextlib.contextmanager
def _running(arguments: list[str], path: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Start ``python -m`` with arguments that end in ``--port``; yield its address once `path` answers 200."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # MLflow calls uvicorn by name.
    path_first = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments, str(port)], cwd=ROOT, env=os.environ | path_first | environment,
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait(process, port, path)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def _wait(process: subprocess.Popen[bytes], port: int, path: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    raise TimeoutError(f"{process.args} did not start")
