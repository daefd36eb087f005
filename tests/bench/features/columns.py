"""The columns that every engine computes, and what their names say. Imports nothing: peers may live elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

TABLE = "touchpoints"
CHANNELS = tuple(f"c{channel:02d}" for channel in range(12))
WINDOWS = {"1d": 1, "7d": 7, "30d": 30, "90d": 90}
DAY = 86_400_000_000
"""Microseconds of a day."""


def facts() -> list[str]:
    """Counts per channel and window, sums per window, recency of all and per channel: 65 columns."""
    counts = [f"{TABLE}.channel={channel}.count.{window}" for channel in CHANNELS for window in WINDOWS]
    sums = [f"{TABLE}.cost.sum.{window}" for window in WINDOWS]
    recency = [f"{TABLE}.since_last", *(f"{TABLE}.channel={channel}.since_last" for channel in CHANNELS)]
    return counts + sums + recency


def wide() -> list[str]:
    """Everything above, and counts, means, maxima, variety, rhythm, trend and decay: 92 columns."""
    more = [f"{TABLE}.{op}.{window}" for op in ("cost.mean", "cost.max", "count") for window in WINDOWS]
    more += [f"{TABLE}.{op}.{window}" for op in ("channel.nunique", "active_days") for window in WINDOWS]
    more += [f"{TABLE}.trend.{window}" for window in ("7d", "30d")]
    more += [f"{TABLE}.decay.{half_life}" for half_life in ("1d", "7d", "30d")]
    return [*facts(), *more, f"{TABLE}.gap_mean", f"{TABLE}.gap_now"]


SETS = {"facts": facts, "wide": wide}


@dataclass(frozen=True)
class Column:
    """A name taken apart: `channel` is the code of one category, `days` the window or half-life."""

    name: str
    op: str
    channel: int | None
    days: int | None

    @property
    def of_nothing_is_zero(self) -> bool:
        """Whether a lead without events has a 0 here, not NaN."""
        return self.op in ("count", "sum", "nunique", "active_days", "trend", "decay")

    @property
    def exact(self) -> bool:
        """Whether engines must agree to the last bit of a float32: nothing is added up in floating point."""
        return self.op in ("count", "nunique", "active_days", "trend", "since_last", "max")

    @classmethod
    def of(cls, name: str) -> Column:
        """Take a name apart."""
        *subject, last = name.split(".")
        days = WINDOWS.get(last)
        op = last if days is None else subject.pop()
        words = [part.partition("=")[2] for part in subject if "=" in part]
        return cls(name, op, CHANNELS.index(words[0]) if words else None, days)
