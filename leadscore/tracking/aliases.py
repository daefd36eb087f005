"""Which version is in use, since when and instead of which: aliases, and the trail they leave in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leadscore.errors import TrackingError
from leadscore.tracking.connection import CHAMPION, check_database, connect, interrupts_wait, registered_name

PREVIOUS = "previous"
"""The version that was champion before."""


def switch_champion(
    folder: str | Path, name: str, version: str, *, expected: str | None, tags: Mapping[str, str]
) -> None:
    """Make a version the champion, in one last step; the one before it stays reachable as ``previous``.

    Parameters
    ----------
    expected : the champion that the decision was made against; None for none
    tags : of the version: who decided, when, by what

    Raises
    ------
    TrackingError
        If somebody else has switched the champion in the meantime, or MLflow refuses. Nothing is switched then.
    """
    registered = registered_name(name)
    check_database(folder, must_exist=True)
    with interrupts_wait(), connect(folder) as client:
        current = client.get_registered_model(registered).aliases.get(CHAMPION)
        if (None if current is None else str(current)) != expected:
            raise TrackingError(
                f"the champion of '{registered}' is version {current} by now, not {expected}: somebody else switched "
                "it. Look again, with leadscore promote --dry-run"
            )
        for key, value in tags.items():
            client.set_model_version_tag(registered, version, key, value)
        if expected is not None:
            client.set_registered_model_alias(registered, PREVIOUS, expected)
        client.set_registered_model_alias(registered, CHAMPION, version)


def champion_version(folder: str | Path, name: str) -> str | None:
    """Return the version that is champion, whatever became of its files; None where there is none, or no registry."""
    registered = registered_name(name)
    check_database(folder, must_exist=True)
    with connect(folder) as client:
        if not client.search_registered_models(f"name = '{registered}'"):
            return None
        version = client.get_registered_model(registered).aliases.get(CHAMPION)
    return None if version is None else str(version)


def step_back(
    folder: str | Path, name: str, *, current: str, before: str, earlier: str | None, tags: Mapping[str, str]
) -> None:
    """Put a previous champion back; the one before that, if any, becomes ``previous``.

    Raises
    ------
    TrackingError
        If somebody else has switched the champion in the meantime, or MLflow refuses.
    """
    registered = registered_name(name)
    with interrupts_wait(), connect(folder) as client:
        found = client.get_registered_model(registered).aliases.get(CHAMPION)
        if str(found) != current:
            raise TrackingError(f"the champion of '{registered}' is version {found} by now, not {current}; look again")
        for key, value in tags.items():
            client.set_model_version_tag(registered, current, key, value)
        if earlier is not None:
            client.set_registered_model_alias(registered, PREVIOUS, earlier)
        elif PREVIOUS in client.get_registered_model(registered).aliases:
            client.delete_registered_model_alias(registered, PREVIOUS)
        client.set_registered_model_alias(registered, CHAMPION, before)


def amend(folder: str | Path, run_id: str, *, decision: str) -> None:
    """Correct the decision that a run of the trail states: what was to follow it did not happen."""
    with connect(folder) as client:
        client.set_tag(run_id, "decision", decision)


def decisions(folder: str | Path, name: str, *, kind: str) -> list[dict[str, Any]]:
    """Return the runs of a kind in the project's experiment, newest first: run_id and its tags of ours."""
    registered = registered_name(name)
    check_database(folder, must_exist=True)
    with connect(folder) as client:
        experiment = client.get_experiment_by_name(registered)
        if experiment is None:
            return []
        runs = client.search_runs(
            [experiment.experiment_id], f"tags.kind = '{kind}'", order_by=["attributes.start_time DESC"]
        )
    return [
        {"run_id": run.info.run_id}
        | {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow")}
        for run in runs
    ]
