"""Who changes grade if the challenger takes over, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import leadscore as ls
from leadscore import time
from leadscore.evaluate.capacity import at_capacity
from leadscore.explain.reasons import Reasons
from leadscore.features.words import Words
from leadscore.snapshots import open_leads
from leadscore.tables import Cutoffs

GRADES = ("A", "B", "C", "D")
MOST_EXAMPLES = 10
MOST_EXPLAINED = 4
_WORTH_SAYING = 0.02


@dataclass(frozen=True)
class Flip:
    """A lead that changes grade: its scores then and now, and what moved it, largest first, in log-odds."""

    lead_id: str
    grades: tuple[str, str]
    scores: tuple[int, int]
    probabilities: tuple[float, float]
    why: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Flips:
    """All open leads as both models grade them.

    Attributes
    ----------
    as_of : UTC microseconds, None in a list without times
    matrix : champion's grade → challenger's grade → how many leads
    moved : the leads whose score moves most among those that change grade
    overlap : share of the champion's list that stays on the challenger's
    expected : wins to expect on the list, by champion and challenger
    """

    as_of: int | None
    n: int
    n_listed: int
    matrix: Mapping[str, Mapping[str, int]]
    moved: tuple[Flip, ...]
    overlap: float
    expected: tuple[float, float]

    @property
    def n_changed(self) -> int:
        """Leads that change grade."""
        return self.n - sum(self.matrix[grade][grade] for grade in GRADES)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values, ids of leads included: for the user's own terminal."""
        return self.summary() | {"moved": [_plain(flip) for flip in self.moved]}

    def summary(self) -> dict[str, Any]:
        """Counts alone, without a lead: what is kept in the trail."""
        return {
            "as_of": None if self.as_of is None else time.format_instant(self.as_of),
            "n_open": self.n,
            "n_changed": self.n_changed,
            "matrix": {grade: dict(row) for grade, row in self.matrix.items()},
            "n_listed": self.n_listed,
            "overlap": self.overlap,
            "expected_wins": {"champion": self.expected[0], "challenger": self.expected[1]},
        }


def _plain(flip: Flip) -> dict[str, Any]:
    return {
        "lead_id": flip.lead_id,
        "grade": list(flip.grades),
        "score": list(flip.scores),
        "probability": list(flip.probabilities),
        "why": [{"what": what, "effect": effect} for what, effect in flip.why],
    }


def flips(champion: ls.LeadScorer, challenger: ls.LeadScorer, data: ls.Data, *, share: float) -> Flips | None:
    """Grade every open lead by both models; None where none is open.

    Parameters
    ----------
    share : of the open leads that sellers work
    """
    as_of = data.observed_until if data.project.timed else None
    asked = open_leads(data, time.FOREVER if as_of is None else as_of)
    if len(asked) == 0:
        return None
    old, new = (model.score_rows(data, asked, n_reasons=0) for model in (champion, challenger))
    counts = {one: dict.fromkeys(GRADES, 0) for one in GRADES}
    for pair in zip(old.grade, new.grade, strict=True):
        counts[pair[0]][pair[1]] += 1
    n_listed = max(1, round(share * len(asked)))
    lists = [set(np.argsort(-scores.margin, kind="stable")[:n_listed].tolist()) for scores in (old, new)]
    changed = np.array([one != other for one, other in zip(old.grade, new.grade, strict=True)])
    moved = np.abs(new.score - old.score) * changed
    largest = [int(row) for row in np.argsort(-moved, kind="stable")[:MOST_EXAMPLES] if changed[row]]
    why = _why(champion, challenger, data, Cutoffs(asked.lead[largest], asked.at[largest]))
    return Flips(
        as_of=as_of,
        n=len(asked),
        n_listed=n_listed,
        matrix=counts,
        moved=tuple(
            Flip(
                lead_id=str(old.lead_ids[row]),
                grades=(old.grade[row], new.grade[row]),
                scores=(int(old.score[row]), int(new.score[row])),
                probabilities=(float(old.probability[row]), float(new.probability[row])),
                why=reasons,
            )
            for row, reasons in zip(largest, why, strict=True)
        ),
        overlap=len(lists[0] & lists[1]) / n_listed,
        expected=tuple(at_capacity(scores.probability, n_listed).expected for scores in (old, new)),  # type: ignore[arg-type]
    )


def _why(
    champion: ls.LeadScorer, challenger: ls.LeadScorer, data: ls.Data, asked: Cutoffs
) -> list[tuple[tuple[str, float], ...]]:
    """Per lead, the groups of features whose effect differs most between the models, challenger less champion."""
    words = challenger.reasons.words  # one for both: else the same group may have two names
    old, new = (_effects(model, words, data, asked) for model in (champion, challenger))
    nothing = np.zeros(len(asked))
    names = list(dict.fromkeys([*old, *new]))
    differences = {name: new.get(name, nothing) - old.get(name, nothing) for name in names}
    found = []
    for row in range(len(asked)):
        ranked = sorted(names, key=lambda name: -abs(differences[name][row]))[:MOST_EXPLAINED]
        told = [(name, float(differences[name][row])) for name in ranked]
        found.append(tuple((name, effect) for name, effect in told if abs(effect) >= _WORTH_SAYING))
    return found


def _effects(model: ls.LeadScorer, words: Words, data: ls.Data, asked: Cutoffs) -> dict[str, NDArray[np.float64]]:
    """By group of features in words, the effect on each lead, in log-odds."""
    reasons = Reasons(model.plan, words)
    groups = reasons.group_effects(model.model.contributions(model.plan.transform(data, asked)))
    return reasons.by_name(groups)
