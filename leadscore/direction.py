"""Which events went out from us and which came in from the lead: declared, or recognised as CRM exports write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from leadscore import answered
from leadscore.answered import Answered, plain
from leadscore.section import Section

NEITHER, OUTBOUND, INBOUND = range(3)
ANSWERED = 4
"""Beside the side of an event: both spoke, whoever began (`leadscore.contacts`)."""

_COLUMNS = (
    *("direction", "call direction", "email direction", "message direction", "engagement direction"),
    *("hs call direction", "hs email direction", "call type", "calltype", "directioncode", "incoming", "is incoming"),
    *("inbound", "is inbound", "outbound", "is outbound", "outgoing", "is outgoing"),
)
"""Columns that state a direction, as HubSpot, Salesforce, Dynamics, Zoho, Close and plain exports name them."""
_OUTBOUND = ("outbound", "outgoing", "out", "sent", "outbound api", "outbound dial", "email", "us to them")
_INBOUND = ("inbound", "incoming", "in", "received", "incoming email", "them to us")
_YES, _NO = ("true", "1", "yes", "1 0"), ("false", "0", "no", "0 0")


@dataclass(frozen=True)
class Direction:
    """A categorical column and the words in it that mean outbound and inbound; every other word means neither.

    `answered` is how the table says that both spoke; None where it doesn't.
    """

    column: str
    outbound: tuple[str, ...]
    inbound: tuple[str, ...]
    answered: Answered | None = None

    def of(self, word: str) -> int:
        """Return `OUTBOUND`, `INBOUND` or `NEITHER`; case, blanks and punctuation don't matter."""
        found = plain(word)
        return OUTBOUND if found in self.outbound else INBOUND if found in self.inbound else NEITHER

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """Rebuild it from `to_dict`."""
        told = raw.get("answered")
        found = None if told is None else Answered.from_dict(told)
        return cls(raw["column"], tuple(raw["outbound"]), tuple(raw["inbound"]), found)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        sides = {"column": self.column, "outbound": list(self.outbound), "inbound": list(self.inbound)}
        return sides if self.answered is None else sides | {"answered": self.answered.to_dict()}


def recognised(categorical: Sequence[str]) -> Direction | None:
    """Return the direction that a table's own column names give away, None if none does."""
    column = next((column for column in categorical if plain(column) in _COLUMNS), None)
    return None if column is None else _with_usual_words(column)


def declared(section: Section, categorical: Sequence[str], numeric: Sequence[str] = ()) -> Direction | None:
    """Read ``direction = "column"`` or ``direction = { column = …, outbound = […], inbound = […] }``, if it is there.

    And with it ``answered``, see `leadscore.answered.declared`.

    Raises
    ------
    ProjectError
        If the column isn't listed as categorical, a list is empty, a word means both, or `answered` has no direction.
    """
    found = _sides(section, categorical)
    if found is None:
        if "answered" in section.raw:
            raise section.fail('says what was answered, and not who began; add direction = "…" as well')
        return None
    return replace(found, answered=answered.declared(section, categorical, numeric))


def _sides(section: Section, categorical: Sequence[str]) -> Direction | None:
    raw = section.raw.get("direction")
    if raw is None:
        return recognised(categorical)
    if isinstance(raw, str):
        column, found = section.required("direction"), _with_usual_words(raw)
    else:
        inner = Section(raw, f"{section.where}.direction", "column outbound inbound")
        column = inner.required("column")
        outbound, inbound = (tuple(plain(word) for word in inner.texts(side)) for side in ("outbound", "inbound"))
        if not outbound or not inbound:
            raise inner.fail('needs both, as in outbound = ["sent"], inbound = ["received"]: replies need two sides')
        both = sorted(set(outbound) & set(inbound))
        if both:
            raise inner.fail(f"counts {both[0]!r} as outbound and as inbound; keep it in one")
        found = Direction(column, outbound, inbound)
    if column not in categorical:
        raise section.fail(f"takes its direction from {column!r}; list that column under categorical as well")
    return found


def _with_usual_words(column: str) -> Direction:
    """Return the words for a column of words, or for a yes-or-no column such as ``is_inbound``."""
    name = plain(column)
    if name == "directioncode" or name.endswith(("outbound", "outgoing")):
        return Direction(column, (*_YES, *_OUTBOUND), (*_NO, *_INBOUND))
    if name.endswith(("inbound", "incoming")):
        return Direction(column, (*_NO, *_OUTBOUND), (*_YES, *_INBOUND))
    return Direction(column, _OUTBOUND, _INBOUND)
