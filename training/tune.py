"""Search for better tree parameters, forward in time, and say whether they hold on the test.

The search sees nothing of the test block (`training.tuning.folds`). Its winner is then trained as any model is, and
compared with the project's own settings on the same test snapshots. Only what beats them there beyond the noise is
registered and recommended.
"""

from __future__ import annotations

import hashlib
import time as clock
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import leadscore as ls
from leadscore.errors import TrainingError
from leadscore.evaluate.metrics import Difference, paired_bootstrap
from leadscore.evaluate.verdict import NO_SIGNAL
from leadscore.model.artifact import to_json
from leadscore.model.booster import PARAMETERS
from leadscore.model.fitting import check_labels, learn, settings
from leadscore.model.ladder import BASE_RATE, TREES, words
from leadscore.snapshots import Blocks, split
from training.train import Trained, register, train
from training.tuning import space
from training.tuning.folds import Objective
from training.tuning.study import Study, Tried, best, open_study

if TYPE_CHECKING:
    from leadscore.console import Advance
    from leadscore.features.plan import FeaturePlan

TRIALS = 40
"""Of a search where neither the call nor ``[model] trials`` says how many."""


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes
    ----------
    verdict : one sentence: do the parameters found beat the project's own on held-out time?
    better : whether they do; only then was anything registered
    parameters : the best found on the folds, over ``[model]``; none if those are the project's own
    trials : all that finished in this study, by place; 0 is the project's own settings
    rung, default_rung : on which the models stand, with these parameters and with the project's own
    against_default : log-loss and AUC on the test less those of the default model, with 95 % intervals
    study, run_id : the study's name in ``optuna.db``; its parent run in MLflow (None untracked)
    registered : the tuned model as it was trained and registered, if it is better and tracked
    """

    verdict: str
    better: bool
    parameters: Mapping[str, Any]
    trials: tuple[Tried, ...]
    n_folds: int
    rung: str
    default_rung: str
    against_default: Mapping[str, Difference | None]
    study: str | None
    run_id: str | None
    registered: Trained | None

    @property
    def lines(self) -> str | None:
        """What to write into ``leadscore.toml``, None where the defaults are to be kept."""
        return space.toml(self.parameters) if self.better else None

    def text(self) -> str:
        """Return what ``leadscore tune`` prints."""
        told = [self.verdict]
        if self.trials:
            winner, n_pruned = best(list(self.trials)), sum(trial.pruned for trial in self.trials)
            told += [
                "",
                f"{len(self.trials)} trials on {self.n_folds} forward folds before the test, {n_pruned} pruned. "
                f"Log-loss there: default {self.trials[0].loss:.4f}, best {winner.loss:.4f} (trial {winner.place})",
            ]
        if self.parameters:
            found = ", ".join(f"{name} = {value}" for name, value in self.parameters.items())
            told += [] if self.better else [f"Not recommended, for the record: {found}"]
        if self.lines is not None:
            told += ["", "To train with these from now on, in leadscore.toml:", "", self.lines]
        if self.registered is not None and self.registered.version is not None:
            told += ["", f"Registered as challenger, version {self.registered.version}"]
        return "\n".join(told)

    def to_dict(self) -> dict[str, Any]:
        """Return what ``leadscore tune --json`` prints."""
        registered = None if self.registered is None else self.registered.to_dict()["model"]
        return {
            "verdict": self.verdict,
            "better": self.better,
            "parameters": dict(self.parameters),
            "lines": self.lines,
            "rung": self.rung,
            "default_rung": self.default_rung,
            "against_default": {
                name: None if found is None else found._asdict() for name, found in self.against_default.items()
            },
            "n_folds": self.n_folds,
            "study": self.study,
            "run_id": self.run_id,
            "model": registered,
            "trials": [trial.to_dict() for trial in self.trials],
        }


def tune(
    project: ls.Project,
    *,
    n_trials: int | None = None,
    seconds: float | None = None,
    seed: int | None = None,
    track: bool = True,
    progress: Advance | None = None,
) -> Tuned:
    """Search until the budget is spent, train the winner, and compare it with the default on the test.

    A search that was stopped, however roughly, goes on where it was when it is run again.

    Parameters
    ----------
    n_trials : trials that finish, earlier ones of the same study included; default ``[model] trials``, else 40
    seconds : begin no trial after so long, whatever `n_trials` says; one is always made
    seed : decides everything random; default ``[model] seed``, else 0
    track : log the search and its trials to MLflow, and register a better model as challenger
    progress : called with (trials done, trials at most, best log-loss so far)

    Raises
    ------
    LeadScoreError
        If the project can't be read, its data can't support a model, or another search is at work in its folder.
    """
    chosen = int(project.model.get("seed", 0)) if seed is None else seed
    wanted = int(project.model.get("trials", TRIALS)) if n_trials is None else n_trials
    if wanted < 1:
        raise TrainingError(f"a search needs a trial or more, not {wanted}. Set [model] trials or --trials")
    if track:
        from leadscore import tracking

        tracking.require_writable(project.folder)
    ls.FeaturePlan.default(project)  # what [features] says wrongly is said before anything is read
    started = clock.monotonic()
    data = project.read()
    snapshots = ls.snapshots(data, seed=chosen)
    check_labels(snapshots)
    blocks = split(snapshots, seed=chosen)
    if not blocks.complete:
        return _too_few(ls.LeadScorer(seed=chosen).fit(data, snapshots), blocks)
    learnt = learn(data, snapshots, blocks)
    objective = Objective.of(snapshots, blocks, learnt, seed=chosen)
    name = _study_name(project, data, learnt.plan, chosen, len(objective.folds))

    def spent() -> bool:
        return seconds is not None and clock.monotonic() - started >= seconds

    def note(tried: list[Tried]) -> str | None:
        if progress is not None:
            progress(min(len(tried), wanted), wanted, best(tried).loss if tried else None)
        return _log(project, name, tried) if track and tried else None

    with open_study(project.folder, name, seed=chosen, own=settings(project, {})) as study:
        tried, run_id = _search(study, objective, wanted, spent, note)
    default = ls.LeadScorer(seed=chosen).fit(data, snapshots)
    found = _judged(project, default, tried, len(objective.folds), name, run_id, chosen)
    if not track:
        return found
    return _concluded(project, found)


def _search(
    study: Study,
    objective: Objective,
    wanted: int,
    spent: Callable[[], bool],
    note: Callable[[list[Tried]], str | None],
) -> tuple[list[Tried], str | None]:
    """Try until so many trials have finished or the time is spent."""
    tried = study.tried()
    run_id = note(tried)
    while not tried or (len(tried) < wanted and not spent()):
        study.try_next(objective.losses)
        tried = study.tried()
        run_id = note(tried)
    return tried, run_id


def _study_name(project: ls.Project, data: ls.Data, plan: FeaturePlan, seed: int, n_folds: int) -> str:
    """What makes trials comparable: the same data, task, plan, settings, seed, folds and space."""
    of = [data.fingerprint, project.raw.get("task"), plan.hash, settings(project, {}), PARAMETERS, seed, n_folds]
    digest = hashlib.sha256(to_json([*of, space.VERSION]).encode()).hexdigest()
    return f"{project.name}-{digest[:12]}"


def _judged(
    project: ls.Project,
    default: ls.LeadScorer,
    tried: list[Tried],
    n_folds: int,
    study: str,
    run_id: str | None,
    seed: int,
) -> Tuned:
    """Train the winner, unless it is the project's own, and hold it against the default on the test."""
    winner = best(tried)
    trained = train(project, seed=seed, parameters=winner.parameters, track=False) if winner.place else None
    against: Mapping[str, Difference | None] = {}
    if trained is not None:
        against = _compare(trained.scorer, default)
    default_rung = _rung(default)
    rung = default_rung if trained is None else _rung(trained.scorer)
    signal = trained is not None and not trained.report.verdict.startswith(NO_SIGNAL)
    better, verdict = _verdict(rung, default_rung, against, signal=signal, n_trials=len(tried))
    return Tuned(
        verdict=verdict,
        better=better,
        parameters=winner.parameters,
        trials=tuple(tried),
        n_folds=n_folds,
        rung=rung,
        default_rung=default_rung,
        against_default=against,
        study=study,
        run_id=run_id,
        registered=trained if better else None,
    )


def _compare(scorer: ls.LeadScorer, default: ls.LeadScorer) -> dict[str, Difference | None]:
    """Log-loss and AUC of one scorer less the other's, on the same test snapshots."""
    ours, theirs = scorer.fitted, default.fitted
    assert ours is not None, "it was just fitted"
    assert theirs is not None, "it was just fitted"
    at = ours.blocks.rows["test"]
    rows = ours.snapshots.take(at)
    return paired_bootstrap(
        rows.label,
        scorer.calibrator.apply(ours.margin[at]),
        default.calibrator.apply(theirs.margin[at]),
        rows.clusters(),
        seed=scorer.seed,
        weight=rows.weight,
        margin=ours.margin[at],
        other_margin=theirs.margin[at],
    )


def _verdict(
    rung: str, default_rung: str, against: Mapping[str, Difference | None], *, signal: bool, n_trials: int
) -> tuple[bool, str]:
    """Whether the parameters found are better, and the sentence that says so.

    `against` is empty where the project's own settings were the best; `signal` is what the test says of the others.
    """
    stands = f"the model stands on the rung '{words(default_rung)}'"
    found = against.get("log_loss")
    if found is not None and found.high < 0 and signal and rung == TREES:
        return True, f"The parameters found beat the default on held-out time: {_spans(against)}"
    if default_rung == BASE_RATE:
        beside = f": {_spans(against)}" if rung != BASE_RATE and against else ""
        told = f"{NO_SIGNAL}: on held-out time the base rate is the model"
        return False, f"{told}, and none of {n_trials} trials changes that{beside}"
    if not against:
        return False, f"Of {n_trials} trial{'s' * (n_trials != 1)} the settings there are did best, and stay: {stands}"
    if rung != TREES:
        return (
            False,
            f"With the best parameters found, trees still don't beat {words(rung)}. Keep the default: {stands}",
        )
    worse = found is not None and found.low > 0
    told = "are WORSE than" if worse else "do NOT beat"
    return False, f"The parameters found {told} the default on held-out time, which stays: {_spans(against)}"


def _spans(against: Mapping[str, Difference | None]) -> str:
    return ", ".join(
        f"{name.replace('_', '-').replace('auc', 'AUC')} {found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
        for name, found in against.items()
        if found is not None
    )


def _too_few(default: ls.LeadScorer, blocks: Blocks) -> Tuned:
    """No trees, nothing to tune."""
    assert default.fitted is not None, "it was just fitted"
    why = default.fitted.ladder.why
    verdict = f"Tuning can't help here. {' '.join(blocks.warnings)}. {why}"
    rung = _rung(default)
    return Tuned(verdict, False, {}, (), 0, rung, rung, {}, None, None, None)


def _rung(scorer: ls.LeadScorer) -> str:
    assert scorer.fitted is not None, "it was just fitted"
    return scorer.fitted.ladder.stands_on


def _log(project: ls.Project, study: str, tried: list[Tried], **ending: Any) -> str:
    """Bring MLflow up to date with the study; returns the parent's run id."""
    from leadscore.tracking.trials import Trial, log_trials

    trials = [
        Trial(
            number=trial.place,
            parameters={**PARAMETERS, **settings(project, trial.parameters)},
            metrics={
                **({} if trial.pruned else {"log_loss": trial.loss}),
                **{f"log_loss_fold_{number}": loss for number, loss in enumerate(trial.losses, start=1)},
                "seconds": (trial.ended_at - trial.started_at) / 1000,
            },
            state="pruned" if trial.pruned else "complete",
            started_at=trial.started_at,
            ended_at=trial.ended_at,
        )
        for trial in tried
    ]
    return log_trials(project.folder, project.name, study, trials, **ending)


def _concluded(project: ls.Project, found: Tuned) -> Tuned:
    """End the parent run with the verdict; register what is better."""
    assert found.study is not None, "a search has a study"
    trials = list(found.trials)
    metrics: dict[str, float | None] = {
        "n_trials": len(trials),
        "log_loss": best(trials).loss,
        "default_log_loss": trials[0].loss,
    }
    for name, difference in found.against_default.items():
        metrics[f"test_{name}_less_default"] = None if difference is None else difference.difference
    tags = {"verdict": found.verdict, "better": str(found.better).lower()}
    _log(project, found.study, trials, metrics=metrics, tags=tags)
    if found.registered is None:
        return found
    trained = found.registered
    kept = register(trained.scorer, project, trained.report, trained.page)
    return replace(found, registered=replace(trained, version=kept.version, uri=kept.location, run_id=kept.run_id))
