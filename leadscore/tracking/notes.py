"""Log a run that trains nothing: a look at a model, with its numbers and what was said of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from leadscore.tracking.connection import (
    check_database,
    connect,
    create_database,
    interrupts_wait,
    registered_name,
)
from leadscore.tracking.runs import experiment_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def log_run(
    folder: str | Path,
    name: str,
    kind: str,
    *,
    metrics: Mapping[str, float | None],
    tags: Mapping[str, str] | None = None,
    texts: Mapping[str, str] | None = None,
    figures: Mapping[str, Figure] | None = None,
) -> str:
    """Log one finished run into the experiment of a project, and return its id.

    Parameters
    ----------
    folder : of the project
    name : the project's, which names the experiment
    kind : what looked, as in ``monitor``: the tag ``kind``
    metrics : name → value; None and what isn't finite is left out
    tags : name → text
    texts : path → content, as in ``monitor.json``
    figures : name → figure, drawn to ``plots/name.png``

    Raises
    ------
    TrackingError
        If MLflow refuses. The run is marked FAILED (KILLED when interrupted).
    MissingExtraError
        If mlflow isn't installed.
    """
    check_database(folder, must_exist=False)
    with interrupts_wait(), connect(folder) as client:
        create_database(folder)
        experiment = experiment_of(client, folder, registered_name(name))
        run_id = str(client.create_run(experiment, tags={"kind": kind, **(tags or {})}, run_name=kind).info.run_id)
        try:
            for metric, value in metrics.items():
                if value is not None and math.isfinite(value):
                    client.log_metric(run_id, metric, float(value))
            for path, text in (texts or {}).items():
                client.log_text(run_id, text, path)
            for title, figure in (figures or {}).items():
                client.log_figure(run_id, figure, f"plots/{title}.png")
        except BaseException as error:
            client.set_terminated(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        client.set_terminated(run_id)
    return run_id
