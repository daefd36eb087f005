"""What is stored, once and for all: idempotence, whole batches, versions, limits; on both databases."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from leadscore.errors import DocumentError
from leadscore.time import DAY, parse_instant
from service.store import Store
from service.store import journal as journal_module
from service.store.arrivals import parse
from service.store.journal import Appended, not_before
from service.store.tables import some

AT = "2025-01-10T00:00:00Z"
NOW = parse_instant("2025-02-01T00:00:00Z", "UTC")


def append(store: Store, body: dict[str, Any], *, now: int = NOW) -> Appended:
    return store.journal.append(parse(store.journal.project, body, most_rows=1_000).rows, lambda: now)


def event(number: str, lead: str = "a", at: str = AT, **more: Any) -> dict[str, Any]:
    return {"events": {"touchpoints": [{"event_id": number, "lead_id": lead, "occurred_at": at, **more}]}}


def kinds(store: Store, lead: str) -> list[str]:
    return [row.kind for row in store.journal.of_lead(lead, with_account=False)]


def test_the_files_are_the_first_rows(store: Store) -> None:
    assert kinds(store, "a") == ["leads", "touchpoints", "touchpoints", "outcome"]
    assert not store.journal.empty


def test_an_event_sent_again_is_stored_once(store: Store) -> None:
    before = store.journal.until()
    first, again = append(store, event("9", channel="web")), append(store, event("9", channel="other"))
    assert [len(first.stored), len(again.stored), again.n_repeated] == [1, 0, 1]
    assert len(append(store, event("2")).stored) == 0  # it came with the files
    assert store.journal.until() == before + 1


def test_an_event_twice_in_one_batch_is_stored_once(store: Store) -> None:
    twice = {"events": {"touchpoints": [event("9")["events"]["touchpoints"][0]] * 2}}
    appended = append(store, twice)
    assert (len(appended.stored), appended.n_repeated) == (1, 1)


def test_what_is_known_is_the_arrival_and_not_what_a_client_says(store: Store) -> None:
    append(store, event("9", ingested_at="2020-01-01T00:00:00Z"))
    assert store.journal.of_lead("a", with_account=False)[-1].known == NOW


def test_a_batch_is_stored_whole_or_not_at_all(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before = store.journal.until()
    monkeypatch.setattr(journal_module, "MOST_EVENTS", 3)
    events = [{"event_id": str(n), "lead_id": "b", "occurred_at": "2025-01-10T00:00:00Z"} for n in range(10, 13)]
    body = {"leads": [{"lead_id": "z", "created_at": "2025-01-01"}], "events": {"touchpoints": events}}
    with pytest.raises(DocumentError, match=r"events\.touchpoints: a lead would have more than 3"):
        append(store, body)
    losses = [{"lead_id": "b", "closed_at": f"2025-01-{day}", "status": "lost"} for day in range(10, 14)]
    with pytest.raises(DocumentError, match=r"^outcomes: a lead would have"):
        append(store, {"outcomes": losses})
    assert store.journal.until() == before
    assert kinds(store, "z") == []


def test_a_profile_joins_what_is_known(store: Store) -> None:
    append(store, {"leads": [{"lead_id": "a", "employees": 20}]})
    append(store, {"leads": [{"lead_id": "a", "source": None}]}, now=NOW + 1)
    *_, joined, emptied = store.journal.of_lead("a", with_account=False)
    assert joined.data == '{"source":"ads","company":"Acme","employees":20.0}'
    assert joined.time == parse_instant("2025-01-01T00:00:00Z", "UTC")
    assert emptied.data == '{"company":"Acme","employees":20.0}'


def test_a_profile_that_says_nothing_new_is_no_version(store: Store) -> None:
    appended = append(store, {"leads": [{"lead_id": "a", "source": " ads ", "employees": "10"}]})
    assert (len(appended.stored), appended.n_repeated) == (0, 1)


def test_a_new_lead_without_creation_was_created_when_it_arrived(store: Store) -> None:
    append(store, {"leads": [{"lead_id": "new", "source": "ads"}]})
    assert store.journal.of_lead("new", with_account=False)[0].time == NOW


def test_an_outcome_is_named_by_what_it_says(store: Store) -> None:
    lost = {"outcomes": [{"lead_id": "c", "closed_at": "2025-01-30T00:00:00Z", "status": "lost"}]}
    assert [len(append(store, lost).stored) for _ in range(2)] == [1, 0]


def test_verdicts_are_kept_with_who_and_why(store: Store) -> None:
    verdict = {"event_id": "v1", "lead_id": "a", "verdict": "reject", "reason": "student", "by": "rep-1"}
    append(store, {"verdicts": [verdict]})
    assert (
        store.journal.of_lead("a", with_account=False)[-1].data
        == '{"verdict":"reject","reason":"student","by":"rep-1"}'
    )


def test_an_event_before_its_lead_waits_for_it(store: Store) -> None:
    assert append(store, event("9", lead="later")).n_unknown == 1
    assert append(store, {"leads": [{"lead_id": "later"}]}).n_unknown == 0


def test_the_account_brings_its_other_leads(store: Store) -> None:
    append(store, {"leads": [{"lead_id": "d", "company": "Acme"}, {"lead_id": "e", "company": "Other"}]})
    found = store.journal.of_lead("a", with_account=True)
    assert sorted({row.lead_id for row in found}) == ["a", "b", "d"]
    assert [row.seq for row in found] == sorted(row.seq for row in found)
    assert found == store.journal.of_leads(["a"], with_account=True)
    assert store.journal.mates(["d", "c"]) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ([], ""),
        ({"lead": []}, "lead"),
        ({"leads": {}}, "leads"),
        ({"leads": [3]}, "leads[0]"),
        ({"leads": [{"source": "ads"}]}, "leads[0].lead_id"),
        ({"leads": [{"lead_id": "a", "created_at": "yesterday"}]}, "leads[0].created_at"),
        ({"leads": [{"lead_id": "a" * 201}]}, "leads[0].lead_id"),
        ({"leads": [{"lead_id": "a\0"}]}, "leads[0].lead_id"),
        ({"leads": [{"lead_id": "a", "source": "x\0"}]}, "leads[0].source"),
        ({"leads": [{"lead_id": "a", "source": "x" * 10_001}]}, "leads[0].source"),
        ({"leads": [{"lead_id": "a", "source": ["ads"]}]}, "leads[0].source"),
        ({"events": {"calls": []}}, "events.calls"),
        ({"events": {"touchpoints": [{"event_id": "1", "lead_id": "a"}]}}, "events.touchpoints[0].occurred_at"),
        (event("1") | {"verdicts": [{"event_id": "v", "lead_id": "a", "verdict": "maybe"}]}, "verdicts[0].verdict"),
        (
            {"events": {"touchpoints": [{"lead_id": "a", "occurred_at": "2025-01-01"}]}},
            "events.touchpoints[0].event_id",
        ),
        ({"outcomes": [{"lead_id": "a", "closed_at": "2025-01-01"}]}, "outcomes[0].status"),
        ({"verdicts": [{"lead_id": "a", "verdict": "accept"}]}, "verdicts[0].event_id"),
    ],
)
def test_what_cannot_be_stored_says_where(store: Store, body: Any, where: str) -> None:
    with pytest.raises(DocumentError) as caught:
        append(store, body)
    assert caught.value.where == where


def test_too_many_rows_are_refused(store: Store) -> None:
    with pytest.raises(DocumentError, match="at most 2 rows at once, found 3"):
        parse(store.journal.project, {"leads": [{"lead_id": str(n)} for n in range(3)]}, most_rows=2)


def test_undeclared_fields_are_told_and_not_kept(store: Store) -> None:
    arrived = parse(store.journal.project, {"leads": [{"lead_id": "a", "phone": "1"}]}, most_rows=9)
    assert arrived.warnings == ["leads: 1 undeclared field(s) ignored"]
    assert arrived.rows[0].data == {}


def test_writers_come_one_after_the_other(store: Store) -> None:
    """Of batches that several threads send, each more than once, every row is there once, in the order of arrival."""
    clock = itertools.count(NOW)
    n_stored: list[int] = []

    def send(worker: int) -> None:
        for n in range(20):
            rows = parse(store.journal.project, event(f"{n}-{worker % 2}"), most_rows=9).rows
            n_stored.append(len(store.journal.append(rows, lambda: next(clock)).stored))

    threads = [threading.Thread(target=send, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(n_stored) == 40
    found = [row for row in store.journal.of_lead("a", with_account=False) if row.known >= NOW]
    assert len(found) == 40
    assert [row.known for row in found] == sorted(row.known for row in found)


def test_a_profile_counts_though_the_clock_stepped_back(store: Store) -> None:
    append(store, {"leads": [{"lead_id": "a", "employees": 20}]}, now=NOW)
    append(store, {"leads": [{"lead_id": "a", "employees": 5_000}]}, now=NOW - 3_600_000_000)
    data = some(store.journal.project, store.journal.of_lead("a", with_account=False), None)
    assert data.leads.values[0, -1] == 5_000
    assert data.leads.known[-1] == NOW + 1


def test_another_content_under_a_known_id_is_left_out_and_told(store: Store) -> None:
    assert append(store, event("9", channel="web")).n_contradicted == 0
    assert append(store, event("9", channel="web")).n_contradicted == 0
    for other in (event("9", channel="mail"), event("9", lead="b", channel="web"), event("9", at="2025-01-11")):
        appended = append(store, other)
        assert (len(appended.stored), appended.n_repeated, appended.n_contradicted) == (0, 1, 1)


@pytest.mark.parametrize(
    ("now", "known"), [(NOW, NOW), (NOW - 1, NOW + 1), (NOW + 1, NOW + 1), (NOW - 2 * DAY, NOW - 2 * DAY)]
)
def test_now_is_never_just_before_what_is_known(now: int, known: int) -> None:
    assert not_before(NOW - 1 if now == NOW else NOW, now) == known
