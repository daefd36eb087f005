"""What several processes agree on: how far a task has come, and who does it."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, select

from service.store.database import Database
from service.store.schema import marks

LIST = "scores"
"""The mark that counts changes of the call list: of its scores, and of what was said of its leads."""
LIST_CHANGES = select(marks.c.value).where(marks.c.name == LIST)


def count_change(database: Database, connection: Connection) -> None:
    """Say, within a transaction, that the call list is another one."""
    changes = connection.scalar(LIST_CHANGES) or 0
    connection.execute(database.upsert(marks), {"name": LIST, "value": changes + 1})


class Shared:
    """Named marks, and leases that end by themselves when their holder does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def mark(self, name: str) -> int:
        """Return how far something has come, 0 if it never began."""
        found = self._database.ask(select(marks.c.value).where(marks.c.name == name))
        return int(found[0].value) if found else 0

    def set_mark(self, name: str, value: int) -> None:
        """Say how far something has come."""
        with self._database.writing() as connection:
            connection.execute(self._database.upsert(marks), {"name": name, "value": value})

    def hold(self, name: str, holder: str, *, now: int, until: int) -> bool:
        """Take or renew a lease; False while another holds it. Instants are UTC microseconds."""
        with self._database.writing() as connection:
            found = connection.execute(select(marks.c.holder, marks.c.until).where(marks.c.name == name)).first()
            if found is not None and found.holder not in (None, holder) and found.until > now:
                return False
            lease = {"name": name, "value": 0, "holder": holder, "until": until}
            connection.execute(self._database.upsert(marks), lease)
            return True

    def release(self, name: str, holder: str) -> None:
        """Give a lease back, so that nobody has to wait for its end."""
        mine = (marks.c.name == name) & (marks.c.holder == holder)
        with self._database.writing() as connection:
            connection.execute(marks.delete().where(mine))


class Lease:
    """A task's lease as one holder has it: renewed at half its time.

    Parameters
    ----------
    seconds : how long it holds, should its holder end without a word
    now : the time, UTC microseconds
    """

    def __init__(self, shared: Shared, name: str, holder: str, now: Callable[[], int], seconds: int = 60) -> None:
        self._shared = shared
        self._name = name
        self._holder = holder
        self._now = now
        self._length = seconds * 1_000_000
        self._until = 0

    def hold(self) -> bool:
        """Take or renew it; False while another holds it."""
        now = self._now()
        if self._until - now > self._length // 2:
            return True
        held = self._shared.hold(self._name, self._holder, now=now, until=now + self._length)
        self._until = now + self._length if held else 0
        return held

    def release(self) -> None:
        """Let another take over at once."""
        self._until = 0
        self._shared.release(self._name, self._holder)
