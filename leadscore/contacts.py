"""Who spoke to whom: the one definition of a contact that features, reports and pages share.

An event of a table with a direction went out from us or came in from the lead. Where the table says that it was
answered (`leadscore.answered`), both spoke, whoever began: it ends our wait for them and theirs for us. A table that
has no such column is taken by its direction alone: what goes out then waits for what comes in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadscore.answered import NO, UNSAID, YES, Answered
from leadscore.direction import ANSWERED, INBOUND, NEITHER, OUTBOUND
from leadscore.eventlog import EventLog
from leadscore.project import EventsSpec

FROM_US = OUTBOUND | ANSWERED
FROM_THEM = INBOUND | ANSWERED
"""Events in which we spoke, and in which they did: ``side & FROM_US``."""

Sides = NDArray[np.int8]


def side_of(spec: EventsSpec, event: Mapping[str, Any]) -> int:
    """Return the side of one event, by column: `OUTBOUND`, `INBOUND` or `NEITHER`, with `ANSWERED` where both spoke.

    Without a direction: `NEITHER`. A column that is null or missing says nothing.
    """
    direction = spec.direction
    if direction is None:
        return NEITHER
    side = direction.of(str(event.get(direction.column) or ""))
    answered = direction.answered
    if answered is None or side == NEITHER:
        return side
    outcome = None if answered.column is None else event.get(answered.column)
    length = None if answered.duration is None else event.get(answered.duration)
    told = UNSAID if outcome is None else answered.says(str(outcome))
    return side | ANSWERED if _spoke(told, length is not None and float(length) > 0) else side


def sides(spec: EventsSpec, log: EventLog) -> Sides:
    """Return `side_of` of every event of a table, int8 (n_events,)."""
    direction = spec.direction
    if direction is None:
        return np.zeros(log.n_events, dtype=np.int8)
    column = spec.categorical.index(direction.column)
    side: Sides = _of_words([*map(direction.of, log.vocabularies[column]), NEITHER])[log.codes[column]]
    if direction.answered is None:
        return side
    told, lasted = _told(spec, direction.answered, log)
    side[(side != NEITHER) & _spoke(told, lasted)] |= ANSWERED
    return side


def _told(spec: EventsSpec, answered: Answered, log: EventLog) -> tuple[Any, Any]:
    """What the outcome of every event says, and whether it lasted; a scalar where the table has no such column."""
    told: Any = UNSAID
    if answered.column is not None:
        column = spec.categorical.index(answered.column)
        told = _of_words([*map(answered.says, log.vocabularies[column]), UNSAID])[log.codes[column]]
    lasted = answered.duration is not None and log.values[spec.numeric.index(answered.duration)] > 0
    return told, lasted


def _spoke(told: Any, lasted: Any) -> Any:
    """Whether both spoke, of one event or of many: an outcome says so, or says nothing beside a length above 0."""
    return (told == YES) | ((told != NO) & lasted)


def _of_words(found: list[int]) -> Sides:
    """What words say, by code; the last stands for null, whose code is −1."""
    return np.array(found, dtype=np.int8)
