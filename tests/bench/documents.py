"""One lead document of fifty events: checked, made into tables, turned into features."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import leadscore as ls
from leadscore import documents
from leadscore.tables import Cutoffs

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
PER_TABLE = 25


def run(n_repeats: int = 4_000) -> list[str]:
    """Return lines of Markdown: microseconds of each step, without parsing the JSON."""
    data = ls.Project.load(SAMPLE).read()
    plan = ls.FeaturePlan.default(data.project).fit(data, ls.snapshots(data).cutoffs)
    document = _document(data)
    laps = np.array([_laps(data.project, plan, document) for _ in range(n_repeats + 100)][100:])
    steps = ["parse", "to_data", f"transform, {len(plan.names)} features", "all three"]
    lines = [
        f"### One lead document of {2 * PER_TABLE} events, {n_repeats:,} times",
        "",
        "| step | µs, fastest | µs, median |",
        "|---|---|---|",
    ]
    for step, spans in zip(steps, [*laps.T, laps.sum(axis=1)], strict=True):
        lines.append(f"| {step} | {spans.min() / 1e3:.0f} | {np.median(spans) / 1e3:.0f} |")
    return lines


def _laps(project: ls.Project, plan: ls.FeaturePlan, document: dict[str, Any]) -> list[int]:
    """Nanoseconds of the three steps, one after the other."""
    stamps = [time.perf_counter_ns()]
    parsed = documents.parse(project, document, now=0)
    stamps.append(time.perf_counter_ns())
    data, at = documents.to_data(project, [parsed])
    stamps.append(time.perf_counter_ns())
    plan.transform(data, Cutoffs(np.array([0]), at))
    stamps.append(time.perf_counter_ns())
    return np.diff(stamps).tolist()


def _document(data: ls.Data) -> dict[str, Any]:
    """A lead of the sample with the first events of each file, whoever had them; every field as in the files."""
    document = documents.from_data(data, 0, data.observed_until)
    document["events"] = {
        spec.name: json.loads(
            pd.read_csv(SAMPLE / str(spec.source.path), nrows=PER_TABLE)
            .drop(columns=spec.lead)
            .to_json(orient="records")
        )
        for spec in data.project.events
    }
    return document
