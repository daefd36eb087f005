"""Rows → tables: what comes out of a store is what went in, in bulk and lead by lead; on both databases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import leadscore as ls
from leadscore import time
from leadscore.company import Counts
from leadscore.errors import StoreError
from leadscore.tables import Cutoffs
from service.store import Store
from service.store.tables import Counted, some, whole
from tests.service.store.test_journal import append

AT = time.parse_instant("2026-05-01T00:00:00Z", "UTC")


@pytest.fixture(scope="session")
def plan(sample: ls.Data) -> ls.FeaturePlan:
    everybody = np.arange(len(sample.leads.ids))
    return ls.FeaturePlan.default(sample.project).fit(sample, Cutoffs(everybody, np.full(len(everybody), AT)))


def test_the_whole_store_reads_as_the_files_do(sample_store: Store, sample: ls.Data) -> None:
    stored = whole(sample_store.journal)
    assert list(stored.leads.ids) == list(sample.leads.ids)
    np.testing.assert_array_equal(stored.leads.created, sample.leads.created)
    np.testing.assert_array_equal(stored.leads.codes, sample.leads.codes)
    np.testing.assert_array_equal(stored.leads.values, sample.leads.values)
    for name, log in sample.logs.items():
        for array in ("offsets", "time", "known", "codes", "values"):
            np.testing.assert_array_equal(getattr(stored.logs[name], array), getattr(log, array))
        assert stored.logs[name].vocabularies == log.vocabularies
    for array in ("won_at", "won_known", "lost_at", "lost_known", "won_seen", "lost_seen"):
        np.testing.assert_array_equal(getattr(stored.outcomes, array), getattr(sample.outcomes, array))


def test_training_from_the_store_gives_the_same_snapshots(sample_store: Store, sample_snapshots: ls.Snapshots) -> None:
    stored = ls.snapshots(whole(sample_store.journal))
    for array in ("lead", "at", "label", "weight"):
        np.testing.assert_array_equal(getattr(stored, array), getattr(sample_snapshots, array))


@pytest.mark.parametrize("at", ["2025-06-01T00:00:00Z", "2026-05-01T00:00:00Z", "2026-11-01T00:00:00Z"])
def test_one_lead_has_the_features_that_it_has_among_all(
    sample_store: Store, sample: ls.Data, plan: ls.FeaturePlan, at: str
) -> None:
    """Company included: the events of its account's other leads, and what all leads have in common."""
    instant = time.parse_instant(at, "UTC")
    journal = sample_store.journal
    counted = Counted(Counts.of(whole(journal, events=False)), journal.until())
    for lead in range(0, len(sample.leads.ids), 40):
        lead_id = str(sample.leads.ids[lead])
        alone = some(sample.project, journal.of_lead(lead_id, with_account=True), counted)
        place = int(alone.leads.find([lead_id])[0])
        asked = Cutoffs(np.array([place]), np.array([instant]))
        expected = plan.transform(sample, Cutoffs(np.array([lead]), np.array([instant])))
        np.testing.assert_array_equal(plan.transform(alone, asked), expected)


def test_what_arrived_after_the_count_changes_no_other_lead_and_is_not_taken_out_of_it(store: Store) -> None:
    """Counts may be older than a lead, its account or its outcome."""
    project = ls.Project.from_dict(
        {**store.journal.project.raw, "leads": {**store.journal.project.raw["leads"], "origin": "source"}}
    )
    plan = ls.FeaturePlan.of(project, ["origin.n_resolved", "origin.n_won", "account.open_leads"])
    at = time.parse_instant("2025-03-01T00:00:00Z", "UTC")

    def features(lead_id: str, counted: Counted) -> NDArray[np.float32]:
        data = some(project, store.journal.of_lead(lead_id, with_account=True), counted)
        place = int(data.leads.find([lead_id])[0])
        return plan.transform(data, Cutoffs(np.array([place]), np.array([at])))[0]

    def count() -> Counted:
        return Counted(Counts.of(whole(store.journal, project=project, events=False)), store.journal.until())

    old = count()
    before = features("a", old)
    now = time.parse_instant("2025-02-01T00:00:00Z", "UTC")
    append(store, {"leads": [{"lead_id": "new", "created_at": "2025-01-05T00:00:00Z", "source": "ads"}]}, now=now)
    append(store, {"outcomes": [{"lead_id": "c", "closed_at": "2025-01-30T00:00:00Z", "status": "won"}]}, now=now + 1)
    append(store, {"leads": [{"lead_id": "c", "source": "ads"}]}, now=now + 2)
    np.testing.assert_array_equal(features("a", old), before)
    for lead_id in ("new", "c"):
        assert np.nanmin(features(lead_id, old)) >= 0  # −1, were it taken out of what never counted it
    new = count()
    for lead_id in ("a", "b", "c", "new"):
        data = whole(store.journal, project=project)
        place = np.array([int(data.leads.find([lead_id])[0])])
        expected = plan.transform(data, Cutoffs(place, np.array([at])))[0]
        np.testing.assert_array_equal(features(lead_id, new), expected)


def test_a_project_that_names_a_store_reads_from_it(store: Store, small: ls.Project, tmp_path: Path) -> None:
    """Through the library's own way in, which every verb takes: with what arrived after the files."""
    append(store, {"leads": [{"lead_id": "new", "created_at": "2025-01-05T00:00:00Z", "source": "ads"}]})
    url = store.database._engine.url.render_as_string(hide_password=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THE_STORE", url)
        named = ls.Project.from_dict({**small.raw, "store": "env:THE_STORE"}, folder=small.folder)
        data = named.read()
    assert list(data.leads.ids) == ["a", "b", "c", "new"]
    assert data.fingerprint == whole(store.journal).fingerprint


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, small: ls.Project) -> None:
    named = ls.Project.from_dict({**small.raw, "store": "nowhere.db"}, folder=tmp_path)
    with pytest.raises(StoreError, match="leadscore serve"):
        named.read()
    assert not (tmp_path / "nowhere.db").exists()


def test_a_column_that_changes_its_kind_is_read_as_a_file_is(store: Store) -> None:
    """In bulk and lead by lead: numbers as text, text as numbers where it is one."""
    raw = store.journal.project.raw
    columns = {"categorical": ["employees"], "numeric": ["source"]}
    changed = ls.Project.from_dict({**raw, "leads": {**raw["leads"], **columns}}, folder=store.journal.project.folder)
    expected = ls.read(changed)
    in_bulk = whole(store.journal, project=changed)
    alone = some(changed, store.journal.of_leads(["a", "b", "c"], with_account=False), None)
    for data in (in_bulk, alone):
        assert data.leads.vocabularies == expected.leads.vocabularies == (("10", "250"),)
        np.testing.assert_array_equal(data.leads.codes, expected.leads.codes)
        np.testing.assert_array_equal(data.leads.values, expected.leads.values)
