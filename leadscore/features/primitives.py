"""What each feature means, edge by edge.

A primitive is declared here, computed in `kernels`, phrased in `words`, and specified by a naive loop in
tests/parity. Adding one touches those four places and nothing else.

All of them see the events with ``time < t`` and ``known < t``; a windowed one those in ``[t − w, t)``. Equal times are
ordered as `EventLog` says. Recencies are in days of 24 hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from leadscore.features import kernels

Subject = Literal["any", "category", "categorical", "numeric"]
"""What a primitive is taken of: all events of a table, those of one category, a categorical or a numeric column."""

Side = Literal["intent", "fit", "context"]


@dataclass(frozen=True)
class Primitive:
    """One declaration.

    Attributes
    ----------
    op : its word in a feature name
    subjects : what it can be taken of, and which kernel computes it for that
    windowed : whether the name ends with a window
    categorical : whether its values are categories (codes of the plan), not numbers
    definition : what it is, including of nothing
    """

    op: str
    family: str
    subjects: dict[Subject, int]
    windowed: bool
    definition: str
    categorical: bool = False


_EVENT_PRIMITIVES = (
    Primitive(
        "count",
        "how much",
        {"any": kernels.COUNT, "category": kernels.COUNT_BY},
        windowed=True,
        definition="Number of events. Of nothing: 0.",
    ),
    Primitive(
        "sum",
        "amounts",
        {"numeric": kernels.AMOUNTS},
        windowed=True,
        definition="Sum of the filled values. Of nothing: 0.",
    ),
    Primitive(
        "mean",
        "amounts",
        {"numeric": kernels.AMOUNTS},
        windowed=True,
        definition="Mean of the filled values. Of nothing: NaN.",
    ),
    Primitive(
        "min",
        "amounts",
        {"numeric": kernels.AMOUNTS},
        windowed=True,
        definition="Smallest filled value. Of nothing: NaN.",
    ),
    Primitive(
        "max",
        "amounts",
        {"numeric": kernels.AMOUNTS},
        windowed=True,
        definition="Largest filled value. Of nothing: NaN.",
    ),
    Primitive(
        "std",
        "amounts",
        {"numeric": kernels.AMOUNTS},
        windowed=True,
        definition="Population standard deviation (divisor n) of the filled values: 0 of one. Of nothing: NaN.",
    ),
    Primitive(
        "since_last",
        "when",
        {"any": kernels.RECENCY, "category": kernels.RECENCY_BY},
        windowed=False,
        definition="Days from the latest event to t, always above 0. Of nothing: NaN, never.",
    ),
    Primitive(
        "since_first",
        "when",
        {"any": kernels.RECENCY, "category": kernels.RECENCY_BY},
        windowed=False,
        definition="Days from the earliest event to t. Of nothing: NaN, never.",
    ),
    Primitive(
        "last",
        "sequence",
        {"categorical": kernels.SEQUENCE},
        windowed=False,
        categorical=True,
        definition="Category of the latest event. Of no event: NaN; of a null value: (missing).",
    ),
    Primitive(
        "previous",
        "sequence",
        {"categorical": kernels.SEQUENCE},
        windowed=False,
        categorical=True,
        definition="Category of the latest event but one. Of fewer than two events: NaN.",
    ),
    Primitive(
        "first",
        "sequence",
        {"categorical": kernels.SEQUENCE},
        windowed=False,
        categorical=True,
        definition="Category of the earliest event. Of no event: NaN.",
    ),
    Primitive(
        "mode",
        "sequence",
        {"categorical": kernels.SEQUENCE},
        windowed=False,
        categorical=True,
        definition="Commonest category, of those that tie the one seen last. Of no event: NaN.",
    ),
)

EVENT_PRIMITIVES: dict[str, Primitive] = {primitive.op: primitive for primitive in _EVENT_PRIMITIVES}


@dataclass(frozen=True)
class LeadPrimitive:
    """A feature of the lead or of the cutoff, computed without events."""

    name: str
    family: str
    side: Side
    definition: str


_LEAD_PRIMITIVES = (
    LeadPrimitive("profile.age", "lead", "context", "Days from creation to t. Without creation time: NaN."),
    LeadPrimitive("profile.missing", "lead", "fit", "Number of profile columns that are not filled in at t."),
    LeadPrimitive("calendar.weekday", "calendar", "context", "Local weekday of t, 0 for Monday to 6 for Sunday."),
    LeadPrimitive("calendar.hour", "calendar", "context", "Local hour of t, 0 to 23."),
    LeadPrimitive(
        "calendar.days_to_month_end", "calendar", "context", "Local days from t to the last day of its month, 0 on it."
    ),
)

LEAD_PRIMITIVES: dict[str, LeadPrimitive] = {primitive.name: primitive for primitive in _LEAD_PRIMITIVES}
