"""The ladder: base rate, smoothed rates, recency and frequency, trees. A model stands no higher than it gains by it.

Little data make a plain model honest and a rich one confident and wrong. So the richer one ships only if it did better
on **held-out time**: the tune and calibrate blocks, which lie after everything that the rungs learnt on (both
kinds of trees chose their number on tune, which flatters them a little).

The rule. Every rung's log-loss is taken after the best shift of its level in each block, as calibration will set the
level anyway and a base rate that drifts must not decide; differences are paired, with standard errors clustered by
account or lead. From the bottom up, a rung is stepped on if

- it beats the **base rate** by more than one standard error, as a calibrator must, and by half a percent or more,
- its loss is lower than that of the **rung stood on**: where both carry a signal, the likelier better one is right,
- and, for **trees**, each block has 30 won leads (`leadscore.snapshots.FEWEST_WINS`).

training/LOG.md has the regret of stricter and laxer rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leadscore.model.booster import Block, Predictor
from leadscore.model.logistic import fit_logistic
from leadscore.model.paired import Array, Paired, paired

BASE_RATE, TREES = "base_rate", "trees"
RUNGS = (BASE_RATE, "source_rate", "last_touch", "recency_frequency", "profile_only", TREES)
"""From the plainest up; every baseline is one, so that none is left that beats the model on held-out time."""
STANDARD_ERRORS = 1.0
"""Standard errors by which a rung must beat the base rate."""
MATERIAL = 0.005
"""A gain below this share of the base rate's log-loss is nothing anyone could use (about an AUC of .55)."""


@dataclass(frozen=True)
class Rung:
    """One rung on held-out time; None where nothing could be measured, or nothing is below it.

    Attributes
    ----------
    log_loss : weighted, after the best shift of the level in each block
    against_base, against_stood_on : difference (negative is better) and its standard error
    stepped_on : whether the rule let it be stood on
    why : one sentence
    """

    name: str
    log_loss: float | None
    against_base: Paired | None
    against_stood_on: Paired | None
    stepped_on: bool
    why: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        pairs = {"against_base": self.against_base, "against_stood_on": self.against_stood_on}
        return asdict(self) | {name: None if pair is None else pair._asdict() for name, pair in pairs.items()}


@dataclass(frozen=True)
class Ladder:
    """Where a model stands, and every rung that was tried, lowest first."""

    rungs: tuple[Rung, ...]

    @property
    def stands_on(self) -> str:
        """The highest rung that was stepped on."""
        return [rung.name for rung in self.rungs if rung.stepped_on][-1]

    @property
    def why(self) -> str:
        """Two sentences or so: the rung, and why neither higher nor lower."""
        position = [rung.name for rung in self.rungs].index(self.stands_on)
        tried = [rung.why for rung in self.rungs[position:] if rung.name != BASE_RATE]
        return " ".join([f"The model stands on the rung '{words(self.stands_on)}'.", *tried])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"rung": self.stands_on, "why": self.why, "rungs": [rung.to_dict() for rung in self.rungs]}


def words(rung: str) -> str:
    """Return a rung's name as people read it."""
    return rung.replace("_", " ").replace("recency frequency", "recency and frequency")


def climb(
    models: Mapping[str, Predictor],
    held_out: Sequence[Block],
    clusters: Sequence[npt.NDArray[np.int64]],
    *,
    n_fewest: int,
) -> Ladder:
    """Find the rung to stand on, by the rule above.

    Parameters
    ----------
    models : those of `RUNGS` that there are, by name; the base rate always
    held_out : tune and calibrate, with features, labels and weights
    clusters : the account or lead of each of their rows
    n_fewest : won leads that each block has to hold for trees, for the sentence that says why there are none
    """
    blocks = [block for block in held_out if 0 < block.label.sum() < len(block.label)]
    codes = [code for block, code in zip(held_out, clusters, strict=True) if 0 < block.label.sum() < len(block.label)]
    if not blocks:
        nothing = "Held-out time has no wins to compare by."
        return Ladder((Rung(BASE_RATE, None, None, None, True, nothing),))
    weight = np.concatenate([block.weight for block in blocks])
    cluster = np.unique(np.concatenate(codes), return_inverse=True)[1].astype(np.int64)
    losses = {name: losses_at_best_level(model, blocks) for name, model in models.items() if name in RUNGS}
    mean = {name: float(np.average(loss, weights=weight)) for name, loss in losses.items()}
    base = losses[BASE_RATE]
    rungs = [Rung(BASE_RATE, mean[BASE_RATE], None, None, True, "Every model starts from the base rate.")]
    stood_on = BASE_RATE
    for name in [rung for rung in RUNGS[1:] if rung in losses]:
        to_base = paired(losses[name], base, weight, cluster)
        to_stood_on = None if stood_on == BASE_RATE else paired(losses[name], losses[stood_on], weight, cluster)
        step, why = _judge(name, to_base, to_stood_on, stood_on, mean[BASE_RATE])
        rungs.append(Rung(name, mean[name], to_base, to_stood_on, step, why))
        stood_on = name if step else stood_on
    if TREES not in losses:
        few = f"Trees need {n_fewest} won leads in each block, and there are fewer."
        rungs.append(Rung(TREES, None, None, None, False, few))
    return Ladder(tuple(rungs))


def _judge(name: str, to_base: Paired, to_stood_on: Paired | None, stood_on: str, base_loss: float) -> tuple[bool, str]:
    """Whether to step on a rung, and the sentence that says why."""
    gain = f"{_moved(name, to_base)} against the base rate"
    if not to_base.difference < -STANDARD_ERRORS * to_base.standard_error:
        return False, f"{gain}: no gain of more than a standard error."
    if -to_base.difference < MATERIAL * base_loss:
        return False, f"{gain}: too little to be of use."
    if to_stood_on is None:
        return True, f"{gain}: more than a standard error."
    beside = f"{_moved(name, to_stood_on)} against {words(stood_on)}"
    return (True, f"{beside}: the likelier better.") if to_stood_on.difference < 0 else (False, f"{beside}: no better.")


def _moved(name: str, pair: Paired) -> str:
    verb = "lowers" if pair.difference < 0 else "raises"
    verb = verb.removesuffix("s") if name == TREES else verb
    error = f"standard error {pair.standard_error:.4f}"
    return f"{words(name).capitalize()} {verb} the log-loss by {abs(pair.difference):.4f} ({error})"


def losses_at_best_level(model: Predictor, blocks: Sequence[Block]) -> Array:
    """Return the log-loss of each row, block after block, after the best shift of all margins of its block."""
    parts = []
    for block in blocks:
        margin = model.margin(block.matrix)
        shifted = margin + level_shift(margin, block.label, block.weight)
        parts.append(np.logaddexp(0.0, np.where(block.label == 1, -shifted, shifted)))
    return np.concatenate(parts)


def level_shift(margin: Array, label: npt.NDArray[np.int8], weight: Array) -> float:
    """Return what, added to all margins, gives the best log-loss; 0 where there is none, as with one class."""
    shift = fit_logistic(np.ones((1, len(label))), label.astype(np.float64), weight, offset=margin)
    return 0.0 if shift is None else float(shift[0])
