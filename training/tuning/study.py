"""The study: every trial in the project's ``optuna.db``, so that a search that was stopped goes on where it was.

Optuna and MLflow each keep the version of their tables in one named ``alembic_version``, so they can't share
``mlflow.db``.

A trial's **place** is the number of finished trials before it. The sampler is seeded anew at every place, and sees
finished trials only: a search that was killed and run again tries the same parameters in the same order as one that
wasn't. Place 0 are the project's own settings.
"""

from __future__ import annotations

import logging
import sqlite3
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leadscore.batch import whole_or_nothing
from leadscore.errors import MissingExtraError, TrackingError
from training.tuning import space

if TYPE_CHECKING:
    from optuna import Study as OptunaStudy
    from optuna.samplers import BaseSampler
    from optuna.storages import RDBStorage

DATABASE = "optuna.db"
_LOCK = ".optuna.lock"
_BEFORE_PRUNING = 5
_BEFORE_MODELLING = 10
"""Finished trials before the first is pruned, and before TPE models what they showed; until then it draws at random."""
_KEPT = 0.75
"""Share of trials that go on to the next fold. One fold is noisy: half, the usual share, would lose most winners."""


@dataclass(frozen=True)
class Tried:
    """A finished trial.

    Attributes
    ----------
    parameters : LightGBM parameters over ``[model]``; none at place 0
    losses : log-loss of each fold, the latest first; fewer than there are folds where the trial was pruned
    started_at, ended_at : milliseconds since 1970
    """

    place: int
    parameters: Mapping[str, Any]
    losses: tuple[float, ...]
    pruned: bool
    started_at: int
    ended_at: int

    @property
    def loss(self) -> float:
        """Mean log-loss over the folds it saw."""
        return float(np.mean(self.losses))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "parameters": dict(self.parameters), "losses": list(self.losses), "loss": self.loss}


def best(tried: list[Tried]) -> Tried:
    """Return the trial with the lowest mean loss over all folds; of equals the first."""
    return min((trial for trial in tried if not trial.pruned), key=lambda trial: (trial.loss, trial.place))


@contextmanager
def open_study(folder: Path, name: str, *, seed: int, own: Mapping[str, Any]) -> Iterator[Study]:
    """Yield a project's study of a name, begun now or earlier, for this process alone.

    `own` are the project's LightGBM settings, the centre of place 0.

    Raises
    ------
    MissingExtraError
        If optuna isn't installed.
    TrackingError
        If another process searches here, or ``optuna.db`` can't be used.
    """
    try:
        import optuna
        from sqlalchemy.exc import SQLAlchemyError  # Optuna brings it
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "optuna":
            raise
        raise MissingExtraError("Tuning", "tuning") from None
    logging.getLogger("optuna").setLevel(logging.ERROR)
    path = folder.resolve() / DATABASE
    with _alone(folder.resolve()):
        try:
            if not path.exists():
                with whole_or_nothing(path) as beside:
                    _storage(beside).engine.dispose()
            storage = _storage(path)
            try:
                found = optuna.create_study(storage=storage, study_name=name, load_if_exists=True)
                yield Study(found, seed=seed, centre=space.nearest(own))
            finally:
                storage.remove_session()
                storage.engine.dispose()
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise TrackingError(f"{path} can't be used: {reason}. Move it away to begin a new search") from error


class Study:
    """Trials of one project's data, plan, settings and seed."""

    def __init__(self, study: OptunaStudy, *, seed: int, centre: Mapping[str, Any]) -> None:
        from optuna.trial import TrialState

        self._study = study
        self._seed = seed
        self._centre = dict(centre)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)  # of a process that was killed: its place is free again

    def tried(self) -> list[Tried]:
        """Return the finished trials, by place."""
        from optuna.trial import TrialState

        finished = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        return [
            Tried(
                place=place,
                parameters=trial.user_attrs["parameters"],
                losses=tuple(trial.user_attrs["losses"]),
                pruned=trial.state == TrialState.PRUNED,
                started_at=round(trial.datetime_start.timestamp() * 1000),
                ended_at=round(trial.datetime_complete.timestamp() * 1000),
            )
            for place, trial in enumerate(finished)
        ]

    def try_next(self, losses: Callable[[Mapping[str, Any]], Iterator[float]]) -> None:
        """Try the parameters of the next place; stop between folds where it is `lagging`."""
        from optuna.trial import TrialState

        so_far = self.tried()
        place = len(so_far)
        if place == 0 and not self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            self._study.enqueue_trial(self._centre)
        self._study.sampler = _sampler(self._seed, place)
        trial = self._study.ask(space.distributions())
        try:
            parameters = space.parameters(trial.params) if place else {}
            trial.set_user_attr("parameters", parameters)
            found: list[float] = []
            for number, loss in enumerate(losses(parameters)):
                found.append(loss)
                trial.report(_behind(found, so_far[0].losses if so_far else found), number)
                if lagging(found, so_far):
                    break
            trial.set_user_attr("losses", found)
        except BaseException:
            self._study.tell(trial, state=TrialState.FAIL)
            raise
        if so_far and len(found) < len(so_far[0].losses):
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, float(np.mean(found)))


def lagging(found: Sequence[float], so_far: Sequence[Tried]) -> bool:
    """Whether a trial is among the worst quarter of all that went as far, those that were pruned then included.

    Optuna's pruners compare with complete trials only, which are ever better ones: in the end nearly all are pruned.
    """
    if len(so_far) < _BEFORE_PRUNING or len(found) == len(so_far[0].losses):
        return False
    own = so_far[0].losses
    others = [trial.losses[: len(found)] for trial in so_far if len(trial.losses) >= len(found)]
    return _behind(found, own) > float(np.quantile([_behind(losses, own) for losses in others], _KEPT))


def _behind(losses: Sequence[float], own: Sequence[float]) -> float:
    """Mean distance to place 0: what is comparable between folds, of which some are harder than others."""
    return float(np.mean(np.subtract(losses, own[: len(losses)])))


def _sampler(seed: int, place: int) -> BaseSampler:
    from optuna.samplers import TPESampler

    state = int(np.random.SeedSequence((seed, place)).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # optuna 4 calls multivariate an experiment
        return TPESampler(seed=state, n_startup_trials=_BEFORE_MODELLING, multivariate=True, constant_liar=False)


def _storage(path: Path) -> RDBStorage:
    from optuna.storages import RDBStorage

    return RDBStorage(f"sqlite:///{path.as_posix()}")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other searches out of a folder; the lock ends with the process, however that ends."""
    try:
        guard = sqlite3.connect(folder / _LOCK, timeout=0, isolation_level=None)
    except sqlite3.OperationalError:
        raise TrackingError(f"{folder} can't be written, and its search belongs into it. Copy the project") from None
    with closing(guard):
        try:
            guard.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise TrackingError(f"{folder} can't be written ({error}). Copy the project, and tune that") from None
            raise TrackingError(f"another search is at work in {folder}. Wait until it ends, or stop it") from None
        yield
