"""A registered scorer over lead documents in a Spark DataFrame, as `mlflow.pyfunc.spark_udf` runs it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from leadscore import tracking

pytest.importorskip("pyspark", reason="needs the extra spark")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java", allow_module_level=True)

RECORD = (
    "lead_id string, as_of string, probability double, score long, grade string, fit long, intent long, "
    "horizon string, reasons array<struct<feature string, text string, effect double>>, warnings array<string>"
)
"""What to ask for: Spark's types for the fields of a score record."""


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from leadscore.batch.spark.session import session

    with session("local[2]") as opened:
        yield opened


@pytest.fixture(scope="module")
def lead_documents(sample, sample_snapshots, sample_scorer) -> list[dict[str, Any]]:
    rows = np.linspace(0, len(sample_snapshots) - 1, 200).astype(int)
    return sample_scorer.documents(sample, sample_snapshots.take(rows).cutoffs)


@pytest.fixture(scope="module")
def uri(sample_scorer, tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        registered = tracking.log(sample_scorer, folder, metrics={}, parameters={})
        patch.setenv("MLFLOW_TRACKING_URI", tracking.tracking_uri(folder))
        yield registered.uri


def scored(spark: Any, uri: str, frame: pd.DataFrame, result_type: str) -> list[Any]:
    """What the model says of every row."""
    import mlflow
    from pyspark.sql.functions import struct

    rows = spark.createDataFrame(pa.Table.from_pandas(frame, preserve_index=False)).repartition(2, "as_of")
    score = mlflow.pyfunc.spark_udf(spark, uri, result_type=result_type, env_manager="local")
    found = rows.select("as_of", score(struct(*frame.columns)).alias("score")).toArrow()
    return found["score"].to_pylist()


@pytest.mark.parametrize("as_text", [True, False])
def test_scores_are_those_of_the_scorer(as_text, spark, uri, lead_documents, sample_scorer) -> None:
    """A part of a document may be the text of a JSON object, or a struct with arrays of structs."""
    frame = pd.DataFrame(lead_documents)
    if as_text:
        for part in ("lead", "events", "context"):
            frame[part] = [json.dumps(cell) for cell in frame[part]]
    expected = {
        (score["lead_id"], score["as_of"]): score for score in sample_scorer.score_documents(lead_documents, now=0)
    }
    found = scored(spark, uri, frame, RECORD)
    assert len(found) == len(expected) == 200
    for record in found:
        score = expected[record["lead_id"], record["as_of"]]
        record["reasons"] = [(reason["feature"], reason["text"], reason["effect"]) for reason in record["reasons"]]
        score["reasons"] = [(reason["feature"], reason["text"], reason["effect"]) for reason in score["reasons"]]
        assert record == {name: score[name] for name in record}


def test_a_number_is_the_probability(spark, uri, lead_documents, sample_scorer) -> None:
    expected = [score["probability"] for score in sample_scorer.score_documents(lead_documents, now=0)]
    found = scored(spark, uri, pd.DataFrame(lead_documents), "double")
    assert sorted(found) == sorted(expected)
