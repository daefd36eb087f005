"""The tables of a store, and the steps from each older version to this one."""

from __future__ import annotations

import json
from collections.abc import Callable

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    select,
)

_Sequence = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows only in a plain INTEGER key
_metadata = MetaData()

about = Table(
    "about",
    _metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""Whose store this is: its version, its project, the salt of hashed keys."""

rows = Table(
    "rows",
    _metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("row_id", Text, nullable=False),
    Column("lead_id", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("known", BigInteger, nullable=False),
    Column("data", Text, nullable=False),
    UniqueConstraint("kind", "row_id", name="rows_once"),
    Index("rows_of_lead", "lead_id"),
    Index("rows_of_kind", "kind", "seq"),
)
"""The journal: one row per version of a profile, event, outcome and verdict, never changed, in the order of `seq`.

`kind` is ``leads``, an event table, ``outcome`` or ``verdict``; `time` when it happened (a lead: was created), `known`
when it arrived, UTC microseconds; `data` its other declared columns as a JSON object without nulls.
"""

members = Table(
    "members",
    _metadata,
    Column("account", Text, primary_key=True),
    Column("lead_id", Text, primary_key=True),
    Index("members_by_lead", "lead_id"),
)
"""Which leads were ever in an account."""

scores = Table(
    "scores",
    _metadata,
    Column("lead_id", Text, primary_key=True),
    Column("as_of", BigInteger, nullable=False),
    Column("margin", Float(53), nullable=False),
    Column("score", SmallInteger, nullable=False),
    Column("grade", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("origin", Text),
    Column("owner", Text),
    Column("version", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("words", Text, nullable=False, server_default=""),
    Column("waits", BigInteger),
    Index("scores_best_first", "margin", "lead_id", "words"),
    Index("scores_longest_waiting", "waits", "lead_id"),
)
"""The latest score of every open lead; `record` is the whole score record as JSON.

`words` is what it is searched by, since version 4: in the index, so that a search reads no record that it doesn't show.
`waits` is since when it waits for us, UTC microseconds, null if it doesn't; since version 6.
"""

history = Table(
    "history",
    _metadata,
    Column("lead_id", Text, primary_key=True),
    Column("as_of", BigInteger, primary_key=True),
    Column("probability", Float(53), nullable=False),
    Column("score", SmallInteger, nullable=False),
    Column("grade", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("cause", Text, nullable=False),
)
"""Every score that differed from the one before it."""

marks = Table(
    "marks",
    _metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
    Column("holder", Text),
    Column("until", BigInteger),
)
"""How far something has come, and leases: who does it until when."""

requests = Table(
    "requests",
    _metadata,
    Column("id", _Sequence, primary_key=True, autoincrement=True),
    Column("lead_key", Text, nullable=False),
    Column("as_of", BigInteger, nullable=False),
    Column("version", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("rows_until", BigInteger, nullable=False),
    Column("counts_until", BigInteger, nullable=False),
    Column("features", LargeBinary, nullable=False),
    Column("margin", Float(53), nullable=False),
    Column("probability", Float(53), nullable=False),
)
"""A sample of what was answered, for the audit; since version 2."""

deliveries = Table(
    "deliveries",
    _metadata,
    Column("id", _Sequence, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),
    Column("hook", Text, nullable=False),
    Column("lead_id", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_status", Text),
    Index("deliveries_due", "hook", "state", "due"),
    Index("deliveries_of_lead", "hook", "lead_id", "state"),
)
"""The outbox of webhooks, in the order of `id`; since version 3.

`state` is ``pending``, ``done`` or ``dead``; `due` when it is tried next, or was last, UTC microseconds; `last_status`
an HTTP status, or in a word why there was none.
"""

told = Table(
    "told",
    _metadata,
    Column("lead_id", Text, primary_key=True),
    Column("hook", Text, primary_key=True),
    Column("standing", Text, nullable=False),
)
"""What each webhook was last told of a lead, or first saw of it: a standing as JSON; since version 3."""


verdicts = Table(
    "verdicts",
    _metadata,
    Column("lead_id", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
)
"""What arrived last of the verdicts on each lead; since version 5: to look for it in the journal would be slow."""


def create(connection: Connection) -> None:
    """Create every table of the newest version."""
    _metadata.create_all(connection)


def _to_2(connection: Connection) -> None:
    requests.create(connection)


def _to_3(connection: Connection) -> None:
    deliveries.create(connection)
    told.create(connection)


def _to_4(connection: Connection) -> None:
    for statement in (
        "alter table scores add column words text not null default ''",
        "update scores set words = lower(lead_id)",  # the rest with the next round over all leads
        "drop index scores_best_first",
    ):
        connection.exec_driver_sql(statement)
    next(index for index in scores.indexes if index.name == "scores_best_first").create(connection)


def _to_5(connection: Connection) -> None:
    verdicts.create(connection)
    told = connection.execute(select(rows.c.lead_id, rows.c.data).where(rows.c.kind == "verdict").order_by(rows.c.seq))
    last = {row.lead_id: json.loads(row.data)["verdict"] for row in told}
    if last:
        connection.execute(verdicts.insert(), [{"lead_id": lead, "verdict": said} for lead, said in last.items()])


def _to_6(connection: Connection) -> None:
    connection.exec_driver_sql("alter table scores add column waits bigint")
    next(index for index in scores.indexes if index.name == "scores_longest_waiting").create(connection)
    connection.execute(marks.update().where(marks.c.name == "rescored").values(value=0))  # a round fills it


STEPS: dict[int, Callable[[Connection], None]] = {1: _to_2, 2: _to_3, 3: _to_4, 4: _to_5, 5: _to_6}
"""What brings a store of a version to the next."""
VERSION = 6
