"""Who spoke to whom: the one definition of a contact that features, reports and pages share.

An event of a table with a direction went out from us or came in from the lead. Where the table says that it was
answered (`leadscore.answered`), both spoke, whoever began: it ends our wait for them and theirs for us. A table that
has no such column is taken by its direction alone: what goes out then waits for what comes in. One without a direction,
which ``[sla] sales`` may name, holds what sales did: all of it went out.

What marketing sends to many is no contact (`is_bulk`). Nor is what a lead does in a table of marketing, unless it asks
for us there (`waiting_since`): features and reports take no notice of that, a seller must.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from leadscore.answered import UNSAID, Answered, plain
from leadscore.columns import number_value
from leadscore.direction import ANSWERED, INBOUND, NEITHER, OUTBOUND, Direction
from leadscore.eventlog import EventLog
from leadscore.phrases.catalogue import KIND_COLUMNS
from leadscore.project import EventsSpec, Project
from leadscore.time import FOREVER, NEVER, Instants

FROM_US = OUTBOUND | ANSWERED
FROM_THEM = INBOUND | ANSWERED
"""Events in which we spoke, and in which they did: ``side & FROM_US``."""

_SENT = ("sent", "delivered", "processed", "deferred", "dropped", "bounced", "bounce", "impression", "served", "shown")
"""Kinds of events that a sender's or an ad's machine reports: nobody wrote, and nobody read."""
_ASKED = (
    *("contact", "contact form", "contact us", "contact sales", "talk to sales", "inquiry", "enquiry"),
    *("callback", "call back", "call me back", "request", "reply", "replied", "email reply", "email replied"),
    *("chat", "live chat", "chat started", "book demo", "demo booked", "book meeting", "meeting booked"),
)
"""Kinds of events in which a lead asks somebody of ours for a word; others end with ``request`` or begin with it."""

Sides = NDArray[np.int8]
_LONG = 1_000
"""Events of a table from which on their sides are remembered: lists are scored slice by slice."""


def sales_tables(project: Project) -> tuple[str, ...]:
    """Return the event tables in which sales responds: those of ``[sla] sales``, else those that state a direction."""
    return project.sla.sales or tuple(spec.name for spec in project.events if spec.direction is not None)


def is_bulk(project: Project, spec: EventsSpec, event: Mapping[str, Any]) -> bool:
    """Whether an event, by column, is mail or advertising that we sent to many.

    No table of sales holds such. Elsewhere it is what went out by its direction, or without a direction what a column
    of kinds (`leadscore.phrases.catalogue.KIND_COLUMNS`) calls ``sent``, ``email_sent``, ``delivered`` and the like.
    """
    if spec.name in sales_tables(project):
        return False
    if spec.direction is not None:
        return side_of(spec, event) == OUTBOUND
    return any(kind.rpartition(" ")[2] in _SENT for kind in _kinds(spec, event))


def _kinds(spec: EventsSpec, event: Mapping[str, Any]) -> list[str]:
    """What the columns of kinds say of an event, in plain words."""
    return [plain(str(event.get(name) or "")) for name in spec.categorical if name.lower() in KIND_COLUMNS]


def _asks(word: str) -> int:
    """Whether a kind of event is a lead that wants to be called or written to; a download or a visit asks nobody."""
    kind = plain(word)
    return kind in _ASKED or kind.endswith((" request", " requested")) or kind.startswith("request ")


def side_of(spec: EventsSpec, event: Mapping[str, Any]) -> int:
    """Return the side of one event, by column: `OUTBOUND`, `INBOUND` or `NEITHER`, with `ANSWERED` where both spoke.

    Without a direction: `OUTBOUND`. A column that is null or missing says nothing, nor does a length that is no number.
    """
    direction = spec.direction
    if direction is None:
        return OUTBOUND
    side = direction.of(str(event.get(direction.column) or ""))
    answered = direction.answered
    if answered is None or side == NEITHER:
        return side
    outcome = None if answered.column is None else event.get(answered.column)
    length = number_value(None if answered.duration is None else event.get(answered.duration))
    told = UNSAID if outcome is None else answered.says(str(outcome))
    return side | ANSWERED if _spoke(told, length > 0) else side


def sides(spec: EventsSpec, log: EventLog) -> Sides:
    """Return `side_of` of every event of a table, int8 (n_events,); those of a long one are remembered with it."""
    direction = spec.direction
    if direction is None:
        return np.full(log.n_events, OUTBOUND, dtype=np.int8)
    if log.n_events < _LONG:
        return _sides(spec, direction, log)
    if direction not in log.sides:
        log.sides[direction] = _sides(spec, direction, log)
    return log.sides[direction]


def waiting_since(
    project: Project, logs: Mapping[str, EventLog], lead: NDArray[np.int64], at: Instants, created: Instants
) -> Instants:
    """Return since when leads wait for us as of instants, UTC microseconds (n,); `NEVER` for who doesn't.

    Since the first word of a lead that came after our last, or since its creation if neither spoke; where no table says
    what sales did, nobody waits. What was answered when it happened needs no other answer. Where sales has no part in a
    table, a lead that asks for us there has spoken: ``demo_request``, ``contact_form``, ``chat``, ``request_quote`` and
    the like in a column of kinds.

    Parameters
    ----------
    lead, at, created : (n,), which leads, as of when, and when each was created (`NEVER` if nobody knows); what counts
        happened, and was known, before `at`
    """
    sales = sales_tables(project)
    if not sales:
        return np.full(len(lead), NEVER, dtype=np.int64)
    spoke = [(log, _speakers(spec, log, sales)) for spec, log in ((spec, logs[spec.name]) for spec in project.events)]
    ours, theirs = np.full(len(lead), NEVER, dtype=np.int64), np.full(len(lead), FOREVER, dtype=np.int64)
    for log, side in spoke:
        _last_from_us(lead, at, log.offsets, log.time, log.known, side, ours)
    for log, side in spoke:
        _first_from_them(lead, at, log.offsets, log.time, log.known, side, ours, theirs)
    return np.where(theirs != FOREVER, theirs, np.where(ours == NEVER, created, NEVER))


def _speakers(spec: EventsSpec, log: EventLog, sales: Collection[str]) -> Sides:
    if spec.name in sales:
        return sides(spec, log)
    asks = np.zeros(log.n_events, dtype=np.int8)
    if spec.direction is None:
        for position, name in enumerate(spec.categorical):
            if name.lower() in KIND_COLUMNS:
                asks |= _of_words(_asks, log.vocabularies[position])[log.codes[position]]
    return asks * np.int8(INBOUND)


@njit(nogil=True, cache=True)
def _last_from_us(lead, at, offsets, time, known, side, last):  # type: ignore[no-untyped-def]
    """Raise `last` to the last visible event of each lead in which we spoke."""
    for i in range(len(lead)):
        for j in range(offsets[lead[i]], offsets[lead[i] + 1]):
            if side[j] & FROM_US and time[j] < at[i] and known[j] < at[i]:
                last[i] = max(last[i], time[j])


@njit(nogil=True, cache=True)
def _first_from_them(lead, at, offsets, time, known, side, after, first):  # type: ignore[no-untyped-def]
    """Lower `first` to the first visible event of each lead, later than `after`, in which it spoke."""
    for i in range(len(lead)):
        for j in range(offsets[lead[i]], offsets[lead[i] + 1]):
            if side[j] & FROM_THEM and after[i] < time[j] < at[i] and known[j] < at[i]:
                first[i] = min(first[i], time[j])


def _sides(spec: EventsSpec, direction: Direction, log: EventLog) -> Sides:
    column = spec.categorical.index(direction.column)
    side: Sides = _of_words(direction.of, log.vocabularies[column])[log.codes[column]]
    if direction.answered is not None:
        _join_answered(side, *_told(spec, direction.answered, log))
    return side


def _told(
    spec: EventsSpec, answered: Answered, log: EventLog
) -> tuple[NDArray[np.int8], NDArray[np.int32], NDArray[np.float64]]:
    """What each word of the outcome says, null last, and of every event the word and the length.

    Where the table has no such column, as of a word that says nothing, and of a length that is not known.
    """
    if answered.column is None:
        says, codes = np.full(1, UNSAID, dtype=np.int8), np.full(log.n_events, -1, dtype=np.int32)
    else:
        column = spec.categorical.index(answered.column)
        says, codes = _of_words(answered.says, log.vocabularies[column]), log.codes[column]
    if answered.duration is None:
        return says, codes, np.full(log.n_events, np.nan)
    return says, codes, log.values[spec.numeric.index(answered.duration)]


def _spoke(told: int, lasted: bool) -> bool:
    """Whether both spoke: an outcome says so (1), or (0, not −1) a length above 0."""
    return told + lasted > 0


_answered = cast("Callable[[int, bool], bool]", njit(nogil=True, cache=True)(_spoke))


@njit(nogil=True, cache=True)
def _join_answered(side, says, codes, lengths):  # type: ignore[no-untyped-def]
    """Add to the side of each event that the other side spoke as well, where it did."""
    for event in range(len(side)):
        if side[event] != NEITHER and _answered(says[codes[event]], lengths[event] > 0):
            side[event] |= ANSWERED


@lru_cache(maxsize=1_024)
def _of_words(says: Callable[[str], int], words: tuple[str, ...]) -> Sides:
    """What words say, by code, and last what null does, whose code is −1: `NEITHER` or `UNSAID`, which are 0 both."""
    return np.array([*map(says, words), 0], dtype=np.int8)
