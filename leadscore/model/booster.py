"""LightGBM: plain log-loss, early stopping on a later block, the same bytes for the same data and seed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from leadscore.explain.treeshap import TreeShap
from leadscore.model.leaves import Leaves

if TYPE_CHECKING:
    import lightgbm

Progress = Callable[[int, int], None]
"""Called with (steps done, steps at most)."""

PARAMETERS: dict[str, Any] = {
    "learning_rate": 0.03,
    "num_leaves": 4,
    "max_depth": 2,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "path_smooth": 10.0,
    "max_cat_to_onehot": 10_000,
    "num_iterations": 2_000,
    "early_stopping_rounds": 100,
}
"""Small trees, slow steps, one category against the rest: funnels are small and noisy (training/LOG.md). ``[model]``
overrides them one by one."""

_FIXED = {"objective": "binary", "deterministic": True, "force_row_wise": True, "verbosity": -1}


class Predictor(Protocol):
    """Anything that ranks leads."""

    def margin(self, matrix: NDArray[Any]) -> NDArray[np.float64]:
        """Return log-odds (n,) of a feature matrix (n, n_features)."""
        ...


class Model(Predictor, Protocol):
    """What a scorer ships: it also says what each feature adds, and can be written down."""

    @property
    def kind(self) -> str:
        """The word by which the artifact names its reader."""
        ...

    def contributions(self, matrix: NDArray[Any]) -> NDArray[np.float64]:
        """Return effects in log-odds (n, n_features + 1), the base last; rows sum to the margin."""
        ...

    def to_text(self) -> str:
        """Return the model as text; the reader of its kind is the inverse."""
        ...


@dataclass(frozen=True)
class Block:
    """A matrix with its labels and weights."""

    matrix: NDArray[np.float32]
    label: NDArray[np.int8]
    weight: NDArray[np.float64]

    def columns(self, columns: Sequence[int]) -> Block:
        """Return the block with some of its columns."""
        return Block(self.matrix[:, columns], self.label, self.weight)


@dataclass(frozen=True)
class TreeModel:
    """LightGBM's trees, in its own text; it is loaded where somebody asks for the booster, which no score does."""

    text: str
    kind: str = "lightgbm"

    def margin(self, matrix: NDArray[Any]) -> NDArray[np.float64]:
        """Return log-odds (n,); the result for a row doesn't depend on the others."""
        return self._leaves.sums(matrix)

    @property
    def used(self) -> list[int]:
        """The columns that margins depend on, ascending."""
        return self._leaves.used

    def margin_of_used(self, matrix: NDArray[Any]) -> NDArray[np.float64]:
        """Return the `margin` of a matrix that has the `used` columns alone."""
        return self._leaves_of_used.sums(matrix)

    def contributions(self, matrix: NDArray[Any]) -> NDArray[np.float64]:
        """Return exact TreeSHAP effects, see `TreeShap.contributions`."""
        return self._shap.contributions(matrix)

    def to_text(self) -> str:
        """Return LightGBM's model text."""
        return self.text

    @cached_property
    def booster(self) -> lightgbm.Booster:
        """The trees as LightGBM has them."""
        return load_lightgbm().Booster(model_str=self.text)

    @cached_property
    def _leaves(self) -> Leaves:
        return Leaves(self.text)

    @cached_property
    def _leaves_of_used(self) -> Leaves:
        return self._leaves.of_used()

    @cached_property
    def _shap(self) -> TreeShap:
        return TreeShap(self.text)

    @classmethod
    def from_text(cls, text: str) -> TreeModel:
        """Read LightGBM's model text; raises ArtifactError if it isn't one."""
        model = cls(text)
        _ = model._leaves
        return model


def load_lightgbm() -> Any:
    """Import LightGBM so that its waiting threads sleep: spinning, they train 40 times slower on a busy machine."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import lightgbm

    return lightgbm


def train(
    train: Block,
    tune: Block,
    *,
    categorical: Sequence[int],
    parameters: Mapping[str, Any],
    seed: int,
    progress: Progress | None = None,
) -> TreeModel:
    """Fit trees on one block and stop where a later one no longer gains.

    Parameters
    ----------
    categorical : columns that hold codes of categories
    parameters : LightGBM parameters over `PARAMETERS`

    Returns
    -------
    TreeModel
        Cut at its best iteration. The same input, parameters and seed give the same text.
    """
    lightgbm = load_lightgbm()
    chosen = {**PARAMETERS, **parameters}
    n_rounds = int(chosen.pop("num_iterations"))
    patience = int(chosen.pop("early_stopping_rounds"))
    settings = {**chosen, **_FIXED, "seed": seed}
    # the dataset remembers binning parameters, so it must be given all of them
    fitting = lightgbm.Dataset(
        train.matrix, train.label, weight=train.weight, categorical_feature=list(categorical), params=settings
    )
    stopping = lightgbm.Dataset(tune.matrix, tune.label, weight=tune.weight, reference=fitting, params=settings)
    callbacks: list[Callable[..., Any]] = [lightgbm.early_stopping(patience, verbose=False)]
    if progress is not None:
        callbacks.append(lambda env: progress(env.iteration + 1, n_rounds))
    booster = lightgbm.train(settings, fitting, n_rounds, valid_sets=[stopping], callbacks=callbacks)
    found = booster.model_to_string(num_iteration=booster.best_iteration)
    return TreeModel.from_text(str(lightgbm.Booster(model_str=found).model_to_string()))
