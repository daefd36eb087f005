"""What a worker does, in a process of its own: BentoML and Prometheus keep state per process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WORKER = """
import gc, json, sys
import service.app as app
worker = app.LeadScore()
golden = app.model.current.scorer.golden if app.model.ready else []
scored = app.model.score([entry["document"] for entry in golden], now=0) if golden else []
asgi = app.LeadScore.to_asgi()
print("RESULT", json.dumps({
    "ready": app.model.ready,
    "n_scored": sum(isinstance(result, dict) for result in scored),
    "loaded": sorted({"mlflow", "matplotlib", "pyspark", "training"} & sys.modules.keys()),
    "gate": type(asgi).__name__,
    "layers": [layer.cls.__name__ for layer in asgi.app.bentoml.user_middleware],
    "threshold": gc.get_threshold(),
    "frozen": gc.get_freeze_count(),
}))
"""


def worker(home: Path, scorer: Path | None, pointer: str = "") -> tuple[dict[str, Any], str]:
    """Start what a worker starts; return what it found, and all that it printed."""
    (home / "metrics").mkdir()
    environment = os.environ | {
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "PROMETHEUS_MULTIPROC_DIR": str(home / "metrics"),
        "LEADSCORE_VERSION": "7",
        "LEADSCORE_POINTER": pointer,
        "LEADSCORE_SCORER": "" if scorer is None else str(scorer),
    }
    command = [sys.executable, "-c", WORKER]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.partition("RESULT")[2])
    return result, done.stdout + done.stderr


@pytest.fixture(scope="module")
def started(sample_scorer_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return worker(tmp_path_factory.mktemp("home"), sample_scorer_folder)[0]


def test_a_worker_scores_without_mlflow(started: dict[str, Any]) -> None:
    assert started["ready"]
    assert started["n_scored"] > 0
    assert started["loaded"] == []


def test_the_gate_is_outermost_and_raw_paths_are_not_counted(started: dict[str, Any]) -> None:
    assert started["gate"] == "Gate"
    assert started["layers"]
    assert not [layer for layer in started["layers"] if re.search("Metrics|AccessLog|Telemetry|Timeout", layer)]


def test_the_collector_is_settled(started: dict[str, Any]) -> None:
    assert started["threshold"] == [50_000, 20, 100]
    assert started["frozen"] > 10_000


def test_a_damaged_scorer_leaves_a_worker_that_is_not_ready_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "scorer").mkdir()
    result, output = worker(tmp_path, tmp_path / "scorer")
    assert not result["ready"]
    assert '"fault": "ArtifactError' in output
    assert "Traceback" not in output


def test_a_worker_started_anew_while_the_pointer_is_wrong_takes_the_first_model(
    sample_scorer_folder: Path, tmp_path: Path
) -> None:
    pointer = tmp_path / "pointer.json"
    pointer.write_text("{")
    result, output = worker(tmp_path, sample_scorer_folder, str(pointer))
    assert result["ready"]
    assert '"fault": "LeadScoreError' in output


def test_without_a_scorer_the_worker_names_the_command(tmp_path: Path) -> None:
    result, output = worker(tmp_path, None)
    assert not result["ready"]
    assert "leadscore serve" in output
