"""Two models on the same snapshots, later than all that either of them learnt from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import leadscore as ls
from leadscore import time
from leadscore.errors import PlanError, TrainingError
from leadscore.evaluate.capacity import capacity_curve
from leadscore.evaluate.metrics import Difference, Interval, bootstrap, evaluate, paired_bootstrap, resample
from leadscore.snapshots import FEWEST_WINS, Snapshots, snapshots, split

COMPARED = ("log_loss", "auc", "average_precision", "brier", "lift_at_10pct")


@dataclass(frozen=True)
class Said:
    """What one model says of the common snapshots: margins and probabilities, both (n,), and how good they are."""

    margin: NDArray[np.float64]
    probability: NDArray[np.float64]
    metrics: dict[str, float | None]
    intervals: dict[str, Interval | None]


@dataclass(frozen=True)
class Beside:
    """Challenger and champion on the same later snapshots.

    Attributes
    ----------
    champion : None where there is none, or it can't score these data
    against_champion, against_base : the challenger's metrics less the other's, with paired intervals
    precision : at the capacity, of challenger and champion
    share : the capacity as a share of the list
    notes : what a reader must know of the comparison
    """

    rows: Snapshots
    challenger: Said
    champion: Said | None
    against_champion: dict[str, Difference | None]
    against_base: dict[str, Difference | None]
    base_loss: float
    precision: tuple[float, float | None]
    precision_difference: Difference | None
    share: float
    notes: tuple[str, ...]


def later_snapshots(data: ls.Data, models: list[ls.LeadScorer], *, seed: int) -> tuple[Snapshots, tuple[str, ...]]:
    """Return mature snapshots that none of the models learnt from, and what to know of them.

    Raises
    ------
    TrainingError
        If fewer than 30 leads among them were won; the message says from when they are.
    """
    if not data.project.timed:
        return _held_out_of_a_list(data, models)
    since = max(_learnt_until(model) for model in models)
    rows = snapshots(data, seed=seed)
    rows = rows.take(rows.at >= since)
    n_won = len(np.unique(rows.lead[rows.label == 1]))
    if n_won < FEWEST_WINS:
        raise TrainingError(
            f"only {n_won} won leads among {len(rows):,} mature snapshots since {time.format_instant(since)}, until "
            f"when the models learnt; {FEWEST_WINS} are needed to compare them. Wait for labels to mature"
        )
    return rows, ()


def _learnt_until(model: ls.LeadScorer) -> int:
    """When a model's test began: all that it learnt was settled then. Older scorers only know when their data end."""
    stated = model.manifest.get("learnt_until") or model.manifest.get("observed_until")
    return time.NEVER if stated is None else time.parse_instant(str(stated), "UTC")


def _held_out_of_a_list(data: ls.Data, models: list[ls.LeadScorer]) -> tuple[Snapshots, tuple[str, ...]]:
    """The challenger's own test block, found again by its seed."""
    challenger, *others = models
    rows = snapshots(data, seed=challenger.seed)
    notes = ["This list has no times: both models are judged on the challenger's test block, not on later leads"]
    if challenger.manifest.get("data") != data.fingerprint:
        notes.append(
            "The list has changed since the challenger was trained: it may have learnt from some of these leads"
        )
    if any((other.seed, other.manifest.get("data")) != (challenger.seed, data.fingerprint) for other in others):
        notes.append(
            "The champion was trained on another split: it may have learnt from these leads, which flatters it"
        )
    return rows.take(split(rows, seed=challenger.seed).rows["test"]), tuple(notes)


def compare(
    challenger: ls.LeadScorer, champion: ls.LeadScorer | None, data: ls.Data, *, share: float, seed: int
) -> Beside:
    """Judge both on the same later snapshots; raises as `later_snapshots` does."""
    rows, notes = later_snapshots(data, [model for model in (challenger, champion) if model is not None], seed=seed)
    if data.project.timed and challenger.seed != seed:
        notes += (f"Cutoffs are sampled with seed {seed}; the challenger's own report sampled with {challenger.seed}",)
    new = _said(challenger, rows, seed)
    try:
        old = None if champion is None else _said(champion, rows, seed)
    except PlanError as error:
        old, notes = None, (*notes, f"The champion can't score these tables any more ({error})")
    rate = challenger.manifest.get("latest_rate", challenger.manifest["train_rate"])
    base = np.full(len(rows), float(rate))
    base_loss = evaluate(rows.label, base, weight=rows.weight)["log_loss"]
    return Beside(
        rows=rows,
        challenger=new,
        champion=old,
        against_champion={} if old is None else _paired(rows, new, old.probability, old.margin, seed),
        against_base=_paired(rows, new, base, base, seed),
        base_loss=float(base_loss or 0.0),
        precision=(
            _precision(rows, new, rows.weight, share),
            None if old is None else _precision(rows, old, rows.weight, share),
        ),
        precision_difference=None if old is None else _precision_difference(rows, new, old, share, seed),
        share=share,
        notes=notes,
    )


def _said(model: ls.LeadScorer, rows: Snapshots, seed: int) -> Said:
    margin = model.model.margin(model.plan.transform(rows.data, rows.cutoffs))
    chance = model.calibrator.apply(margin)
    found = evaluate(rows.label, chance, weight=rows.weight, margin=margin)
    spans = bootstrap(rows.label, chance, rows.clusters(), seed=seed, weight=rows.weight, margin=margin)
    return Said(margin, chance, dict(found), spans)


def _paired(
    rows: Snapshots, new: Said, other: NDArray[np.float64], margin: NDArray[np.float64], seed: int
) -> dict[str, Difference | None]:
    return paired_bootstrap(
        rows.label, new.probability, other, rows.clusters(), seed=seed, weight=rows.weight,
        margin=new.margin, other_margin=margin, metrics=COMPARED,
    )  # fmt: skip


def _precision(rows: Snapshots, said: Said, weight: NDArray[np.float64], share: float) -> float:
    curve = capacity_curve(rows.label, said.probability, weight, margin=said.margin, shares=[share])
    return float(curve.precision[0])


def _precision_difference(rows: Snapshots, new: Said, old: Said, share: float, seed: int) -> Difference | None:
    """Precision of the list, challenger less champion, with a 95 % interval over resampled clusters."""
    _, clusters = np.unique(rows.clusters(), return_inverse=True)
    drawn = [
        _precision(rows, new, weight, share) - _precision(rows, old, weight, share)
        for weight in resample(rows.weight, clusters.astype(np.int64), 200, seed)
    ]
    if not drawn:
        return None
    low, high = np.quantile(drawn, [0.025, 0.975])
    point = _precision(rows, new, rows.weight, share) - _precision(rows, old, rows.weight, share)
    return Difference(point, float(low), float(high))
