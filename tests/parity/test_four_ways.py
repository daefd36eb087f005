"""The same lead at the same cutoff, from Python, ``leadscore score``, MLflow's pyfunc and HTTP: one answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import leadscore as ls
from leadscore import tracking
from leadscore.cli import main
from service.process import Server

N_LEADS = 200


@pytest.fixture(scope="module")
def registered(sample_scorer: ls.LeadScorer, fresh_sample: Callable[[], Path]) -> tuple[Path, tracking.Registered]:
    """A copy of the sample project whose champion is the shared scorer."""
    folder = fresh_sample()
    return folder, tracking.log(sample_scorer, folder, metrics={}, parameters={})


@pytest.fixture(scope="module")
def asked(sample: ls.Data, sample_snapshots: ls.Snapshots) -> pd.DataFrame:
    """Snapshots of every age, among them leads without any event."""
    rows = np.linspace(0, len(sample_snapshots) - 1, N_LEADS).astype(int)
    return sample_snapshots.take(rows).frame()[["lead_id", "cutoff"]]


@pytest.fixture(scope="module")
def lead_documents(sample: ls.Data, sample_scorer: ls.LeadScorer, asked: pd.DataFrame) -> list[dict[str, Any]]:
    """The same leads as documents, as a CRM would send them."""
    return [json.loads(json.dumps(document)) for document in sample_scorer.documents(sample, asked)]


@pytest.fixture(scope="module")
def from_python(sample: ls.Data, sample_scorer: ls.LeadScorer, asked: pd.DataFrame) -> pd.DataFrame:
    return sample_scorer.score(sample, cutoffs=asked)


def assert_same(expected: pd.DataFrame, found: list[dict[str, Any]]) -> None:
    assert [record["lead_id"] for record in found] == list(expected["lead_id"])
    probabilities = np.array([record["probability"] for record in found])
    assert np.abs(probabilities - expected["probability"]).max() <= 1e-12
    for column in ("score", "grade", "fit", "intent", "reasons", "warnings"):
        assert [record[column] for record in found] == list(expected[column]), column


def test_command(registered, asked, from_python, tmp_path) -> None:
    asked.to_csv(tmp_path / "cutoffs.csv", index=False)
    for ending in ("csv", "parquet"):
        out = tmp_path / f"scored.{ending}"
        command = ["score", str(registered[0]), "--cutoffs", str(tmp_path / "cutoffs.csv"), "--out", str(out), "--json"]
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
        scored = pd.read_csv(out) if ending == "csv" else pd.read_parquet(out)
        records = scored.to_dict("records")
        for record in records:
            record["reasons"] = json.loads(record["reasons"])
            record["warnings"] = json.loads(record["warnings"])
        assert_same(from_python, records)


def test_pyfunc(registered, lead_documents, from_python) -> None:
    mlflow = pytest.importorskip("mlflow")
    model = mlflow.pyfunc.load_model(registered[1].location)
    assert_same(from_python, model.predict(pd.DataFrame(lead_documents)).to_dict("records"))


def test_http(registered, lead_documents, from_python) -> None:
    folder, version = tracking.find_scorer(registered[0])
    with Server(folder, str(version), host="127.0.0.1", port=0, n_workers=1) as server:
        assert server.wait_until_ready()
        batch = httpx.post(f"{server.url}/v1/score/batch", json={"documents": lead_documents}, timeout=60).json()
        single = [httpx.post(f"{server.url}/v1/score", json=one, timeout=60).json() for one in lead_documents[:20]]
    assert_same(from_python, batch["scores"])
    assert_same(from_python.head(20), single)
