"""``leadscore serve`` as a child process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

LEADSCORE = [sys.executable, "-c", "from leadscore.cli import main; main()"]


@dataclass
class Serving:
    """A running ``leadscore serve``."""

    process: subprocess.Popen[str]
    announcement: str
    temporary: Path
    log: Path

    @property
    def url(self) -> str:
        return re.findall(r"http://[\d.:]+", self.announcement)[0]

    def stop(self, number: signal.Signals) -> int:
        """Send a signal; check that every process and file is gone; return the exit code."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        assert len(family) >= 2
        self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        assert not [process for process in family if process.is_running()]
        assert list(self.temporary.iterdir()) == []
        return code


def start(tmp_path: Path, project: Path, *options: str, **environment: str) -> Serving:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    log = tmp_path / "log"
    command = [*LEADSCORE, "serve", str(project), "--port", "0", *options]
    with log.open("w") as error:
        process = subprocess.Popen(
            command,
            env=os.environ | {"TMPDIR": str(temporary)} | environment,
            stdout=subprocess.PIPE,
            stderr=error,
            text=True,
        )
    output: IO[str] | None = process.stdout
    assert output is not None
    announcement = output.readline()
    assert announcement, log.read_text()
    return Serving(process, announcement, temporary, log)


def wait_for(happened: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Ask again and again; whether it happened in time."""
    deadline = time.monotonic() + seconds
    while not (found := happened()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found
