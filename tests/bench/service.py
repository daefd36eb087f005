"""The service under load, beside its peers in the same run: ``make bench-service``.

``--overload`` asks of it five times what it can answer, for a minute.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import leadscore as ls
from leadscore import documents, tracking
from service.process import Server
from tests.bench import servers
from tests.bench.load import Answers, Target, measure

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
CONNECTIONS = (1, 16, 64)
N_ROUNDS, SECONDS = 5, 3.0
N_EVENTS = 20
TIMES, OVERLOAD_SECONDS, SOCKETS = 5, 60.0, 1_000
OURS, BENTOML, FASTAPI, MLFLOW = (
    "leadscore, POST /v1/score, three reasons",
    "BentoML, empty endpoint",
    "FastAPI under uvicorn, empty endpoint",
    "mlflow models serve, same model",
)


def run() -> list[str]:
    """Return lines of Markdown: every endpoint at every number of connections, in alternating rounds."""
    with _project() as (project, document), contextlib.ExitStack() as running:
        targets = [
            Target(OURS, running.enter_context(_ours(project)), "/v1/score", document),
            Target(BENTOML, running.enter_context(servers.empty_bentoml()), "/score", {"document": document}),
            Target(FASTAPI, running.enter_context(servers.empty_fastapi()), "/score", document),
            Target(
                MLFLOW,
                running.enter_context(servers.mlflow_models_serve(project, f"models:/market@{tracking.CHAMPION}")),
                "/invocations",
                {"dataframe_records": [document]},
            ),
        ]
        title = f"One lead over HTTP, {_n_events(document)} events, one worker"
        return table(title, targets)


def overload() -> list[str]:
    """Return lines of Markdown: what is accepted and what is turned away beyond capacity."""
    with _project() as (project, document), _ours(project) as url:
        target = Target(OURS, url, "/v1/score", document)
        family = psutil.Process().children(recursive=True)
        measure(target, CONNECTIONS[-1], SECONDS)
        within = [measure(target, CONNECTIONS[-1], SECONDS) for _ in range(N_ROUNDS)]
        capacity = float(np.median([answers.rate for answers in within]))
        with _memory(family) as megabytes:
            beyond = measure(target, SOCKETS, OVERLOAD_SECONDS, rate=TIMES * capacity)
        alive = all(process.is_running() for process in family)
    p50, p99 = np.median([answers.milliseconds(0.5, 0.99) for answers in within], axis=0)
    # The first third opens connections and fills their buffers.
    third = len(megabytes) // 3
    early, late = max(megabytes[third:-third]), max(megabytes[-third:])
    return [
        f"### {TIMES} times capacity, {OVERLOAD_SECONDS:g} seconds, at most {SOCKETS:,} connections",
        "",
        "| | a second | p50 ms | p99 ms |",
        "|---|---|---|---|",
        f"| 200, closed loop of {CONNECTIONS[-1]} connections: capacity | {capacity:,.0f} | {p50:.1f} | {p99:.1f} |",
        *(_row(f"{status}, of {TIMES * capacity:,.0f} due", beyond, status) for status in sorted(beyond.latencies)),
        "",
        f"p99 of what was accepted: {beyond.milliseconds(0.99)[0] / p99:.1f} times that at capacity, from when one "
        f"was due, {np.quantile(beyond.good - beyond.unsent, 0.99) * 1e3 / p99:.1f} times from when it was sent. "
        f"Without an answer: {beyond.n_unanswered}; turned away without Retry-After: {beyond.n_unadvised}; "
        f"memory of the server's processes: {early:,.0f} MB at most in the second third, {late:,.0f} in the last; "
        f"all of them {'are alive' if alive else 'are NOT alive'}.",
    ]


def _row(title: str, answers: Answers, status: int) -> str:
    latencies = answers.latencies[status]
    p50, p99 = np.quantile(latencies, [0.5, 0.99]) * 1e3
    return f"| {title} | {len(latencies) / answers.seconds:,.0f} | {p50:.1f} | {p99:.1f} |"


def table(title: str, targets: list[Target]) -> list[str]:
    """Return lines of Markdown: every target at every number of connections, and the ratios of the others to the first.

    Rounds alternate, so that a machine that is busy for a while is busy for all.
    """
    found: dict[tuple[str, int], list[list[float]]] = {}
    for target in targets:
        measure(target, CONNECTIONS[-1], 1.0)
    for _ in range(N_ROUNDS):
        for n_connections in CONNECTIONS:
            for target in targets:
                answers = measure(target, n_connections, SECONDS)
                assert answers.latencies.keys() <= {200, 429}, f"{target.title}: {sorted(answers.latencies)}"
                figures = [answers.rate, *answers.milliseconds(0.5, 0.99, 0.999)]
                found.setdefault((target.title, n_connections), []).append(figures)
    median = {key: np.median(rounds, axis=0) for key, rounds in found.items()}
    lines = [
        f"### {title}: median of {N_ROUNDS} rounds of {SECONDS:g} s",
        "",
        "| endpoint | connections | requests/s | p50 ms | p99 ms | p99.9 ms |",
        "|---|---|---|---|---|---|",
    ]
    for (name, n_connections), (rate, p50, p99, p999) in median.items():
        lines.append(f"| {name} | {n_connections} | {rate:,.0f} | {p50:.2f} | {p99:.2f} | {p999:.2f} |")
    first = targets[0].title
    lines += ["", "| rate of ours to | " + " | ".join(f"{n} connections" for n in CONNECTIONS) + " |"]
    lines.append("|---" * (len(CONNECTIONS) + 1) + "|")
    for target in targets[1:]:
        ratios = [median[first, n][0] / median[target.title, n][0] for n in CONNECTIONS]
        lines.append(f"| {target.title} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |")
    _, p50, p99, _ = median[first, 1]
    return [*lines, "", f"p99 ÷ p50 of ours on one connection: {p99 / p50:.1f}."]


@contextlib.contextmanager
def _project() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield a project with a registered champion, and the lead document of the sample nearest to twenty events."""
    data = ls.Project.load(SAMPLE).read()
    scorer = ls.LeadScorer().fit(data, ls.snapshots(data))
    candidates = [documents.from_data(data, lead, data.observed_until) for lead in range(0, len(data.leads.ids), 5)]
    with tempfile.TemporaryDirectory() as folder:
        tracking.log(scorer, folder, metrics={}, parameters={})
        (Path(folder) / "leadscore.toml").write_bytes((SAMPLE / "leadscore.toml").read_bytes())
        yield Path(folder), min(candidates, key=lambda document: abs(_n_events(document) - N_EVENTS))


def _n_events(document: dict[str, Any]) -> int:
    return sum(len(events) for events in document["events"].values())


@contextlib.contextmanager
def _ours(project: Path) -> Iterator[str]:
    folder, version = tracking.find_scorer(project)
    with Server(folder, str(version), host="127.0.0.1", port=0, n_workers=1) as server:
        assert server.wait_until_ready(), server.failure
        yield server.url


@contextlib.contextmanager
def _memory(family: list[psutil.Process]) -> Iterator[list[float]]:
    """Yield a list that gets the megabytes of some processes, resident, every second."""
    megabytes: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(1.0):
            megabytes.append(sum(process.memory_info().rss for process in family) / 2**20)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield megabytes
    finally:
        done.set()
        watching.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--overload", action="store_true", help="five times capacity for a minute")
    print("\n".join(overload() if parser.parse_args().overload else run()))
