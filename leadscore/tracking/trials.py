"""A search in MLflow: one parent run per study, one child run per finished trial.

Both are found again by their tags, so that a search which was stopped goes on in the same parent, and a trial is logged
once however often it is given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadscore.tracking.connection import check_database, connect, create_database, interrupts_wait, registered_name
from leadscore.tracking.runs import experiment_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

PARENT = "mlflow.parentRunId"
STUDY, TRIAL = "leadscore.study", "leadscore.trial"
_MOST_RUNS = 1_000  # of one page


@dataclass(frozen=True)
class Trial:
    """What a child run says.

    Attributes
    ----------
    number : 0 and up, unique in its study
    state : complete or pruned
    started_at, ended_at : milliseconds since 1970
    """

    number: int
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    state: str
    started_at: int
    ended_at: int


def log_trials(
    folder: str | Path,
    name: str,
    study: str,
    trials: Sequence[Trial],
    *,
    metrics: Mapping[str, float | None] | None = None,
    tags: Mapping[str, str] | None = None,
) -> str:
    """Log the finished trials of a study that aren't logged yet, each as one, and return the parent's run id.

    Parameters
    ----------
    name : of the project, as its experiment is called
    study : what makes the parent run findable
    metrics, tags : of the parent, given once the search has ended; None leaves it running

    Raises
    ------
    TrackingError
        If MLflow refuses.
    """
    check_database(folder, must_exist=False)
    with interrupts_wait(), connect(folder) as client:
        create_database(folder)
        experiment = experiment_of(client, folder, registered_name(name))
        parent = _parent(client, experiment, study)
        logged = _logged(client, experiment, parent)
        for trial in trials:
            if trial.number not in logged:
                _log(client, experiment, parent, trial)
        if tags is not None:
            for key, value in tags.items():
                client.set_tag(parent, key, value)
            for key, number in (metrics or {}).items():
                if number is not None:
                    client.log_metric(parent, key, number)
            client.set_terminated(parent)
        return parent


def _parent(client: MlflowClient, experiment: str, study: str) -> str:
    """The study's run, begun now or earlier."""
    found = client.search_runs([experiment], f"tags.`{STUDY}` = '{study}'", max_results=1)
    if found:
        run_id = str(found[0].info.run_id)
        client.update_run(run_id, status="RUNNING")
        return run_id
    return str(client.create_run(experiment, tags={STUDY: study}, run_name=f"tune {study}").info.run_id)


def _logged(client: MlflowClient, experiment: str, parent: str) -> set[int]:
    """Numbers of the trials that are there whole; what a killed process left half-written is deleted."""
    numbers = set()
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment], f"tags.`{PARENT}` = '{parent}'", max_results=_MOST_RUNS, page_token=token
        )
        for run in page:
            if run.info.status == "FINISHED":
                numbers.add(int(run.data.tags[TRIAL]))
            else:
                client.delete_run(run.info.run_id)
        token = page.token
        if not token:
            return numbers


def _log(client: MlflowClient, experiment: str, parent: str, trial: Trial) -> None:
    from mlflow.entities import Metric, Param

    run = client.create_run(
        experiment,
        start_time=trial.started_at,
        run_name=f"trial {trial.number}",
        tags={PARENT: parent, TRIAL: str(trial.number), "state": trial.state},
    )
    client.log_batch(
        run.info.run_id,
        metrics=[Metric(key, value, trial.ended_at, 0) for key, value in trial.metrics.items()],
        params=[Param(key, json.dumps(value)) for key, value in trial.parameters.items()],
    )
    client.set_terminated(run.info.run_id, "FINISHED", trial.ended_at)
