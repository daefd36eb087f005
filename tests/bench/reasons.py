"""Reasons: the default model and a large one, against LightGBM's ``pred_contrib``, `shap` and `woodelf-explainer`.

``python -m tests.bench.reasons`` (``make bench-reasons`` installs the peers; those that aren't installed are left out).
All are given two threads; what is printed are medians of microseconds a row. In the end what three reasons cost a list
of 100,000 leads at cutoffs of the sample, from tables to finished rows.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray

import leadscore as ls
from leadscore.model.booster import PARAMETERS
from leadscore.tables import Cutoffs
from leadscore.time import parse_instant

N_THREADS = 2
N_COLUMNS = 100
SIZES = (1, 64, 100_000)
MOST_OF_SLOW = 2_000
"""Rows that those who need a millisecond a row are timed on; what they take a row doesn't depend on it."""


def models(rows: NDArray[np.float32]) -> dict[str, lightgbm.Booster]:
    """Two models of the same rows: 300 trees as small as the default's, and 300 × 31 leaves of any depth."""
    rng = np.random.default_rng(0)
    signal = np.nan_to_num(rows[:, :20]) @ rng.normal(size=20)
    label = (signal + 2 * rng.normal(size=len(rows)) > 0).astype(int)
    common = {"objective": "binary", "verbosity": -1, "num_threads": N_THREADS, "seed": 0}
    small = {name: PARAMETERS[name] for name in ("num_leaves", "max_depth", "learning_rate", "path_smooth")}
    return {
        "default, 300 × 4 leaves": lightgbm.train({**common, **small}, lightgbm.Dataset(rows, label), 300),
        "300 × 31 leaves": lightgbm.train({**common, "num_leaves": 31}, lightgbm.Dataset(rows, label), 300),
    }


def microseconds(explain: Callable[[NDArray[np.float32]], Any], rows: NDArray[np.float32]) -> float:
    """Return the median time a row takes, after one run that warms up."""
    explain(rows)
    spent, n_runs = [], 200 if len(rows) < 100 else 3
    for _ in range(n_runs):
        began = time.perf_counter()
        explain(rows)
        spent.append(time.perf_counter() - began)
        if sum(spent) > 20:
            break
    return statistics.median(spent) / len(rows) * 1e6


def peers(booster: lightgbm.Booster) -> dict[str, Callable[[NDArray[np.float32]], Any]]:
    """Return everyone who explains this model, ours first; `predict` explains nothing and is the yardstick."""
    shap = ls.TreeShap(booster)
    found: dict[str, Callable[[NDArray[np.float32]], Any]] = {
        "leadscore": lambda rows: shap.contributions(rows, threads=N_THREADS),
        "`predict`": lambda rows: booster.predict(rows, raw_score=True, num_threads=1 if len(rows) < 64 else N_THREADS),
        "`pred_contrib`": lambda rows: booster.predict(
            rows, pred_contrib=True, num_threads=1 if len(rows) < 64 else N_THREADS
        ),
    }
    if importlib.util.find_spec("shap") is not None:
        import shap as peer

        found["shap"] = peer.TreeExplainer(booster).shap_values
    if importlib.util.find_spec("woodelf") is not None:
        from woodelf import WoodelfExplainer

        other = WoodelfExplainer(booster)
        names = booster.feature_name()
        found["woodelf"] = lambda rows: other.shap_values(pd.DataFrame(rows, columns=names))
    return found


def run() -> list[str]:
    """Return lines of Markdown."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(max(SIZES), N_COLUMNS)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.3] = np.nan
    lines = ["### Reasons: microseconds a row", ""]
    for name, booster in models(rows[:20_000]).items():
        began = time.perf_counter()
        ls.TreeShap(booster)
        lines += [f"{name} ({N_COLUMNS} columns, 30 % missing); laid out in {time.perf_counter() - began:.2f} s", ""]
        lines += ["| | " + " | ".join(f"{n:,} rows" for n in SIZES) + " |", "|---|" + "---|" * len(SIZES)]
        ours: dict[int, float] = {}
        for peer, explain in peers(booster).items():
            cells = []
            for n in SIZES:
                slow = peer in ("`pred_contrib`", "shap") and n > MOST_OF_SLOW
                with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                    warnings.simplefilter("ignore")
                    took = microseconds(explain, rows[: MOST_OF_SLOW if slow else n])
                ours.setdefault(n, took)
                cells.append(f"{took:,.2f}" + (f" ({took / ours[n]:,.1f} ×)" if peer != "leadscore" else ""))
            lines.append(f"| {peer} | " + " | ".join(cells) + " |")
        lines.append("")
    return lines + lists()


def lists(n: int = 100_000) -> list[str]:
    """Return what three reasons a lead cost a list: the sample's leads at many cutoffs."""
    project = ls.Project.load("data/sample")
    data = project.read()
    scorer = ls.LeadScorer(seed=0).fit(data, ls.snapshots(data))
    lead = np.sort(np.arange(n) % len(data.leads.ids))
    asked = Cutoffs(lead, parse_instant("2026-05-01", "UTC") + 1_000_000 * np.arange(n))
    seconds = []
    for n_reasons in (0, 3):
        spent = []
        for _ in range(3):
            began = time.perf_counter()
            scorer.score(data, cutoffs=asked, n_reasons=n_reasons)
            spent.append(time.perf_counter() - began)
        seconds.append(statistics.median(spent))
    without, explained = seconds
    return [f"{n:,} leads scored: {without:.2f} s; with three reasons each {explained:.2f} s, "
            f"{explained / without:.1f} times as long"]  # fmt: skip


if __name__ == "__main__":
    print("\n".join(run()), flush=True)
