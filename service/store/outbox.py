"""What webhooks are to be told: written with the scores, in one transaction; sent later, by `service.webhooks`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, select

from service.store.database import Database
from service.store.schema import deliveries, scores, told

PENDING, DONE, DEAD = "pending", "done", "dead"
KEPT_SECONDS = 7 * 86_400
"""How long what was delivered is kept."""

Standing = Mapping[str, Any]
"""A score as a webhook tells it: score, grade, probability, as_of, version."""


@dataclass(frozen=True)
class Rule:
    """What one webhook is to be told.

    Attributes
    ----------
    grades : told when a lead enters or leaves these, taken as one
    moved_by : told when the score is so many points away from the last that was told, or else first seen; None: never
    """

    hook: str
    grades: tuple[str, ...] = ()
    moved_by: int | None = None

    def kind(self, before: Standing | None, after: Standing) -> str | None:
        """Return what happened: ``lead.grade``, ``lead.score``, or None for nothing to tell.

        A lead without a score before enters its grade, and has not moved.
        """
        was_in = before is not None and before["grade"] in self.grades
        if was_in != (after["grade"] in self.grades):
            return "lead.grade"
        if self.moved_by is None or before is None:
            return None
        return "lead.score" if abs(after["score"] - before["score"]) >= self.moved_by else None


@dataclass(frozen=True)
class Delivery:
    """One message on its way: `payload` is the body, byte by byte; `attempts` those that were made."""

    id: int
    key: str
    hook: str
    payload: str
    state: str
    due: int
    attempts: int
    last_status: str | None


@dataclass(frozen=True)
class Settled:
    """What came of an attempt; `due` is when it is tried again, or was tried last, UTC microseconds."""

    id: int
    state: str
    due: int
    attempts: int
    last_status: str


class Outbox:
    """Messages to webhooks; in the order in which they were written for each lead.

    Parameters
    ----------
    rules : what is told; none where nobody keeps scores
    """

    def __init__(self, database: Database, rules: Sequence[Rule] = ()) -> None:
        self._database = database
        self._rules = tuple(rules)

    def tell(self, connection: Connection, moved: Sequence[tuple[Mapping[str, Any], int]]) -> None:
        """Write what the rules want told of score records that differ from the last, before these are replaced.

        Of a lead that a webhook hasn't seen, what stood before is its listed score. Each record comes with its cutoff,
        UTC microseconds, from which on the message is due.
        """
        if not self._rules or not moved:
            return
        ids = [str(record["lead_id"]) for record, _ in moved]
        hooks = [rule.hook for rule in self._rules]
        mine = told.c.hook.in_(hooks) & told.c.lead_id.in_(ids)
        seen = {
            (row.hook, row.lead_id): json.loads(row.standing) for row in connection.execute(select(told).where(mine))
        }
        stored = connection.execute(select(scores.c.lead_id, scores.c.record).where(scores.c.lead_id.in_(ids)))
        listed = {row.lead_id: _standing(json.loads(row.record)) for row in stored}
        messages, news = [], []
        for rule in self._rules:
            for record, at in moved:
                known = seen.get((rule.hook, record["lead_id"]))
                before, after = known or listed.get(record["lead_id"]), _standing(record)
                kind = rule.kind(before, after)
                if kind is not None:
                    messages.append(_message(rule.hook, kind, record, before, at))
                if kind is not None or known is None:
                    standing = after if kind is not None or before is None else before
                    news.append({"hook": rule.hook, "lead_id": record["lead_id"], "standing": _json(standing)})
        if news:
            connection.execute(self._database.upsert(told), news)
        if messages:
            connection.execute(self._database.insert_new(deliveries), messages)

    def forget(self, connection: Connection, lead_ids: Sequence[str]) -> None:
        """Forget what was told of leads that are closed; what is on its way stays so."""
        if lead_ids:
            connection.execute(told.delete().where(told.c.lead_id.in_(lead_ids)))

    def due(self, hook: str, now: int, *, at_most: int) -> list[Delivery]:
        """Return what a webhook is to be sent now, of each lead only the oldest that is pending."""
        older = deliveries.alias()
        waits = select(older.c.id).where(
            older.c.hook == deliveries.c.hook,
            older.c.lead_id == deliveries.c.lead_id,
            older.c.state == PENDING,
            older.c.id < deliveries.c.id,
        )
        wanted = and_(deliveries.c.hook == hook, deliveries.c.state == PENDING, deliveries.c.due <= now)
        statement = select(*_SHOWN).where(wanted, ~waits.exists())
        found = self._database.ask(statement.order_by(deliveries.c.due, deliveries.c.id).limit(at_most))
        return [Delivery(**row._mapping) for row in found]

    def settle(self, hook: str, settled: Sequence[Settled], now: int) -> None:
        """Write down what came of attempts; what was delivered to the webhook long ago is dropped."""
        old = now - KEPT_SECONDS * 1_000_000
        with self._database.writing() as connection:
            for one in settled:
                values = {"state": one.state, "due": one.due, "attempts": one.attempts, "last_status": one.last_status}
                connection.execute(deliveries.update().where(deliveries.c.id == one.id).values(values))
            gone = and_(deliveries.c.hook == hook, deliveries.c.state == DONE, deliveries.c.due < old)
            connection.execute(deliveries.delete().where(gone))

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many messages each webhook has in each state."""
        grouped = select(deliveries.c.hook, deliveries.c.state, func.count()).group_by(
            deliveries.c.hook, deliveries.c.state
        )
        counted: dict[str, dict[str, int]] = {}
        for hook, state, n_messages in self._database.ask(grouped.order_by(deliveries.c.hook)):
            counted.setdefault(hook, {PENDING: 0, DONE: 0, DEAD: 0})[state] = n_messages
        return counted

    def dead(self, hook: str | None = None, *, at_most: int = 1_000) -> list[Delivery]:
        """Return what could not be delivered and is not tried again, the latest first."""
        found = self._database.ask(
            select(*_SHOWN).where(_is_dead(hook)).order_by(deliveries.c.id.desc()).limit(at_most)
        )
        return [Delivery(**row._mapping) for row in found]

    def retry(self, hook: str | None = None) -> int:
        """Let what is dead be tried again, from the start; returns how many."""
        again = deliveries.update().where(_is_dead(hook)).values(state=PENDING, due=0, attempts=0)
        with self._database.writing() as connection:
            return connection.execute(again).rowcount


_SHOWN = [column for column in deliveries.c if column.name != "lead_id"]


def _is_dead(hook: str | None) -> Any:
    return deliveries.c.state == DEAD if hook is None else and_(deliveries.c.state == DEAD, deliveries.c.hook == hook)


def _standing(record: Mapping[str, Any]) -> dict[str, Any]:
    told_of = {name: record[name] for name in ("score", "grade", "probability", "as_of")}
    return {**told_of, "version": record["model"]["version"]}


def _message(hook: str, kind: str, record: Mapping[str, Any], before: Standing | None, at: int) -> dict[str, Any]:
    """One row of the outbox. Its key is a hash of what it says, so that one change has one key whenever it is seen."""
    lead_id = str(record["lead_id"])
    said = {
        "type": kind,
        "lead_id": lead_id,
        "before": before,
        "after": _standing(record),
        "horizon": record["horizon"],
    }
    key = f"msg_{hashlib.sha256(_json([hook, said]).encode()).hexdigest()[:32]}"
    row = {"key": key, "hook": hook, "lead_id": lead_id, "payload": _json({"id": key, **said})}
    return {**row, "state": PENDING, "due": at, "attempts": 0}


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
