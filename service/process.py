"""The server as a child process: started with a home of its own, watched until ready, stopped whole."""

from __future__ import annotations

import http.client
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import psutil  # type: ignore[import-untyped]

import service
from leadscore.errors import LeadScoreError
from service import counting
from service.access import HOW_TO_CONFIGURE, KEYLESS_ON_LOOPBACK, KEYLESS_VARIABLE, is_loopback
from service.keys import FILE_VARIABLE, ApiKeys
from service.limits import Limits
from service.orphans import mark_parent
from service.remembering import Memory

METRICS_FOLDER = "prometheus_multiproc_dir"
"""Where BentoML has its workers write metrics, whatever the environment says; the keeper writes there too."""
SHARE = 0.1
"""Of the time that measuring may take; to measure a large base it waits the longer."""
READY_SECONDS = 120.0
"""A cold start takes about 12 s; a first one also compiles the kernels."""
STOP_SECONDS = 15.0
KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays open: longer than clients and proxies keep theirs, which might use a closed one."""
GRACEFUL_SECONDS = 10
"""What requests under way are given to end in."""
ROOT = Path(service.__file__).parent.parent
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Server:
    """A running BentoML server for one scorer folder; a context manager that leaves no process and no file.

    Parameters
    ----------
    folder : Path
        The scorer, handed to the workers by environment: they never import MLflow.
    version : str
        What the scores call it.
    host : str
        An address, or a name that resolves to one.
    port : int
        0 takes a free one.
    n_workers : int
        Processes that answer.

    Raises
    ------
    LeadScoreError
        If the address can't be listened on, is more than a loopback one without API keys, or a key or a limit in
        the environment is wrong.
    """

    def __init__(self, folder: Path, version: str, *, host: str, port: int, n_workers: int) -> None:
        Limits.of(os.environ)
        self._address, self._port = _free_address(host, port)
        self.keyless = ApiKeys.of(os.environ) is None
        if self.keyless and not is_loopback(self._address):
            raise LeadScoreError(
                f"--host {host} answers more than this machine, and there are no API keys. {HOW_TO_CONFIGURE}"
            )
        self._home = tempfile.TemporaryDirectory(prefix="leadscore-serve-", ignore_cleanup_errors=True)
        self._environment = os.environ | {
            "LEADSCORE_SCORER": str(folder.resolve()),
            "LEADSCORE_VERSION": version,
            "LEADSCORE_WORKERS": str(n_workers),
            "BENTOML_DO_NOT_TRACK": "True",
            "BENTOML_QUIET": "True",
            "LEADSCORE_POINTER": str(self.pointer),
            "BENTOML_HOME": self._home.name,
            "PROMETHEUS_MULTIPROC_DIR": str(Path(self._home.name) / METRICS_FOLDER),
            **mark_parent(),
            KEYLESS_VARIABLE: KEYLESS_ON_LOOPBACK if self.keyless else "",
        }
        if file := os.environ.get(FILE_VARIABLE):
            self._environment[FILE_VARIABLE] = str(Path(file).resolve())
        self._child: subprocess.Popen[bytes] | None = None
        self._keeper: subprocess.Popen[bytes] | None = None
        self._measurer: subprocess.Popen[bytes] | None = None
        self._sender: subprocess.Popen[bytes] | None = None
        self._measure_at = self._measured_from = 0.0
        self._measure_every = math.inf
        self._keeps = self._sends = False
        self.asked_to_stop = False
        self.failure = ""

    @property
    def pointer(self) -> Path:
        """The file that moves the workers to another scorer: see `following`."""
        return Path(self._home.name) / "pointer.json"

    @property
    def counts(self) -> Path:
        """The file that the keeper hands to the workers: see `counting`."""
        return Path(self._home.name) / counting.FILE

    def remember(self, memory: Memory, *, measure_every: float | None) -> None:
        """Give the workers a store, a keeper beside them, and a sender if there are webhooks; before it is entered.

        `measure_every` are the seconds from one measuring of the rooms of marketing to the next; None measures never.
        """
        self._environment |= memory.to_environment()
        self._keeps, self._sends = True, memory.webhooks is not None
        self._measure_at, self._measure_every = (math.inf, math.inf) if measure_every is None else (0.0, measure_every)

    @property
    def url(self) -> str:
        """Where it answers; a server on every address is called by the loopback one."""
        shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._address, self._address)
        return f"http://[{shown}]:{self._port}" if ":" in shown else f"http://{shown}:{self._port}"

    def __enter__(self) -> Server:
        # From here on, so that no signal can fall between the start of the child and its end.
        self._handlers = {number: signal.signal(number, self._on_signal) for number in _STOP_SIGNALS}
        command = [
            sys.executable,
            "-m",
            "bentoml",
            "serve",
            "service.app:LeadScore",
            "--working-dir",
            str(ROOT),
        ]
        command += ["--host", self._address, "--port", str(self._port)]
        command += ["--timeout-keep-alive", str(KEEP_ALIVE_SECONDS)]
        command += ["--timeout-graceful-shutdown", str(GRACEFUL_SECONDS)]
        # Its own session: Ctrl-C reaches it once, through us. Its output goes to our standard error.
        self._child = self._start(command)
        return self

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            env=self._environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=2,
            start_new_session=True,
        )

    def _tend_keeper(self) -> None:
        """Start the keeper and the sender once the service is ready, again should one end, and measure when due."""
        if not self._keeps or self.asked_to_stop:
            return
        if self._keeper is None or self._keeper.poll() is not None:
            self._keeper = self._start([sys.executable, "-m", "service.keeper"])
        if self._sends and (self._sender is None or self._sender.poll() is not None):
            self._sender = self._start([sys.executable, "-m", "service.webhooks"])
        self._measure(time.monotonic())

    def _measure(self, now: float) -> None:
        """Start a measuring if one is due, `_measure_every` after the last began, or later where that took long."""
        if self._measurer is not None and self._measurer.poll() is not None:
            self._measurer = None
            self._measure_at = self._measured_from + max(self._measure_every, (now - self._measured_from) / SHARE)
        if self._measurer is None and now >= self._measure_at:
            self._measured_from = now
            self._measurer = self._start([sys.executable, "-m", "service.measuring"])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._child is not None
        _stop(self._child)
        for child in (self._keeper, self._measurer, self._sender):
            if child is not None:
                _stop(child)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._home.cleanup()

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> bool:
        """Wait for a worker that answers with a model; False leaves the reason in `failure`."""
        assert self._child is not None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.asked_to_stop or self._child.poll() is not None:
                self.failure = "The service ended before it was ready; its last lines are above"
                return False
            status, _ = self._get("/readyz")
            if status == 200:
                self._tend_keeper()
                return True
            if status is not None:
                self.failure = "The service has no model to answer with; its log above says why"
                return False
            time.sleep(0.1)
        self.failure = f"The service was not ready within {seconds:g} seconds; its log is above"
        return False

    def example(self) -> Any:
        """Return a lead document that the model in use accepts, from the service's own OpenAPI document."""
        _, body = self._get("/openapi.json")
        return json.loads(body)["components"]["schemas"]["LeadDocument"]["examples"][0]

    def wait(self) -> bool:
        """Wait until asked to stop (True), or until the server ends by itself (False, the reason in `failure`)."""
        assert self._child is not None
        while not self.asked_to_stop and self._child.poll() is None:
            time.sleep(0.2)
            self._tend_keeper()
        self.failure = "The service ended by itself; its last lines are above"
        return self.asked_to_stop

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.asked_to_stop = True

    def _get(self, path: str) -> tuple[int | None, bytes]:
        host = self.url.removeprefix("http://").rpartition(":")[0].strip("[]")
        connection = http.client.HTTPConnection(host, self._port, timeout=2)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return None, b""
        finally:
            connection.close()


def _free_address(host: str, port: int) -> tuple[str, int]:
    """Return the numeric address and port to listen on, having tried them."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            name = probe.getsockname()
            return str(name[0]), int(name[1])
    except OSError as error:
        raise LeadScoreError(
            f"can't listen on {host} port {port}: {error.strerror}. Stop what uses it, or choose another"
        ) from None


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End the server and its workers: asked first, killed after `STOP_SECONDS`."""
    try:
        family = [*psutil.Process(child.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    if child.poll() is None:
        child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    for process in psutil.wait_procs(family, timeout=1)[1]:
        process.kill()
