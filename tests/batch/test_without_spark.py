"""What of the Spark engine needs no Spark: what it refuses, what it loads, what travels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from leadscore.batch.asked import Asked
from leadscore.batch.tally import Tallied
from leadscore.errors import MissingExtraError, ProjectError
from tests.batch.scoring import silently
from tests.batch.test_parts import rewritten

ROOT = Path(__file__).parents[2]


def test_a_store_is_read_by_one_machine(sample_scorer, fresh_sample, tmp_path) -> None:
    from leadscore.batch.spark import score_on_spark

    project = rewritten(fresh_sample(), {'timezone = "UTC"': 'timezone = "UTC"\nstore = "kept.db"'}, {})
    with pytest.raises(ProjectError, match=r"names a store.*Use --engine local"):
        score_on_spark(sample_scorer, Asked(project, tmp_path / "out.csv"), silently)


def test_without_the_extra_it_is_named(sample, sample_scorer, tmp_path, monkeypatch) -> None:
    from leadscore.batch.spark import score_on_spark

    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(MissingExtraError, match=r"leadscore\[spark\]"):
        score_on_spark(sample_scorer, Asked(sample.project, tmp_path / "out.csv"), silently)


def test_pyspark_is_loaded_on_its_engine_alone() -> None:
    code = (
        "import leadscore.cli, leadscore.batch.local, leadscore.batch.spark, sys; print(sorted({'pyspark', 'py4j'} "
        "& sys.modules.keys()), 'leadscore.batch.spark.run' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "True"]


def test_what_workers_counted_adds_up(sample) -> None:
    from leadscore.batch.spark.shipping import tally_of, tally_to_bytes

    at = np.array([sample.observed_until - 10**13, sample.observed_until])
    whole, empty = Tallied(at, ("origin", "owner")), tally_to_bytes(Tallied(at, ("origin", "owner")))
    whole.add(sample)
    twice = tally_of(empty)
    for _ in range(2):
        twice.merge(tally_of(tally_to_bytes(whole)))
    for key, totals in twice.counts().totals.items():
        once = whole.counts().totals[key]
        assert (totals.total == 2 * once.total).all()
        assert (totals.at == once.at).all()
