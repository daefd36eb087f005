from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pandas as pd
import pytest

from leadscore import tracking
from leadscore.errors import DocumentError

NOW = 0
N_DOCUMENTS = 50


@pytest.fixture(scope="module")
def model(sample_scorer, tmp_path_factory):
    """The logged scorer as MLflow loads it by its address."""
    import mlflow

    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        registered = tracking.log(sample_scorer, folder, metrics={}, parameters={})
        patch.setenv("MLFLOW_TRACKING_URI", tracking.tracking_uri(folder))
        return mlflow.pyfunc.load_model(registered.uri)


@pytest.fixture(scope="module")
def leads(sample, sample_snapshots, sample_scorer):
    """Lead documents of the sample, spread over all snapshots."""
    rows = np.linspace(0, len(sample_snapshots) - 1, N_DOCUMENTS).astype(int)
    return sample_scorer.documents(sample, sample_snapshots.take(rows).cutoffs)


def served(model, body):
    """What `mlflow models serve` answers to a JSON body."""
    from mlflow.pyfunc import scoring_server

    answer = scoring_server.invocations(json.dumps(body), "application/json", model, model.metadata.get_input_schema())
    return json.loads(answer.response)["predictions"]


def test_a_loaded_model_scores_as_the_scorer_does(model, leads, sample_scorer):
    expected = sample_scorer.score_documents(leads, now=NOW)
    found = model.predict(pd.DataFrame(leads)).to_dict(orient="records")
    for record, score in zip(found, expected, strict=True):
        assert abs(record["probability"] - score["probability"]) <= 1e-12
        assert record.pop("model") == {**score.pop("model"), "version": "1"}
        assert record == score


def test_the_served_json_scores_the_same(model, leads, sample_scorer):
    expected = sample_scorer.score_documents(leads[:5], now=NOW)
    found = served(model, {"dataframe_records": leads[:5]})
    for record, score in zip(found, expected, strict=True):
        assert {**record, "model": None} == {**score, "model": None}


def test_the_logged_example_is_served(model):
    example = model.metadata.get_serving_input(Path(url2pathname(urlsplit(model.metadata.artifact_path).path)))
    (record,) = served(model, json.loads(example))
    assert record["horizon"] == "30d"


def test_cells_may_be_json_text(model, leads):
    as_text = [{part: json.dumps(cell) if part != "as_of" else cell for part, cell in doc.items()} for doc in leads]
    pd.testing.assert_frame_equal(model.predict(pd.DataFrame(as_text)), model.predict(pd.DataFrame(leads)))


def test_cells_may_come_from_parquet(model, leads, tmp_path):
    pd.DataFrame(leads).to_parquet(tmp_path / "leads.parquet")
    again = pd.read_parquet(tmp_path / "leads.parquet")
    assert isinstance(again["events"][0]["touchpoints"], np.ndarray)
    assert model.predict(again)["probability"].tolist() == model.predict(pd.DataFrame(leads))["probability"].tolist()


def test_any_shape_of_document_passes_the_signature(model):
    found = model.predict(
        pd.DataFrame(
            [
                {"lead": {"lead_id": 17, "employees": "120", "created_at": "2026-04-01"}, "as_of": "2026-05-01"},
                {"lead": {"lead_id": "b", "employees": 120.0}, "events": {}, "as_of": pd.Timestamp("2026-05-01")},
                {"lead": {"lead_id": "c", "extra": [1]}, "events": {"interactions": []}, "context": {}, "as_of": None},
            ]
        )
    )
    assert found["lead_id"].tolist() == ["17", "b", "c"]
    assert found["as_of"].tolist()[:2] == ["2026-05-01T00:00:00Z"] * 2
    assert "lead: 1 undeclared field(s) ignored" in found["warnings"][2]
    assert found["probability"].between(0, 1).all()


def test_a_lead_without_as_of_is_scored_now(model):
    before = pd.Timestamp.now("UTC")
    found = model.predict(pd.DataFrame([{"lead": {"lead_id": "a"}}]))
    assert before <= pd.Timestamp(found["as_of"][0]) <= pd.Timestamp.now("UTC")


def test_n_reasons_is_a_parameter(model, leads):
    frame = pd.DataFrame(leads[-2:])
    assert [len(reasons) for reasons in model.predict(frame)["reasons"]] == [3, 3]
    assert [len(reasons) for reasons in model.predict(frame, params={"n_reasons": 5})["reasons"]] == [5, 5]
    none = model.predict(frame, params={"n_reasons": 0})
    assert none["fit"].tolist() == [None, None]
    (record,) = served(model, {"dataframe_records": leads[-1:], "params": {"n_reasons": 1}})
    assert len(record["reasons"]) == 1
    with pytest.raises(ValueError, match="n_reasons must be 0 or more, not -1"):
        model.predict(frame, params={"n_reasons": -1})


def test_a_wrong_document_is_refused_with_its_row_and_field(model, leads):
    wrong = [{"lead": {"lead_id": "a"}, "events": {"touchpoints": [{"occurred_at": "soon"}]}}, {"lead": "{not json"}]
    with pytest.raises(DocumentError) as caught:
        model.predict(pd.DataFrame([leads[0], *wrong]))
    assert str(caught.value) == (
        "2 of 3 lead documents can't be scored, so none was. "
        "row 1: events.touchpoints[0].occurred_at: is not a readable time; write ISO 8601, as in "
        "'2026-05-01T09:00:00Z'; row 2: lead: must be an object with the lead's fields, not text"
    )


def test_rows_keep_their_index_and_order(model, leads):
    frame = pd.DataFrame(leads[:3], index=[9, 4, 7])
    found = model.predict(frame)
    assert found.index.tolist() == [9, 4, 7]
    assert found["lead_id"].tolist() == [document["lead"]["lead_id"] for document in leads[:3]]


def test_no_rows_give_no_scores(model, leads):
    found = model.predict(pd.DataFrame(leads[:1]).iloc[:0])
    assert len(found) == 0
    assert found.columns[:3].tolist() == ["lead_id", "as_of", "probability"]
