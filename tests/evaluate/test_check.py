"""`check` names every planted fault, and is calm where there is none."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from leadscore.evaluate.check import Checked, check, render
from leadscore.evaluate.check.periods import Periods, empty_periods, largest_jump
from leadscore.evaluate.check.power import auc, column_auc
from leadscore.project import Project
from tests.planted import DAY, N_LEADS, checked_as_listed, checked_in, fates, healthy, named, settings, severe, shared


@pytest.fixture
def checked(tmp_path: Path) -> Callable[..., Checked]:
    """Write tables and settings as a project, and check it."""
    return partial(checked_in, tmp_path)


def test_a_healthy_project_has_notes_at_most(checked: Callable[..., Checked]) -> None:
    result = checked(healthy(), settings())
    assert {finding.severity for finding in result.findings} <= {"note"}, result.findings


def test_findings_are_ranked_and_the_same_every_time(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    tables["leads"]["stage"] = np.where(fates(tables) == "won", "Customer", "Other")
    raw["leads"]["categorical"] = ["source", "stage"]
    one, two = checked(tables, raw), checked(tables, raw)
    assert one == two
    order = [["severe", "warning", "note"].index(finding.severity) for finding in one.findings]
    assert order == sorted(order)
    assert order[0] == 0


def test_json_holds_the_contract(checked: Callable[..., Checked]) -> None:
    printed = json.loads(json.dumps(checked(healthy(), settings()).to_dict(), allow_nan=False))
    assert set(printed["findings"][0]) == {"severity", "kind", "table", "column", "evidence", "remedy"}
    assert printed["summary"]["n_leads"] == N_LEADS
    assert sum(period["n_created"] for period in printed["summary"]["periods"]) >= N_LEADS - 3


def test_progress_reaches_its_end(tmp_path: Path) -> None:
    for name, frame in healthy().items():
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    steps: list[tuple[int, int]] = []
    check(Project.from_dict(settings(), folder=tmp_path), progress=lambda done, of: steps.append((done, of)))
    assert [done for done, _ in steps] == list(range(1, steps[0][1] + 1))


# --- profile columns that know the outcome


def test_a_status_like_column_is_severe(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    rng = np.random.default_rng(0)
    stage = np.where(fates(tables) == "won", "Customer", np.where(fates(tables) == "lost", "Dead", "Working"))
    tables["leads"]["stage"] = np.where(rng.random(N_LEADS) < 0.05, "Working", stage)
    raw["leads"]["categorical"] = ["source", "stage"]
    finding = named(checked(tables, raw), "predicts_too_well")
    assert (finding.severity, finding.column) == ("severe", "stage")
    assert '[leads] categorical = ["source"]' in finding.remedy


def test_a_number_written_with_the_deal_is_severe(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    value = np.random.default_rng(0).lognormal(5, 1, N_LEADS).round()
    tables["leads"]["deal_value"] = np.where(fates(tables) == "won", value, 0)
    raw["leads"]["numeric"] = ["size", "deal_value"]
    assert severe(checked(tables, raw)) == {"deal_value"}


def test_a_column_filled_for_every_win_and_half_of_the_losses_is_severe(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    rng = np.random.default_rng(0)
    fill = (fates(tables) == "won") | (rng.random(N_LEADS) < 0.5)
    tables["leads"]["account"] = np.where(fill, rng.choice(list("ABCDEFGH"), N_LEADS), None)
    raw["leads"]["categorical"] = ["source", "account"]
    finding = named(checked(tables, raw), "filled_by_outcome")
    assert (finding.severity, finding.column) == ("severe", "account")
    assert "100 % of won" in finding.evidence
    assert "without it" in finding.evidence


def test_a_column_filled_at_closing_is_severe_though_it_says_nothing_of_won_or_lost(
    checked: Callable[..., Checked],
) -> None:
    tables, raw = healthy(), settings()
    reasons = np.random.default_rng(0).choice(["price", "timing"], N_LEADS)
    tables["leads"]["reason"] = np.where(fates(tables) == "open", None, reasons)
    raw["leads"]["categorical"] = ["source", "reason"]
    assert severe(checked(tables, raw)) == {"reason"}


def test_a_column_that_is_new_is_not_taken_for_a_leak(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    new = tables["leads"]["created"] > pd.Timestamp("2025-10-01")
    tables["leads"]["chat"] = np.where(new, np.random.default_rng(0).choice(["yes", "no"], N_LEADS), None)
    raw["leads"]["categorical"] = ["source", "chat"]
    assert severe(checked(tables, raw)) == set()


def test_a_role_is_judged_like_a_column(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    tables["leads"]["rep"] = np.where(fates(tables) == "won", "closer", "desk")
    raw["leads"]["owner"] = "rep"
    finding = named(checked(tables, raw), "predicts_too_well")
    assert finding.column == "rep"
    assert "remove owner from [leads]" in finding.remedy


def test_a_category_that_only_winners_have_is_named(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    won = fates(tables) == "won"
    filed = won & (np.random.default_rng(0).random(N_LEADS) < 0.4)
    tables["leads"]["tag"] = np.where(filed, "onboarding", "none yet")
    raw["leads"]["categorical"] = ["source", "tag"]
    finding = named(checked(tables, raw), "tells_outcome")
    assert (finding.severity, finding.column) == ("severe", "tag")
    assert '"onboarding"' in finding.evidence


def test_columns_that_only_together_tell_too_much_are_named(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    rng = np.random.default_rng(0)
    mask = rng.random(N_LEADS)
    tables["leads"]["left"] = mask
    tables["leads"]["right"] = mask + np.where(fates(tables) == "won", 0.1, -0.1) + rng.normal(0, 0.03, N_LEADS)
    raw["leads"]["numeric"] = ["size", "left", "right"]
    finding = named(checked(tables, raw), "profile_predicts_too_well")
    assert finding.severity == "severe"
    assert finding.column in ("left", "right")


def test_versions_of_a_profile_are_read_as_they_were_known(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    first = tables["leads"].assign(known=tables["leads"]["created"] - DAY, stage="New")
    after = first.assign(known=first["created"] + 30 * DAY, stage=np.where(fates(tables) == "won", "Customer", "Dead"))
    raw["leads"] |= {"known": "known", "categorical": ["source", "stage"]}
    result = checked(tables | {"leads": pd.concat([first, after])}, raw)
    assert severe(result) == set()
    assert "no_versions" not in {finding.kind for finding in result.findings}


def test_undeclared_columns_that_know_the_outcome_are_a_note(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    tables["leads"]["stage"] = fates(tables)
    result = checked(tables, raw)
    assert named(result, "rightly_left_out").severity == "note"
    assert '"stage"' in named(result, "rightly_left_out").evidence
    assert severe(result) == set()


def test_events_that_only_winners_have_are_named(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    del raw["events"]["calls"]["known"]
    raw["task"]["cutoffs"] = {"at_age": ["0d", "1d"]}
    won = tables["leads"][fates(tables) == "won"]
    welcome = pd.DataFrame({"id": won["id"], "at": won["created"] + DAY / 2, "kind": "welcome", "minutes": 1.5})
    result = checked(tables | {"calls": pd.concat([tables["calls"], welcome])}, raw)
    finding = named(result, "event_tells_outcome")
    assert (finding.severity, finding.table, finding.column) == ("severe", "calls", "kind")


# --- values


def test_columns_without_content_are_named(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    leads = tables["leads"]
    leads["empty"], leads["same"], leads["rare"] = None, "x", None
    leads.loc[:20, "rare"] = ["a", "b", "c"] * 7
    leads["note"] = [f"text {i}" for i in range(N_LEADS)]
    leads["city"] = np.random.default_rng(0).choice(["Select", "Rome", "Oslo"], N_LEADS)
    leads["since"] = np.where(np.arange(N_LEADS) % 3 == 0, 999, np.arange(N_LEADS) % 20)
    raw["leads"]["categorical"] = ["source", "empty", "same", "rare", "note", "city"]
    raw["leads"]["numeric"] = ["since"]
    tables["calls"]["blank"] = None
    raw["events"]["calls"]["categorical"] = ["kind", "blank"]
    result = checked(tables, raw)
    columns = {finding.kind: finding.column for finding in reversed(result.findings)}
    assert columns["constant_column"] == "same"
    assert columns["mostly_missing"] == "rare"
    assert columns["id_in_disguise"] == "note"
    assert columns["placeholder"] == "city"
    assert columns["sentinel"] == "since"
    empty = {(finding.table, finding.column) for finding in result.findings if finding.kind == "empty_column"}
    assert empty == {("leads", "empty"), ("calls", "blank")}
    assert '[leads] missing = ["Select"]' in named(result, "placeholder").remedy
    assert not any("text 1" in finding.evidence for finding in result.findings)


def test_what_reading_counted_becomes_findings(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    tables["leads"]["size"] = [f"about {i}" for i in range(N_LEADS)]
    tables["leads"]["created"] = tables["leads"]["created"].astype("str")
    tables["leads"].loc[:99, "created"] = ""
    tables["calls"]["at"] = tables["calls"]["at"].astype("str")
    tables["calls"].iloc[:100, tables["calls"].columns.get_loc("at")] = "soon"
    tables["calls"].iloc[100:300, tables["calls"].columns.get_loc("id")] = "nobody"
    tables["outcome"].iloc[900 // 2 :, 1] -= 300 * DAY
    kinds = {finding.kind: finding for finding in checked(tables, raw).findings}
    assert kinds["not_numeric"].column == "size"
    assert kinds["without_created"].severity == "warning"
    assert (kinds["rejected"].table, kinds["rejected"].column) == ("calls", "at")
    assert kinds["unknown_lead"].severity == "warning"
    assert kinds["won_before_created"].table == "outcome"


def test_twins_are_counted(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    twins = tables["leads"].iloc[:100].assign(id=[f"T{i}" for i in range(100)])
    finding = named(checked(tables | {"leads": pd.concat([tables["leads"], twins])}, raw), "twin_leads")
    assert finding.evidence.startswith("100 leads repeat")


def test_a_known_that_dates_the_last_change_is_named(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    tables["leads"]["updated"] = tables["leads"]["created"] + 40 * DAY
    raw["leads"]["known"] = "updated"
    assert named(checked(tables, raw), "latest_version_only").column == "updated"


# --- the label


def test_a_state_that_sounds_won_and_is_not_counted_is_named(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    tables["outcome"].iloc[::4, 2] = "Closed - Converted"
    tables["outcome"].iloc[1::4, 2] = "not won"
    finding = named(checked(tables, raw), "state_sounds_won")
    assert 'won = ["won", "Closed - Converted"]' in finding.remedy
    assert '"not won"' in named(checked(tables, raw), "other_states").evidence


def test_no_win_at_all_is_severe(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    raw["outcome"]["won"] = ["Won"]
    result = checked(tables, raw)
    assert named(result, "no_wins").severity == "severe"
    assert named(result, "nothing_to_learn").severity == "severe"


def test_few_wins_are_a_warning(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    outcome = tables["outcome"]
    tables["outcome"] = outcome[(outcome["status"] == "lost") | (np.arange(len(outcome)) % 10 == 0)]
    assert named(checked(tables, raw), "few_wins").severity == "warning"


def test_wins_recorded_only_since_some_day_are_noticed(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    outcome = tables["outcome"]
    tables["outcome"] = outcome[(outcome["closed"] >= "2025-07-01") & (outcome["status"] == "won")]
    finding = named(checked(tables, raw), "wins_start_late")
    assert '[task] observed_from = "2025-07-0' in finding.remedy
    raw["task"]["observed_from"] = "2025-07-01"
    assert "wins_start_late" not in {finding.kind for finding in checked(tables, raw).findings}


def test_an_end_beyond_the_last_recorded_win_is_noticed(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    raw["task"]["observed_until"] = "2026-06-01"
    finding = named(checked(tables, raw), "wins_end_early")
    assert '[task] observed_until = "2026-01-01"' in finding.remedy or "2025-12-" in finding.remedy


def test_a_time_in_the_far_future_is_noticed(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    del raw["task"]["observed_until"]
    row = tables["calls"].iloc[[0]].assign(at=pd.Timestamp("2091-01-01"), loaded=pd.Timestamp("2091-01-01"))
    finding = named(checked(tables | {"calls": pd.concat([tables["calls"], row])}, raw), "outlying_times")
    assert (finding.table, finding.column) == ("calls", "at")
    assert "[task] observed_until" in finding.remedy


def test_mostly_immature_snapshots_are_noticed(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    raw["task"] |= {"observed_from": "2025-10-01"}
    assert named(checked(tables, raw), "mostly_immature").table == "task"


def test_customers_entered_as_leads_are_noticed(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    created = tables["leads"].set_index("id")["created"]
    first = tables["outcome"].index[:200]
    tables["outcome"].loc[first, "closed"] = tables["outcome"].loc[first, "id"].map(created)
    tables["outcome"].loc[first, "status"] = "won"
    assert named(checked(tables, raw), "won_at_creation").evidence.startswith("200 of")


def test_a_market_that_changes_is_noticed(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    outcome = tables["outcome"]
    tables["outcome"] = outcome[(outcome["closed"] < "2025-07-01") | (np.arange(len(outcome)) % 8 == 0)]
    assert named(checked(tables, raw), "win_rate_drifts").severity == "warning"


def test_columns_of_the_outcome_table_are_warned_of(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    tables["outcome"]["contract"] = 1
    finding = named(checked(tables, raw), "outcome_only_columns")
    assert '"contract"' in finding.evidence


def test_a_list_without_times_is_told_so(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    leads = tables["leads"].assign(label=(fates(tables) == "won").astype(int))
    raw = {"leads": raw["leads"], "outcome": {"source": "leads.csv", "column": "label", "won": ["1"]}}
    result = checked({"leads": leads}, raw)
    assert named(result, "no_times").severity == "warning"
    assert severe(result) == set()
    assert result.summary.periods == ()


# --- events over time


def test_breaks_of_an_event_table_are_named(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    at = tables["calls"]["at"]
    tables["calls"] = tables["calls"][((at < "2025-05-01") | (at >= "2025-06-01"))]
    assert "2025-05" in named(checked(tables, raw), "gap_in_events").evidence
    tables["calls"] = healthy()["calls"].pipe(lambda calls: calls[(calls["at"] >= "2025-04-01")])
    assert named(checked(tables, raw), "starts_late").table == "calls"
    tables["calls"] = healthy()["calls"].pipe(lambda calls: calls[(calls["at"] < "2025-10-01")])
    assert named(checked(tables, raw), "ends_early").table == "calls"
    thin = (np.arange(len(at)) % 10 == 0) | (at >= "2025-07-01").to_numpy()
    tables["calls"] = healthy()["calls"][thin]
    assert "2025-07" in named(checked(tables, raw), "jump_in_events").evidence


def test_arrival_of_events_is_described(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    calls = healthy()["calls"]
    tables["calls"] = calls.assign(loaded=calls["at"] + 3 * DAY)
    assert named(checked(tables, raw), "known_late").severity == "note"
    tables["calls"] = calls.assign(loaded=calls["at"] - DAY)
    assert named(checked(tables, raw), "known_ahead").severity == "warning"
    tables["calls"] = calls.assign(loaded=pd.Timestamp("2025-12-31"))
    assert named(checked(tables, raw), "bulk_load").severity == "warning"
    del raw["events"]["calls"]["known"]
    tables["calls"] = calls.assign(at=calls["at"].dt.date)
    assert named(checked(tables, raw), "dates_without_times").column == "at"


def test_repeats_and_strangers_among_events_are_counted(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    calls = tables["calls"]
    finding = named(checked(tables | {"calls": pd.concat([calls, calls.iloc[:1_000]])}, raw), "repeated_events")
    assert finding.evidence.startswith("1,000 rows repeat")
    assert finding.severity == "warning"
    few = calls[calls["id"] < "L00400"]
    assert named(checked(tables | {"calls": few}, raw), "leads_without_events").table == "calls"
    assert named(checked(tables | {"calls": calls.assign(id="X")}, raw), "no_events").severity == "warning"


def test_a_redelivered_row_is_a_note(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    calls = tables["calls"].assign(event=[f"E{i}" for i in range(len(tables["calls"]))])
    raw["events"]["calls"]["id"] = "event"
    result = checked(tables | {"calls": pd.concat([calls, calls.iloc[:50]])}, raw)
    assert named(result, "redelivered").severity == "note"


# --- arithmetic


def test_auc_shares_ties() -> None:
    label = np.array([True, False, True, False])
    assert auc(label, np.array([2.0, 1.0, 3.0, 0.0])) == 1.0
    assert auc(label, np.ones(4)) == 0.5
    assert auc(label, np.array([1.0, 1.0, 0.0, 0.0])) == 0.5


def test_a_column_of_ids_tells_nothing() -> None:
    label = np.random.default_rng(0).random(2_000) < 0.3
    assert abs(column_auc(np.arange(2_000, dtype=np.int32), label, seed=0) - 0.5) < 0.05
    assert column_auc(label.astype(np.int32), label, seed=0) == 1.0


def test_periods_count_from_mondays_or_months() -> None:
    start, end = (int(pd.Timestamp(day).value // 1_000) for day in ("2026-01-01", "2026-01-31"))
    weeks = Periods.over(start, end)
    assert (weeks.unit, weeks.starts[0], len(weeks.starts)) == ("week", "2025-12-29", 5)
    months = Periods.over(start, start + 400 * 86_400_000_000)
    assert (months.unit, months.starts[0], months.starts[-1]) == ("month", "2026-01", "2027-02")
    assert list(months.count(np.array([start, end, start - 1]))[:2]) == [2, 0]


def test_jumps_and_gaps_need_numbers() -> None:
    assert largest_jump(np.array([5, 10, 10, 10, 100, 100, 100, 50])) == (4, 10.0, 100.0)
    assert largest_jump(np.array([5, 100, 110, 100, 120, 100, 90, 3])) is None
    assert list(empty_periods(np.array([30, 40, 0, 35, 0]))) == [2]
    assert len(empty_periods(np.array([1, 0, 1, 0, 2]))) == 0


def test_the_report_for_people_ranks_and_mends(checked: Callable[..., Checked]) -> None:
    tables, raw = healthy(), settings()
    tables["leads"]["stage"] = np.where(fates(tables) == "won", "Customer", "Other")
    raw["leads"]["categorical"] = ["source", "stage"]
    text = render(checked(tables, raw))
    assert text.splitlines()[0].startswith("1 severe")
    assert text.index("SEVERE") < text.index("NOTE")
    assert '[leads] categorical = ["source"]' in " ".join(text.split())
    assert "2025-06" in text
    assert "L00001" not in text


# --- real data


def with_every_column(project: Project) -> Project:
    """The same project with all that its leads file holds, outcome, ids and times aside."""
    with (project.folder / str(project.leads.source.path)).open(encoding="utf-8", newline="") as file:
        text = file.readline()
    names = next(csv.reader([text], delimiter=";" if text.count(";") > text.count(",") else ","))
    spec, outcome = project.leads, project.outcome
    taken = {"", "Lead Number", spec.id, spec.created, outcome.column, outcome.time, *spec.numeric}
    leads = {**project.raw["leads"], "categorical": [name for name in names if name not in taken]}
    return Project.from_dict({**project.raw, "leads": leads}, folder=project.folder)


@pytest.mark.parametrize(
    "name",
    ["sample", "control_null", "olist"]
    + [pytest.param(name, marks=pytest.mark.slow) for name in ("x_education", "bpic2012", "bank")],
)
def test_projects_as_listed_have_nothing_severe(name: str) -> None:
    assert severe(checked_as_listed(name)) == set()


def test_control_leak_names_account() -> None:
    assert severe(checked_as_listed("control_leak")) == {"Account"}


@pytest.mark.slow
def test_x_education_with_every_column_names_tags_and_its_kin() -> None:
    result = check(with_every_column(shared("x_education")))
    assert severe(result) == {"Tags"}
    suspected = {finding.column for finding in result.findings if finding.severity != "note"}
    assert suspected >= {"Lead Quality", "Lead Profile", "Last Activity", "Last Notable Activity"}
    assert suspected >= {f"Asymmetrique {what}" for what in KIN}


KIN = ("Activity Index", "Profile Index", "Activity Score", "Profile Score")


def test_control_null_with_every_column_names_account() -> None:
    assert "account" in severe(check(with_every_column(shared("control_null"))))


@pytest.mark.slow
def test_bank_with_duration_names_it() -> None:
    project = shared("bank")
    leads = {**project.raw["leads"], "numeric": [*project.leads.numeric, "duration"]}
    result = check(Project.from_dict({**project.raw, "leads": leads}, folder=project.folder))
    assert "duration" in {finding.column for finding in result.findings if finding.severity != "note"}


def test_olist_without_observed_from_is_told_when_wins_begin() -> None:
    project = shared("olist")
    task = {key: value for key, value in project.raw["task"].items() if key != "observed_from"}
    result = check(Project.from_dict({**project.raw, "task": task}, folder=project.folder))
    assert "2017-12-05" in named(result, "wins_start_late").remedy
