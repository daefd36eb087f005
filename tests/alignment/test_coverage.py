"""Intervals hold the truth as often as they say in a simulated market, whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore import time
from leadscore.alignment import Cohort
from leadscore.alignment.channels import _entries, _rates
from leadscore.evaluate.capacity import at_capacity
from leadscore.simulate import simulate

pytestmark = pytest.mark.slow
N_LEADS = 20_000


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(tmp_path_factory.mktemp("market") / "market", n_leads=N_LEADS, seed=3, n_truths=3_000)


@pytest.fixture(scope="module")
def data(market: Path) -> ls.Data:
    return ls.Project.load(market).read()


def of_account(data: ls.Data, lead: np.ndarray, n_parts: int) -> np.ndarray:
    """Part leads by account, so that whoever isn't independent stays together."""
    account = data.leads.latest("account")[lead]
    return np.random.default_rng(0).integers(n_parts, size=account.max() + 1)[account]


@pytest.mark.parametrize("n", [300, 1_000])
def test_the_rates_of_channels_lie_in_their_intervals(data: ls.Data, n: int) -> None:
    """The rate of each group in the whole market is the truth; each part is a market of its own that is measured."""
    cohort = Cohort.of(data, as_of=data.observed_until)
    entry, judged = _entries(cohort)
    won = judged & (cohort.won_at >= entry) & (cohort.won_at < entry + cohort.horizon)
    part = of_account(data, cohort.lead, N_LEADS // n)
    last = data.leads.offsets[1:] - 1
    hits = []
    for name in ("source", "industry", "country"):
        code = data.leads.codes[data.project.leads.categorical.index(name)][last[cohort.lead]]
        groups = [code == each for each in np.unique(code)]
        truth = np.array([won[group & judged].mean() for group in groups])
        for here in range(min(N_LEADS // n, 25)):
            found = _rates([group & (part == here) for group in groups], judged, won, np.zeros(len(cohort)))
            hits += ((found["won_rate_low"] <= truth) & (truth <= found["won_rate_high"])).tolist()
    assert 0.86 <= np.mean(hits) <= 0.97, f"{np.mean(hits):.3f} of {len(hits)}"


def test_as_many_are_won_as_the_range_of_what_to_expect_says(market: Path, data: ls.Data) -> None:
    """Given true probabilities, the wins of a list lie in its 90 % range; counts are whole, so a little oftener."""
    truth = pd.read_csv(market / "truth.csv", parse_dates=["cutoff"])
    lead = data.leads.find(truth["lead_id"].tolist())
    at = truth["cutoff"].to_numpy("datetime64[us]").astype(np.int64)
    won = time.won_within_horizon(
        data.outcomes.won_at[lead], at, horizon=Cohort.of(data, as_of=data.observed_until).horizon
    )
    chance = truth["probability"].to_numpy()
    part = of_account(data, lead, 60)
    ranges = [(at_capacity(chance[part == one], len(part)), int(won[part == one].sum())) for one in range(60)]
    assert 0.88 <= np.mean([told.low <= found <= told.high for told, found in ranges]) <= 1.0
    assert sum(found for _, found in ranges) == pytest.approx(sum(told.expected for told, _ in ranges), rel=0.15)
