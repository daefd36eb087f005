"""How numbers are written in the tables of a report; what is undefined is a dash."""

from __future__ import annotations

from leadscore.evaluate.metrics import Difference, Interval
from leadscore.model import ladder

METRICS = {
    "auc": "AUC",
    "average_precision": "Average precision",
    "log_loss": "Log-loss",
    "brier": "Brier",
    "calibration_slope": "Calibration slope",
    "lift_at_10pct": "Lift at 10 %",
}
"""What tables show of a model, with its heading."""
FEW_WINS = 10
"""Wins below which a part of the test is too small to judge a model by."""


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with so many digits."""
    return "–" if value is None else f"{value:,.{digits}f}"


def share(value: float | None) -> str:
    """Return a share in percent."""
    return "–" if value is None else f"{100 * value:.1f} %"


def count(value: float) -> str:
    """Return a count, or a weighted one."""
    return f"{value:,.0f}"


def span(pair: Interval | None, digits: int = 3) -> str:
    """Return an interval."""
    return "–" if pair is None else f"{pair[0]:.{digits}f} to {pair[1]:.{digits}f}"


def difference(found: Difference | None, digits: int = 4) -> str:
    """Return a paired difference with its interval."""
    if found is None:
        return "–"
    return f"{found.difference:+.{digits}f} [{found.low:+.{digits}f}, {found.high:+.{digits}f}]"


def words(name: str) -> str:
    """Return a name of ours as people read it."""
    return ladder.words(name)
