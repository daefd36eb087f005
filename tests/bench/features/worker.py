"""One engine in a process of its own, so that its peak of memory is its own.

``python -m tests.bench.features.worker ENGINE FOLDER REPEATS`` reads the columns' names from standard input (JSON), writes its
matrix into the folder, and prints one JSON object.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.features.log import Log, generate
from tests.bench.features.measure import fastest_of, peak_of


def measure(engine: str, folder: Path, names: list[str], n_repeats: int) -> dict[str, Any]:
    """Warm up on a tiny log, load, run once for the peak, then n times for the time."""
    module = importlib.import_module(f"tests.bench.features.by_{engine}")
    tiny = module.Engine(generate(10_000, 1), names)
    tiny.matrix(tiny.work())
    log = Log.load(folder)
    log = log.first_cutoffs(getattr(module, "MOST_CUTOFFS", len(log.cutoff)))
    ours = module.Engine(log, names)
    result, peak, exact = peak_of(ours.work)
    matrix = ours.matrix(result)
    np.save(folder / f"matrix_{engine}.npy", matrix)
    found = {"engine": engine, "version": importlib.metadata.version(engine), "note": module.NOTE}
    found |= {"shape": matrix.shape, "input_bytes": log.n_bytes, "output_bytes": matrix.nbytes}
    found |= {"peak_bytes": peak, "peak_is_exact": exact}
    del result, matrix
    found["seconds"] = fastest_of(n_repeats, ours.work)
    if hasattr(ours, "transform"):
        grouped = ours.group()
        found["seconds_grouped_before"] = fastest_of(n_repeats, lambda: ours.transform(grouped))
    return found


if __name__ == "__main__":
    name, where, times = sys.argv[1:]
    print(json.dumps(measure(name, Path(where), json.load(sys.stdin), int(times))))
