"""One engine in a process of its own, so that its peak of memory is its own.

``python -m tests.bench.features.worker ENGINE FOLDER REPEATS`` reads the names of the columns from standard input, as
JSON, and writes its matrix and what it found into the folder. It must run where only the engine is installed.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.features.columns import Column
from tests.bench.features.log import Log, generate
from tests.bench.features.measure import fastest_of, peak_of


def measure(engine: str, folder: Path, names: list[str], n_repeats: int) -> dict[str, Any]:
    """Warm up on a tiny log, load, run once for the peak, then n times for the time."""
    try:
        version = importlib.metadata.version(engine)
    except importlib.metadata.PackageNotFoundError:
        return {"skipped": "not installed: skipped"}
    module = importlib.import_module(f"tests.bench.features.by_{engine}")
    if hasattr(module, "expresses"):
        names = [name for name in names if module.expresses(Column.of(name))]
    tiny = module.Engine(generate(10_000, 1).first_cutoffs(100), names)
    tiny.matrix(tiny.work())
    log = Log.load(folder)
    at_work = module.Engine(log, names)
    n_input_bytes = log.n_bytes
    del log, tiny
    result, peak, exact = peak_of(at_work.work)
    if hasattr(module, "PEAK_IS_ELSEWHERE"):
        peak = None
    matrix = at_work.matrix(result)
    n_cells = at_work.n_cells(result) if hasattr(at_work, "n_cells") else matrix.size
    np.save(matrix_path(folder, engine), matrix)
    found = {"version": version, "note": module.NOTE, "names": names, "n_cells": n_cells}
    found |= {"input_bytes": n_input_bytes, "output_bytes": matrix.nbytes, "peak_bytes": peak, "peak_is_exact": exact}
    del result, matrix
    n_repeats = min(n_repeats, getattr(module, "MOST_REPEATS", n_repeats))
    found["seconds"] = fastest_of(n_repeats, at_work.work)
    if hasattr(at_work, "transform"):
        grouped = at_work.group()
        found["seconds_grouped_before"] = fastest_of(n_repeats, lambda: at_work.transform(grouped))
    return found


def matrix_path(folder: Path, engine: str) -> Path:
    """Where an engine leaves its matrix."""
    return folder / f"matrix_{engine}.npy"


def found_path(folder: Path, engine: str) -> Path:
    """Where it leaves what was found, as JSON; standard output belongs to the engines, some of which talk."""
    return folder / f"found_{engine}.json"


if __name__ == "__main__":
    name, where, times = sys.argv[1:]
    found = measure(name, Path(where), json.load(sys.stdin), int(times))
    found_path(Path(where), name).write_text(json.dumps(found), encoding="utf-8")
