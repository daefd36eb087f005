"""The receipt of a change of score: what moved it between two times, in parts that add up to the whole.

One lead passes through a chain of states, each scored by the path that scores everything. A part is the difference of
two neighbours, so the parts add up exactly: in log-odds, in probability and in score.

::

    the first time                  what was visible then, under the earlier model
      → time        the same rows, seen from the second time
      → fields      and the profile as known by then
      → events      and the events that became visible in between
      → others      and what is known of other leads by then: of the company, the origin, the owner
      → model       the same under the later model

What a part is worth depends on what stands before it in the chain: new events are weighed on a lead that has aged.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from leadscore import time
from leadscore.errors import DataError
from leadscore.explain.caveats import untimely
from leadscore.explain.facts import Arrivals, Edit, arrivals, edits
from leadscore.explain.moves import Explained, moves_between, moves_of_models
from leadscore.explain.parts import Part, Receipt, State
from leadscore.explain.reasons import Reasons
from leadscore.explain.states import Moment, lead_at
from leadscore.features.plan import FeaturePlan
from leadscore.tables import Cutoffs, Data


class Scoring(Protocol):
    """What a receipt asks of a scorer."""

    plan: FeaturePlan
    reasons: Reasons
    version: str | None

    @property
    def horizon(self) -> str | None:
        """The horizon of the probability."""
        ...

    @property
    def model(self) -> Any:
        """What adds up the effects."""
        ...

    def score_rows(self, data: Data, asked: Cutoffs, *, n_reasons: int, given: Any = None) -> Any:
        """Score leads at cutoffs."""
        ...


def receipt(
    data: Data,
    lead_id: str,
    *,
    from_: str | dt.datetime | int,
    to: str | dt.datetime | int,
    model_before: Scoring,
    model_after: Scoring,
) -> Receipt:
    """Split the change of a lead's score exactly, see the module.

    Parameters
    ----------
    from_, to : instants, `from_` the earlier (text without time zone is local to the project; an int is UTC
        microseconds). What happened exactly at `from_` is new, what happens exactly at `to` isn't there yet
    model_before, model_after : the models at the two times; the part ``model`` is there where they are two

    Raises
    ------
    DataError
        If the lead is unknown, was not created or was already won or lost at `from_`, if a time can't be read or
        `from_` isn't before `to`, or if the project is a list without times.
    PlanError
        If the data have another schema than a model.

    Cost: the lead's own rows; what other leads have in common is made once for `data`, when first asked for.
    """
    times = _times(data, from_, to)
    lead = _open_lead(data, lead_id, times[0])
    found_edits = edits(data, lead, *times)
    steps = _Chain(model_before, data, lead, times)
    parts = steps.parts(found_edits, arrivals(data, lead, *times))
    warnings = [*steps.warnings(0)]
    if model_after is not model_before:
        later = _Chain(model_after, data, lead, times, last_only=True)
        parts.append(_of_models(steps, later))
        warnings += later.warnings(-1)
        if model_after.horizon != model_before.horizon:
            warnings.append(f"the models look ahead {model_before.horizon} and {model_after.horizon}: not comparable")
    else:
        warnings += steps.warnings(-1)
    warnings += untimely(data, lead, times[1])
    return Receipt(
        lead_id=str(data.leads.ids[lead]),
        horizon=model_after.horizon,
        timezone=data.project.timezone,
        parts=tuple(parts),
        warnings=tuple(dict.fromkeys(warnings)),
    )


class _Chain:
    """The states of one lead under one model: all five, or the last one alone."""

    def __init__(
        self, scorer: Scoring, data: Data, lead: int, times: tuple[int, int], *, last_only: bool = False
    ) -> None:
        first, then = times
        asked = Cutoffs(np.array([lead, lead]), np.array(times, dtype=np.int64))
        context = scorer.plan.context(data, asked)
        moments = [
            Moment(first, first, first, context[0]),
            Moment(then, first, first, context[0]),
            Moment(then, first, then, context[0]),
            Moment(then, then, then, context[0]),
            Moment(then, then, then, context[1]),
        ]
        moments = moments[-1:] if last_only else moments
        tables, cutoffs = lead_at(data, lead, moments)
        scores = scorer.score_rows(tables, cutoffs, n_reasons=0, given=[moment.context for moment in moments])
        matrix = scorer.plan.transform(tables, cutoffs)
        self.explained = Explained(scorer.reasons, matrix, scorer.model.contributions(matrix))
        self._scores, self._data = scores, data
        self.states = [
            State(
                at=moment.at,
                probability=float(scores.probability[row]),
                score=int(scores.score[row]),
                grade=scores.grade[row],
                margin=float(scores.margin[row]),
                model_version=scorer.version,
            )
            for row, moment in enumerate(moments)
        ]

    def warnings(self, row: int) -> list[str]:
        """Return what a reader of one state's score should know."""
        return list(self._scores.warnings[row])

    def parts(self, found: Sequence[Edit], events: tuple[Arrivals, ...]) -> list[Part]:
        """Return the parts under this model."""
        spec = self._data.project.leads
        columns = (*spec.categorical, *spec.numeric)
        own = tuple(edit for edit in found if edit.field in columns)
        plan = self.explained.plan
        named = {plan.features[column].scope or plan.features[column].table for column in plan.company}
        roles = tuple(role for role in spec.roles if role in named)
        belongs = tuple(edit for edit in found if edit.field in {spec.roles[role] for role in roles})
        told: list[dict[str, Any]] = [
            {"kind": "time"},
            {"kind": "fields", "edits": own, "note": None if own else self._no_edit()},
            {"kind": "events", "events": events, "note": None if events else "no new event"},
            {"kind": "others", "edits": belongs, "roles": roles,
             "note": None if roles else "the model asks for nothing of other leads"},
        ]  # fmt: skip
        neighbours = enumerate(pairwise(self.states))
        return [
            Part(before=before, after=after, moves=moves_between(self.explained, row, row + 1), **told[row])
            for row, (before, after) in neighbours
        ]

    def _no_edit(self) -> str:
        if self._data.project.leads.known is None:
            return "profiles carry no versions, so an edit can't be seen"
        return "no field was edited"


def _of_models(earlier: _Chain, later: _Chain) -> Part:
    moves = moves_of_models(earlier.explained, later.explained)
    same = earlier.states[-1].margin == later.states[-1].margin and not moves
    note = "both models say the same of this lead" if same else None
    return Part("model", earlier.states[-1], later.states[-1], moves=moves, note=note)


def _times(data: Data, from_: str | dt.datetime | int, to: str | dt.datetime | int) -> tuple[int, int]:
    if not data.project.timed:
        raise DataError("a receipt compares two times, and this project is a list without them")
    first, then = (_instant(moment, data.project.timezone) for moment in (from_, to))
    if first >= then:
        raise DataError(
            f"a receipt goes forward in time; found from {time.format_instant(first)} to {time.format_instant(then)}. "
            "Give the earlier time as from"
        )
    return first, then


def _instant(moment: str | dt.datetime | int, timezone: str) -> int:
    if isinstance(moment, int):
        return moment
    try:
        return time.parse_instant(moment, timezone)
    except ValueError as error:
        raise DataError(f"'{moment}' is {error}") from None


def _open_lead(data: Data, lead_id: str, at: int) -> int:
    """Find the lead, and refuse it where its score at the first time would be no forecast."""
    lead = int(data.leads.find([lead_id])[0])
    if lead < 0:
        raise DataError(f"there is no lead {lead_id!r} in [leads]")
    created, outcomes = int(data.leads.created[lead]), data.outcomes
    when = time.format_instant(at)
    if created == time.NEVER:
        raise DataError(f"nobody knows when lead {lead_id!r} was created, so it has no score to compare with")
    if created > at:
        raise DataError(
            f"lead {lead_id!r} was not there yet at {when}: it was created at {time.format_instant(created)}. "
            "Begin then, or later"
        )
    for word, closed_at in (("won", int(outcomes.won_at[lead])), ("lost", int(outcomes.lost_at[lead]))):
        if time.NEVER < closed_at < at:
            raise DataError(
                f"lead {lead_id!r} was {word} at {time.format_instant(closed_at)}, before {when}: nothing was left to "
                "forecast. Ask about times before that"
            )
    return lead
