"""What webhooks are told of which scores, and what comes of it; on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

import leadscore as ls
from leadscore import time
from service.store import Outbox, Rule, Store, open_store, schema
from service.store.outbox import DEAD, DONE, KEPT_SECONDS, Settled
from service.store.scores import ListQuery, ScoreBook
from tests.service.store.conftest import brought_back
from tests.service.telling import SECOND, START, keep, said

GRADE_A = Rule("a", ("A",))
BY_15 = Rule("b", (), 15)
FAR = START + 10**15


@pytest.fixture
def telling(url: str, small: ls.Project) -> Callable[..., Store]:
    def make(*rules: Rule) -> Store:
        return open_store(url, small, rules)

    return make


def payloads(store: Store, hook: str = "a") -> list[dict[str, Any]]:
    """What a webhook is told, each message taken off as if it were delivered."""
    found: list[dict[str, Any]] = []
    while due := store.outbox.due(hook, FAR, at_most=100):
        found += [json.loads(message.payload) for message in due]
        store.outbox.settle(hook, [Settled(one.id, DONE, FAR, 1, "200") for one in due], FAR)
    return found


def walk(store: Store, *steps: tuple[int, str]) -> None:
    for number, (score, grade) in enumerate(steps):
        keep(store, said("x", score, grade, START + number * SECOND))


def test_who_enters_or_leaves_a_grade_is_told_of_once(telling: Callable[..., Store]) -> None:
    store = telling(GRADE_A)
    walk(store, (95, "A"), (97, "A"), (80, "B"), (50, "C"), (80, "B"), (92, "A"))
    told = payloads(store)
    assert [one["type"] for one in told] == ["lead.grade"] * 3
    assert [(one["before"] or {}).get("grade") for one in told] == [None, "A", "B"]
    assert [one["after"]["score"] for one in told] == [95, 80, 92]


def test_a_score_is_told_of_once_it_is_far_from_the_last_that_was(telling: Callable[..., Store]) -> None:
    """Five points a day are fifteen in three days; the first score of a lead has moved from nowhere."""
    store = telling(BY_15)
    walk(store, (40, "C"), (45, "C"), (50, "C"), (54, "C"), (55, "C"), (60, "C"), (41, "C"), (40, "C"))
    told = payloads(store, "b")
    assert [(one["before"]["score"], one["after"]["score"]) for one in told] == [(40, 55), (55, 40)]
    assert {one["type"] for one in told} == {"lead.score"}


def test_a_message_says_what_changed_and_nothing_of_the_profile(telling: Callable[..., Store]) -> None:
    store = telling(Rule("a", ("A",), 15))
    keep(store, said("x", 80, "B"))
    keep(store, said("x", 99, "A", START + SECOND, version="8"))
    [told] = payloads(store)
    before = {"score": 80, "grade": "B", "probability": 0.4, "as_of": time.format_instant(START), "version": "7"}
    after = {"score": 99, "grade": "A", "probability": 0.495, "as_of": time.format_instant(START + SECOND)}
    expected = {"type": "lead.grade", "lead_id": "x", "before": before, "after": {**after, "version": "8"}}
    assert told == {"id": told["id"], **expected, "horizon": "30d"}
    assert len(told["id"]) == 36


def test_a_change_has_one_key_wherever_it_is_seen(
    new_url: Callable[[str], str], telling: Callable[..., Store], small: ls.Project
) -> None:
    one, other = telling(GRADE_A, Rule("c", ("A",))), open_store(new_url("sqlite"), small, [GRADE_A])
    for store in (one, other):
        walk(store, (95, "A"), (80, "B"))
    keys = [told["id"] for told in payloads(one)]
    assert keys == [told["id"] for told in payloads(other)]
    assert len({*keys, *(told["id"] for told in payloads(one, "c"))}) == 4


def test_a_new_webhook_is_not_told_of_everybody(telling: Callable[..., Store]) -> None:
    """What stands on the list has not entered its grade; but from there on it moves."""
    walk(telling(), (95, "A"))
    store = telling(GRADE_A, BY_15)
    keep(store, said("x", 96, "A", START + SECOND), said("y", 91, "A", START + SECOND))
    assert [one["lead_id"] for one in payloads(store)] == ["y"]
    keep(store, said("x", 80, "B", START + 2 * SECOND))
    assert [one["after"]["grade"] for one in payloads(store)] == ["B"]
    assert [one["before"]["score"] for one in payloads(store, "b")] == [95]


def test_messages_are_kept_with_the_scores_or_not_at_all(
    telling: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the process died after either was written and before the end."""
    store = telling(GRADE_A)

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Outbox, "forget", dies)  # after the message, before the score
    with pytest.raises(KeyboardInterrupt):
        keep(store, said("x", 95, "A"))
    monkeypatch.undo()
    assert payloads(store) == []
    assert store.scores.listed() == set()
    monkeypatch.setattr("service.store.shared.LIST_CHANGES", None)  # after both
    with pytest.raises(sa.exc.ArgumentError):
        keep(store, said("x", 95, "A"))
    monkeypatch.undo()
    assert payloads(store) == []
    assert store.scores.page(ListQuery()).records == []
    keep(store, said("x", 95, "A"))
    assert [one["lead_id"] for one in payloads(store)] == ["x"]


def test_a_score_that_comes_too_late_says_nothing(telling: Callable[..., Store]) -> None:
    store = telling(GRADE_A)
    keep(store, said("x", 80, "B", START + SECOND))
    keep(store, said("x", 95, "A", START))
    assert payloads(store) == []


def test_who_is_closed_is_forgotten_and_what_is_on_its_way_arrives(telling: Callable[..., Store]) -> None:
    store = telling(GRADE_A)
    walk(store, (95, "A"))
    keep(store, closed=("x",))
    with store.database.reading() as connection:
        assert connection.execute(sa.select(schema.told)).all() == []
    assert len(payloads(store)) == 1


def test_of_each_lead_the_oldest_message_goes_first(telling: Callable[..., Store]) -> None:
    store = telling(GRADE_A)
    walk(store, (95, "A"), (80, "B"), (95, "A"))
    keep(store, said("y", 95, "A"))
    first = store.outbox.due("a", FAR, at_most=10)
    assert [json.loads(one.payload)["lead_id"] for one in first] == ["x", "y"]
    waits = Settled(first[0].id, "pending", FAR + 1, 1, "500")
    store.outbox.settle("a", [waits, Settled(first[1].id, DONE, START, 1, "204")], START)
    assert store.outbox.due("a", FAR, at_most=10) == []  # nobody overtakes x's first
    store.outbox.settle("a", [Settled(first[0].id, DEAD, START, 12, "500")], START)
    assert [json.loads(one.payload)["after"]["grade"] for one in store.outbox.due("a", FAR, at_most=10)] == ["B"]


def test_nothing_is_due_before_its_time_or_for_others(telling: Callable[..., Store]) -> None:
    store = telling(GRADE_A)
    walk(store, (95, "A"))
    assert store.outbox.due("a", START - 1, at_most=10) == []
    assert store.outbox.due("b", FAR, at_most=10) == []
    assert len(store.outbox.due("a", START, at_most=10)) == 1


def test_what_is_dead_stays_until_it_is_tried_again_and_what_is_done_a_week(telling: Callable[..., Store]) -> None:
    store = telling(GRADE_A)
    keep(store, *(said(name, 95, "A") for name in "xyz"))
    x, y, _ = store.outbox.due("a", START, at_most=10)
    store.outbox.settle("a", [Settled(x.id, DEAD, START, 12, "timeout"), Settled(y.id, DONE, START, 1, "200")], START)
    assert store.outbox.counts() == {"a": {"pending": 1, "done": 1, "dead": 1}}
    [dead] = store.outbox.dead("a")
    assert (dead.key, dead.attempts, dead.last_status) == (x.key, 12, "timeout")
    assert store.outbox.dead("b") == []
    store.outbox.settle("a", [], START + (KEPT_SECONDS + 1) * SECOND)
    assert store.outbox.counts() == {"a": {"pending": 1, "done": 0, "dead": 1}}
    assert store.outbox.retry("b") == 0
    assert store.outbox.retry() == 1
    assert store.outbox.dead() == []
    assert [one.attempts for one in store.outbox.due("a", START, at_most=10)] == [0, 0]


def test_a_store_of_version_2_is_brought_up_to_date(store: Store, url: str, small: ls.Project) -> None:
    keep(store, said("x", 95, "A"))
    brought_back(store, 2)
    again = open_store(url, small, [GRADE_A])
    keep(again, said("x", 80, "B", START + SECOND))
    assert [one["before"]["grade"] for one in payloads(again)] == ["A"]
    again.close()


def test_without_rules_nothing_is_written(store: Store) -> None:
    keep(store, said("x", 95, "A"))
    assert store.outbox.counts() == {}
    assert ScoreBook(store.database, store.outbox).listed() == {"x"}
