"""What drives conversion: shares of movement, and shapes that are true of a model whose shape is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore.evaluate.drivers import drivers
from tests import builders


@pytest.fixture(scope="module")
def scorer() -> ls.LeadScorer:
    """More visits, more wins; fairs win, ads don't; nothing else matters."""
    rng = np.random.default_rng(0)
    visits, source = rng.integers(0, 40, 4_000), rng.choice(["ads", "web", "fair"], 4_000)
    chance = 0.05 + 0.4 * (visits > 20) + 0.3 * (source == "fair")
    won = (rng.random(4_000) < chance).astype(int).astype(str)
    frame = pd.DataFrame({"source": source, "visits": visits, "converted": won})
    data = ls.read(builders.project(base=builders.LABELLED), frames={"leads": frame, "outcome": frame})
    return ls.LeadScorer().fit(data, ls.snapshots(data))


def test_shapes_are_those_of_the_truth(scorer) -> None:
    found = {driver.name: driver for driver in drivers(scorer)}
    visits, source = found["visits"], found["source"]
    assert visits.direction == "rises"
    assert visits.bands[0].effect < 0 < visits.bands[-1].effect
    assert source.direction is None
    by_category = {band.text: band.effect for band in source.bands}
    (fair,) = [effect for text, effect in by_category.items() if "fair" in text]
    assert fair == max(by_category.values()) > 0


def test_shares_are_of_all_movement_and_bands_of_all_rows(scorer, sample_scorer) -> None:
    for one in (scorer, sample_scorer):
        found = drivers(one)
        assert found == drivers(one)
        assert [driver.share for driver in found] == sorted((driver.share for driver in found), reverse=True)
        assert 0 < sum(driver.share for driver in found) <= 1 + 1e-9
        for driver in found:
            if driver.direction is not None:
                assert sum(band.share for band in driver.bands) == pytest.approx(1)
            assert not {band.text for band in driver.bands} & set(one.plan.names)


def test_a_loaded_scorer_has_no_rows_to_show(sample_scorer_folder) -> None:
    assert drivers(ls.LeadScorer.load(sample_scorer_folder)) == ()
