"""When the rooms are measured; the server itself is tested as the command starts it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.process import Server
from service.remembering import Memory


class Child:
    """A process that ends when it is told to."""

    ended: int | None = None

    def poll(self) -> int | None:
        return self.ended


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Child]:
    """The children that a server has started."""
    children: list[Child] = []

    def start(server: Server, command: list[str]) -> Child:
        assert command[-1] == "service.measuring"
        children.append(Child())
        return children[-1]

    monkeypatch.setattr(Server, "_start", start)
    return children


@pytest.fixture
def server(tmp_path: Path, started: list[Child]) -> Iterator[Server]:
    made = Server(tmp_path, "7", host="127.0.0.1", port=0, n_workers=1)
    yield made
    made._home.cleanup()


def remembering(server: Server, tmp_path: Path, every: float | None) -> None:
    server.remember(Memory("store.db", tmp_path, tmp_path / "counts", 900), measure_every=every)


def test_rooms_are_measured_at_once_and_every_so_often(server: Server, tmp_path: Path, started: list[Any]) -> None:
    remembering(server, tmp_path, 3_600)
    begun = []
    for now in range(100, 20_000, 100):
        n_before = len(started)
        server._measure(now)
        begun += [now] * (len(started) - n_before)
        started[-1].ended = 0
    assert begun == [100, 3_700, 7_300, 10_900, 14_500, 18_100]


def test_what_takes_long_is_measured_less_often_and_never_twice_at_once(
    server: Server, tmp_path: Path, started: list[Any]
) -> None:
    remembering(server, tmp_path, 3_600)
    server._measure(0.0)
    server._measure(4_000.0)
    assert len(started) == 1, "it is not over yet"
    started[0].ended = 1
    for now, n in ((4_100.0, 1), (40_900.0, 1), (41_000.0, 2)):
        server._measure(now)
        assert len(started) == n, now


def test_rooms_that_nobody_wants_are_never_measured(server: Server, tmp_path: Path, started: list[Any]) -> None:
    remembering(server, tmp_path, None)
    server._measure(10.0**9)
    assert started == []
