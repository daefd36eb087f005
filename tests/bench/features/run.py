"""Every engine on every size, each in a process of its own, and whether their values agree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.features.columns import SETS, Column
from tests.bench.features.log import generate
from tests.bench.features.worker import found_path, matrix_path

ROOT = Path(__file__).parents[3]
ENGINES = ("leadscore", "duckdb", "polars", "featuretools", "getml")
PEERS = ("featuretools", "getml")
"""Engines that want older packages than ours, and time: an interpreter of their own, and the smallest size alone."""
THREADS = "2"
LIMITS = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), THREADS)
ROWS_AT_ONCE = 100_000


@dataclass(frozen=True)
class Result:
    """What one engine took for one set of columns over one log; `found` is what its worker said."""

    n_events: int
    columns: str
    engine: str
    found: Mapping[str, Any]
    differences: Sequence[str] = ()

    @property
    def done(self) -> bool:
        return "seconds" in self.found

    def __getitem__(self, key: str) -> Any:
        return self.found[key]


def run(sizes: Sequence[int], engines: Sequence[str], *, peers_python: str, seed: int) -> list[Result]:
    """Measure every engine on every size; the first one is leadscore, the others are compared with it."""
    assert engines[0] == "leadscore"
    results = []
    for n_events in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            generate(n_events, seed).save(folder)
            for columns in SETS:
                for engine in engines:
                    if engine not in PEERS or n_events == min(sizes):
                        print(f"{n_events:,} events, {columns}: {engine}", file=sys.stderr, flush=True)
                        python = peers_python if engine in PEERS else sys.executable
                        results.append(_one(python, engine, folder, columns, n_events))
    return results


def _one(python: str, engine: str, folder: Path, columns: str, n_events: int) -> Result:
    """Measure, compare, and forget the matrix unless others are compared with it."""
    found = _work(python, engine, folder, columns, n_repeats=_repeats(n_events))
    if engine == "leadscore":
        if "failed" in found:
            raise RuntimeError(found["failed"])
        return Result(n_events, columns, engine, found)
    differences = compare(folder, engine, found, SETS[columns]()) if "seconds" in found else []
    matrix_path(folder, engine).unlink(missing_ok=True)
    return Result(n_events, columns, engine, found, differences)


def _repeats(n_events: int) -> int:
    return 7 if n_events <= 100_000 else 5 if n_events <= 1_000_000 else 3


def _work(python: str, engine: str, folder: Path, columns: str, *, n_repeats: int) -> dict[str, Any]:
    command = [python, "-W", "ignore", "-m", "tests.bench.features.worker", engine, str(folder), str(n_repeats)]
    asked = json.dumps(SETS[columns]())
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | LIMITS, input=asked, text=True, capture_output=True, check=False
    )
    if done.returncode == 0:
        return dict(json.loads(found_path(folder, engine).read_text(encoding="utf-8")))
    reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    return {"failed": f"failed: {reason[:200]}"}


def compare(folder: Path, engine: str, found: Mapping[str, Any], names: list[str]) -> list[str]:
    """Return the columns whose values differ from leadscore's, with how many and an example.

    Whole numbers, recencies and maxima must be the same float32; what is added up or divided, the same to 1e-6.
    """
    ours = np.load(matrix_path(folder, "leadscore"), mmap_mode="r")
    theirs = np.load(matrix_path(folder, engine), mmap_mode="r")
    wrong: dict[str, list[str]] = {}
    for start in range(0, len(ours), ROWS_AT_ONCE):
        a, b = np.array(ours[start : start + ROWS_AT_ONCE]), np.array(theirs[start : start + ROWS_AT_ONCE])
        for position, name in enumerate(found["names"]):
            x, y = a[:, names.index(name)], b[:, position]
            tolerance = 0.0 if Column.of(name).exact else 1e-6
            same = np.isclose(x, y, rtol=tolerance, atol=tolerance * 1e-24, equal_nan=True)
            if not same.all():
                row = int(np.flatnonzero(~same)[0])
                wrong.setdefault(name, []).append(f"row {start + row}: {x[row]!r} here, {y[row]!r} there")
    return [f"{name}: {rows[0]}" for name, rows in wrong.items()]
