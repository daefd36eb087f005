"""What many tests share: the sample project, and a scorer trained on it once a session."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import leadscore as ls

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # tests share streams and builders: from tests.parity import streams


@pytest.fixture(scope="session")
def sample() -> ls.Data:
    """The tables of data/sample."""
    return ls.Project.load(ROOT / "data" / "sample").read()


@pytest.fixture(scope="session")
def fresh_sample(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a copy of data/sample in a folder of its own, without what a demo may have left in it.

    `every=5` keeps a fifth of its leads, with all that is known of them, for tests of which size isn't the point.
    """

    def copy(*, every: int = 1) -> Path:
        folder = tmp_path_factory.mktemp("project") / "sample"
        left = shutil.ignore_patterns("mlflow.db", "mlruns", "optuna.db", "scored.*", ".*")
        shutil.copytree(ROOT / "data" / "sample", folder, ignore=left)
        if every > 1:
            _thin_out(folder, every)
        return folder

    return copy


def _thin_out(folder: Path, every: int) -> None:
    """Keep every so-manyth lead of a project, and the rows of those."""
    kept = pd.read_csv(folder / "leads.csv", dtype=str)["lead_id"].iloc[::every]
    for path in folder.glob("*.csv"):
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
        rows[rows["lead_id"].isin(kept)].to_csv(path, index=False)


@pytest.fixture(scope="session")
def sample_snapshots(sample: ls.Data) -> ls.Snapshots:
    """Its snapshots."""
    return ls.snapshots(sample)


@pytest.fixture(scope="session")
def sample_scorer(sample: ls.Data, sample_snapshots: ls.Snapshots) -> ls.LeadScorer:
    """A small scorer of it: few trees, so that it trains in seconds."""
    return ls.LeadScorer(seed=0, parameters={"num_iterations": 60, "learning_rate": 0.1}).fit(sample, sample_snapshots)


@pytest.fixture(scope="session")
def sample_scorer_folder(sample_scorer: ls.LeadScorer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same scorer, saved."""
    return sample_scorer.save(tmp_path_factory.mktemp("scorer") / "scorer")
