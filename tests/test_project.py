"""What a project file means when it is right; test_bad_input.py has what it is told when it isn't."""

from __future__ import annotations

from pathlib import Path

import pytest

import leadscore as ls
from leadscore.project import CutoffRule, Source
from leadscore.time import DAY, parse_instant
from tests import builders

SAMPLE = Path(__file__).parents[1] / "data" / "sample"


def cutoffs(value: object, **changes: object) -> CutoffRule:
    return builders.project({"task.cutoffs": value, **changes}).task.cutoffs


def test_the_sample_says_what_it_means():
    project = ls.Project.load(SAMPLE)
    assert project.name == "market"
    assert project.timed
    assert [spec.name for spec in project.events] == ["touchpoints", "interactions"]
    assert project.leads.source == Source(path="leads.csv")
    assert (project.leads.account, project.leads.origin, project.leads.owner) == ("account_id", "source", "rep")
    assert project.outcome.lost == ("lost", "disqualified")
    assert (project.task.horizon, project.task.horizon_text) == (30 * DAY, "30d")
    assert project.task.observed_until == parse_instant("2026-06-30", "UTC")
    assert project.folder == SAMPLE


def test_a_project_loads_from_its_folder_or_its_file():
    assert ls.Project.load(SAMPLE) == ls.Project.load(SAMPLE / "leadscore.toml") == ls.Project.load(str(SAMPLE))


def test_the_sample_shows_no_label_in_what_it_reads():
    text = (SAMPLE / "leadscore.toml").read_text(encoding="utf-8")
    assert "truth" not in "".join(line for line in text.splitlines() if not line.startswith("#"))


def test_defaults(tmp_path):
    project = builders.project({"name": None, "timezone": None}, folder=tmp_path / "acme")
    assert project.name == "acme"
    assert project.timezone == "UTC"
    assert project.features.windows == ("1d", "7d", "30d", "90d", "all")
    assert project.grades == {"A": 90, "B": 70, "C": 40}
    assert project.task.cutoffs == CutoffRule(every=7 * DAY, max_per_lead=8)
    assert project.task.observed_from is project.task.observed_until is None
    assert project.model == {}


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({"every": "1d"}, CutoffRule(every=DAY, max_per_lead=8)),
        ({"every": "12h", "max_per_lead": 3}, CutoffRule(every=DAY // 2, max_per_lead=3)),
        ({"after": "events"}, CutoffRule(after_events=True, max_per_lead=8)),
        ({"at_age": ["14d", "0d", "3d"]}, CutoffRule(at_age=(0, 3 * DAY, 14 * DAY))),
        ({"source": "cutoffs.csv"}, CutoffRule(source=Source(path="cutoffs.csv"))),
    ],
)
def test_rules_of_cutoffs(value, rule):
    assert cutoffs(value) == rule


def test_without_events_a_lead_is_looked_at_when_it_comes_in():
    assert cutoffs(None, events=None) == CutoffRule(at_age=(0,))


def test_windows_are_put_in_order():
    assert builders.project({"features.windows": ["all", "2w", "36h", "1d"]}).features.windows == (
        "1d",
        "36h",
        "2w",
        "all",
    )


def test_instants_without_offset_are_local():
    task = builders.project({"timezone": "Europe/Berlin", "task.observed_from": "2025-07-01"}).task
    assert task.observed_from == parse_instant("2025-06-30T22:00:00Z", "UTC")


def test_grades_may_be_named_in_part():
    assert builders.project({"grades": {"A": 95}}).grades == {"A": 95, "B": 70, "C": 40}


def test_a_query_and_its_database():
    source = {"sql": "select 1", "url": "env:CRM_URL"}
    assert builders.project({"leads.source": source}).leads.source == Source(sql="select 1", url="env:CRM_URL")


def test_a_labelled_list_has_no_times():
    project = builders.project(base=builders.LABELLED)
    assert not project.timed
    assert project.task.horizon is project.task.horizon_text is None
    assert project.task.split == "random"
    assert builders.project({"task.split": "ordered"}, base=builders.LABELLED).task.split == "ordered"


def test_leads_without_creation_time_need_cutoffs_from_a_file():
    changes = {"leads.created": None, "task.cutoffs": {"source": "cutoffs.csv"}}
    assert builders.project(changes).leads.created is None


def test_tables_are_found_by_name():
    assert builders.project().events_named("touchpoints").known == "ingested_at"


def test_event_tables_may_have_any_name(tmp_path):
    table = builders.RAW["events"]["touchpoints"]
    project = builders.project({"events": {"web visits.v2": table}}, folder=builders.folder_of(tmp_path))
    data = project.read()
    plan = ls.FeaturePlan.default(project).fit(data, ls.snapshots(data).cutoffs)
    assert "web visits%2Ev2.count.7d" in plan.names
    assert plan.transform(data, ls.snapshots(data).cutoffs).shape[1] == len(plan.names)


def test_the_raw_content_rebuilds_the_project():
    project = ls.Project.load(SAMPLE)
    assert ls.Project.from_dict(project.raw, folder=SAMPLE) == project
