"""What each feature means, edge by edge.

A primitive is declared here, computed in `kernels`, phrased in `leadscore.phrases`, and specified by a naive loop in
tests/parity. Adding one touches those four places and nothing else.

All of them see the events with ``time < t`` and ``known < t``; a windowed one those in ``[t − w, t)``. Equal times are
ordered as `EventLog` says. Recencies are in days of 24 hours. Behind ``account.`` stand the events of the account's
other leads: of those whose own profile, as known before t, names the same account; of no account: NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from leadscore.company import Tally
from leadscore.features import kernels, lead_kernels
from leadscore.features.names import FeatureName

Subject = Literal["any", "category", "categorical", "numeric"]
"""What a primitive is taken of: all events of a table, those of one category, a categorical or a numeric column."""

Span = Literal["none", "window", "finite", "half-life"]
"""What ends the name: nothing, a window, a window that is not ``all``, or a half-life."""

Side = Literal["intent", "fit", "context"]


@dataclass(frozen=True)
class Primitive:
    """One declaration.

    Attributes
    ----------
    op : its word in a feature name
    subjects : what it can be taken of, and which kernel computes it for that
    span : what ends the name
    categorical : whether its values are categories (codes of the plan), not numbers
    definition : what it is, including of nothing
    """

    op: str
    family: str
    subjects: dict[Subject, int]
    span: Span
    definition: str
    categorical: bool = False


_EVENT_PRIMITIVES = (
    Primitive(
        "count",
        "how much",
        {"any": kernels.COUNT, "category": kernels.COUNT_BY},
        span="window",
        definition="Number of events. Of nothing: 0.",
    ),
    Primitive(
        "sum",
        "amounts",
        {"numeric": kernels.AMOUNTS},
        span="window",
        definition="Sum of the filled values. Of nothing: 0.",
    ),
    Primitive(
        "mean",
        "amounts",
        {"numeric": kernels.AMOUNTS},
        span="window",
        definition="Mean of the filled values. Of nothing: NaN.",
    ),
    Primitive(
        "min",
        "amounts",
        {"numeric": kernels.AMOUNTS},
        span="window",
        definition="Smallest filled value. Of nothing: NaN.",
    ),
    Primitive(
        "max",
        "amounts",
        {"numeric": kernels.AMOUNTS},
        span="window",
        definition="Largest filled value. Of nothing: NaN.",
    ),
    Primitive(
        "std",
        "amounts",
        {"numeric": kernels.AMOUNTS},
        span="window",
        definition="Population standard deviation (divisor n) of the filled values: 0 of one. Of nothing: NaN.",
    ),
    Primitive(
        "nunique",
        "variety",
        {"categorical": kernels.VARIETY},
        span="window",
        definition="Number of different raw values, nulls left out. Of nothing: 0.",
    ),
    Primitive(
        "entropy",
        "variety",
        {"categorical": kernels.VARIETY},
        span="window",
        definition="Shannon entropy of the raw values in nats, nulls left out: 0 of one value. Of nothing: NaN.",
    ),
    Primitive(
        "since_last",
        "when",
        {"any": kernels.RECENCY, "category": kernels.RECENCY_BY},
        span="none",
        definition="Days from the latest event to t, always above 0. Of nothing: NaN, never.",
    ),
    Primitive(
        "since_first",
        "when",
        {"any": kernels.RECENCY, "category": kernels.RECENCY_BY},
        span="none",
        definition="Days from the earliest event to t. Of nothing: NaN, never.",
    ),
    Primitive(
        "active_days",
        "rhythm",
        {"any": kernels.DAYS},
        span="window",
        definition="Number of local calendar days with an event. Of nothing: 0.",
    ),
    Primitive(
        "gap_mean",
        "rhythm",
        {"any": kernels.GAPS},
        span="none",
        definition="Mean days from one event to the next. Of fewer than two: NaN.",
    ),
    Primitive(
        "gap_std",
        "rhythm",
        {"any": kernels.GAPS},
        span="none",
        definition="Population standard deviation of the days from one event to the next. Of fewer than two: NaN.",
    ),
    Primitive(
        "gap_now",
        "rhythm",
        {"any": kernels.GAPS},
        span="none",
        definition="Time since the latest event by the mean gap. Of fewer than two, or all at one instant: NaN.",
    ),
    Primitive(
        "trend",
        "change",
        {"any": kernels.TREND},
        span="finite",
        definition="Events in [t − w, t) less those in [t − 2w, t − w). Of nothing: 0.",
    ),
    Primitive(
        "decay",
        "change",
        {"any": kernels.DECAY, "category": kernels.DECAY_BY},
        span="half-life",
        definition="Events ever, each worth half as much after every half-life. Of nothing: 0.",
    ),
    Primitive(
        "reply",
        "response",
        {"any": kernels.REPLY},
        span="none",
        definition="Days from our outbound event to the one in which they next spoke, inbound or answered "
        "(`leadscore.contacts`), of the latest such answer. Of several outbound before it the last one counts; an "
        "outbound one that is answered and follows none is answered at once. Without answer: NaN.",
    ),
    Primitive(
        "waiting",
        "response",
        {"any": kernels.REPLY},
        span="none",
        definition="Days to t from our first outbound event after they last spoke, in one inbound or answered. "
        "Without such: NaN.",
    ),
    Primitive(
        "last",
        "sequence",
        {"categorical": kernels.SEQUENCE},
        span="none",
        categorical=True,
        definition="Category of the latest event. Of no event: NaN; of a null value: (missing).",
    ),
    Primitive(
        "previous",
        "sequence",
        {"categorical": kernels.SEQUENCE},
        span="none",
        categorical=True,
        definition="Category of the latest event but one. Of fewer than two events: NaN.",
    ),
    Primitive(
        "first",
        "sequence",
        {"categorical": kernels.SEQUENCE},
        span="none",
        categorical=True,
        definition="Category of the earliest event. Of no event: NaN.",
    ),
    Primitive(
        "mode",
        "sequence",
        {"categorical": kernels.SEQUENCE},
        span="none",
        categorical=True,
        definition="Commonest category, of those that tie the one seen last. Of no event: NaN.",
    ),
)

EVENT_PRIMITIVES: dict[str, Primitive] = {primitive.op: primitive for primitive in _EVENT_PRIMITIVES}


RESPONSE = frozenset(primitive.op for primitive in _EVENT_PRIMITIVES if primitive.family == "response")
"""Ops that need a table with a direction."""


@dataclass(frozen=True)
class LeadPrimitive:
    """A feature of the lead or of the cutoff, computed without events; `kernel` computes it."""

    name: str
    family: str
    side: Side
    kernel: int
    definition: str


_LEAD_PRIMITIVES = (
    LeadPrimitive(
        "profile.age", "lead", "context", lead_kernels.AGE, "Days from creation to t. Without creation time: NaN."
    ),
    LeadPrimitive(
        "profile.missing",
        "lead",
        "fit",
        lead_kernels.N_MISSING,
        "Number of profile columns that are not filled in at t.",
    ),
    LeadPrimitive(
        "calendar.weekday",
        "calendar",
        "context",
        lead_kernels.WEEKDAY,
        "Local weekday of t, 0 for Monday to 6 for Sunday.",
    ),
    LeadPrimitive("calendar.hour", "calendar", "context", lead_kernels.HOUR, "Local hour of t, 0 to 23."),
    LeadPrimitive(
        "calendar.days_to_month_end",
        "calendar",
        "context",
        lead_kernels.DAYS_TO_MONTH_END,
        "Local days from t to the last day of its month, 0 on it.",
    ),
)

LEAD_PRIMITIVES: dict[str, LeadPrimitive] = {primitive.name: primitive for primitive in _LEAD_PRIMITIVES}


@dataclass(frozen=True)
class HistoryPrimitive:
    """A feature of the other leads that share an account, origin or owner with the lead, as ``owner.open_leads``.

    The others are leads with a creation time before t whose own profile, as known before t, names the same account
    (origin, owner). A lead without one has NaN. What happened to them counts if it happened and was known before t.

    Attributes
    ----------
    counts : which of the others are counted
    over : for a share: of which others, smoothed towards the share that `FeaturePlan.fit` learnt
    """

    op: str
    family: str
    counts: Tally
    definition: str
    over: Tally | None = None


_HISTORY_PRIMITIVES = (
    HistoryPrimitive(
        "win_rate",
        "company",
        "won",
        "Share won of those that were won, were lost, or have had the whole horizon, smoothed.",
        over="resolved",
    ),
    HistoryPrimitive("n_won", "company", "won", "Number of others that were won."),
    HistoryPrimitive(
        "n_resolved", "company", "resolved", "Number of others that were won, were lost, or have had the whole horizon."
    ),
    HistoryPrimitive("open_leads", "load", "open", "Number of others that were neither won nor lost."),
)

HISTORY_PRIMITIVES: dict[str, HistoryPrimitive] = {primitive.op: primitive for primitive in _HISTORY_PRIMITIVES}
SIDE_OF_ROLE: dict[str, Side] = {"account": "fit", "origin": "fit", "owner": "context"}


def family_of(name: FeatureName) -> str:
    """Return the family that a feature belongs to; profile columns are of the lead."""
    if name.scope is not None:
        return "company"
    if name.table in SIDE_OF_ROLE:
        return HISTORY_PRIMITIVES[name.op].family
    if str(name) in LEAD_PRIMITIVES:
        return LEAD_PRIMITIVES[str(name)].family
    return "lead" if name.table == "lead" else EVENT_PRIMITIVES[name.op].family


def is_of_company(name: FeatureName) -> bool:
    """Whether a feature needs other leads than the one it is of."""
    return name.scope is not None or name.table in SIDE_OF_ROLE
