"""Nothing of a service stays when its command is killed: whoever can't be asked to stop can't ask others either."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping

import psutil  # type: ignore[import-untyped]

from service.following import keep_looking

VARIABLE = "LEADSCORE_PARENT"
LOOK_SECONDS = 1.0


def mark_parent() -> dict[str, str]:
    """Return what names this process to its children; a process id alone may come to mean another."""
    return {VARIABLE: f"{os.getpid()}:{psutil.Process().create_time()}"}


def end_with_parent(environment: Mapping[str, str], end: Callable[[], None]) -> None:
    """Call `end` when the command that started this service is gone; without a command there is nothing to watch."""
    marked = environment.get(VARIABLE)
    if not marked:
        return
    pid, _, created = marked.partition(":")

    def look() -> None:
        try:
            parent = psutil.Process(int(pid))
            alive = str(parent.create_time()) == created and parent.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            alive = False
        if not alive:
            end()

    keep_looking(look, LOOK_SECONDS)


def stop_server() -> None:
    """From a worker: ask BentoML's process to stop, or end alone where that is gone too."""
    parent = os.getppid()
    os.kill(parent if parent > 1 else os.getpid(), signal.SIGTERM)
