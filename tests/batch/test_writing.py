"""A scored list is read back as it was written, whatever its ids hold."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import pandas as pd
import pytest

import leadscore as ls
from leadscore.batch.sync import pieces_of
from tests.batch.scoring import at_once, in_parts

STRANGE = ["bare\rreturn", "two\r\rreturns", "line\nfeed", "both\r\nof them", 'a "quote"', "a,comma", "'x"]


@pytest.fixture
def strange(fresh_sample) -> ls.Project:
    """The sample, where some leads have ids that CSV has to quote."""
    folder: Path = fresh_sample()
    leads = pd.read_csv(folder / "leads.csv", dtype=object)
    names = dict(zip(leads["lead_id"].iloc[-len(STRANGE) :], STRANGE, strict=True))
    for table in ("leads", "touchpoints", "interactions", "outcomes"):
        frame = pd.read_csv(folder / f"{table}.csv", dtype=object)
        frame.assign(lead_id=frame["lead_id"].replace(names)).to_parquet(folder / f"{table}.parquet")
    text = (folder / "leadscore.toml").read_text(encoding="utf-8").replace(".csv", ".parquet")
    (folder / "leadscore.toml").write_text(text, encoding="utf-8")
    return ls.Project.load(folder)


def test_every_reader_of_csv_finds_the_ids_of_a_list(strange, sample_scorer, tmp_path) -> None:
    asked = {"n_reasons": 1, "cutoffs": pd.DataFrame({"lead_id": STRANGE, "cutoff": "2026-06-01T00:00:00Z"})}
    path = tmp_path / "scored.csv"
    written, _ = at_once(sample_scorer, strange, path, **asked)
    assert written.count(b"\n") == 1 + len(STRANGE) + sum(name.count("\n") for name in STRANGE)
    with path.open(encoding="utf-8", newline="") as file:
        assert [row["lead_id"] for row in csv.DictReader(file)] == STRANGE
    assert pd.read_csv(path)["lead_id"].tolist() == STRANGE
    found = duckdb.sql(f"SELECT lead_id, probability FROM read_csv('{path}')").fetchall()
    assert [lead_id for lead_id, _ in found] == STRANGE
    assert [probability for _, probability in found] == pd.read_csv(path)["probability"].tolist()
    assert [name for piece in pieces_of(path) for name in piece["lead_id"].to_pylist()] == STRANGE
    assert in_parts(sample_scorer, strange, path, 3, 4_000, **asked)[0] == written
