"""The keeper: who is scored when, by whom, and what the call list shows; over the sample's store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import generate_latest

import leadscore as ls
from leadscore import time
from service import keeper
from service.observing import psi_of_scores
from service.store.scores import BEST, ListQuery, read_cursor
from tests.service.keeping import MINUTE, NOW, Kept
from tests.service.store.test_journal import append


@pytest.fixture
def kept(new_keeper: Callable[[str], Kept]) -> Kept:
    return new_keeper("one")


def test_the_list_is_what_the_library_scores(kept: Kept, sample: ls.Data, scorer: ls.LeadScorer) -> None:
    kept.settle()
    expected = scorer.score(sample, as_of=NOW)
    listed = kept.list()
    assert len(listed) == len(expected)
    found = {record["lead_id"]: record["probability"] for record in listed}
    assert found == dict(zip(expected["lead_id"], expected["probability"], strict=True))
    margins = [record["probability"] for record in listed]
    assert margins == sorted(margins, reverse=True)


def test_an_event_moves_its_lead_at_once_and_only_it(kept: Kept) -> None:
    kept.settle()
    lead_id = kept.list()[100]["lead_id"]
    before = {record["lead_id"]: record for record in kept.list()}
    kept.now[0] += MINUTE
    call = {"event_id": "new", "lead_id": lead_id, "occurred_at": "2026-05-01T08:59:00Z", "kind": "meeting"}
    append(kept.store, {"events": {"interactions": [{**call, "direction": "inbound"}]}}, now=NOW)
    kept.settle()
    after = {record["lead_id"]: record for record in kept.list()}
    moved = {name for name, record in after.items() if name in before and record["as_of"] != before[name]["as_of"]}
    assert lead_id in moved
    assert moved == set(kept.store.journal.mates([lead_id])) & set(after)
    assert [point["cause"] for point in kept.store.scores.history(lead_id, limit=5)] == ["time", "event"]


def test_who_is_won_or_lost_leaves_the_list(kept: Kept) -> None:
    kept.settle()
    first, second = (record["lead_id"] for record in kept.list()[:2])
    closed = {"closed_at": "2026-05-01T08:59:00Z"}
    outcomes = [{"lead_id": first, "status": "won", **closed}, {"lead_id": second, "status": "lost", **closed}]
    append(kept.store, {"outcomes": outcomes}, now=NOW)
    kept.now[0] += MINUTE
    kept.settle()
    assert not {first, second} & {record["lead_id"] for record in kept.list()}


def test_a_new_lead_joins_the_list(kept: Kept) -> None:
    kept.settle()
    append(
        kept.store, {"leads": [{"lead_id": "new", "created_at": "2026-05-01T08:00:00Z", "source": "webinar"}]}, now=NOW
    )
    kept.now[0] += MINUTE
    kept.settle()
    assert "new" in {record["lead_id"] for record in kept.list(created_from=NOW - 120 * MINUTE)}


def test_scores_age_by_themselves(kept: Kept) -> None:
    kept.settle()
    kept.now[0] += 14 * MINUTE
    assert not kept.keeper.step()
    kept.now[0] += MINUTE
    kept.settle()
    assert {record["as_of"] for record in kept.list()} == {time.format_instant(NOW + 15 * MINUTE)}


def test_another_model_scores_everybody_anew(kept: Kept, sample_scorer_folder: Path) -> None:
    kept.settle()
    kept.keeper.model.use(ls.LeadScorer.load(sample_scorer_folder, version="8"))
    kept.now[0] += MINUTE
    kept.settle()
    assert {record["model"]["version"] for record in kept.list()} == {"8"}
    assert kept.store.scores.history(kept.list()[0]["lead_id"], limit=5)[-1]["cause"] == "model"


def test_of_two_keepers_one_scores_until_its_lease_ends(new_keeper: Callable[[str], Kept]) -> None:
    one, two = new_keeper("one"), new_keeper("two")
    one.settle()
    changes = one.store.scores.changes
    two.settle()  # counts, and finds the lease taken
    append(two.store, {"leads": [{"lead_id": "new", "created_at": "2026-05-01T08:00:00Z"}]}, now=NOW)
    for kept in (one, two):
        kept.now[0] += MINUTE // 2
    two.settle()
    assert two.store.scores.changes == changes
    one.settle()
    assert one.store.scores.changes == changes + 1
    two.now[0] += 2 * MINUTE  # the first one is gone
    append(two.store, {"leads": [{"lead_id": "newer", "created_at": "2026-05-01T08:00:00Z"}]}, now=NOW)
    two.settle()
    assert "newer" in {record["lead_id"] for record in two.list(created_from=NOW - 120 * MINUTE)}
    assert two.store.scores.changes == changes + 2  # the round was not done again


def test_a_keeper_that_stopped_halfway_is_followed_by_a_whole_round(new_keeper: Callable[[str], Kept]) -> None:
    one, two = new_keeper("one"), new_keeper("two")
    one.settle()
    one.store.shared.set_mark("rescored", 0)  # as it stands while a round is under way
    one.keeper.release()
    two.now[0] += MINUTE
    two.settle()
    assert {record["as_of"] for record in two.list()} == {time.format_instant(NOW + MINUTE)}


def test_an_older_score_never_replaces_a_newer_one(kept: Kept) -> None:
    kept.settle()
    lead_id = kept.list()[0]["lead_id"]
    said, _ = kept.keeper._leads.rescore(kept.keeper.model.current.scorer, [lead_id], at=NOW - MINUTE)
    kept.store.scores.keep(said, (), cause="event")
    assert kept.list()[0]["as_of"] == time.format_instant(NOW)


def test_filters_and_pages_agree_with_the_whole_list(kept: Kept) -> None:
    kept.settle()
    everybody = kept.list()
    some = kept.list(grades=("A", "B"), origin="webinar")
    assert some
    wanted = {record["lead_id"] for record in everybody if record["grade"] in "AB"}
    assert {record["lead_id"] for record in some} <= wanted | {record["lead_id"] for record in some}
    paged: list[str] = []
    after = None
    while True:
        page = kept.store.scores.page(ListQuery(limit=7, after=after, grades=("A", "B")))
        paged += [json.loads(record)["lead_id"] for record, *_ in page.records]
        if page.cursor is None:
            break
        after = read_cursor(page.cursor, BEST)
    assert len(paged) == len(set(paged))
    assert wanted <= set(paged)


def test_drift_of_the_list_is_told(kept: Kept) -> None:
    kept.settle()
    metrics = generate_latest(kept.registry).decode()
    assert f'leadscore_open_leads{{version="7"}} {len(kept.store.scores.listed())}.0' in metrics
    assert "leadscore_score_psi" in metrics


def test_even_scores_have_not_moved() -> None:
    assert psi_of_scores(dict.fromkeys(range(100), 10)) == pytest.approx(0)
    assert psi_of_scores({5: 1_000}) > 2


def test_history_tells_what_moved_a_score(kept: Kept, scorer: ls.LeadScorer) -> None:
    kept.settle()
    current = kept.keeper.model.current
    lead_id = kept.list()[100]["lead_id"]  # of the best, one call more may move none
    call = {"event_id": "new", "lead_id": lead_id, "occurred_at": "2026-05-01T08:59:00Z", "kind": "meeting"}
    kept.now[0] += MINUTE
    append(kept.store, {"events": {"interactions": [{**call, "direction": "inbound"}]}}, now=NOW)
    kept.settle()
    first, second = kept.keeper._leads.history(current, lead_id, limit=20, receipts=True)
    assert first["moved_by"] is None
    parts = {part["part"]: part for part in second["moved_by"]}
    assert sum(part["probability"] for part in parts.values()) == pytest.approx(
        second["probability"] - first["probability"], abs=1e-12
    )
    assert parts["events"]["events"][0]["n"] == 1
    assert kept.keeper._leads.history(current, lead_id, limit=1, receipts=False)[0]["moved_by"] is None


def test_a_lead_that_is_closed_during_a_round_does_not_come_back(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.settle()
    last = kept.list()[-1]["lead_id"]
    kept.now[0] += 15 * MINUTE
    monkeypatch.setattr(keeper, "SLICE", 100)
    rescore, n_calls = kept.keeper.rescore_touched, 0

    def with_news() -> bool:
        nonlocal n_calls
        n_calls += 1
        if n_calls == 1:
            won = {"lead_id": last, "closed_at": "2026-05-01T09:05:00Z", "status": "won"}
            append(kept.store, {"outcomes": [won]}, now=NOW + 5 * MINUTE)
        return rescore()

    monkeypatch.setattr(kept.keeper, "rescore_touched", with_news)
    kept.settle()
    assert n_calls > 2
    assert last not in {record["lead_id"] for record in kept.list()}


def test_counts_follow_the_project_of_the_model(kept: Kept, scorer: ls.LeadScorer) -> None:
    """The project's file may have lost a role, or call a win otherwise, since the model was trained."""
    raw = {**scorer.project.raw, "leads": {**scorer.project.raw["leads"]}}
    del raw["leads"]["owner"]
    kept.store.journal.project = ls.Project.from_dict(raw)
    kept.settle()
    assert kept.keeper._leads.counted is not None
    assert "owner" in kept.keeper._leads.counted.counts.groups
    assert kept.list()


def test_rows_of_a_writer_whose_clock_is_ahead_are_scored_with_them(kept: Kept) -> None:
    kept.settle()
    lead = {"lead_id": "ahead", "created_at": "2026-05-01T08:00:00Z"}
    append(kept.store, {"leads": [lead]}, now=NOW + MINUTE // 60)
    kept.settle()
    assert "ahead" in {record["lead_id"] for record in kept.list()}


def test_another_model_is_counted_for_anew(kept: Kept, scorer: ls.LeadScorer, sample_scorer_folder: Path) -> None:
    """It may call a win otherwise."""
    kept.settle()
    before = kept.keeper._leads.counted
    kept.keeper.model.use(ls.LeadScorer.load(sample_scorer_folder, version="8"))
    kept.settle()
    assert kept.keeper._leads.counted is not before
