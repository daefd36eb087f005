"""A list larger than memory: a million leads and ten million events in Parquet, scored by ``leadscore score``.

``make bench-lists`` (``ARGS=--ten`` for ten million leads). Wall time and peak memory of all processes, sampled, beside
LightGBM's bare ``predict`` on the finished matrix, beside MLflow's pyfunc over lead documents, and beside what one
would write by hand: pandas that counts the same events in the same windows, and LightGBM.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

import leadscore as ls
from leadscore import tracking
from leadscore.simulate import simulate
from leadscore.snapshots import open_leads
from leadscore.tables import Cutoffs
from tests.bench.features.measure import fastest_of

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "bench-lists"
AS_OF = "2026-06-30"
BASE = 20_000
EVENTS_A_LEAD, SIMULATED_A_LEAD = 10.0, 15.6
STILL_OPEN = 0.9
"""Share of the simulated outcomes that are left out, so that most leads are on the list."""
MATRIX_ROWS = 100_000
N_ROUNDS, MANY = 3, 1_000_000
"""The fastest of so many counts, as of bare predict; longer lists than that are scored once."""
N_WARM = 100_000
"""Leads of a first list, in parts as the one that is timed."""
N_DOCUMENTS = 5_000
N_REASONS = (0, 3)
IDS = {"lead_id", "account_id", "event_id"}


def world(folder: Path, n_leads: int) -> Path:
    """Write a project of so many leads: a simulated market again and again, under other names."""
    if (folder / "done").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    base = simulate(folder / "base", n_leads=BASE, seed=11)
    text = (base / "leadscore.toml").read_text(encoding="utf-8").replace(".csv", ".parquet")
    (folder / "leadscore.toml").write_text(text, encoding="utf-8")
    kept = {"leads": 1.0, "outcomes": 1 - STILL_OPEN}
    rng = np.random.default_rng(0)
    for table in ("leads", "touchpoints", "interactions", "outcomes"):
        rows = pyarrow.csv.read_csv(base / f"{table}.csv")
        share = kept.get(table, EVENTS_A_LEAD / SIMULATED_A_LEAD)
        rows = rows.filter(pa.array(rng.random(rows.num_rows) < share))
        with pyarrow.parquet.ParquetWriter(folder / f"{table}.parquet", _renamed(rows, 0).schema) as file:
            for copy in range(n_leads // BASE):
                file.write_table(_renamed(rows, copy))
    (folder / "done").touch()
    return folder


def _renamed(rows: pa.Table, copy: int) -> pa.Table:
    """A copy of the market with ids and accounts of its own."""
    prefix = pa.scalar(f"{copy:03}")
    for position, name in enumerate(rows.column_names):
        if name in IDS:
            joined = pc.binary_join_element_wise(prefix, rows[name].cast(pa.string()), "-")
            rows = rows.set_column(position, name, joined)
        elif pa.types.is_timestamp(rows[name].type):
            rows = rows.set_column(position, name, rows[name].cast(pa.timestamp("us", "UTC")))
    return rows


def model(folder: Path) -> Path:
    """A model of data/sample with all defaults."""
    if not folder.exists():
        data = ls.Project.load(ROOT / "data" / "sample").read()
        ls.LeadScorer(seed=0).fit(data, ls.snapshots(data)).save(folder)
    return folder


def bare_predict(project: Path, scorer: Path, n_leads: int) -> tuple[float, int]:
    """Seconds that ``Booster.predict`` takes for so many rows, by those of a small project; and its features."""
    loaded = ls.LeadScorer.load(scorer)
    data = ls.Project.load(project).read()
    lead = np.resize(np.arange(len(data.leads.ids)), min(MATRIX_ROWS, n_leads))
    at = np.full(len(lead), ls.tables.parse_instants(pd.Series([AS_OF]), "UTC")[0][0])
    matrix = loaded.plan.transform(data, Cutoffs(lead, at))
    booster = loaded.model.booster  # type: ignore[attr-defined]
    seconds = fastest_of(3, lambda: booster.predict(matrix, raw_score=True))
    return seconds * n_leads / len(lead), matrix.shape[1]


def pyfunc(project: Path, scorer: Path, n_leads: int) -> dict[int, float]:
    """Seconds that MLflow's pyfunc takes for so many lead documents that are there already, by a few of them."""
    import mlflow

    loaded, data = ls.LeadScorer.load(scorer), ls.Project.load(project).read()
    few = open_leads(data, ls.tables.parse_instants(pd.Series([AS_OF]), "UTC")[0][0])
    asked = Cutoffs(few.lead[:N_DOCUMENTS], few.at[:N_DOCUMENTS])
    frame = pd.DataFrame(loaded.documents(data, asked))
    with tempfile.TemporaryDirectory() as folder:
        tracking.log(loaded, folder, metrics={}, parameters={})
        mlflow.set_tracking_uri(tracking.tracking_uri(Path(folder)))
        served = mlflow.pyfunc.load_model(f"models:/{loaded.name}@{tracking.CHAMPION}")
        return {
            n_reasons: fastest_of(3, partial(served.predict, frame, params={"n_reasons": n_reasons}))
            * n_leads
            / len(frame)
            for n_reasons in N_REASONS
        }


def timed(*command: Any) -> tuple[float, float, str]:
    """Seconds and peak MiB of a command and its children, and what it printed."""
    start = time.perf_counter()
    process = subprocess.Popen([*map(str, command)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    peak = 0.0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, _resident(process.pid) / 2**20)
            time.sleep(0.05)

    watching = threading.Thread(target=watch)
    watching.start()
    printed, _ = process.communicate()
    watching.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{printed}")
    return time.perf_counter() - start, peak, printed


def _resident(pid: int) -> int:
    """Bytes of a process and of all below it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    own = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS")), 0)
    return own + sum(_resident(int(child)) for child in children)


def by_hand(project: Path) -> None:
    """What one would write: counts per window and category, the latest event, then a model of as many trees."""
    import lightgbm

    as_of = pd.Timestamp(AS_OF, tz="UTC")
    leads = pd.read_parquet(project / "leads.parquet")
    outcomes = pd.read_parquet(project / "outcomes.parquet")
    leads = leads[~leads["lead_id"].isin(outcomes["lead_id"])].set_index("lead_id")
    columns = [leads[["employees"]]]
    for table, categories in (("touchpoints", ["channel", "action"]), ("interactions", ["kind", "outcome"])):
        events = pd.read_parquet(project / f"{table}.parquet")
        events = events[events["occurred_at"] < as_of]
        for days in (1, 7, 30, 90, 10_000):
            seen = events[events["occurred_at"] >= as_of - pd.Timedelta(days=days)]
            columns.append(seen.groupby("lead_id").size().rename(f"{table}.{days}"))
            columns += [pd.crosstab(seen["lead_id"], seen[name]).add_prefix(f"{table}.{days}.") for name in categories]
        columns.append((as_of - events.groupby("lead_id")["occurred_at"].max()).dt.days.rename(f"{table}.last"))
    matrix = pd.concat([column.reindex(leads.index) for column in columns], axis=1).to_numpy(dtype=np.float32)
    booster = lightgbm.Booster(model_file=str(FOLDER / "by_hand.txt"))
    width = booster.num_feature()
    padded = np.zeros((len(matrix), width), dtype=np.float32)
    padded[:, : min(width, matrix.shape[1])] = matrix[:, :width]
    scores = pd.DataFrame({"lead_id": leads.index, "probability": booster.predict(padded)})
    scores.sort_values("probability", ascending=False).to_parquet(FOLDER / "by_hand.parquet")


def run(n_leads: int, *, memory: str, hand: bool, reasons: Sequence[int]) -> list[str]:
    """Return lines of Markdown."""
    scorer, small = model(FOLDER / "scorer"), world(FOLDER / "small", BASE)
    project = world(FOLDER / f"{n_leads}", n_leads)
    shutil.copy(scorer / "model.txt", FOLDER / "by_hand.txt")
    bare_s, n_features = bare_predict(small, scorer, n_leads)
    lines = [
        f"### A list of {n_leads:,} leads and {round(n_leads * EVENTS_A_LEAD):,} events, {n_features} features",
        "",
        "| | seconds | leads/s | × bare predict | peak MiB |",
        "|---|---|---|---|---|",
        f"| bare `Booster.predict` on the finished matrix | {bare_s:.1f} | {n_leads / bare_s:,.0f} | 1 | |",
    ]
    score = [sys.executable, "-c", "from leadscore.cli import main; main()", "score", "--model", scorer]
    documents_s = pyfunc(small, scorer, n_leads)
    warm = ["--out", FOLDER / "warm.parquet", "--as-of", AS_OF, "--memory", "768MiB", "--fresh"]
    timed(*score, world(FOLDER / "warm", N_WARM), *warm)  # kernels are compiled once for each machine
    for n_reasons in reasons:
        out = FOLDER / f"scored{n_reasons}.parquet"
        options = ["--out", out, "--as-of", AS_OF, "--reasons", n_reasons, "--memory", memory, "--fresh"]
        rounds = [timed(*score, project, *options) for _ in range(N_ROUNDS if n_leads <= MANY else 1)]
        seconds, peak = min(seconds for seconds, *_ in rounds), max(peak for _, peak, _ in rounds)
        print(rounds[0][2], file=sys.stderr)
        lines.append(
            _line(f"`leadscore score --reasons {n_reasons} --memory {memory}`", seconds, peak, n_leads, bare_s)
        )
        name = f"MLflow's pyfunc, {n_reasons} reasons, by {N_DOCUMENTS:,} documents"
        lines.append(_line(name, documents_s[n_reasons], None, n_leads, bare_s))
    if hand:
        code = f"from pathlib import Path; from tests.bench.lists import by_hand; by_hand(Path({str(project)!r}))"
        seconds, peak, _ = timed(sys.executable, "-c", code)
        lines.append(_line("pandas and LightGBM, by hand, in memory", seconds, peak, n_leads, bare_s))
    return lines


def _line(name: str, seconds: float, peak: float | None, n_leads: int, bare_s: float) -> str:
    memory = "" if peak is None else f"{peak:,.0f}"
    return f"| {name} | {seconds:.1f} | {n_leads / seconds:,.0f} | {seconds / bare_s:.2f} | {memory} |"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--leads", type=int, default=1_000_000)
    parser.add_argument("--ten", action="store_true", help="ten million leads")
    parser.add_argument("--memory", default="2GiB")
    parser.add_argument("--no-hand", action="store_true", help="leave out pandas by hand")
    parser.add_argument("--reasons", type=int, nargs="*", choices=N_REASONS, default=N_REASONS)
    options = parser.parse_args()
    n_leads = 10_000_000 if options.ten else options.leads
    print("\n".join(run(n_leads, memory=options.memory, hand=not options.no_hand, reasons=options.reasons)))


if __name__ == "__main__":
    main()
