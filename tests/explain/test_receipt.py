"""The parts of a receipt add up to the whole, its ends are the scores that lists hold, and each part sees its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore.errors import DataError
from leadscore.explain.parts import Part, Receipt
from leadscore.explain.telling import tell
from leadscore.time import DAY, parse_instant
from tests import builders

FROM, TO = "2026-03-12", "2026-03-26"
VERSIONED = {"leads.known": "updated_at", "leads.owner": "rep", "task.observed_until": "2025-12-31"}


@pytest.fixture(scope="module")
def other_scorer(sample: ls.Data, sample_snapshots: ls.Snapshots) -> ls.LeadScorer:
    """A model of another seed, of other trees and another plan."""
    plan = ls.FeaturePlan.of(
        sample.project,
        ["touchpoints.count.30d", "interactions.since_last", "profile.age", "lead.employees", "owner.open_leads"],
    )
    return ls.LeadScorer(seed=1, parameters={"num_iterations": 20}, features=plan).fit(sample, sample_snapshots)


@pytest.fixture(scope="module")
def receipts(sample: ls.Data, sample_scorer: ls.LeadScorer) -> list[Receipt]:
    before = set(sample_scorer.score(sample, as_of=FROM, n_reasons=0)["lead_id"])
    after = set(sample_scorer.score(sample, as_of=TO, n_reasons=0)["lead_id"])
    return [sample_scorer.receipt(sample, lead, from_=FROM, to=TO) for lead in sorted(before & after)[::3]]


def part(receipt: Receipt, kind: str) -> Part:
    return next(part for part in receipt.parts if part.kind == kind)


def small_scorer() -> ls.LeadScorer:
    """A scorer of the small project with versions of profiles, trained on many simulated leads."""
    rng = np.random.default_rng(0)
    n = 1_500
    start = pd.Timestamp("2025-01-01", tz="UTC")
    created = start + pd.to_timedelta(rng.uniform(0, 200, n), unit="D")
    source, employees = rng.choice(["ads", "webinar"], n), rng.integers(1, 300, n)
    keen = (source == "webinar") & (rng.random(n) < 0.7)
    ids = [f"n{i}" for i in range(n)]
    rep = rng.choice(["r1", "r2"], n)
    leads = pd.DataFrame({"lead_id": ids, "created_at": created, "updated_at": created, "source": source})
    leads = leads.assign(employees=employees, rep=rep)
    at = created + pd.to_timedelta(rng.uniform(0, 30, n), unit="D")
    touch = pd.DataFrame({"event_id": ids, "lead_id": ids, "occurred_at": at, "ingested_at": at})
    touch = touch.assign(channel=np.where(keen, "webinar", "email"), cost=1.0)
    closed = at + pd.to_timedelta(rng.uniform(1, 12, n), unit="D")
    won = np.where(keen | (rng.random(n) < 0.1), "won", "lost")
    outcome = pd.DataFrame({"lead_id": ids, "closed_at": closed, "status": won})
    data = ls.read(builders.project(VERSIONED), frames={"leads": leads, "touchpoints": touch, "outcome": outcome})
    return ls.LeadScorer(seed=0, parameters={"num_iterations": 30}).fit(data, ls.snapshots(data))


@pytest.fixture(scope="module")
def versioned_scorer() -> ls.LeadScorer:
    return small_scorer()


def small(events: list[tuple[str, str, str]], versions: list[tuple[str, str, str | None]]) -> ls.Data:
    """One lead ``a`` with events (occurred, known, channel) and versions (known, source, rep), beside a silent one."""
    rows = [("a", "2025-02-01", known, source, 10, rep) for known, source, rep in versions]
    columns = ["lead_id", "created_at", "updated_at", "source", "employees", "rep"]
    leads = pd.DataFrame([*rows, ("b", "2025-02-01", "2025-02-01", "ads", 5, "r2")], columns=columns)
    touch = pd.DataFrame(
        [(f"{i}", "a", *event, 1) for i, event in enumerate(events)],
        columns=["event_id", "lead_id", "occurred_at", "ingested_at", "channel", "cost"],
    )
    outcome = pd.DataFrame([("b", "2025-02-20", "won")], columns=["lead_id", "closed_at", "status"])
    return ls.read(builders.project(VERSIONED), frames={"leads": leads, "touchpoints": touch, "outcome": outcome})


def test_the_ends_are_the_scores_of_lists(sample, sample_scorer, receipts) -> None:
    assert len(receipts) > 50
    for end, as_of in (("before", FROM), ("after", TO)):
        listed = sample_scorer.score(sample, as_of=as_of, n_reasons=0).set_index("lead_id")
        for receipt in receipts:
            state, row = getattr(receipt, end), listed.loc[receipt.lead_id]
            assert state.probability == pytest.approx(row["probability"], abs=1e-12)
            assert (state.score, state.grade) == (row["score"], row["grade"])
            assert state.at == parse_instant(as_of, "UTC")


def test_the_parts_add_up(receipts) -> None:
    for receipt in receipts:
        for what, tolerance in (("margin", 1e-12), ("probability", 1e-12), ("score", 0)):
            change = getattr(receipt.after, what) - getattr(receipt.before, what)
            assert sum(getattr(part, what) for part in receipt.parts) == pytest.approx(change, abs=tolerance)
        for before, after in zip(receipt.parts, receipt.parts[1:], strict=False):
            assert before.after == after.before


def test_the_moves_of_a_part_add_up(receipts) -> None:
    for receipt in receipts:
        for part in receipt.parts:
            assert sum(move.effect for move in part.moves) == pytest.approx(part.margin, abs=1e-9)
            sizes = [abs(move.effect) for move in part.moves]
            assert sizes == sorted(sizes, reverse=True)


def test_an_empty_part_is_exactly_nothing_and_says_so(receipts) -> None:
    silent = [receipt for receipt in receipts if not part(receipt, "events").events]
    assert silent
    for receipt in silent:
        assert (part(receipt, "events").margin, part(receipt, "events").note) == (0.0, "no new event")
    for receipt in receipts:  # the sample declares no versions
        assert part(receipt, "fields").margin == 0.0
        assert "no versions" in str(part(receipt, "fields").note)


def test_another_model_is_a_part_of_its_own(sample, sample_scorer, other_scorer) -> None:
    lead = sample_scorer.score(sample, as_of=TO, n_reasons=0)["lead_id"].iloc[3]
    created = int(sample.leads.created[sample.leads.find([lead])[0]])
    receipt = other_scorer.receipt(sample, lead, from_=created, to=TO, model_before=sample_scorer)
    listed = other_scorer.score(sample, as_of=TO, n_reasons=0).set_index("lead_id")
    last = receipt.parts[-1]
    assert last.kind == "model"
    assert receipt.after.probability == pytest.approx(listed.loc[lead, "probability"], abs=1e-12)
    assert sum(move.effect for move in last.moves) == pytest.approx(last.margin, abs=1e-9)
    assert any(move.feature is None and move.about == "where every lead starts" for move in last.moves)
    assert len({move.about for move in last.moves}) == len(last.moves)
    assert receipt.parts[:4] == sample_scorer.receipt(sample, lead, from_=created, to=TO).parts


def test_a_model_beside_itself_changes_nothing(sample, sample_scorer, sample_scorer_folder, receipts) -> None:
    again = ls.LeadScorer.load(sample_scorer_folder)
    lead = receipts[0].lead_id
    last = sample_scorer.receipt(sample, lead, from_=FROM, to=TO, model_before=again).parts[-1]
    assert (last.kind, last.margin, last.moves) == ("model", 0.0, ())
    assert last.note == "both models say the same of this lead"


def test_an_event_exactly_at_from_is_new_and_one_exactly_at_to_is_not_there(versioned_scorer) -> None:
    at = [f"2025-02-{day:02}" for day in (9, 10, 15, 20)]
    data = small([(day, day, "email") for day in at], [("2025-02-01", "ads", "r1")])
    receipt = versioned_scorer.receipt(data, "a", from_="2025-02-10", to="2025-02-20")
    (new,) = part(receipt, "events").events
    assert (new.table, new.kind, new.n, new.n_late) == ("touchpoints", ("email",), 2, 0)
    assert (new.first_at, new.last_at) == (parse_instant("2025-02-10", "UTC"), parse_instant("2025-02-15", "UTC"))


def test_a_late_event_is_new_and_said_to_be_late(versioned_scorer) -> None:
    late = ("2025-02-05", "2025-02-10", "webinar")  # known exactly at the first time: not visible then
    unknown = ("2025-02-06", "2025-02-20", "webinar")  # known exactly at the second: not yet
    data = small([late, unknown], [("2025-02-01", "ads", "r1")])
    receipt = versioned_scorer.receipt(data, "a", from_="2025-02-10", to="2025-02-20")
    (new,) = part(receipt, "events").events
    assert (new.n, new.n_late) == (1, 1)
    assert any("known only later" in line for line in tell(receipt))


def test_an_edit_is_named_and_the_rest_stays(versioned_scorer) -> None:
    data = small([], [("2025-02-01", "ads", "r1"), ("2025-02-12", "webinar", "r2"), ("2025-02-20", "tv", "r2")])
    receipt = versioned_scorer.receipt(data, "a", from_="2025-02-10", to="2025-02-20")
    fields = part(receipt, "fields")
    assert [(edit.field, edit.before, edit.after) for edit in fields.edits] == [("source", "ads", "webinar")]
    assert fields.note is None
    assert part(receipt, "events").margin == 0.0
    others = part(receipt, "others")
    assert [(edit.field, edit.before, edit.after) for edit in others.edits] == [("rep", "r1", "r2")]
    listed = versioned_scorer.score(data, as_of="2025-02-20", n_reasons=0).set_index("lead_id")
    assert receipt.after.probability == pytest.approx(listed.loc["a", "probability"], abs=1e-12)


def test_without_an_edit_it_says_that_none_was(versioned_scorer) -> None:
    data = small([], [("2025-02-10", "ads", "r1")])
    receipt = versioned_scorer.receipt(data, "a", from_="2025-02-11", to="2025-02-20")
    assert (part(receipt, "fields").margin, part(receipt, "fields").note) == (0.0, "no field was edited")


def test_a_profile_that_was_not_known_yet_is_an_edit_from_nothing(versioned_scorer) -> None:
    data = small([], [("2025-02-10", "ads", "r1")])  # known exactly at the first time: not before it
    receipt = versioned_scorer.receipt(data, "a", from_="2025-02-10", to="2025-02-20")
    assert ("source", None, "ads") in {(e.field, e.before, e.after) for e in part(receipt, "fields").edits}


def test_a_lead_of_very_many_events_has_one_too(versioned_scorer) -> None:
    start = pd.Timestamp("2025-02-01T01:00:00Z")
    stamps = [(start + pd.Timedelta(minutes=i)).isoformat() for i in range(25_000)]
    data = small([(stamp, stamp, "email") for stamp in stamps], [("2025-02-01", "ads", "r1")])
    receipt = versioned_scorer.receipt(data, "a", from_="2025-02-05", to="2025-02-25")
    listed = versioned_scorer.score(data, as_of="2025-02-25", n_reasons=0).set_index("lead_id")
    assert receipt.after.probability == pytest.approx(listed.loc["a", "probability"], abs=1e-12)
    assert part(receipt, "events").events[0].n == 25_000 - 4 * 1_440 + 60


@pytest.mark.parametrize("like", ["before", "after"])
def test_a_move_compares_a_feature_with_itself(sample_scorer, receipts, like: str) -> None:
    names = set(sample_scorer.plan.names)
    moves = [move for receipt in receipts for part in receipt.parts for move in part.moves]
    assert all(move.feature in names and getattr(move, like) for move in moves)
    assert not any("-" in word and word[1:].isdigit() for move in moves for word in getattr(move, like).split())


@pytest.mark.parametrize(
    ("lead", "times", "why"),
    [
        ("nobody", ("2025-02-10", "2025-02-20"), "there is no lead 'nobody'"),
        ("a", ("2025-01-10", "2025-02-20"), "was not there yet at 2025-01-10T00:00:00Z"),
        ("a", ("2025-02-20", "2025-02-20"), "forward in time"),
        ("a", ("2025-02-21", "2025-02-20"), "forward in time"),
        ("a", ("soon", "2025-02-20"), "'soon' is not a time"),
        ("b", ("2025-02-21", "2025-02-25"), "was won at 2025-02-20T00:00:00Z"),
    ],
)
def test_what_has_no_receipt_is_refused(versioned_scorer, lead: str, times: tuple[str, str], why: str) -> None:
    data = small([], [("2025-02-01", "ads", "r1")])
    with pytest.raises(DataError, match=why):
        versioned_scorer.receipt(data, lead, from_=times[0], to=times[1])


def test_a_lead_that_closed_in_between_is_warned_of(versioned_scorer) -> None:
    data = small([], [("2025-02-01", "ads", "r1")])
    receipt = versioned_scorer.receipt(data, "b", from_="2025-02-10", to="2025-02-25")
    assert any(warning.startswith("the lead was won on 2025-02-20") for warning in receipt.warnings)


def test_a_list_without_times_has_none(versioned_scorer) -> None:
    data = builders.labelled(9)
    with pytest.raises(DataError, match="a list without them"):
        versioned_scorer.receipt(data, str(data.leads.ids[0]), from_="2025-02-10", to="2025-02-25")


def test_times_may_be_instants(sample, sample_scorer, receipts) -> None:
    at = parse_instant(FROM, "UTC")
    assert sample_scorer.receipt(sample, receipts[0].lead_id, from_=at, to=at + 14 * DAY) == receipts[0]


def test_the_record_is_json_and_adds_up(receipts) -> None:
    record = json.loads(json.dumps(receipts[0].to_dict(), allow_nan=False))
    assert [part["part"] for part in record["parts"]] == ["time", "fields", "events", "others"]
    change = record["after"]["score"] - record["before"]["score"]
    assert sum(part["score"] for part in record["parts"]) == change


def test_the_text_begins_with_the_change_and_is_short(receipts) -> None:
    for receipt in receipts:
        lines = tell(receipt)
        before, after = receipt.before, receipt.after
        assert lines[0].startswith(
            f"{receipt.lead_id}: score {before.score} ({before.grade}) → {after.score} ({after.grade}), probability "
        )
        assert lines[0].endswith("12 March → 26 March 2026")
        assert len(lines) <= 25
        assert not any("interactions." in line or "touchpoints." in line for line in lines)


def test_the_schema_must_be_the_models(sample_scorer, tmp_path: Path) -> None:
    with pytest.raises(ls.LeadScoreError, match="the plan was made for"):
        sample_scorer.receipt(builders.read(tmp_path), "a", from_="2025-01-05", to="2025-01-09")
