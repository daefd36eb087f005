"""A run that trains nothing is logged whole, or marked as failed."""

from __future__ import annotations

import pytest

from leadscore.errors import TrackingError
from leadscore.tracking.connection import connect
from leadscore.tracking.notes import log_run


def test_a_run_holds_what_it_was_given(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run_id = log_run(
        tmp_path, "acme", "monitor", metrics={"auc": 0.7, "undefined": None, "endless": float("inf")},
        tags={"verdict": "keep"}, texts={"monitor.txt": "KEEP"},
    )  # fmt: skip
    with connect(tmp_path) as client:
        run = client.get_run(run_id)
        assert client.get_experiment_by_name("acme").experiment_id == run.info.experiment_id
    assert run.data.metrics == {"auc": 0.7}
    assert run.data.tags["kind"] == "monitor"
    assert run.info.status == "FINISHED"
    assert next(tmp_path.rglob("monitor.txt")).read_text(encoding="utf-8") == "KEEP"


def test_a_run_that_fails_is_marked(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(TrackingError):
        log_run(tmp_path, "acme", "monitor", metrics={"what?": 1.0})
    with connect(tmp_path) as client:
        experiment = client.get_experiment_by_name("acme")
        runs = client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["FAILED"]
