"""What the score promised of the leads that were handed over, and what came: both sides quarrel about it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from leadscore import time
from leadscore.alignment.cohort import Cohort
from leadscore.alignment.shrinking import LEVEL
from leadscore.evaluate.capacity import at_capacity
from leadscore.time import Instants

ALL = "all"
"""The row of all grades together."""
COLUMNS = ("grade", "judged", "won", "expected", "expected_low", "expected_high")


def judged(cohort: Cohort, lead: Instants, at: Instants) -> pd.DataFrame:
    """Say of leads handed over whether they are judged, and won in time; both bool, a row per lead.

    A lead is judged once ``[at, at + horizon)`` has passed at the cohort's `as_of`; it is won in time if its win lies
    in there. A lead that isn't judged yet is not won in time either.

    Parameters
    ----------
    lead : int64 (n,), positions in the cohort
    at : when each was handed over
    """
    over = at + cohort.horizon <= cohort.as_of
    in_time = time.won_within_horizon(cohort.won_at[lead], at, horizon=cohort.horizon)
    return pd.DataFrame({"judged": over, "won": over & in_time})


def wins(leads: pd.DataFrame) -> pd.DataFrame:
    """Return wins found and expected of the judged leads, a row per grade and one of `ALL`, columns `COLUMNS`.

    **expected** is the sum of the probabilities at the handover, its interval the one that holds the wins in nine of
    ten cases if these are right: chance alone, see `leadscore.evaluate.capacity.at_capacity`.

    Parameters
    ----------
    leads : a row per lead handed over: ``grade``, ``probability`` at the handover, ``judged``, ``won``
    """
    over = leads[leads["judged"]]
    groups = [(str(grade), group) for grade, group in over.groupby("grade")] + [(ALL, over)]
    rows = []
    for grade, group in groups:
        chance = group["probability"].to_numpy(dtype=np.float64)
        told = at_capacity(chance, len(chance), level=LEVEL)
        rows.append((grade, len(group), int(group["won"].sum()), told.expected, told.low, told.high))
    return pd.DataFrame(rows, columns=list(COLUMNS))
