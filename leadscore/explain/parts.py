"""What a receipt is made of: states of one lead, the parts between neighbours, and the whole."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from leadscore import time
from leadscore.explain.facts import Arrivals, Edit
from leadscore.explain.moves import Move

Kind = Literal["time", "fields", "events", "others", "model"]


@dataclass(frozen=True)
class State:
    """A score of the chain; `at` is its cutoff in UTC microseconds, `margin` in log-odds."""

    at: int
    probability: float
    score: int
    grade: str
    margin: float
    model_version: str | None

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        return {"as_of": time.format_instant(self.at), **{k: v for k, v in asdict(self).items() if k != "at"}}


@dataclass(frozen=True)
class Part:
    """One step of the chain: what changed, and what that did.

    Attributes
    ----------
    kind : time, fields, events, others or model
    before, after : the neighbouring states
    edits : the fields that were edited; of `others`, those that say whose leads the others are
    events : of `events`, what became visible, by kind
    moves : the groups of features whose effect changed, largest first; they add up to the change of margin
    roles : of `others`, whose leads they are: account, origin, owner
    note : why the part is empty, None where it isn't
    """

    kind: Kind
    before: State
    after: State
    edits: tuple[Edit, ...] = ()
    events: tuple[Arrivals, ...] = ()
    moves: tuple[Move, ...] = ()
    roles: tuple[str, ...] = ()
    note: str | None = None

    @property
    def margin(self) -> float:
        """By how much it moved the margin, in log-odds."""
        return self.after.margin - self.before.margin

    @property
    def probability(self) -> float:
        """By how much it moved the probability."""
        return self.after.probability - self.before.probability

    @property
    def score(self) -> int:
        """By how many points it moved the score."""
        return self.after.score - self.before.score

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        return {
            "part": self.kind,
            "probability": self.probability,
            "score": self.score,
            "margin": self.margin,
            "after": self.after.to_dict(),
            "edits": [edit.to_dict() for edit in self.edits],
            "events": [kind.to_dict() for kind in self.events],
            "moves": [move.to_dict() for move in self.moves],
            "roles": list(self.roles),
            "note": self.note,
        }


@dataclass(frozen=True)
class Receipt:
    """What moved the score of a lead between two times; `parts` in the order of the chain, `timezone` its project's."""

    lead_id: str
    horizon: str | None
    timezone: str
    parts: tuple[Part, ...]
    warnings: tuple[str, ...]

    @property
    def before(self) -> State:
        """The score at the first time, under the earlier model."""
        return self.parts[0].before

    @property
    def after(self) -> State:
        """The score at the second time, under the later model."""
        return self.parts[-1].after

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        return {
            "lead_id": self.lead_id,
            "horizon": self.horizon,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "parts": [part.to_dict() for part in self.parts],
            "warnings": list(self.warnings),
        }
