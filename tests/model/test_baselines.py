"""Baselines are right by hand, exact in their effects, and survive being written down."""

from __future__ import annotations

import math

import numpy as np
import pytest

import leadscore as ls
from leadscore.errors import ArtifactError
from leadscore.model.baselines import PRIOR_STRENGTH, Logistic, RateByCategory, _fit_logistic, read, source_column
from leadscore.model.booster import Block


@pytest.fixture(scope="module")
def shipped(sample_scorer: ls.LeadScorer) -> dict[str, RateByCategory | Logistic]:
    rivals = sample_scorer.fitted.baselines
    return {name: rival for name, rival in rivals.items() if isinstance(rival, RateByCategory | Logistic)}


def test_the_sample_has_every_baseline(sample_scorer, shipped) -> None:
    assert set(sample_scorer.fitted.baselines) == {*shipped, "profile_only"}
    assert set(shipped) == {"base_rate", "source_rate", "last_touch", "recency_frequency"}


def test_source_rate_is_the_smoothed_rate_of_the_train_block(sample_scorer, shipped) -> None:
    fitted = sample_scorer.fitted
    train = fitted.blocks.rows["train"]
    column = source_column(sample_scorer.project, fitted.plan)
    codes = fitted.matrix[train, column]
    label, weight = fitted.snapshots.label[train], fitted.snapshots.weight[train]
    base = ((weight * label).sum() + 0.5) / (weight.sum() + 1)
    for code in np.unique(codes[~np.isnan(codes)]):
        mine = codes == code
        rate = ((weight * label)[mine].sum() + PRIOR_STRENGTH * base) / (weight[mine].sum() + PRIOR_STRENGTH)
        row = train[np.flatnonzero(mine)[:1]]
        assert shipped["source_rate"].margin(fitted.matrix[row])[0] == pytest.approx(math.log(rate / (1 - rate)))


@pytest.mark.parametrize("name", ["base_rate", "source_rate", "last_touch", "recency_frequency"])
def test_effects_sum_to_the_margin_alone_and_in_a_batch(name, sample_scorer, shipped) -> None:
    matrix = sample_scorer.fitted.matrix[:300]
    model = shipped[name]
    effects = model.contributions(matrix)
    assert effects.shape == (300, matrix.shape[1] + 1)
    np.testing.assert_allclose(effects.sum(axis=1), model.margin(matrix), rtol=0, atol=1e-12)
    alone = np.array([model.margin(matrix[row : row + 1])[0] for row in range(300)])
    np.testing.assert_array_equal(alone, model.margin(matrix))


@pytest.mark.parametrize("name", ["base_rate", "source_rate", "last_touch", "recency_frequency"])
def test_written_and_read_they_are_the_same(name, shipped) -> None:
    assert read(shipped[name].kind, shipped[name].to_text()) == shipped[name]


@pytest.mark.parametrize(("kind", "text"), [("rate", "{"), ("rate", "{}"), ("logistic", "[]"), ("oracle", "{}")])
def test_what_cannot_be_read_is_an_artifact_error(kind, text) -> None:
    with pytest.raises(ArtifactError):
        read(kind, text)


def test_codes_that_training_never_saw_have_the_base_rate() -> None:
    model = RateByCategory(base=-2.0, column=0, effects=(1.0, -1.0), unknown=0.25)
    margin = model.margin(np.array([[0.0], [1.0], [7.0], [np.nan]]))
    np.testing.assert_array_equal(margin, [-1.0, -3.0, -2.0, -1.75])


def test_what_hardly_ever_varies_moves_nobody_far() -> None:
    """Calls on a Sunday, where all cutoffs are Mondays: seven leads in training must not decide for a whole Tuesday."""
    rng = np.random.default_rng(0)
    often, seldom = rng.poisson(2.0, 4_000), np.zeros(4_000)
    seldom[rng.choice(4_000, 7, replace=False)] = 1
    label = (rng.random(4_000) < 0.05 + 0.05 * (often > 2)).astype(np.int8)
    label[seldom > 0] = 0
    matrix = np.stack([often, seldom], axis=1).astype(np.float32)
    model = _fit_logistic([0, 1], Block(matrix, label, np.ones(4_000)))
    idle, called = model.margin(np.array([[2.0, 0.0], [2.0, 1.0]], dtype=np.float32))
    assert abs(called - idle) < 0.2
