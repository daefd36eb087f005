"""Compare challenger and champion on later snapshots, and let the better one be used; take it back if it wasn't."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import leadscore as ls
from leadscore import tracking
from leadscore.errors import ArtifactError, TrackingError, TrainingError
from leadscore.evaluate.metrics import Difference
from leadscore.evaluate.verdict import NO_SIGNAL
from leadscore.model.artifact import to_json
from leadscore.tracking import aliases
from leadscore.tracking.notes import log_run
from training.promoting import gates
from training.promoting.beside import Beside, compare
from training.promoting.flips import Flips, flips
from training.promoting.gates import Gate

KIND = "promotion"
"""The tag ``kind`` of the runs that make up the trail."""
ROLLED_BACK = "rolled back"
SHARE = 0.1
"""Of the open leads that sellers work, where nobody says how many."""


@dataclass(frozen=True)
class Decider:
    """Who decides, and when, as ISO 8601: read at the command's edge, never here."""

    by: str
    at: str


@dataclass(frozen=True)
class Promotion:
    """What was compared and decided.

    Attributes
    ----------
    decision : ``promoted``, ``refused``, or with a dry run ``would promote``, ``would refuse``
    champion : the version that was champion when it was looked at, None for none
    beside : None where the two could not be compared; `why_not` says why
    """

    decision: str
    challenger: str
    champion: str | None
    gates: tuple[Gate, ...]
    beside: Beside | None
    flips: Flips | None
    why_not: str | None
    forced: str | None
    run_id: str | None

    @property
    def promotes(self) -> bool:
        """Whether the challenger takes over, or would."""
        return self.decision in ("promoted", "would promote")

    @property
    def verdict(self) -> str:
        """The first line: what was decided, and by which gates if not."""
        failed = [gate for gate in self.gates if not gate.passed]
        whom = f"version {self.challenger}" + ("" if self.champion is None else f" over version {self.champion}")
        if self.promotes:
            because = f", forced ({self.forced}) past: " + ", ".join(gate.name for gate in failed) if failed else ""
            return f"{self.decision.capitalize()} {whom}{because}{self._not_better()}"
        reasons = [f"{gate.name} ({gate.told})" for gate in failed] + ([self.why_not] if self.why_not else [])
        silent = [gate.told for gate in failed if gate.told.startswith(NO_SIGNAL)]
        return f"{silent[0]}. {self.decision.capitalize()} {whom}" if silent else (
            f"{self.decision.capitalize()} {whom}: {'; '.join(reasons)}"
        )  # fmt: skip

    def _not_better(self) -> str:
        """Say of a challenger that passes for being no worse that it is no better either."""
        found = None if self.beside is None else self.beside.against_champion.get("log_loss")
        if found is None or found.high < 0:
            return ""
        span = f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
        return f"; it is not better beyond the noise: log-loss {span}"

    def to_dict(self, *, leads: bool = True) -> dict[str, Any]:
        """Everything as plain JSON values; without `leads` no lead is named, as the trail keeps it."""
        moved = None if self.flips is None else self.flips.to_dict() if leads else self.flips.summary()
        return {
            "verdict": self.verdict,
            "decision": self.decision,
            "challenger": self.challenger,
            "champion": self.champion,
            "gates": [asdict(gate) for gate in self.gates],
            "comparison": None if self.beside is None else _comparison(self.beside),
            "flips": moved,
            "why_not": self.why_not,
            "forced": self.forced,
            "run_id": self.run_id,
        }


def _comparison(beside: Beside) -> dict[str, Any]:
    def pairs(found: Mapping[str, Difference | None]) -> dict[str, Any]:
        return {name: None if pair is None else pair._asdict() for name, pair in found.items()}

    return {
        "n": len(beside.rows),
        "n_positive": int(beside.rows.label.sum()),
        "challenger": beside.challenger.metrics,
        "champion": None if beside.champion is None else beside.champion.metrics,
        "against_champion": pairs(beside.against_champion),
        "against_base_rate": pairs(beside.against_base),
        "capacity_share": beside.share,
        "precision": {"challenger": beside.precision[0], "champion": beside.precision[1]},
        "notes": list(beside.notes),
    }


def promote(
    project: ls.Project,
    *,
    decider: Decider,
    challenger: str = tracking.CHALLENGER,
    capacity: int | None = None,
    seed: int = 0,
    dry_run: bool = False,
    force: str | None = None,
    page: Callable[[Promotion], str] | None = None,
) -> Promotion:
    """Let a challenger take over if it passes every gate.

    Parameters
    ----------
    challenger : alias or version in the project's registry
    capacity : how many open leads sellers can work; default a tenth of them
    dry_run : compare and say, change nothing
    force : a reason to promote past gates that failed; schema and golden leads can't be forced
    page : draws what is kept beside the decision, as HTML

    Raises
    ------
    TrackingError
        If there is no challenger, it is the champion already, or the registry refuses.
    """
    if not dry_run:
        tracking.require_writable(project.folder)
    folder, version = (None, None) if "/" in challenger else tracking.find_scorer(project.folder, challenger)
    if folder is None or version is None:
        raise TrackingError("only a version of the project's own registry can be promoted; name an alias or a number")
    old_version = aliases.champion_version(project.folder, project.name)
    if version == old_version:
        raise TrackingError(f"version {version} is the champion already. Train a challenger: leadscore train")
    champion, old_folder, unreadable = _champion(project, old_version)
    new, damaged = _load(folder, version)
    passed = [Gate("golden leads", damaged is None, damaged or "they score as they did when it was saved", hard=True)]
    if unreadable is not None:
        passed.append(Gate("champion", False, f"it can't be compared with: {unreadable}"))
    beside, moved, why_not = None, None, None
    if new is not None:
        passed += [gates.schema(new, project), gates.size(folder, old_folder)]
    if new is not None and all(gate.passed for gate in passed if gate.hard):
        data = project.read()
        share = _share(data, capacity)
        try:
            beside = compare(new, champion, data, share=share, seed=seed)
        except TrainingError as error:
            why_not = str(error)
        else:
            passed += [gates.signal(new, beside), gates.slope(beside)]
            if beside.champion is not None:
                passed += [gates.log_loss(beside), gates.precision(beside)]
                assert champion is not None, "it was compared"
                moved = flips(champion, new, data, share=share)
    decision = _decide(passed, why_not, force, dry_run)
    forced = force if any(not gate.passed for gate in passed) or why_not else None
    found = Promotion(decision, version, old_version, tuple(passed), beside, moved, why_not, forced, None)
    return found if dry_run else _carry_out(found, project, decider, page)


def _decide(passed: list[Gate], why_not: str | None, force: str | None, dry_run: bool) -> str:
    soft = why_not is None and all(gate.passed for gate in passed)
    hard = all(gate.passed for gate in passed if gate.hard)
    goes = soft or (force is not None and hard)
    if dry_run:
        return "would promote" if goes else "would refuse"
    return "promoted" if goes else "refused"


def _carry_out(
    found: Promotion, project: ls.Project, decider: Decider, page: Callable[[Promotion], str] | None
) -> Promotion:
    """Write the decision into the trail, then switch: a crash in between leaves the old champion."""
    texts = {f"{KIND}.json": to_json(found.to_dict(leads=False))}
    if page is not None:
        texts[f"{KIND}.html"] = page(found)
    tags = {
        **_signed(decider, found.decision, found.challenger, found.champion),
        "verdict": found.verdict[:500],
        "gates": ", ".join(f"{gate.name} {'passed' if gate.passed else 'FAILED'}" for gate in found.gates),
        **({"forced": found.forced} if found.forced else {}),
    }
    run_id = log_run(project.folder, project.name, KIND, metrics=_figures(found), tags=tags, texts=texts)
    if found.promotes:
        on_version = {f"leadscore.{key}": tags[key] for key in ("by", "at", "verdict")}
        try:
            aliases.switch_champion(
                project.folder, project.name, found.challenger, expected=found.champion,
                tags={**on_version, "leadscore.decision": run_id},
            )  # fmt: skip
        except BaseException:
            aliases.amend(project.folder, run_id, decision="not carried out")
            raise
    return Promotion(**{**vars(found), "run_id": run_id})


def _figures(found: Promotion) -> dict[str, float | None]:
    if found.beside is None:
        return {}
    figures = {f"challenger_{name}": value for name, value in found.beside.challenger.metrics.items()}
    if found.beside.champion is not None:
        figures |= {f"champion_{name}": value for name, value in found.beside.champion.metrics.items()}
    return figures


def rollback(project: ls.Project, *, decider: Decider, reason: str = "") -> tuple[str, str]:
    """Put the champion before the present one back; again and again goes further back.

    Returns
    -------
    (version that was champion, version that is champion now)

    Raises
    ------
    TrackingError
        If there is none before.
    ArtifactError
        If the one before is damaged, or its golden leads score differently here.
    """
    tracking.require_writable(project.folder)
    current, line = aliases.champion_version(project.folder, project.name), _line(history(project))
    if current is None or not line:
        raise TrackingError(f"version {current} of '{project.name}' is its first champion: there is none to go back to")
    before, earlier = line[-1], line[-2] if len(line) > 1 else None
    folder, _ = tracking.find_scorer(project.folder, before)
    ls.LeadScorer.load(folder, version=before)
    tags = {**_signed(decider, ROLLED_BACK, before, current), "reason": reason}
    run_id = log_run(project.folder, project.name, KIND, metrics={}, tags=tags)
    on_version = {"leadscore.rolled_back_at": decider.at, "leadscore.rolled_back_by": decider.by}
    try:
        aliases.step_back(
            project.folder, project.name, current=current, before=before, earlier=earlier, tags=on_version
        )
    except BaseException:
        aliases.amend(project.folder, run_id, decision="not carried out")
        raise
    return current, before


def _line(decided: list[dict[str, Any]]) -> list[str]:
    """The champions before the present one, oldest first: each promotion adds one, each step back takes one away."""
    line: list[str] = []
    for one in reversed(decided):
        if one["decision"] == "promoted" and one.get("champion"):
            line.append(one["champion"])
        elif one["decision"] == ROLLED_BACK and line:
            line.pop()
    return line


def history(project: ls.Project) -> list[dict[str, Any]]:
    """Return every decision, newest first: run_id, decision, version, champion, by, at and why."""
    return aliases.decisions(project.folder, project.name, kind=KIND)


def _signed(decider: Decider, decision: str, version: str, champion: str | None) -> dict[str, str]:
    return {"decision": decision, "version": version, "champion": champion or "", "by": decider.by, "at": decider.at}


def _champion(project: ls.Project, version: str | None) -> tuple[ls.LeadScorer | None, Path | None, str | None]:
    """The champion and its folder, nothing where there is none yet; or why it can't be read."""
    if version is None:
        return None, None, None
    try:
        folder, _ = tracking.find_scorer(project.folder, version)
    except TrackingError as error:
        return None, None, str(error)
    scorer, damaged = _load(folder, version)
    return scorer, folder, damaged


def _load(folder: Path, version: str | None) -> tuple[ls.LeadScorer | None, str | None]:
    """The scorer, or why it can't be trusted."""
    try:
        return ls.LeadScorer.load(folder, version=version), None
    except ArtifactError as error:
        return None, str(error)


def _share(data: ls.Data, capacity: int | None) -> float:
    if capacity is None:
        return SHARE
    from leadscore import time
    from leadscore.snapshots import open_leads

    n_open = len(open_leads(data, data.observed_until if data.project.timed else time.FOREVER))
    return min(1.0, capacity / n_open) if n_open else SHARE
