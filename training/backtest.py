"""Go back in time: train on past days as it would have been done then, score on, and judge by what came true."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import leadscore as ls
from leadscore import time
from leadscore.batch import whole_or_nothing
from leadscore.errors import DataError, ProjectError
from leadscore.model.artifact import to_json
from leadscore.model.booster import Progress
from training.backtesting import judged, origins, told
from training.backtesting.judged import Judged, Scored, day
from training.backtesting.page import page
from training.backtesting.stood import BASELINE, Stood, keep, kept, key, stand
from training.backtesting.verdict import Verdict, decide

FOLDER = "backtest"
SCORES = "scores.csv"


@dataclass(frozen=True)
class Backtest:
    """What models of past days promised, and what came true.

    Attributes
    ----------
    every_days : between two origins
    scored : every later snapshot with what each model said of it, for pictures
    scores : where the scores as they stood were written
    notes : what a reader must know first
    """

    name: str
    verdict: Verdict
    judged: Judged
    every_days: float
    seed: int
    key: str
    scores: Path
    notes: tuple[str, ...]
    scored: Scored

    def to_dict(self) -> dict[str, Any]:
        """Return what ``leadscore backtest --json`` prints; what is undefined is null."""
        verdict = {name: value for name, value in vars(self.verdict).items() if name != "sentences"}
        return {
            "verdict": self.verdict.sentence,
            "sentences": list(self.verdict.sentences),
            **verdict,
            "every_days": self.every_days,
            "seed": self.seed,
            "key": self.key,
            "notes": list(self.notes),
            **_plain(self.judged),
            "scores": str(self.scores),
        }

    def text(self) -> str:
        """Return everything for a terminal."""
        return told.text(self)

    def metrics(self) -> dict[str, float | None]:
        """Return the numbers that runs are compared by."""
        found = self.judged
        pooled = {f"matured_{name}": value for name, value in found.pooled.metrics.items()}
        loss = None if found.kept is None else found.kept.difference["log_loss"]
        return {
            **pooled,
            "n_origins": len(found.periods),
            "auc_within_periods": None if found.auc is None else found.auc.value,
            "auc_less_promise": None if found.gap is None else found.gap.value,
            "kept_less_retrained_log_loss": None if loss is None else loss.difference,
            **{f"baseline_{name}_log_loss": beside.other["log_loss"] for name, beside in found.baselines.items()},
        }


def backtest(
    project: ls.Project,
    *,
    every: str = origins.EVERY,
    at_most: int = origins.MOST_ORIGINS,
    seed: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    fresh: bool = False,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> Backtest:
    """Train at past origins on what was known then, score all that came after, and judge it once it has matured.

    What an origin's model said is kept in `folder` as soon as it is known; a backtest that was stopped goes on from
    there, and ends with the same bytes as one that never was.

    Parameters
    ----------
    every : between two origins, a duration of whole days such as ``30d``
    at_most : origins, going back from the last whose period has matured
    seed : of everything random; default ``[model] seed``, else 0
    parameters : LightGBM parameters over the project's
    fresh : train anew even what is kept
    folder : where origins and scores are kept; default ``backtest`` in the project's folder
    progress : called with (done, total), in hundredths of an origin

    Raises
    ------
    LeadScoreError
        If the project can't be read, has no times, or holds too few wins or too little time for an origin.
    """
    chosen = int(project.model.get("seed", 0)) if seed is None else seed
    step = _days(every)
    data = project.read()
    days = origins.choose(data, every=step, at_most=at_most, seed=chosen)
    everyone = origins.since(data, time.EARLIEST)
    name = key(everyone, seed=chosen, parameters=parameters or {})
    place = _place(project.folder / FOLDER if folder is None else Path(folder))
    later = everyone.take(everyone.at >= days[0])
    stood = []
    with _may_write(place):
        (place / name).mkdir(parents=True, exist_ok=True)
        for number, origin in enumerate(days):
            path = place / name / f"{day(origin)}.parquet"
            if fresh or kept(path) is None:
                shown = _share(progress, number, len(days))
                keep(stand(data, later, origin, seed=chosen, parameters=parameters or {}, progress=shown), path)
            stood.append(_read(path))
            if progress is not None:
                progress(100 * (number + 1), 100 * len(days))
    scored = Scored.of(later, stood)
    found = judged.judge(scored, stood, every=step, seed=chosen)
    with _may_write(place):
        scores = _write_scores(scored, stood, place / SCORES)
    notes = _notes(len(days), at_most, found)
    return Backtest(project.name, decide(found), found, step / time.DAY, chosen, name, scores, notes, scored)


def track(found: Backtest, project: ls.Project) -> str:
    """Log a backtest as a run of the project's experiment, and return its id.

    Raises
    ------
    TrackingError
        If MLflow refuses.
    MissingExtraError
        If mlflow isn't installed.
    """
    from leadscore.tracking.notes import log_run

    table = pd.DataFrame(told.origin_rows(found), columns=list(told.ORIGINS))
    texts = {
        "backtest.json": to_json(found.to_dict()),
        "backtest.txt": found.text() + "\n",
        "backtest.html": page(found),
        "origins.csv": table.to_csv(index=False),
    }
    tags = {"verdict": found.verdict.sentence, "every_days": f"{found.every_days:g}", "seed": str(found.seed)}
    return log_run(project.folder, project.name, "backtest", metrics=found.metrics(), tags=tags, texts=texts)


def _days(every: str) -> int:
    try:
        step = time.parse_span(every)
    except ValueError as error:
        raise ProjectError(f"--every: {error}") from None
    if step % time.DAY:
        raise ProjectError(f"--every: '{every}' is not a whole number of days; write for example '30d' or '2w'")
    return step


def _place(folder: Path) -> Path:
    """Refuse a place that can't be written before anything is trained in vain."""
    there = next(parent for parent in (folder, *folder.resolve().parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise DataError(
            f"{folder} can't be written, and each origin's scores are kept there, to go on from if a backtest is "
            "stopped. Name another folder with --out, or copy the project"
        )
    return folder


@contextmanager
def _may_write(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"a backtest can't be kept in {folder}: {error.strerror}. Make room there, or name another folder with "
            "--out; origins that were finished are kept"
        ) from error


def _read(path: Path) -> Stood:
    """Read back even what was just written, so that a backtest that went on tells the same as one that didn't stop."""
    stood = kept(path)
    if stood is None:
        raise DataError(f"{path} can't be read back. Look whether the disk is full, and run the backtest again")
    return stood


def _share(progress: Progress | None, number: int, n_origins: int) -> Progress | None:
    """One origin's part of the whole; the last tenth is its scoring."""
    if progress is None:
        return None
    return lambda done, total: progress(100 * number + math.floor(90 * done / max(total, 1)), 100 * n_origins)


def _write_scores(scored: Scored, stood: list[Stood], path: Path) -> Path:
    """Write the scores as they stood: of every lead at every cutoff what the newest model said, and its label."""
    parts = []
    for place, each in enumerate(stood):
        mine = scored.newest[len(scored.newest) - len(each.scores) :] == place
        shown = [name for name in each.scores if not str(name).startswith(BASELINE) and name != "margin"]
        parts.append(each.scores.loc[mine, shown])
    whole = pd.concat(parts, ignore_index=True)
    for name in ("cutoff", "origin"):
        instants = whole[name].dt.tz_localize(None).to_numpy().astype("M8[us]").astype(np.int64)
        whole[name] = [time.format_instant(int(at)) for at in instants]
    with whole_or_nothing(path) as beside:
        whole.to_csv(beside, index=False)
    return path


def _notes(n_origins: int, asked: int, found: Judged) -> tuple[str, ...]:
    notes = []
    if n_origins < asked:
        notes.append(
            f"{n_origins} of the {asked} origins asked for: earlier ones had too few settled wins to train on. A "
            "shorter --every brings more"
        )
    warned = [warning for period in found.periods for warning in period.promise["warnings"]]
    for warning in dict.fromkeys(warned):
        notes.append(f"{warning} (at {warned.count(warning)} of {n_origins} origins)")
    return tuple(notes)


def _plain(value: Any) -> Any:
    """Frozen dataclasses as JSON values; instants of periods as text."""
    if isinstance(value, judged.Period):
        inner = {name: _plain(part) for name, part in vars(value).items()}
        return {**inner, "origin": time.format_instant(value.origin), "until": time.format_instant(value.until)}
    if hasattr(value, "_asdict"):
        return value._asdict()
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(part) for name, part in vars(value).items()}
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple | list) else value
