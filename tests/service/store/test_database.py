"""Opening, migrating and sharing a store; on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import leadscore as ls
from leadscore.errors import StoreError
from service import cli
from service.remembering import store_url
from service.store import Store, open_store, schema
from service.store.arrivals import parse
from service.store.importing import import_project
from service.store.scores import JUDGED, RESCORED, WAITING, ListQuery
from service.store.tables import whole
from tests.service.store.conftest import brought_back
from tests.service.telling import keep, said


def test_a_store_of_version_1_is_brought_up_to_date(url: str, small: ls.Project) -> None:
    store = open_store(url, small)
    import_project(store.journal)
    keep(store, said("L-OLD", 95, "A"))
    brought_back(store, 1)
    store.close()
    again = open_store(url, small)
    with again.database.reading() as connection:
        assert sa.inspect(connection).has_table("requests")
        versions = connection.scalar(sa.select(schema.about.c.value).where(schema.about.c.name == "version"))
        assert versions == str(schema.VERSION)
    assert [len(again.scores.page(ListQuery(search=text)).records) for text in ("l-old", "else")] == [1, 0]
    assert len(whole(again.journal).leads.ids) == 3
    again.close()


def test_a_store_of_version_4_remembers_the_last_verdicts(url: str, small: ls.Project) -> None:
    store = open_store(url, small)
    keep(store, said("a", 95, "A"), said("b", 90, "A"), said("c", 80, "B"))
    for n, (lead, verdict) in enumerate([("a", "reject"), ("b", "accept"), ("a", "accept"), ("b", "reject")]):
        body = {"verdicts": [{"event_id": f"v{n}", str(small.leads.id): lead, "verdict": verdict}]}
        store.journal.append(parse(small, body, most_rows=9).rows, lambda: 9)
    brought_back(store, 4)
    store.close()
    again = open_store(url, small)
    asked = {verdict: again.scores.page(ListQuery(verdict=verdict)).records for verdict in JUDGED}
    found = {verdict: [json.loads(record)["lead_id"] for record, *_ in records] for verdict, records in asked.items()}
    assert found == {"accept": ["a"], "reject": ["b"], "none": ["c"], "open": ["a", "c"]}
    assert {verdict: again.scores.n_listed(ListQuery(verdict=verdict)) for verdict in JUDGED} == {
        verdict: len(leads) for verdict, leads in found.items()
    }
    again.close()


def test_a_store_of_version_5_has_its_leads_scored_anew(url: str, small: ls.Project) -> None:
    """Only then is it known who waits."""
    store = open_store(url, small)
    keep(store, said("a", 95, "A"))
    store.shared.set_mark(RESCORED, 9)
    brought_back(store, 5)
    store.close()
    again = open_store(url, small)
    assert again.shared.mark(RESCORED) == 0
    assert [waits for *_, waits in again.scores.page(ListQuery()).records] == [None]
    assert again.scores.page(ListQuery(order=WAITING)).records == []
    again.close()


def test_a_newer_store_is_refused(store: Store, url: str, small: ls.Project) -> None:
    with store.database.writing() as connection:
        connection.execute(schema.about.update().where(schema.about.c.name == "version").values(value="99"))
    with pytest.raises(StoreError, match=r"version 99, this program knows .* Update leadscore"):
        open_store(url, small)


def test_the_store_of_another_project_is_refused(store: Store, url: str) -> None:
    other = ls.Project.from_dict({**store.journal.project.raw, "name": "other"})
    with pytest.raises(StoreError, match="belongs to the project 'small', not to 'other'"):
        open_store(url, other)


@pytest.mark.parametrize(
    "place", ["/nowhere/store.db", "postgresql://postgres@127.0.0.1:1/test", "oracle://x", "a://b"]
)
def test_what_cannot_be_opened_says_what_to_do(place: str, small: ls.Project) -> None:
    with pytest.raises(StoreError, match="with --store"):
        open_store(place, small)


def test_a_password_is_not_taken_from_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="env:NAME"):
        store_url("postgresql://me:secret@host/db", Path("."))
    with pytest.raises(StoreError, match="is not set"):
        store_url("env:NOWHERE", Path("."))
    monkeypatch.setenv("SOMEWHERE", "postgresql://me:secret@host/db")
    assert store_url("env:SOMEWHERE", Path(".")) == "postgresql://me:secret@host/db"


def test_what_is_not_finished_is_not_there(store: Store) -> None:
    def half() -> None:
        with store.database.writing() as connection:
            connection.execute(schema.marks.insert(), {"name": "x", "value": 1})
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        half()
    assert store.shared.mark("x") == 0


def test_a_lease_has_one_holder_until_it_ends(store: Store) -> None:
    shared = store.shared
    assert shared.hold("task", "one", now=0, until=10)
    assert not shared.hold("task", "two", now=5, until=15)
    assert shared.hold("task", "one", now=6, until=20)
    assert shared.hold("task", "two", now=20, until=30)
    shared.release("task", "one")
    assert not shared.hold("task", "one", now=21, until=30)
    shared.release("task", "two")
    assert shared.hold("task", "one", now=22, until=30)


def test_marks_are_remembered(store: Store) -> None:
    assert store.shared.mark("touched") == 0
    for value in (3, 7):
        store.shared.set_mark("touched", value)
    assert store.shared.mark("touched") == 7


def test_a_connection_that_was_lost_is_replaced(new_url: Callable[[str], str], small: ls.Project) -> None:
    """As after a restart of the database."""
    store = open_store(new_url("postgresql"), small)
    backend = sa.select(sa.func.pg_backend_pid())
    for ask in (lambda: store.database.ask(backend), store.database.question(backend)):
        [[lost]] = ask()
        with store.database.reading() as connection:
            connection.execute(sa.select(sa.func.pg_terminate_backend(lost)))
        [[found]] = ask()
        assert found != lost
    store.close()


def test_a_question_is_answered_as_what_is_asked_once(store: Store) -> None:
    """Repeated values, plain rows, and the errors of what it stands for."""
    text = sa.bindparam("text", type_=sa.Text)
    statement = sa.select(text, sa.bindparam("number", type_=sa.Integer), text.label("again"))
    question = store.database.question(statement)
    assert question(text="%a:b?", number=7) == [("%a:b?", 7, "%a:b?")]
    assert store.database.ask(statement, text="%a:b?", number=7) == question(text="%a:b?", number=7)
    nowhere = store.database.question(sa.select(sa.column("x")).select_from(sa.table("nowhere")))
    with pytest.raises(sa.exc.SQLAlchemyError, match="nowhere"):
        nowhere()


def test_a_file_that_is_gone_takes_nothing(new_url: Callable[[str], str], small: ls.Project) -> None:
    """SQLite would go on writing to what no name leads to any more."""
    path = Path(new_url("sqlite"))
    store = open_store(str(path), small)
    path.rename(path.with_name("moved.db"))
    with pytest.raises(StoreError, match="removed or replaced"):
        store.shared.set_mark("x", 1)
    path.with_name("moved.db").rename(path)
    store.shared.set_mark("x", 1)
    store.close()


def test_a_new_file_is_for_its_owner_alone(new_url: Callable[[str], str], small: ls.Project) -> None:
    """It holds people's data."""
    path = Path(new_url("sqlite"))
    store = open_store(str(path), small)
    store.shared.set_mark("x", 1)
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    store.close()


@pytest.mark.parametrize("verb", [cli.webhooks, cli.audit])
def test_without_a_store_the_verbs_say_how_to_begin_one_and_make_none(
    verb: Any, url: str, fresh_sample: Callable[[], Path]
) -> None:
    folder = fresh_sample()
    there = sorted(folder.rglob("*"))
    for options in ((), ("--store", url)):
        done = CliRunner().invoke(verb, [str(folder), *options])
        assert done.exit_code == 1
        assert "there is no store" in done.output
        assert "leadscore serve" in done.output
        with pytest.raises(StoreError, match="there is no store"):
            open_store(url, ls.Project.load(folder), create=False)
    assert sorted(folder.rglob("*")) == there
    assert not Path(url).exists()
