"""A model that is trained on a cluster's tables is the one that is trained here, word for word."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore.errors import DataError, ProjectError, TrainingError
from leadscore.evaluate.report import report
from tests import builders
from tests.batch.scoring import silently
from tests.batch.test_parts import rewritten

pytest.importorskip("pyspark", reason="needs the extra spark")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java", allow_module_level=True)

PARAMETERS = {"num_iterations": 60, "learning_rate": 0.1}
FEW = {"num_iterations": 15}


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from leadscore.batch.spark.session import session

    with session("local[2]") as opened:
        yield opened


@pytest.fixture(scope="module")
def on_cluster(spark, sample) -> Iterator[ls.Data]:
    from leadscore.batch.spark.training import data_on_spark

    with data_on_spark(sample.project, silently) as data:
        yield data


def test_the_model_is_the_same(on_cluster, sample_scorer) -> None:
    assert not on_cluster.logs
    scorer = ls.LeadScorer(seed=0, parameters=PARAMETERS).fit(on_cluster, ls.snapshots(on_cluster))
    assert scorer.model.to_text() == sample_scorer.model.to_text()
    assert scorer.digest == sample_scorer.digest
    assert scorer.golden == sample_scorer.golden
    own = {"data": sample_scorer.manifest["data"]}  # of tables, which are nowhere as a whole
    assert {**scorer.manifest, **own} == sample_scorer.manifest
    assert report(scorer).to_dict() == report(sample_scorer).to_dict()


def test_tables_say_the_same(on_cluster, sample) -> None:
    assert set(on_cluster.notes) == set(sample.notes)
    assert on_cluster.n_rows == sample.n_rows
    assert on_cluster.observed_until == sample.observed_until
    for spec in sample.project.events:
        if spec.direction is not None:
            assert on_cluster.words(spec.name, spec.direction.column) == sample.words(spec.name, spec.direction.column)


def test_rows_may_be_asked_for_in_any_order(on_cluster, sample) -> None:
    plan = ls.FeaturePlan.of(sample.project, ["touchpoints.count.30d", "account.touchpoints.count.all", "profile.age"])
    rng = np.random.default_rng(4)
    lead = rng.integers(0, len(sample.leads.ids), 40)
    asked = ls.Cutoffs(lead, sample.leads.created[lead] + rng.integers(0, 10**13, 40))
    found = plan.transform(on_cluster, asked, dtype=np.float64)
    assert np.array_equal(found, plan.transform(sample, asked, dtype=np.float64), equal_nan=True)


def test_a_matrix_larger_than_the_driver_is_refused(on_cluster, monkeypatch) -> None:
    from leadscore.batch.spark import training

    monkeypatch.setattr(training, "machine_memory", lambda: 10**6)
    with pytest.raises(TrainingError, match=r"a model is fitted on one machine.*a distributed LightGBM is due"):
        ls.LeadScorer().fit(on_cluster, ls.snapshots(on_cluster))


def same_model(one: ls.Data, other: ls.Data) -> bool:
    """Whether snapshots, and the model that is fitted to them, are the same wherever the tables are."""
    taken = [ls.snapshots(data, seed=3) for data in (one, other)]
    for column in ("lead", "at", "label", "weight"):
        assert np.array_equal(getattr(taken[0], column), getattr(taken[1], column))
    assert taken[0].counts == taken[1].counts
    digests = {ls.LeadScorer(parameters=FEW).fit(found.data, found).digest for found in taken}
    return len(digests) == 1


def test_a_list_without_times_is_trained_on_by_the_numbers_of_its_rows(spark, tmp_path) -> None:
    from leadscore.batch.spark.training import data_on_spark

    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"source": rng.choice(["ads", "web", None], 1_200), "visits": rng.integers(0, 9, 1_200)})
    frame["converted"] = np.where(rng.random(1_200) < 0.1, "", (rng.random(1_200) < frame["visits"] / 12).astype(int))
    (tmp_path / "list").mkdir()
    for number, piece in enumerate((frame[:500], frame[500:501], frame[501:])):
        piece.to_csv(tmp_path / "list" / f"{number}.csv", index=False)
    sources = {"leads.source": "list/*.csv", "outcome.source": "list/*.csv", "task.split": "ordered"}
    project = builders.project(sources, base=builders.LABELLED, folder=tmp_path)
    with data_on_spark(project, silently) as data:
        assert same_model(project.read(), data)


def test_snapshots_after_events_are_named_where_the_events_are(spark, fresh_sample) -> None:
    from leadscore.batch.spark.training import data_on_spark

    folder = fresh_sample()
    text = (folder / "leadscore.toml").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("cutoffs"))
    project = rewritten(folder, {line: 'cutoffs = { after = "events", max_per_lead = 3 }'}, {})
    assert project.task.cutoffs.after_events
    with data_on_spark(project, silently) as data:
        assert same_model(project.read(), data)


def test_what_a_cluster_does_not_see_is_refused(spark, fresh_sample) -> None:
    from leadscore.batch.spark.training import data_on_spark

    stored = builders.project({"store": "store.db"})
    with pytest.raises(ProjectError, match=r"names a store.*--engine local"), data_on_spark(stored, silently):
        pass
    folder = fresh_sample()
    (folder / "outcomes.csv").unlink()
    with pytest.raises(DataError, match=r"outcomes.csv"), data_on_spark(rewritten(folder, {}, {}), silently):
        pass
