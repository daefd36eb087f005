"""A list that is scored every night: read anew, or with ``--keep`` and one new file of each table of events.

``make bench-nightly``. Wall time of the whole command, start of Python included; a hundred thousand leads and a million
events in thirty files of each table, CSV and Parquet.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet

from tests.bench.lists import AS_OF, FOLDER, model, timed, world

N_LEADS, N_FILES = 100_000, 30
EVENTS = ("touchpoints", "interactions")


def in_files(base: Path, folder: Path, ending: str) -> Path:
    """Write the tables of a project in files of some days each."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text = (base / "leadscore.toml").read_text(encoding="utf-8")
    for table in ("leads", "outcomes", *EVENTS):
        rows = pyarrow.parquet.read_table(base / f"{table}.parquet")
        pieces = {folder / f"{table}{ending}": rows}
        if table in EVENTS:
            rows = rows.sort_by("occurred_at")
            edges = np.linspace(0, rows.num_rows, N_FILES + 1).astype(int).tolist()
            (folder / table).mkdir()
            pieces = {
                folder / table / f"{n:02}{ending}": rows.slice(edges[n], edges[n + 1] - edges[n])
                for n in range(N_FILES)
            }
        for path, piece in pieces.items():
            if ending == ".csv":
                pyarrow.csv.write_csv(piece, path)
            else:
                pyarrow.parquet.write_table(piece, path)
        text = text.replace(f"{table}.parquet", f"{table}/*{ending}" if table in EVENTS else f"{table}{ending}")
    (folder / "leadscore.toml").write_text(text, encoding="utf-8")
    return folder


def run(ending: str, memory: str) -> str:
    """Return a line of Markdown."""
    project, scorer = in_files(world(FOLDER / "nightly", N_LEADS), FOLDER / "nights", ending), model(FOLDER / "scorer")
    leadscore = [sys.executable, "-c", "from leadscore.cli import main; main()", "score", project, "--model", scorer]
    options = ["--as-of", AS_OF, "--reasons", 0, "--memory", memory, "--fresh"]
    kept, out = FOLDER / "kept", {name: FOLDER / f"{name}.parquet" for name in ("anew", "night")}
    last = [project / table / f"{N_FILES - 1:02}{ending}" for table in EVENTS]
    for path in last:
        path.rename(path.with_suffix(".later"))
    shutil.rmtree(kept, ignore_errors=True)
    first, _, _ = timed(*leadscore, *options, "--out", out["night"], "--keep", kept)
    for path in last:
        path.with_suffix(".later").rename(path)
    anew, _, _ = timed(*leadscore, *options, "--out", out["anew"])
    night, _, printed = timed(*leadscore, *options[:-1], "--out", out["night"], "--keep", kept)
    print(printed, file=sys.stderr)
    assert out["anew"].read_bytes() == out["night"].read_bytes()
    return f"| {ending} within {memory} | {anew:.1f} | {first:.1f} | {night:.1f} |"


def main() -> None:
    """Print a table."""
    print("| | anew, s | the first night with --keep, s | a night with one new file a table, s |\n|---|---|---|---|")
    for ending in (".csv", ".parquet"):
        for memory in ("768MiB", "1GiB"):
            print(run(ending, memory))


if __name__ == "__main__":
    main()
