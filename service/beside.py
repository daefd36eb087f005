"""How a process beside the workers begins, and learns that it is to end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from typing import NamedTuple

import prometheus_client

from service.observing import Observer, to_standard_output
from service.orphans import end_with_parent
from service.remembering import Memory


class Beside(NamedTuple):
    """What such a process has of the service: its log and metrics, and what it remembers."""

    observer: Observer
    memory: Memory


def begin(environment: Mapping[str, str], *, niceness: int = 0) -> Beside:
    """Take what the command has set; ends the process where it has set nothing. Requests come before the nice."""
    memory = Memory.of(environment)
    if memory is None:
        raise SystemExit("LEADSCORE_STORE is not set. Start with: leadscore serve")
    os.nice(niceness)
    return Beside(Observer(prometheus_client.REGISTRY, to_standard_output), memory)


def told_to_stop(environment: Mapping[str, str]) -> threading.Event:
    """Return what is set once a signal asks this process to stop, or its command is gone."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    end_with_parent(environment, stop.set)
    return stop
