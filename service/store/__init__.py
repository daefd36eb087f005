"""What the service remembers: an append-only journal of leads, events, outcomes and verdicts, and what came of it.

`Database` is SQLite or PostgreSQL, `Journal` what arrived and when, `tables` turns its rows into the library's tables,
`ScoreBook` holds the scores said so far, `Outbox` what webhooks are to be told of them, `Shared` what several processes
agree on. `open_store` brings them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leadscore.project import Project
from service.store.database import Database
from service.store.journal import Journal
from service.store.outbox import Outbox, Rule
from service.store.scores import ScoreBook
from service.store.shared import Shared

__all__ = ["Database", "Journal", "Outbox", "Rule", "ScoreBook", "Shared", "Store", "open_store"]


@dataclass(frozen=True)
class Store:
    """One project's store, opened."""

    database: Database
    journal: Journal
    scores: ScoreBook
    shared: Shared
    outbox: Outbox

    def close(self) -> None:
        """Give every connection back."""
        self.database.close()


def open_store(url: str, project: Project, rules: Sequence[Rule] = (), *, create: bool = True) -> Store:
    """Open a project's store; one that isn't there is created, one of an older version brought up to date.

    Parameters
    ----------
    url : a path (SQLite), or a database URL such as ``postgresql://user@host/name``
    rules : what webhooks are to be told of the scores that are kept
    create : whether a store that isn't there is begun, or refused

    Raises
    ------
    StoreError
        If it can't be opened, is newer than this program or another project's; or isn't there and not `create`.
    """
    database = Database.open(url, create=create)
    database.migrate(project.name, create=create)
    outbox = Outbox(database, rules)
    return Store(database, Journal(database, project), ScoreBook(database, outbox), Shared(database), outbox)
