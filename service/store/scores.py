"""The scores said so far: the latest of every open lead, and every one that differed from the one before it."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, func, or_, select

from service.store.arrivals import ACCEPT, REJECT
from service.store.database import Database
from service.store.outbox import Outbox
from service.store.schema import history, scores, verdicts
from service.store.shared import LIST_CHANGES, count_change

RESCORED = "rescored"
"""The mark of when all open leads were last scored, UTC microseconds; 0 until a round that has begun is done."""
CHUNK = 500
MOST_WORDS = 300
"""Characters that a lead is searched by; they stand in an index, where PostgreSQL takes 2,700 bytes."""


@dataclass(frozen=True)
class Said:
    """One score to be kept: the record, and what the list is filtered, searched (`searchable`) and ranked by.

    `waits` is since when the lead waits for us, UTC microseconds, None if it doesn't.
    """

    record: Mapping[str, Any]
    as_of: int
    margin: float
    created: int
    origin: str | None
    owner: str | None
    words: str
    waits: int | None


def searchable(texts: Iterable[str | None]) -> str:
    """Return texts that a lead is found by, the most telling first, as one that is searched without regard to case."""
    told = dict.fromkeys(text.casefold() for text in texts if text)
    return "\n".join(told).replace("\0", "")[:MOST_WORDS]


BEST, WAITING = ORDERS = ("score", "waiting")


@dataclass(frozen=True)
class ListQuery:
    """Which part of the call list is asked for; None filters nothing. `created` bounds are UTC microseconds.

    `search` is a part of the lead's id, account, owner or of a categorical field, in any case. `verdict` is one of
    `JUDGED`; None asks for whatever was said of a lead. `order` is one of `ORDERS`: the best first, or who waits
    for us, the longest first, and nobody else.
    """

    grades: tuple[str, ...] = ()
    origin: str | None = None
    owner: str | None = None
    search: str | None = None
    verdict: str | None = None
    created_from: int | None = None
    created_before: int | None = None
    order: str = BEST
    limit: int = 50
    after: tuple[float, str] | None = None


UNJUDGED, UNREJECTED = "none", "open"
JUDGED = (ACCEPT, REJECT, UNJUDGED, UNREJECTED)
"""What leads can be asked for by: what was said of them last, nothing, or anything but a rejection."""
EVERYBODY = "any"
VERDICT_WORDS = (UNJUDGED, ACCEPT, REJECT, EVERYBODY)
"""What a request may ask for; without a word leads that nobody rejected: it is a list to call."""


def verdict_asked(word: str | None) -> str | None:
    """Return what a request's word, None for none, asks `ListQuery` for; raises ValueError for another."""
    if word is None:
        return UNREJECTED
    if word not in VERDICT_WORDS:
        raise ValueError(f"must be one of {', '.join(VERDICT_WORDS)}; without it the rejected are left out")
    return None if word == EVERYBODY else word


@dataclass(frozen=True)
class ListPage:
    """Score records as JSON in the order asked for; `cursor` leads to the next page.

    Each has its `as_of`, and since when its lead waits for us (None: it doesn't), in microseconds.
    """

    records: list[tuple[str, int, int | None]]
    cursor: str | None


class ScoreBook:
    """Latest scores and their history; what webhooks are to be told of a change is kept with it, or not at all."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    @property
    def changes(self) -> int:
        """How often the list became another, by a score or by a verdict."""
        found = self._database.ask(LIST_CHANGES)
        return int(found[0].value) if found else 0

    def keep(self, said: Sequence[Said], closed: Sequence[str], *, cause: str) -> int:
        """Store the scores of open leads, take closed ones off the list; returns how many scores differ from the last.

        A score that is older than the one stored is left out: another process was faster.
        """
        n_moved = 0
        for start in range(0, max(len(said), len(closed)), CHUNK):
            part, gone = said[start : start + CHUNK], closed[start : start + CHUNK]
            n_moved += self._keep(part, gone, cause)
        return n_moved

    def _keep(self, said: Sequence[Said], closed: Sequence[str], cause: str) -> int:
        with self._database.writing() as connection:
            ids = [str(one.record["lead_id"]) for one in said]
            before = {
                row.lead_id: row
                for row in connection.execute(
                    select(scores.c.lead_id, scores.c.as_of, scores.c.margin, scores.c.grade, scores.c.version).where(
                        scores.c.lead_id.in_(ids)
                    )
                )
            }
            newer = [one for one in said if _is_newer(one, before.get(str(one.record["lead_id"])))]
            moved = [one for one in newer if _moved(one, before.get(str(one.record["lead_id"])))]
            self._outbox.tell(connection, [(one.record, one.as_of) for one in moved])
            self._outbox.forget(connection, closed)
            if newer:
                connection.execute(self._database.upsert(scores), [_latest(one) for one in newer])
            if moved:
                connection.execute(self._database.upsert(history), [_point(one, cause) for one in moved])
            n_closed = 0
            if closed:
                n_closed = connection.execute(scores.delete().where(scores.c.lead_id.in_(closed))).rowcount
            if newer or n_closed:
                count_change(self._database, connection)
        return len(moved)

    def page(self, query: ListQuery) -> ListPage:
        """Return one page of the call list in the order asked for; who ties stands in the order of the ids."""
        wanted = _conditions(query)
        place = scores.c.waits if query.order == WAITING else scores.c.margin
        if query.after is not None:
            at, lead_id = query.after
            further = place > at if query.order == WAITING else place < at
            wanted.append(or_(further, and_(place == at, scores.c.lead_id > lead_id)))
        columns = (scores.c.lead_id, place.label("place"), scores.c.as_of, scores.c.waits, scores.c.record)
        statement = select(*columns).where(*wanted)
        found = self._database.ask(statement.order_by(*_ORDERED[query.order]).limit(query.limit + 1))
        shown = found[: query.limit]
        cursor = write_cursor(shown[-1].place, shown[-1].lead_id) if len(found) > query.limit else None
        return ListPage([(row.record, row.as_of, row.waits) for row in shown], cursor)

    def n_listed(self, query: ListQuery) -> int:
        """Return how many leads a query asks for, whatever page it is of."""
        [[n]] = self._database.ask(select(func.count()).select_from(scores).where(*_conditions(query)))
        return int(n)

    def first_probabilities(self, query: ListQuery, n: int) -> list[float]:
        """Return the probabilities of the first leads that a query asks for, at most `n`, whatever page it is of."""
        ordered = select(scores.c.record).where(*_conditions(query)).order_by(*_ORDERED[query.order])
        found = self._database.ask(ordered.limit(n))
        return [json.loads(row.record)["probability"] for row in found]

    def history(self, lead_id: str, *, limit: int) -> list[dict[str, Any]]:
        """Return the latest scores of a lead that differed from the one before, oldest first."""
        statement = select(history).where(history.c.lead_id == lead_id).order_by(history.c.as_of.desc()).limit(limit)
        return [dict(row._mapping) for row in self._database.ask(statement)][::-1]

    def listed(self) -> set[str]:
        """Return the ids of the leads on the list."""
        return {lead_id for (lead_id,) in self._database.ask(select(scores.c.lead_id))}

    def versions(self) -> set[str]:
        """Return the versions of the models that gave the scores on the list."""
        return {version for (version,) in self._database.ask(select(scores.c.version).distinct())}

    def distribution(self) -> dict[int, int]:
        """Return how many open leads have each score."""
        found = self._database.ask(select(scores.c.score, func.count()).group_by(scores.c.score))
        return dict(found)


_ORDERED = {BEST: (scores.c.margin.desc(), scores.c.lead_id), WAITING: (scores.c.waits, scores.c.lead_id)}


def _conditions(query: ListQuery) -> list[Any]:
    """What a lead must be to be asked for."""
    wanted = [
        scores.c.grade.in_(query.grades) if query.grades else None,
        scores.c.origin == query.origin if query.origin is not None else None,
        scores.c.owner == query.owner if query.owner is not None else None,
        scores.c.words.contains(query.search.casefold(), autoescape=True) if query.search else None,
        scores.c.created >= query.created_from if query.created_from is not None else None,
        scores.c.created < query.created_before if query.created_before is not None else None,
        _is_judged(query.verdict) if query.verdict is not None else None,
        scores.c.waits.is_not(None) if query.order == WAITING else None,
    ]
    return [condition for condition in wanted if condition is not None]


def _is_judged(verdict: str) -> Any:
    if verdict == UNJUDGED:
        return scores.c.lead_id.not_in(_last_said(ACCEPT, REJECT))
    if verdict == UNREJECTED:
        return scores.c.lead_id.not_in(_last_said(REJECT))
    return scores.c.lead_id.in_(_last_said(verdict))


def _last_said(*said: str) -> Select[Any]:
    """The leads of which one of some verdicts was what arrived last."""
    return select(verdicts.c.lead_id).where(verdicts.c.verdict.in_(said))


def write_cursor(place: float, lead_id: str) -> str:
    """Return where a page ended, as text for an address: at a margin, a float, or an instant, an int."""
    return base64.urlsafe_b64encode(json.dumps([place, lead_id]).encode()).decode().rstrip("=")


def read_cursor(text: str, order: str) -> tuple[float, str]:
    """Return what `write_cursor` wrote of a page in an order; raises ValueError for anything else, as another order."""
    kind, beyond = (int, 2**63) if order == WAITING else (float, math.inf)
    try:
        padded = text + "=" * (-len(text) % 4)
        place, lead_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if type(place) is not kind or not abs(place) < beyond or type(lead_id) is not str or "\0" in lead_id:
            raise ValueError
        lead_id.encode()  # half a surrogate pair is no text
        return place, lead_id
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise ValueError("is no cursor of this list; take it from `next` of the page before") from None


def _is_newer(one: Said, before: Any) -> bool:
    return before is None or one.as_of >= before.as_of


def _moved(one: Said, before: Any) -> bool:
    """Whether a score differs from the last: equal margins mean equal scores, whatever the time."""
    if before is None:
        return True
    return bool(before.margin != one.margin or before.version != one.record["model"]["version"])


def _latest(one: Said) -> dict[str, Any]:
    record = one.record
    return {
        "lead_id": record["lead_id"],
        "as_of": one.as_of,
        "margin": one.margin,
        "score": record["score"],
        "grade": record["grade"],
        "created": one.created,
        "origin": one.origin,
        "owner": one.owner,
        "words": one.words,
        "waits": one.waits,
        "version": record["model"]["version"],
        "record": json.dumps(record, allow_nan=False, ensure_ascii=False, separators=(",", ":")),
    }


def _point(one: Said, cause: str) -> dict[str, Any]:
    record = one.record
    told = {name: record[name] for name in ("lead_id", "probability", "score", "grade")}
    return {**told, "as_of": one.as_of, "version": record["model"]["version"], "cause": cause}
