"""Where a model holds and where it doesn't: by month, age of the lead, touches, history, company."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadscore import time
from leadscore.evaluate.metrics import by_group
from leadscore.features.plan import FeaturePlan
from leadscore.snapshots import Snapshots

Group = dict[str, Any]
"""One row of `leadscore.evaluate.metrics.by_group`."""

_AGES = (1, 7, 30, 90)
_AGE_NAMES = ("under 1 day", "1 to 7 days", "7 to 30 days", "30 to 90 days", "over 90 days")
_TOUCHES = (1, 3, 6, 11, 31)
_TOUCH_NAMES = ("none", "1 or 2", "3 to 5", "6 to 10", "11 to 30", "over 30")


def segments(rows: Snapshots, probability: NDArray[np.float64], margin: NDArray[np.float64]) -> dict[str, list[Group]]:
    """Measure a model in parts of its snapshots.

    Parameters
    ----------
    probability, margin : float64 (n,), what was said of each snapshot

    Returns
    -------
    dict
        ``month`` of the cutoff (UTC), ``lead_age``, and where there are events ``touches``, how many are visible at the
        cutoff in all tables, and ``history``: cold without any, else warm. Nothing for a list without times.
    """
    if not rows.data.project.timed:
        return {}
    months = rows.at.view("M8[us]").astype("M8[M]").astype(str)
    age = (rows.at - rows.data.leads.created[rows.lead]) / time.DAY
    found = {
        "month": by_group(rows.label, probability, months, rows.weight, margin=margin),
        "lead_age": _banded(rows, probability, margin, age, _AGES, _AGE_NAMES),
    }
    if rows.data.project.events:
        touches = n_touches(rows)
        found["touches"] = _banded(rows, probability, margin, touches, _TOUCHES, _TOUCH_NAMES)
        found["history"] = _banded(rows, probability, margin, touches, _TOUCHES[:1], ("cold", "warm"))
    return found


def n_touches(rows: Snapshots) -> NDArray[np.float64]:
    """Return how many events, of all tables, each snapshot sees: those in ``(−∞, t)`` known before t; float64 (n,)."""
    project = rows.data.project
    plan = FeaturePlan.of(project, [f"{spec.name}.count.all" for spec in project.events])
    return np.asarray(plan.transform(rows.data, rows.cutoffs, dtype=np.float64).sum(axis=1), dtype=np.float64)


def by_acquaintance(
    rows: Snapshots, probability: NDArray[np.float64], margin: NDArray[np.float64], earlier: NDArray[np.int64]
) -> dict[str, list[Group]]:
    """Measure a model on leads of companies that training has seen, and on those of companies it has not.

    Parameters
    ----------
    earlier : positions of the leads that any earlier block holds
    """
    if "account" not in rows.data.leads.roles:
        return {}
    account = rows.data.leads.latest("account")
    seen = np.isin(account[rows.lead], account[earlier])
    named = np.where(seen, "account seen before", "account never seen before")
    return {"account": by_group(rows.label, probability, named, rows.weight, margin=margin)}


def _banded(
    rows: Snapshots, probability: NDArray[np.float64], margin: NDArray[np.float64],
    values: NDArray[np.float64], limits: Sequence[float], names: Sequence[str],
) -> list[Group]:  # fmt: skip
    """Groups in the order of the bands, which the names wouldn't have."""
    bands = np.digitize(values, limits)
    grouped = by_group(rows.label, probability, bands, rows.weight, margin=margin)
    return [{**group, "group": names[group["group"]]} for group in grouped]
