"""The same tests on SQLite and, where it answers, on PostgreSQL; each store in a file or schema of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import leadscore as ls
from service.store import Store, open_store, schema
from service.store.importing import import_project
from tests.builders import folder_of, project
from tests.service.conftest import DIALECTS

LEADS = """lead_id,created_at,source,employees,company
a,2025-01-01T00:00:00Z,ads,10,Acme
b,2025-01-02T00:00:00Z,webinar,,Acme
c,2025-01-03T00:00:00Z,,250,
"""


@pytest.fixture(params=DIALECTS)
def url(request: pytest.FixtureRequest, new_url: Callable[[str], str]) -> str:
    return new_url(request.param)


@pytest.fixture
def small(tmp_path: Path) -> ls.Project:
    """Three leads, two of one account, and a few events."""
    return project({"leads.account": "company"}, folder=folder_of(tmp_path, {"leads.csv": LEADS}))


@pytest.fixture
def store(url: str, small: ls.Project) -> Iterator[Store]:
    """The small project's files, imported."""
    opened = open_store(url, small)
    import_project(opened.journal)
    yield opened
    opened.close()


def brought_back(store: Store, version: int) -> None:
    """Take from a store what versions after one have added."""
    newer = {2: (schema.requests,), 3: (schema.deliveries, schema.told), 5: (schema.verdicts,)}
    with store.database.writing() as connection:
        if version < 6:
            connection.exec_driver_sql("drop index scores_longest_waiting")
            connection.exec_driver_sql("alter table scores drop column waits")
        if version < 4:
            connection.exec_driver_sql("drop index scores_best_first")
            connection.exec_driver_sql("alter table scores drop column words")
            connection.exec_driver_sql("create index scores_best_first on scores (margin, lead_id)")
        for table in (table for since, tables in newer.items() if since > version for table in tables):
            table.drop(connection)
        older = schema.about.update().where(schema.about.c.name == "version")
        connection.execute(older.values(value=str(version)))
