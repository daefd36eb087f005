"""Ctrl-C at any moment of a first training leaves a project that trains and scores."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import leadscore as ls
from leadscore import tracking
from leadscore.cli import main

TRAIN = """
import sys
import leadscore as ls
from leadscore.cli import main
sys.argv = ["leadscore", "train", sys.argv[1], "--no-check"]
main()
"""


@pytest.mark.parametrize("seconds", [0.15, *(pytest.param(seconds, marks=pytest.mark.slow) for seconds in (0.0, 0.6))])
def test_interrupted_registration_is_whole_or_nothing(seconds, fresh_sample) -> None:
    folder: Path = fresh_sample(every=2)
    with (folder / "leadscore.toml").open("a", encoding="utf-8") as file:
        file.write("\n[model]\nnum_iterations = 20\n")
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    _wait_for_traces(folder, process)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert "Traceback" not in said
    assert not list(folder.glob(".mlflow.db.*"))
    again = CliRunner().invoke(main, ["train", str(folder), "--no-check"])
    assert again.exit_code == 0, again.output
    scorer, version = tracking.find_scorer(folder)
    assert version is not None
    assert ls.LeadScorer.load(scorer).name == "market"


def _wait_for_traces(folder: Path, process: subprocess.Popen[str]) -> None:
    """Until MLflow has begun to write, or the training is over."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if any("mlflow" in path.name for path in folder.iterdir()):
            return
        time.sleep(0.02)
