"""From a margin to a probability that means what it says.

A **margin** is the booster's raw output, in log-odds. A **calibrator** turns it into a probability and never
changes a ranking: it is non-decreasing. It is used only if it beats ``none`` out of fold by more than one
standard error, because a calibrator fitted on few wins degrades a good model more often than it helps.

Every calibrator computes with the scalar loops of ``scipy.special``. NumPy's own ``exp`` and ``log`` give
other last bits in a vector lane than in the tail of an array, so a lead would score differently alone and in
a batch.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from leadscore.errors import ArtifactError, TrainingError, nearest
from leadscore.model.logistic import fit_logistic
from leadscore.model.paired import paired
from leadscore.model.venn_abers import VennAbers, fit_venn_abers

Array = npt.NDArray[np.float64]

CLIP = 1e-15
GRID = 2.0**36


class Calibrator(Protocol):
    """Maps margins to probabilities: elementwise, non-decreasing, the same bits alone and in a batch."""

    kind: ClassVar[str]

    def apply(self, margin: npt.ArrayLike) -> Array:
        """Return the probability in [0, 1] of each margin, in the same shape. NaN stays NaN."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return ``kind`` and the parameters, ready for `from_json`."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """No calibration: the probability is the logistic function of the margin."""

    kind: ClassVar[str] = "none"

    def apply(self, margin: npt.ArrayLike) -> Array:
        """Return ``expit(margin)``, float64, in the shape of `margin`."""
        return _expit(_float64(margin))

    def to_json(self) -> dict[str, Any]:
        """Return ``{"kind": "none"}``."""
        return {"kind": self.kind}


@dataclass(frozen=True, slots=True)
class Platt:
    """A straight line in log-odds: ``expit(a * margin + b)`` with a > 0."""

    a: float
    b: float
    kind: ClassVar[str] = "platt"

    def __post_init__(self) -> None:
        if not (_finite(self.a, self.b) and self.a > 0):
            raise ValueError(f"Platt calibration needs finite a > 0 and b; found a = {self.a}, b = {self.b}.")

    def apply(self, margin: npt.ArrayLike) -> Array:
        """Return ``expit(a * margin + b)``, float64, in the shape of `margin`."""
        return _expit(self.a * _float64(margin) + self.b)

    def to_json(self) -> dict[str, Any]:
        """Return ``kind``, ``a`` and ``b``."""
        return {"kind": self.kind, "a": self.a, "b": self.b}


@dataclass(frozen=True, slots=True)
class Beta:
    """Log-odds ``a * log(p) - b * log(1 - p) + c`` of ``p = expit(margin)``, with a, b >= 0, not both 0.

    Unlike Platt it can bend the two ends differently: a model too bold about winners and right about losers.

    References
    ----------
    Kull, Silva Filho, Flach (2017), Beta calibration.
    """

    a: float
    b: float
    c: float
    kind: ClassVar[str] = "beta"

    def __post_init__(self) -> None:
        if not (_finite(self.a, self.b, self.c) and min(self.a, self.b) >= 0 and max(self.a, self.b) > 0):
            raise ValueError(
                "Beta calibration needs finite a, b >= 0, not both 0, and c; "
                f"found a = {self.a}, b = {self.b}, c = {self.c}."
            )

    def apply(self, margin: npt.ArrayLike) -> Array:
        """Return ``expit(a * log(p) - b * log(1 - p) + c)``, float64, in the shape of `margin`."""
        log_p, minus_log_q = _beta_terms(_float64(margin))
        return _expit(self.a * log_p + self.b * minus_log_q + self.c)

    def to_json(self) -> dict[str, Any]:
        """Return ``kind``, ``a``, ``b`` and ``c``."""
        return {"kind": self.kind, "a": self.a, "b": self.b, "c": self.c}


_PARAMETERS: dict[str, tuple[Callable[..., Calibrator], tuple[str, ...]]] = {
    Identity.kind: (Identity, ()),
    Platt.kind: (Platt, ("a", "b")),
    Beta.kind: (Beta, ("a", "b", "c")),
    VennAbers.kind: (VennAbers, ("edges", "values")),
}


def from_json(document: Mapping[str, Any]) -> Calibrator:
    """Return the calibrator that `to_json` described, bit for bit.

    Raises
    ------
    ArtifactError
        If the kind is unknown, or a parameter is missing, unknown, or outside its range.
    """
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in _PARAMETERS:
        known = ", ".join(_PARAMETERS)
        raise ArtifactError(
            f"calibration.json: unknown kind {kind!r}; known: {known}.{nearest(str(kind), _PARAMETERS)}"
        )
    build, names = _PARAMETERS[kind]
    found = {name: value for name, value in document.items() if name != "kind"}
    if set(found) != set(names):
        wanted = ", ".join(names) or "no parameters"
        raise ArtifactError(f"calibration.json: kind '{kind}' takes {wanted}; found {sorted(found)}.")
    try:
        return build(**{name: _parameter(name, value) for name, value in found.items()})
    except (ValueError, TypeError) as error:
        raise ArtifactError(f"calibration.json: {error}") from error


def _parameter(name: str, value: Any) -> float | tuple[float, ...]:
    """A number, or a list of numbers where the parameter is one."""
    many = name in ("edges", "values")
    items = value if many else [value]
    if not isinstance(items, list) or any(
        isinstance(item, bool) or not isinstance(item, int | float) for item in items
    ):
        raise ValueError(f"'{name}' must be {'a list of numbers' if many else 'a number'}")
    return tuple(map(float, items)) if many else float(value)


def fit_platt(margin: Array, label: Array, weight: Array) -> Platt | None:
    """Fit `Platt` by weighted maximum likelihood; None if there is no finite fit or it isn't increasing.

    Of margins that are all alike, as a base rate's, only the level can be set: a is 1.
    """
    if len(margin) and np.ptp(margin) == 0:
        level = fit_logistic(np.ones((1, len(label))), label, weight, offset=margin)
        return None if level is None else Platt(1.0, float(level[0]))
    fitted = fit_logistic(np.stack([margin, np.ones_like(margin)]), label, weight)
    if fitted is None or not fitted[0] > 0:
        return None
    return Platt(*map(float, fitted))


def fit_beta(margin: Array, label: Array, weight: Array) -> Beta | None:
    """Fit `Beta` by weighted maximum likelihood; None if there is no finite fit with a, b >= 0, not both 0.

    The problem is convex, so a free optimum outside the quadrant means the best one inside lies on an edge.
    """
    terms = np.stack([*_beta_terms(margin), np.ones_like(margin)])
    free = fit_logistic(terms, label, weight)
    if free is not None and min(free[0], free[1]) >= 0 and max(free[0], free[1]) > 0:
        return Beta(*map(float, free))
    edges = []
    for kept in (0, 1):
        fitted = fit_logistic(terms[[kept, 2]], label, weight)
        if fitted is not None and fitted[0] > 0:
            slope, c = map(float, fitted)
            edges.append(Beta(slope, 0.0, c) if kept == 0 else Beta(0.0, slope, c))
    return min(edges, key=lambda beta: float(np.sum(weight * _losses(beta, margin, label))), default=None)


# The candidates beside `none`, simplest first: on equal loss the first wins. A further calibrator joins here and in
# _PARAMETERS, and nowhere else.
CANDIDATES: dict[str, Callable[[Array, Array, Array], Calibrator | None]] = {
    Platt.kind: fit_platt,
    Beta.kind: fit_beta,
    VennAbers.kind: fit_venn_abers,
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """Mean out-of-fold log-loss, and its paired difference to ``none`` (negative is better).

    Loss, difference and standard error are None where a fold could not be fitted; such a candidate is never
    chosen.
    """

    kind: str
    log_loss: float | None
    difference: float | None
    standard_error: float | None

    @property
    def beats_none(self) -> bool:
        """Whether the loss is lower than that of ``none`` by more than one standard error."""
        if self.difference is None or self.standard_error is None:
            return False
        return -self.difference > self.standard_error


@dataclass(frozen=True, slots=True)
class Choice:
    """The calibrator to ship, fitted on all rows, and the comparison behind it (``none`` first)."""

    calibrator: Calibrator
    candidates: tuple[Candidate, ...]


def choose(
    margin: npt.ArrayLike,
    label: npt.ArrayLike,
    *,
    groups: npt.ArrayLike,
    seed: int,
    weight: npt.ArrayLike | None = None,
    n_folds: int = 5,
) -> Choice:
    """Choose between no calibration, Platt, beta and Venn-Abers by weighted log-loss out of fold.

    ``none`` is kept unless a candidate beats it by more than one standard error of the paired difference,
    clustered by group; of those that do, the one of lowest loss is refitted on all rows. A candidate that
    fails to converge or isn't increasing, in any fold or in the refit, is not chosen.

    Parameters
    ----------
    margin : array of float64, shape (n,)
        Raw model output in log-odds, finite.
    label : array of 0 and 1, shape (n,)
    groups : array of str or int, shape (n,)
        The lead of each row: a lead's rows share a fold, and its losses are one observation.
    seed : int
        Shuffles groups into folds through a hash, so the order of rows changes nothing, not even the last
        bit.
    weight : array of float64, shape (n,), optional
        How much each row counts, >= 0; 1 if left out.
    n_folds : int
        Folds, at least 2. With fewer groups than folds, nothing is fitted and ``none`` is returned.

    Raises
    ------
    TrainingError
        If the arrays differ in length or are empty, or hold a non-finite margin, a label other than 0 and 1,
        or a bad weight.
    """
    margin, label, weight, codes, fold = _canonical(margin, label, weight, groups, seed, n_folds)
    baseline = _losses(Identity(), margin, label)
    rows = [Candidate(Identity.kind, float(np.sum(weight * baseline) / weight.sum()), 0.0, 0.0)]
    for kind, fit in CANDIDATES.items():
        losses = _out_of_fold(fit, margin, label, weight, fold, n_folds)
        rows.append(_compare(kind, losses, baseline, weight, codes))
    for row in sorted((row for row in rows if row.beats_none), key=lambda row: row.log_loss or 0.0):
        refitted = CANDIDATES[row.kind](margin, label, weight)
        if refitted is not None:
            return Choice(refitted, tuple(rows))
    return Choice(Identity(), tuple(rows))


def _out_of_fold(
    fit: Callable[[Array, Array, Array], Calibrator | None],
    margin: Array,
    label: Array,
    weight: Array,
    fold: npt.NDArray[np.int64],
    n_folds: int,
) -> Array | None:
    """Log-loss of each row under a calibrator that never saw its group; None if any fold can't be fitted."""
    if fold.max() + 1 < n_folds:
        return None
    losses = np.empty_like(margin)
    for k in range(n_folds):
        held = fold == k
        calibrator = fit(margin[~held], label[~held], weight[~held])
        if calibrator is None:
            return None
        losses[held] = _losses(calibrator, margin[held], label[held])
    return losses


def _compare(
    kind: str, losses: Array | None, baseline: Array, weight: Array, codes: npt.NDArray[np.int64]
) -> Candidate:
    """The paired difference to ``none`` with its standard error; each group is one observation of a ratio."""
    if losses is None:
        return Candidate(kind, None, None, None)
    found = paired(losses, baseline, weight, codes)
    return Candidate(kind, float(np.sum(weight * losses) / weight.sum()), found.difference, found.standard_error)


def _canonical(
    margin: npt.ArrayLike,
    label: npt.ArrayLike,
    weight: npt.ArrayLike | None,
    groups: npt.ArrayLike,
    seed: int,
    n_folds: int,
) -> tuple[Array, Array, Array, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Check the rows and sort them, so that every sum below adds the same numbers in the same order."""
    margin, label = _float64(margin), _float64(label)
    weight = np.ones_like(margin) if weight is None else _float64(weight)
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    if not margin.shape == label.shape == weight.shape == codes.shape or margin.ndim != 1 or n_folds < 2:
        raise TrainingError(
            "Calibration needs margin, label, weight and groups of one length, and at least 2 folds; "
            f"found {margin.shape}, {label.shape}, {weight.shape}, {codes.shape} and {n_folds} folds."
        )
    if not (np.isfinite(margin).all() and np.isin(label, (0, 1)).all() and np.isfinite(weight).all()):
        raise TrainingError("Calibration needs finite margins and weights, and labels of 0 and 1.")
    if not (weight >= 0).all() or not weight.sum() > 0:
        raise TrainingError("Calibration needs at least one row, weights >= 0, and some weight above 0.")
    fold = _folds([str(name) for name in names.tolist()], seed, n_folds)[codes]
    order = np.lexsort((codes, weight, label, margin))
    return margin[order], label[order], weight[order], codes[order], fold[order]


def _folds(names: list[str], seed: int, n_folds: int) -> npt.NDArray[np.int64]:
    """Deal the groups, shuffled by a hash of seed and name, into folds of equal size."""
    digests = [hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=16).digest() for name in names]
    fold = np.empty(len(names), dtype=np.int64)
    fold[sorted(range(len(names)), key=digests.__getitem__)] = np.arange(len(names)) % n_folds
    return fold


def _losses(calibrator: Calibrator, margin: Array, label: Array) -> Array:
    """Log-loss of each row, the probability clipped for the logarithm alone."""
    probability = np.clip(calibrator.apply(margin), CLIP, 1 - CLIP)
    return -np.log(np.where(label > 0.5, probability, 1 - probability))


def _beta_terms(margin: Array) -> tuple[Array, Array]:
    """``log(p)`` and ``-log(1 - p)`` of ``p = expit(margin)``, exact in both tails, within +-700."""
    # log_expit falls by a last bit here and there. On a grid of 1e-11 its true rise outweighs its rounding,
    # so the order of two leads is never turned. Up to 700 everything is finite, and 0 times it is 0.
    on_grid = np.rint(np.clip(margin, -700, 700) * GRID) / GRID
    log_expit = _special().log_expit
    return log_expit(on_grid), -log_expit(-on_grid)


def _expit(log_odds: Array) -> Array:
    return np.asarray(_special().expit(log_odds), dtype=np.float64)


@cache
def _special() -> Any:
    """Functions that take a tenth of a second to load."""
    from scipy import special

    return special


def _float64(values: npt.ArrayLike) -> Array:
    return np.asarray(values, dtype=np.float64)


def _finite(*numbers: float) -> bool:
    return all(math.isfinite(number) for number in numbers)
