"""The ladder: nothing richer than was proven, on time that the rungs did not learn on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import expit

from leadscore.model.booster import Block
from leadscore.model.ladder import RUNGS, climb
from leadscore.model.paired import paired


@dataclass(frozen=True)
class Of:
    """A model that says what a column holds, times a factor, plus a level."""

    column: int
    factor: float = 1.0
    level: float = 0.0

    def margin(self, matrix):
        return self.factor * matrix[:, self.column].astype(float) + self.level


BASE = Of(0, factor=0.0)


def held_out(n: int = 4_000, *, strength: float = 1.0, level: float = -1.0, seed: int = 0) -> Block:
    """Column 0 is the truth, 1 the truth with as much noise, 2 noise alone."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n) * strength
    noisy, noise = truth + rng.normal(size=n) * strength, rng.normal(size=n)
    label = (rng.random(n) < expit(truth + level)).astype(np.int8)
    return Block(np.stack([truth, noisy, noise], axis=1).astype(np.float32), label, np.ones(n))


def stood(models, *blocks: Block):
    return climb(models, blocks, [np.arange(len(block.label)) for block in blocks], n_fewest=30)


def test_a_richer_rung_that_is_better_is_stepped_on_up_to_the_top():
    models = {"base_rate": BASE, "source_rate": Of(1, 0.3), "recency_frequency": Of(1, 0.5), "trees": Of(0)}
    ladder = stood(models, held_out(seed=1), held_out(seed=2))
    assert ladder.stands_on == "trees"
    assert [rung.name for rung in ladder.rungs] == [name for name in RUNGS if name in models]
    losses = [rung.log_loss for rung in ladder.rungs]
    assert losses == sorted(losses, reverse=True)


def test_noise_stays_on_the_base_rate():
    models = {"base_rate": BASE, "source_rate": Of(2, 0.05), "recency_frequency": Of(2, 0.1), "trees": Of(2, 0.3)}
    ladder = stood(models, held_out(seed=3), held_out(seed=4))
    assert ladder.stands_on == "base_rate"
    assert "no gain of more than a standard error" in ladder.why
    assert ladder.rungs[-1].against_base.difference > 0


def test_a_rung_that_is_worse_than_one_below_is_passed_over():
    models = {"base_rate": BASE, "source_rate": Of(0), "trees": Of(1, 0.5)}
    ladder = stood(models, held_out(seed=5))
    assert ladder.stands_on == "source_rate"
    assert ladder.rungs[-1].against_base.difference < 0 < ladder.rungs[-1].against_stood_on.difference
    assert ladder.why.endswith("against source rate: no better.")


def test_a_level_that_is_off_decides_nothing():
    """The base rate of the blocks is another than in training: each rung is shifted to it first."""
    models = {"base_rate": Of(0, 0.0, 3.0), "trees": Of(0, 1.0, -4.0)}
    ladder = stood(models, held_out(seed=6), held_out(seed=7, level=-2.5))
    again = stood({"base_rate": BASE, "trees": Of(0)}, held_out(seed=6), held_out(seed=7, level=-2.5))
    assert ladder.stands_on == again.stands_on == "trees"
    assert ladder.rungs[1].log_loss == pytest.approx(again.rungs[1].log_loss, abs=1e-9)


def test_few_wins_prove_nothing():
    ladder = stood({"base_rate": BASE, "trees": Of(1, 0.5)}, held_out(60, strength=0.4, level=-2.0, seed=9))
    assert ladder.stands_on == "base_rate"


def test_a_gain_that_nobody_could_use_is_none():
    block = held_out(400_000, strength=0.12, seed=9)
    ladder = stood({"base_rate": BASE, "trees": Of(0)}, block)
    assert ladder.stands_on == "base_rate"
    assert "too little to be of use" in ladder.why


def test_without_trees_the_reason_is_said_and_without_wins_too():
    ladder = stood({"base_rate": BASE, "source_rate": Of(0)}, held_out(seed=10))
    assert ladder.stands_on == "source_rate"
    assert ladder.rungs[-1].why == "Trees need 30 won leads in each block, and there are fewer."
    none = Block(np.zeros((9, 3), np.float32), np.zeros(9, np.int8), np.ones(9))
    assert stood({"base_rate": BASE}, none).why.endswith("'base rate'.")
    assert stood({"base_rate": BASE}, none).stands_on == "base_rate"


def test_copies_of_a_lead_make_nothing_surer():
    rng = np.random.default_rng(0)
    losses, others, weight = rng.random(200), rng.random(200), rng.integers(1, 4, 200).astype(float)
    once = paired(losses, others, weight, np.arange(200))
    thrice = paired(np.tile(losses, 3), np.tile(others, 3), np.tile(weight, 3), np.tile(np.arange(200), 3))
    assert thrice == pytest.approx(once)
    as_rows = paired(np.tile(losses, 3), np.tile(others, 3), np.tile(weight, 3), np.arange(600))
    assert as_rows.standard_error < 0.7 * once.standard_error
    plain = losses - others
    equal = paired(losses, others, np.ones(200), np.arange(200))
    assert equal == pytest.approx((plain.mean(), plain.std(ddof=1) / np.sqrt(200)))


def test_the_ladder_as_json_says_everything():
    told = stood({"base_rate": BASE, "trees": Of(0)}, held_out(seed=11)).to_dict()
    assert told["rung"] == "trees"
    assert told["rungs"][1]["against_base"]["difference"] < 0
    assert told["rungs"][0]["against_base"] is None
    assert told["why"].startswith("The model stands on the rung 'trees'.")
