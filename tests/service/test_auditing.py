"""The audit finds what came out otherwise, and tells late rows from faults; over the sample's store."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

import leadscore as ls
from leadscore.company import Counts
from service.auditing import Sampler, audit, key_of
from service.observing import Observer
from service.serving import InUse
from service.store import Store
from service.store.schema import requests
from service.store.tables import Counted, whole
from service.stored import StoredLeads
from tests.service.keeping import NOW, Kept
from tests.service.store.test_journal import append

Answered = tuple[Store, StoredLeads]
LEADS = [f"L{number:06d}" for number in range(100, 130)]


@pytest.fixture
def answered(new_keeper: Callable[[str], Kept], scorer: ls.LeadScorer) -> Answered:
    """A store from which thirty leads were scored, each answer kept."""
    store: Store = new_keeper("one").store
    counted = Counted(Counts.of(whole(store.journal, events=False)), store.journal.until())
    sampler = Sampler(store, Observer(CollectorRegistry(), print), 1.0)
    leads = StoredLeads(store, counted, sampler)
    for lead_id in LEADS:
        leads.score(InUse("7", scorer, ""), lead_id, as_of=NOW, now=NOW)
    sampler.flush()
    return store, leads


def test_the_same_rows_give_the_same_answers(answered: Answered, scorer: ls.LeadScorer) -> None:
    found = audit(answered[0], lambda version: scorer)
    assert (found.n, found.same, found.late, found.logic) == (30, 30, 0, [])


def test_a_row_that_came_late_is_told_apart(answered: Answered, scorer: ls.LeadScorer) -> None:
    store, _ = answered
    call = {"event_id": "late", "lead_id": LEADS[0], "occurred_at": "2026-04-30T09:00:00Z", "kind": "call"}
    append(store, {"events": {"interactions": [call]}}, now=NOW + 1_000_000)
    found = audit(store, lambda version: scorer)
    assert found.logic == []
    assert 1 <= found.late == 30 - found.same
    assert found.late_features


def test_counts_of_today_do_not_matter(answered: Answered, scorer: ls.LeadScorer) -> None:
    store, _ = answered
    outcomes = [
        {"lead_id": lead, "closed_at": "2026-04-20T00:00:00Z", "status": "won"} for lead in ("L001000", "L001001")
    ]
    append(store, {"outcomes": outcomes}, now=NOW - 1)
    assert audit(store, lambda version: scorer).logic == []


def test_an_answer_that_comes_out_otherwise_is_found(answered: Answered, scorer: ls.LeadScorer) -> None:
    store, _ = answered
    with store.database.writing() as connection:
        connection.execute(requests.update().where(requests.c.id == 3).values(margin=requests.c.margin + 1e-12))
    found = audit(store, lambda version: scorer)
    assert [fault["id"] for fault in found.logic] == [3]
    assert found.to_dict()["logic"] == 1


def test_models_and_leads_that_are_gone_are_counted(answered: Answered, scorer: ls.LeadScorer) -> None:
    store, _ = answered
    with store.database.writing() as connection:
        connection.execute(requests.update().where(requests.c.id == 3).values(lead_key="0" * 64))
    found = audit(store, lambda version: scorer)
    assert (found.gone, found.same) == (1, 29)
    assert audit(store, lambda version: None).unknown == 30


def test_the_sample_names_nobody(answered: Answered) -> None:
    store, _ = answered
    [first, *_] = store.database.ask(requests.select())
    assert not any(lead in str(tuple(first)) for lead in LEADS)
    assert first.lead_key == key_of(store.database.salt, LEADS[0])


def test_no_share_keeps_nothing(answered: Answered) -> None:
    sampler = Sampler(answered[0], Observer(CollectorRegistry(), print), 0.0)
    assert not any(sampler.wants() for _ in range(1_000))
