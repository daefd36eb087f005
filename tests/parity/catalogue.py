"""Every kind of feature there is, read off what the library registers, and the names to prove each of them with.

A kind is (whose, op, of what). Adding a primitive adds its kinds, and with them an obligation to every proof.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadscore.features.names import FeatureName
from leadscore.features.primitives import EVENT_PRIMITIVES, HISTORY_PRIMITIVES, LEAD_PRIMITIVES
from tests.parity import streams

OF_NO_ACCOUNT = {"last", "previous", "first", "mode", "reply", "waiting"}
"""Ops that say nothing of a crowd: the account's other leads have no last category, and nobody answers for them."""
ENDINGS: dict[str, list[str | None]] = {
    "none": [None],
    "window": list(streams.WINDOWS),
    "finite": [window for window, length in streams.WINDOWS.items() if length],
    "half-life": list(streams.HALF_LIVES),
}
"""What may end a name, by the primitive's span."""
WORDS = {
    "channel": ["email", "a.b=c%d"],
    "campaign": ["c00", "c01", "c44"],
    "kind": ["call", "never said"],
    "direction": ["inbound"],
}


class Kind(NamedTuple):
    """``("lead", "count", "category")``, ``("account", "decay", "any")``, ``("history", "n_won", "owner")``."""

    whose: str
    op: str
    of: str

    def __str__(self) -> str:
        return f"{self.whose}: {self.op} of {self.of}" if self.of else f"{self.whose}: {self.op}"


EVENT_KINDS = [
    Kind(whose, op, subject)
    for whose in ("lead", "account")
    for op, primitive in EVENT_PRIMITIVES.items()
    for subject in primitive.subjects
    if whose == "lead" or op not in OF_NO_ACCOUNT
]
HISTORY_KINDS = [Kind("history", op, role) for op in HISTORY_PRIMITIVES for role in streams.ROLES]
PROFILE_KINDS = [Kind("profile", "value", kind) for kind in streams.PROFILE]
LEAD_KINDS = [Kind(*name.split("."), "") for name in LEAD_PRIMITIVES]
KINDS = [*EVENT_KINDS, *HISTORY_KINDS, *PROFILE_KINDS, *LEAD_KINDS]


def names_of(kind: Kind) -> list[str]:
    if kind.whose == "history":
        return [f"{kind.of}.{kind.op}"]
    if kind in PROFILE_KINDS:
        return [f"lead.{column}" for column in streams.PROFILE[kind.of]]
    if kind in LEAD_KINDS:
        return [f"{kind.whose}.{kind.op}"]
    scope = "account" if kind.whose == "account" else None
    return [
        str(FeatureName(table, kind.op, column, category, ending, scope))
        for table in streams.COLUMNS
        for column, category in _subjects(table, kind.of)
        for ending in ENDINGS[EVENT_PRIMITIVES[kind.op].span]
    ]


def _subjects(table: str, subject: str) -> Iterable[tuple[str | None, str | None]]:
    columns = streams.COLUMNS[table]
    if subject == "any":
        return [(None, None)]
    if subject in columns:
        return [(column, None) for column in columns[subject]]
    return [(c, word) for c in columns["categorical"] for word in [*WORDS[c], "(other)", "(missing)"]]


NAMES = [name for kind in KINDS for name in names_of(kind)]
KIND_OF = {name: kind for kind in KINDS for name in names_of(kind)}


def company(name: str) -> bool:
    """Whether a feature is of other leads, so that one lead alone can't have it."""
    return KIND_OF[name].whose in ("account", "history")


def telling(names: Sequence[str], cells: NDArray[np.float64]) -> frozenset[Kind]:
    """Kinds of which at least one cell is neither 0 nor NaN; `cells` is (rows, names)."""
    columns = (np.isfinite(cells) & (cells != 0)).any(axis=0)
    return frozenset(KIND_OF[name] for name in itertools.compress(names, columns))
