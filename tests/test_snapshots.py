"""Who is asked about, when, with which label and weight; and how time cuts snapshots into blocks."""

from __future__ import annotations

import datetime as dt
import itertools

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore.snapshots import BLOCKS, FEWEST_WINS, open_leads, split
from leadscore.time import DAY, format_instant, parse_instant
from tests import builders

EVERY_DAY = {"task.cutoffs": {"every": "1d", "max_per_lead": 1_000}}
UNTIL = {"task.observed_until": "2025-03-01"}
H = 10 * DAY


def at(text: str) -> int:
    return parse_instant(text, "UTC")


def taken(data: ls.Data, lead: str = "a") -> dict[str, int]:
    """Cutoff → label of one lead."""
    frame = ls.snapshots(data).frame()
    mine = frame[frame["lead_id"] == lead]
    return {format_instant(at(str(t))): label for t, label in zip(mine["cutoff"], mine["label"], strict=True)}


def days(found: dict[str, int]) -> list[str]:
    return [text.removeprefix("2025-").removesuffix("T00:00:00Z") for text in found]


def given_cutoffs(tmp_path, *texts: str) -> dict[str, object]:
    """Changes to the project that ask exactly at these instants."""
    path = tmp_path / "cutoffs.csv"
    path.write_text("lead_id,cutoff\n" + "".join(f"a,{text}\n" for text in texts))
    return {"task.cutoffs": {"source": str(path)}, **UNTIL}


def test_the_grid_falls_on_mondays_from_creation_until_the_label_is_settled():
    found = taken(builders.history([("a", "2025-01-06"), ("b", "2025-01-06T00:00:00.000001")], changes=UNTIL))
    assert days(found) == ["01-06", "01-13", "01-20", "01-27", "02-03", "02-10", "02-17"]
    later = taken(builders.history([("b", "2025-01-06T00:00:00.000001")], changes=UNTIL), "b")
    assert days(later)[0] == "01-13"
    assert all(dt.date.fromisoformat(text[:10]).weekday() == 0 for text in found)


def test_the_grid_does_not_move_as_data_grow():
    one = builders.history([("a", "2025-01-06")], changes=UNTIL)
    more = builders.history([("z", "2024-05-05T05:05"), ("a", "2025-01-06")], changes=UNTIL)
    assert taken(one) == taken(more)


@pytest.mark.parametrize(
    ("offset", "label"), [("-00:00:00.000001", None), ("+0", 1), ("6 days 23:59:59.999999", 1), ("7 days", 0)]
)
def test_labels_at_the_edges_of_the_horizon(tmp_path, offset, label):
    won = pd.Timestamp("2025-01-20") + pd.Timedelta(offset)
    data = builders.history(
        [("a", "2025-01-01")], [("a", won.isoformat(), "won")], changes=given_cutoffs(tmp_path, "2025-01-20")
    )
    assert taken(data) == ({} if label is None else {"2025-01-20T00:00:00Z": label})


@pytest.mark.parametrize(
    ("created", "there"), [("2025-01-20", True), ("2025-01-20T00:00:00.000001", False), ("", False)]
)
def test_a_lead_is_at_risk_from_its_creation(tmp_path, created, there):
    data = builders.history([("a", created)], changes=given_cutoffs(tmp_path, "2025-01-20"))
    assert bool(taken(data)) == there
    assert ls.snapshots(data).counts["n_outside_risk_set"] == (not there)


@pytest.mark.parametrize(
    ("lost", "label"), [("2025-01-19T23:59:59.999999", None), ("2025-01-20", 0), ("2025-01-22", 0)]
)
def test_a_lost_lead_leaves_the_risk_set_and_is_a_0_until_then(tmp_path, lost, label):
    changes = given_cutoffs(tmp_path, "2025-01-20")
    data = builders.history([("a", "2025-01-01")], [("a", lost, "lost")], changes=changes)
    assert list(taken(data).values()) == ([] if label is None else [label])


def test_a_win_after_a_loss_within_the_horizon_is_a_1(tmp_path):
    closed = [("a", "2025-01-21", "lost"), ("a", "2025-01-22", "won")]
    data = builders.history([("a", "2025-01-01")], closed, changes=given_cutoffs(tmp_path, "2025-01-20", "2025-01-22"))
    assert list(taken(data).values()) == [1]


@pytest.mark.parametrize(
    ("since", "until", "there"),
    [
        ("2025-01-20", "2025-01-27", True),
        ("2025-01-20T00:00:00.000001", "2025-01-27", False),
        ("2025-01-20", "2025-01-26T23:59:59.999999", False),
    ],
)
def test_only_settled_labels_count(tmp_path, since, until, there):
    changes = given_cutoffs(tmp_path, "2025-01-20") | {"task.observed_from": since, "task.observed_until": until}
    won_early = [("a", "2025-01-21", "won")]
    data = builders.history([("a", "2025-01-01")], won_early, changes=changes)
    assert bool(taken(data)) == there
    assert ls.snapshots(data).counts["n_immature"] == (not there)


def test_without_a_declared_end_the_last_instant_in_the_data_is_it():
    data = builders.history([("a", "2025-01-06"), ("b", "2025-01-13")], changes=EVERY_DAY)
    assert days(taken(data)) == ["01-06"]
    events = builders.history([("a", "2025-01-06")], events=[("a", "2025-01-20")], changes=EVERY_DAY)
    assert len(taken(events)) == 8


def test_at_ages():
    changes = {"task.cutoffs": {"at_age": ["3d", "0d", "12h"]}, **UNTIL}
    closed = [("a", "2025-01-03", "won")]
    found = taken(builders.history([("a", "2025-01-01T01:00:00")], closed, changes=changes))
    assert found == {"2025-01-01T01:00:00Z": 1, "2025-01-01T13:00:00Z": 1}


def test_after_events_is_the_first_instant_that_sees_them():
    changes = {"task.cutoffs": {"after": "events"}, **UNTIL}
    events = [("a", "2025-01-05"), ("a", "2025-01-05"), ("a", "2025-01-01"), ("a", "2024-12-31")]
    data = builders.history([("a", "2025-01-01")], events=events, changes=changes)
    assert list(taken(data)) == ["2025-01-01T00:00:00.000001Z", "2025-01-05T00:00:00.000001Z"]
    plan = ls.FeaturePlan.of(data.project, ["touchpoints.count.all"])
    assert plan.transform(data, ls.snapshots(data).cutoffs).ravel().tolist() == [2, 4]


def test_cutoffs_from_a_file_obey_the_risk_set(tmp_path):
    changes = given_cutoffs(tmp_path, "2025-01-20", "2024-01-01", "2025-02-28", "2025-01-20")
    data = builders.history([("a", "2025-01-01")], changes=changes)
    assert ls.snapshots(data).frame()["cutoff"].astype(str).tolist() == ["2025-01-20 00:00:00+00:00"] * 2
    assert ls.snapshots(data).counts == {
        "n_candidates": 4, "n_outside_risk_set": 1, "n_immature": 1, "n_sampled_out": 0,
    }  # fmt: skip


def test_without_events_a_lead_is_asked_about_once_when_it_comes_in(tmp_path):
    data = builders.read(tmp_path, changes={"events": None, "task.observed_until": "2025-01-10"})
    assert taken(data) == {"2025-01-01T00:00:00Z": 0}
    assert len(ls.snapshots(data)) == 3


@pytest.mark.parametrize(("at_most", "weight"), [(1, 54.0), (8, 54 / 8), (54, 1.0), (1_000, 1.0)])
def test_kept_cutoffs_stand_for_the_open_ones(at_most, weight):
    changes = {"task.cutoffs": {"every": "1d", "max_per_lead": at_most}, "task.observed_until": "2025-03-02"}
    shots = ls.snapshots(builders.history([("a", "2025-01-01")], changes=changes))
    assert len(shots) == min(at_most, 54)
    assert shots.weight.tolist() == [weight] * len(shots)
    assert shots.weight.sum() == pytest.approx(54)
    assert shots.counts["n_sampled_out"] == 54 - len(shots)


def test_each_open_lead_at_each_cutoff_weighs_one_in_all():
    leads = [(f"L{n}", f"2025-01-{1 + n % 28:02d}") for n in range(100)]
    closed = [(f"L{n}", f"2025-02-{1 + n % 20:02d}", ("won", "lost")[n % 2]) for n in range(60)]
    few = ls.snapshots(
        builders.history(leads, closed, changes={"task.cutoffs": {"every": "1d", "max_per_lead": 3}, **UNTIL})
    )
    every = ls.snapshots(builders.history(leads, closed, changes={**EVERY_DAY, **UNTIL}))
    assert few.weight.sum() == pytest.approx(len(every))
    assert set(zip(few.lead, few.at, few.label, strict=True)) <= set(
        zip(every.lead, every.at, every.label, strict=True)
    )


def test_what_is_kept_of_a_lead_depends_on_nobody_else():
    changes = {"task.cutoffs": {"every": "1d", "max_per_lead": 3}, **UNTIL}
    alone = builders.history([("m", "2025-01-01")], changes=changes)
    crowd = [(f"L{n}", "2025-01-02") for n in range(50)]
    among = builders.history([*crowd, ("m", "2025-01-01"), ("zz", "2024-12-01")], changes=changes)
    assert taken(alone, "m") == taken(among, "m")
    assert ls.snapshots(alone, seed=1).at.tolist() != ls.snapshots(alone, seed=2).at.tolist()


def test_sampling_is_even_over_time():
    """Every open cutoff has the same chance: no age is favoured."""
    leads = [(f"L{n}", "2025-01-01") for n in range(2_000)]
    shots = ls.snapshots(builders.history(leads, changes={"task.cutoffs": {"every": "1d", "max_per_lead": 4}, **UNTIL}))
    counts = np.bincount((shots.at - at("2025-01-01")) // DAY)
    assert counts.sum() == 8_000
    expected = 8_000 / len(counts)
    assert ((counts - expected) ** 2 / expected).sum() < 90  # chi² of 52 degrees: 90 is p < .001


def test_snapshots_are_ordered_by_cutoff_then_lead(sample_snapshots):
    order = np.lexsort((sample_snapshots.lead, sample_snapshots.at))
    assert order.tolist() == list(range(len(sample_snapshots)))


# --- blocks ---------------------------------------------------------------------------------------------------------


def market(n_leads: int, *, n_days: int = 400, won: int = 3, horizon: str = "7d", every: str = "7d") -> ls.Snapshots:
    """One lead a day or so; every so many of them wins ten days on."""
    start = dt.datetime(2025, 1, 1)
    leads, closed = [], []
    for n in range(n_leads):
        created = start + dt.timedelta(days=n * n_days / n_leads)
        leads.append((f"L{n:05d}", created.isoformat()))
        if n % won == 0:
            closed.append((f"L{n:05d}", (created + dt.timedelta(days=10)).isoformat(), "won"))
    changes = {"task.horizon": horizon, "task.cutoffs": {"every": every, "max_per_lead": 8}}
    return ls.snapshots(builders.history(leads, closed, changes=changes))


@pytest.fixture(scope="module")
def plenty():
    shots = market(1_500, horizon="10d", every="3d")
    return shots, split(shots)


def test_blocks_follow_each_other_in_time(plenty):
    shots, blocks = plenty
    assert list(blocks.rows) == ["train", "tune", "calibrate", "test"]
    for earlier, later in itertools.pairwise(BLOCKS):
        assert shots.at[blocks.rows[earlier]].max() < shots.at[blocks.rows[later]].min()
    together = np.concatenate(list(blocks.rows.values()))
    assert len(set(together)) == len(together)
    assert blocks.n_dropped == len(shots) - len(together)
    assert blocks.starts == {name: shots.at[rows].min() for name, rows in blocks.rows.items()}


def test_what_was_learnt_was_settled_when_the_test_began(plenty):
    shots, blocks = plenty
    assert blocks.complete
    assert blocks.warnings == ()
    assert blocks.embargo == H
    for name in ("train", "tune", "calibrate"):
        assert (shots.at[blocks.rows[name]] + H <= blocks.starts["test"]).all()


def test_no_label_reaches_a_later_block_that_holds_the_same_lead(plenty):
    shots, blocks = plenty
    n_checked = 0
    for position, name in enumerate(BLOCKS[:-1]):
        for later in BLOCKS[position + 1 :]:
            start = shots.at[blocks.rows[later]].min()
            shared = set(shots.lead[blocks.rows[later]])
            for row in blocks.rows[name]:
                if shots.at[row] + H > start:
                    assert shots.lead[row] not in shared
                    n_checked += 1
    assert n_checked > 0
    assert blocks.n_dropped > 0


def test_each_block_holds_thirty_won_leads(plenty):
    shots, blocks = plenty
    for rows in blocks.rows.values():
        assert len(set(shots.lead[rows][shots.label[rows] == 1])) >= FEWEST_WINS


def test_the_embargo_shrinks_until_each_block_has_its_wins_and_says_so():
    shots = market(1_200, n_days=150, won=2, horizon="60d")
    blocks = split(shots)
    assert blocks.complete
    assert blocks.embargo < 60 * DAY
    told = blocks.warnings[0]
    assert told.startswith(
        f"The embargo before the test is {blocks.embargo / DAY:.3g} days instead of the horizon's 60, "
    )
    for rows in blocks.rows.values():
        assert len(set(shots.lead[rows][shots.label[rows] == 1])) >= FEWEST_WINS


def test_blocks_widen_where_too_many_wins_reach_into_the_next():
    shots = market(500, n_days=60, won=2, horizon="14d", every="2d")
    assert len(set(shots.lead[shots.label == 1])) > 200
    blocks = split(shots)
    assert blocks.complete
    for rows in blocks.rows.values():
        assert len(set(shots.lead[rows][shots.label[rows] == 1])) >= FEWEST_WINS


def test_too_few_wins_are_said_first():
    shots = market(60)
    blocks = split(shots)
    assert not blocks.complete
    n_wins = len(set(shots.lead[shots.label == 1]))
    assert blocks.warnings[0] == (
        f"Too few wins: {n_wins} won leads can't give each of the four blocks 30, even without an embargo. "
        "No trees are grown; the model stands on a lower rung"
    )
    assert sum(map(len, blocks.rows.values())) == len(shots)


def test_the_sample_is_whole(sample_snapshots):
    blocks = split(sample_snapshots)
    assert blocks.complete
    assert blocks.embargo == 30 * DAY


# --- lists without times --------------------------------------------------------------------------------------------


def test_a_list_gives_one_snapshot_per_labelled_lead():
    shots = ls.snapshots(builders.labelled(300))
    assert len(shots) == 300
    assert shots.label.sum() == 100
    assert shots.weight.tolist() == [1.0] * 300
    assert shots.frame()["cutoff"].isna().all()


def test_an_ordered_list_is_cut_in_its_order():
    shots = ls.snapshots(builders.labelled(600, {"task.split": "ordered"}))
    rows = shots.data.leads.row[shots.lead]
    assert rows.tolist() == list(range(600))
    blocks = split(shots)
    sizes = [len(blocks.rows[name]) for name in BLOCKS]
    assert sizes == pytest.approx([336, 72, 72, 120], abs=1)
    assert np.concatenate([blocks.rows[name] for name in BLOCKS]).tolist() == list(range(600))


def test_a_random_list_is_shuffled_by_seed_alone():
    one, other = (ls.snapshots(builders.labelled(600), seed=seed) for seed in (1, 2))
    assert one.lead.tolist() == ls.snapshots(builders.labelled(600), seed=1).lead.tolist()
    assert one.lead.tolist() != other.lead.tolist() != list(range(600))
    assert sorted(one.lead) == list(range(600))


def test_a_list_says_loudly_that_leaks_cannot_be_seen():
    blocks = split(ls.snapshots(builders.labelled(600)))
    assert blocks.embargo is None
    assert blocks.warnings[0] == (
        "This list has no times: whether a column was known before the outcome can't be checked, nor can drift"
    )
    few = split(ls.snapshots(builders.labelled(60)))
    assert not few.complete
    assert few.warnings[1].startswith("Too few wins (train has ")


def test_open_leads_are_those_at_risk():
    closed = [("b", "2025-01-09", "won"), ("c", "2025-01-10", "lost")]
    data = builders.history(
        [("a", "2025-01-10"), ("b", "2025-01-01"), ("c", "2025-01-01"), ("d", "2025-01-11")], closed
    )
    found = open_leads(data, at("2025-01-10"))
    assert data.leads.ids[found.lead].tolist() == ["a", "c"]
    blank = builders.labelled(6)
    assert len(open_leads(blank, 0)) == 0


def test_clusters_are_accounts_where_there_are_any():
    plain = ls.snapshots(builders.labelled(6))
    assert len(set(plain.clusters())) == 6
    by_source = ls.snapshots(builders.labelled(6, {"leads.account": "source"}))
    assert len(set(by_source.clusters())) == 2
