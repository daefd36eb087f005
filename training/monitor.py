"""Is the model still right? Drift, matured outcomes, unseen categories, freshness, and a verdict with its rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import leadscore as ls
from leadscore import time
from leadscore.cli import find
from leadscore.errors import ProjectError
from leadscore.evaluate.drift import Shift
from leadscore.model.artifact import to_json
from leadscore.model.booster import Progress
from training.monitoring import compared, freshness, matured, shifts, told, unseen
from training.monitoring.compared import Compared
from training.monitoring.matured import Matured
from training.monitoring.page import page
from training.monitoring.shifts import Scored, ScoreShift
from training.monitoring.verdict import RULE, Evidence, Verdict, decide

N_STEPS = 6


@dataclass(frozen=True)
class Monitoring(Evidence):
    """What a monitor found, and its verdict. `to_dict` is what ``--json`` prints.

    Attributes
    ----------
    model : name, version, address, kind, and the end of the data it was trained on
    period : from when to when leads were looked at, how many, and how old the model is, in days
    notes : what a reader must know of the comparison
    test, settled : the rows behind what was promised and what has matured, for pictures
    """

    verdict: Verdict
    model: Mapping[str, Any]
    period: Mapping[str, Any]
    notes: tuple[str, ...]
    test: Scored | None
    settled: Scored

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the rows as plain JSON values; what is undefined is null."""
        scores = self.scores
        return {
            "verdict": self.verdict.word,
            "why": list(self.verdict.why),
            "remedy": self.verdict.remedy,
            "rule": list(RULE),
            "model": dict(self.model),
            "period": dict(self.period),
            "scores": None if scores is None else _plain(scores),
            "features": [_plain(group) for group in self.groups],
            "adversarial": None if self.apart is None else {**_plain(self.apart), "by": dict(self.apart.by)},
            "matured": None if self.matured is None else _plain(self.matured),
            "unseen": [
                {**_plain(column), "new": dict(column.new), "gone": dict(column.gone)} for column in self.unseen
            ],
            "freshness": [_plain(feed) for feed in self.feeds],
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return everything for a terminal, the verdict first."""
        return told.text(self)

    def metrics(self) -> dict[str, float | None]:
        """Return the numbers that are worth a line over time, by name."""
        settled = {} if self.matured is None else self.matured.metrics
        return {
            "psi_score": None if self.scores is None else self.scores.shift.psi,
            "psi_score_by_chance": None if self.scores is None else self.scores.shift.by_chance,
            "mean_probability": None if self.scores is None else self.scores.mean_now,
            "adversarial_auc": None if self.apart is None else self.apart.auc,
            "unseen_share": max((column.share_now or 0.0 for column in self.unseen), default=0.0),
            "n_stopped_feeds": float(sum(feed.stopped for feed in self.feeds)),
            "model_age_days": self.period["model_age_days"],
            "matured_won_leads": float(0 if self.matured is None else self.matured.n_won_leads),
            **{
                f"matured_{name}": settled.get(name)
                for name in ("auc", "log_loss", "brier", "base_rate", "calibration_slope", "calibration_intercept")
            },
        }


def monitor(
    project: ls.Project,
    *,
    model: str | ls.LeadScorer | None = None,
    since: str | None = None,
    as_of: str | None = None,
    reference: ls.Project | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Monitoring:
    """Compare a model's own time with what came after it, and judge what has matured since.

    Parameters
    ----------
    project : the project as its tables stand now
    model : a scorer, or what names one: alias, version, address or folder; default is the project's champion
    since : look at cutoffs from this instant on; default is all that is new to the model, which begins one horizon
        before the end of its data. Text without time zone is local to the project
    as_of : look at nothing later; default is the end of the data
    reference : a project with the tables that the model was trained on, where `project` doesn't hold them
    seed : of sampled cutoffs, intervals, and folds
    progress : called with (steps done, steps in all)

    Raises
    ------
    LeadScoreError
        If the project can't be read or has another schema than the model, or nothing is newer than the model.
    """
    step = _steps(progress)
    scorer, uri = (model, None) if isinstance(model, ls.LeadScorer) else _found(project, model)
    data = project.read()
    both = compared.compare(
        scorer,
        data,
        reference=None if reference is None else reference.read(),
        since=_instant(project, since),
        as_of=_instant(project, as_of),
        seed=seed,
    )
    step()
    then, test = (None if rows is None else Scored.of(scorer, rows.data, rows) for rows in (both.then, both.test))
    now, settled = (Scored.of(scorer, data, rows) for rows in (both.now, both.matured))
    step()
    found = _look(scorer, both, (then, now), matured.judge(scorer, settled, test, seed=seed), seed=seed, step=step)
    return Monitoring(
        **vars(found),
        verdict=decide(found),
        model=_described(scorer, uri),
        period=_period(both),
        notes=(*both.notes, *_rewritten(found.scores), *_nobody(both)),
        test=test,
        settled=settled,
    )


def _look(
    scorer: ls.LeadScorer,
    both: Compared,
    times: tuple[Scored | None, Scored],
    judged: Matured | None,
    *,
    seed: int,
    step: Callable[[], None],
) -> Evidence:
    """Gather what the rule asks for; without a lead now, or without the model's own time, less can be compared."""
    then, now = times
    step()
    there = len(now.rows) > 0
    scores = shifts.of_scores(scorer, then, now) if there else None
    groups = shifts.of_features(scorer, then, now) if there and then is not None else ()
    step()
    apart = shifts.apart(scorer, then, now, seed=seed) if there and then is not None else None
    step()
    found = Evidence(
        had_signal=_had_signal(scorer),
        learnt_from=both.n_learnt,
        matured=judged,
        scores=scores,
        groups=groups,
        apart=apart,
        unseen=unseen.look(scorer, both),
        feeds=freshness.look(both),
    )
    step()
    return found


def track(found: Monitoring, project: ls.Project, *, seed: int = 0) -> str:
    """Log what was found as a run of the project's experiment, and return its id.

    Raises
    ------
    TrackingError
        If MLflow refuses.
    MissingExtraError
        If mlflow isn't installed.
    """
    from leadscore.tracking.notes import log_run

    texts = {
        "monitor.json": to_json(found.to_dict()),
        "monitor.txt": found.text() + "\n",
        "monitor.html": page(found, seed=seed),
    }
    tags = {
        "verdict": found.verdict.word,
        "leadscore.model_version": str(found.model["version"] or ""),
        "leadscore.model": str(found.model["name"]),
        "as_of": str(found.period["as_of"] or ""),
    }
    return log_run(project.folder, project.name, "monitor", metrics=found.metrics(), tags=tags, texts=texts)


def _had_signal(scorer: ls.LeadScorer) -> bool:
    """Whether the model beat the base rate on its own test, as its manifest says."""
    manifest = scorer.manifest
    return not str(manifest.get("verdict", "")).startswith("NO SIGNAL") and manifest.get("rung") != "base_rate"


def _rewritten(scores: ScoreShift | None) -> list[str]:
    """Say that today's tables tell another story of the model's own time than those it was trained on."""
    if scores is None or scores.rewritten is None or scores.rewritten.beyond == 0:
        return []
    return [
        "The past was rewritten: the leads of the model's own time, scored again from today's tables, have other "
        f"scores (PSI {scores.rewritten.psi:.2f}, chance makes {scores.rewritten.by_chance:.2f}). Fields that are "
        "overwritten do this: declare [leads] known, or keep versions"
    ]


def _nobody(both: Compared) -> list[str]:
    return (
        [] if len(both.now) else ["No lead was open at any cutoff since: neither scores nor features can be compared"]
    )


def _found(project: ls.Project, model: str | None) -> tuple[ls.LeadScorer, str]:
    scorer, described = find(project.folder, model)
    return scorer, described["uri"]


def _described(scorer: ls.LeadScorer, uri: str | None) -> dict[str, Any]:
    return {
        "name": scorer.name,
        "version": scorer.version,
        "uri": uri,
        "kind": scorer.model.kind,
        "horizon": scorer.horizon,
        "learnt_until": scorer.manifest.get("observed_until"),
        "verdict_in_training": scorer.manifest.get("verdict"),
    }


def _period(both: Compared) -> dict[str, Any]:
    timed = both.since is not None and both.as_of is not None and both.learnt_until is not None
    return {
        "since": time.format_instant(both.since) if both.since is not None else None,
        "as_of": time.format_instant(both.as_of) if both.as_of is not None else None,
        "model_age_days": (both.as_of - both.learnt_until) / time.DAY if timed else None,  # type: ignore[operator]
        "n_then": None if both.then is None else len(both.then),
        "n_now": len(both.now),
        "n_matured": len(both.matured),
        "learnt_from_won_leads": both.n_learnt,
    }


def _instant(project: ls.Project, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return time.parse_instant(text, project.timezone)
    except ValueError as error:
        raise ProjectError(f"'{text}' is {error}") from None


def _steps(progress: Progress | None) -> Callable[[], None]:
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, N_STEPS)

    return step


def _plain(value: Any) -> Any:
    """Frozen dataclasses as JSON values, with how far each shift goes beyond chance."""
    if isinstance(value, Shift):
        return {**asdict(value), "beyond": value.beyond}
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if hasattr(value, "_asdict"):
        return value._asdict()
    if hasattr(value, "__dataclass_fields__"):
        return {key: _plain(getattr(value, key)) for key in value.__dataclass_fields__}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    return value
