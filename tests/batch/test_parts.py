"""A list that is scored in parts has the bytes of one that is scored at once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore.batch import lists, score_list, write_list
from leadscore.project import Source
from tests import builders
from tests.batch.scoring import at_once, in_parts, same

TABLES = ("leads", "touchpoints", "interactions", "outcomes")


def rewritten(folder: Path, change: dict[str, str], rows: dict[str, pd.DataFrame]) -> ls.Project:
    """The sample with its sources under other names, and the tables behind them."""
    text = (folder / "leadscore.toml").read_text(encoding="utf-8")
    for before, after in change.items():
        assert before in text
        text = text.replace(before, after)
    (folder / "leadscore.toml").write_text(text, encoding="utf-8")
    for name, frame in rows.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    return ls.Project.load(folder)


def shuffled(folder: Path) -> ls.Project:
    """The sample as Parquet: rows in another order, events in a folder of several files, times typed."""
    rows, change = {}, {}
    for table in TABLES:
        frame = pd.read_csv(folder / f"{table}.csv", dtype=object).sample(frac=1, random_state=3)
        for name in frame.columns:
            if name.endswith("_at"):
                frame[name] = pd.to_datetime(frame[name])
        if table in ("leads", "outcomes"):
            rows[f"{table}.parquet"] = frame
            change[f"{table}.csv"] = f"{table}.parquet"
            continue
        for number, piece in enumerate(np.array_split(np.arange(len(frame)), 3)):
            rows[f"{table}/{number}.parquet"] = frame.iloc[piece]
        change[f"{table}.csv"] = f"{table}/*.parquet"
    return rewritten(folder, change, rows)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("n_reasons", [0, 3])
def test_bytes_are_those_of_a_list_at_once(ending, n_reasons, sample, sample_scorer, tmp_path) -> None:
    expected, listed = at_once(sample_scorer, sample.project, tmp_path / f"one{ending}", n_reasons=n_reasons)
    for n_parts, n_rows in ((2, 100_000), (7, 5_000)):
        found, in_pieces = in_parts(
            sample_scorer, sample.project, tmp_path / f"many{ending}", n_parts, n_rows, n_reasons=n_reasons
        )
        assert found == expected
        assert same(listed, in_pieces)
    frame = score_list(sample_scorer, sample, as_of=sample.observed_until, n_reasons=n_reasons)
    assert write_list(frame, tmp_path / f"frame{ending}").read_bytes() == expected


def test_bytes_depend_on_neither_order_nor_format_nor_slice(sample, sample_scorer, fresh_sample, tmp_path, monkeypatch):
    expected, listed = at_once(sample_scorer, sample.project, tmp_path / "one.csv")
    project = shuffled(fresh_sample())
    monkeypatch.setattr(lists, "SLICE", 13)
    found, in_pieces = in_parts(sample_scorer, project, tmp_path / "many.csv", 3, 4_000)
    assert found == expected
    assert same(listed, in_pieces)


def test_cutoffs_stay_in_their_order(sample, sample_scorer, tmp_path) -> None:
    rng = np.random.default_rng(1)
    asked = pd.DataFrame({"lead_id": rng.choice(sample.leads.ids, 500)})
    asked["cutoff"] = pd.Timestamp("2025-03-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 400, 500), unit="D")
    expected, listed = at_once(sample_scorer, sample.project, tmp_path / "one.csv", cutoffs=asked)
    found, in_pieces = in_parts(sample_scorer, sample.project, tmp_path / "many.csv", 4, 6_000, cutoffs=asked)
    assert found == expected
    assert same(listed, in_pieces)
    assert pd.read_csv(tmp_path / "many.csv")["lead_id"].tolist() == asked["lead_id"].tolist()
    asked.loc[7, "lead_id"] = "nobody"
    messages = []
    for score in (at_once, lambda *args, **options: in_parts(*args, 4, 6_000, **options)):
        with pytest.raises(ls.LeadScoreError, match=r"1 rows name a lead_id that is not.*row 8") as error:
            score(sample_scorer, sample.project, tmp_path / "none.csv", cutoffs=asked)
        messages.append(str(error.value))
    assert messages[0] == messages[1]
    assert not (tmp_path / "none.csv").exists()


def test_a_new_list_stands_beside_the_own_leads(sample, sample_scorer, tmp_path) -> None:
    own = pd.read_csv(sample.project.folder / "leads.csv", dtype=object)
    new = own.tail(60).assign(created_at="2026-07-03T00:00:00Z")
    new.iloc[:40, new.columns.get_loc("lead_id")] = [f"new{n}" for n in range(40)]
    new.to_csv(tmp_path / "new.csv", index=False)
    source = Source(path=str(tmp_path / "new.csv"))
    expected, listed = at_once(sample_scorer, sample.project, tmp_path / "one.csv", leads=source)
    found, in_pieces = in_parts(sample_scorer, sample.project, tmp_path / "many.csv", 5, 4_000, leads=source)
    assert found == expected
    assert same(listed, in_pieces)
    assert listed.n_leads == 60


@pytest.mark.slow
def test_the_last_instant_is_found_without_a_declared_end(sample, sample_scorer, fresh_sample, tmp_path) -> None:
    """A later row of no lead, and a redelivery that came later, are not in the data."""
    folder = fresh_sample()
    events = pd.read_csv(folder / "touchpoints.csv", dtype=object)
    late = {"event_id": "x", "lead_id": "nobody", "occurred_at": "2027-01-01T00:00:00Z"}
    late["ingested_at"] = late["occurred_at"]
    again = events.iloc[[5]].assign(ingested_at="2027-02-01T00:00:00Z")
    events = pd.concat([events, pd.DataFrame([late]), again])
    project = rewritten(folder, {'\nobserved_until = "2026-06-30"': ""}, {"touchpoints.csv": events})
    expected, listed = at_once(sample_scorer, project, tmp_path / "one.csv", n_reasons=0)
    found, in_pieces = in_parts(sample_scorer, project, tmp_path / "many.csv", 6, 5_000, n_reasons=0)
    assert found == expected
    assert same(listed, in_pieces)


def test_an_id_that_comes_for_two_leads_is_the_row_known_first(sample, sample_scorer, fresh_sample, tmp_path) -> None:
    """Whichever parts they are in; a delivery for nobody is none."""
    folder = fresh_sample()
    events = pd.read_csv(folder / "touchpoints.csv", dtype=object)
    late = events.iloc[::40].assign(ingested_at="2026-06-29T00:00:00Z")
    early = events.iloc[7::40].assign(ingested_at="2024-06-29T00:00:00Z")
    leads = sample.leads.ids[: len(late) + len(early)]
    again = pd.concat([late, early, early, early.assign(lead_id="nobody", ingested_at="2024-01-01T00:00:00Z")])
    again["lead_id"] = [*np.resize(leads, 3 * len(late)), *again["lead_id"]][: len(again)]
    again.iloc[-len(early) :, again.columns.get_loc("lead_id")] = "nobody"
    project = rewritten(folder, {}, {"touchpoints.csv": pd.concat([events, again])})
    expected, listed = at_once(sample_scorer, project, tmp_path / "one.csv", n_reasons=1)
    found, in_pieces = in_parts(sample_scorer, project, tmp_path / "many.csv", 6, 5_000, n_reasons=1)
    assert found == expected
    assert same(listed, in_pieces)
    assert next(note.n for note in listed.notes if note.kind == "redelivered") > 1_000


def versions(folder: Path) -> ls.Project:
    """The sample with profiles in versions: every third lead moves to another account and owner."""
    leads = pd.read_csv(folder / "leads.csv", dtype=object)
    leads["updated_at"] = leads["created_at"]
    moved = leads.iloc[::3].copy()
    moved["account_id"] = np.roll(moved["account_id"].to_numpy(), 1)
    moved["rep"] = np.roll(moved["rep"].to_numpy(), 5)
    moved["updated_at"] = "2026-03-01T00:00:00Z"
    both = pd.concat([leads, moved]).sample(frac=1, random_state=1)
    return rewritten(folder, {'owner = "rep"': 'owner = "rep"\nknown = "updated_at"'}, {"leads.csv": both})


@pytest.mark.slow
def test_leads_that_change_accounts_bring_them_together(sample_scorer, fresh_sample, tmp_path) -> None:
    project = versions(fresh_sample())
    names = [
        *("account.touchpoints.count.all", "account.win_rate", "origin.win_rate", "owner.open_leads"),
        *("account.n_won", "touchpoints.count.30d", "lead.industry"),
    ]
    data = project.read()
    plan = ls.FeaturePlan.of(project, names)
    shots = ls.snapshots(data)
    scorer = ls.LeadScorer(features=plan, parameters={"num_iterations": 20}).fit(data, shots)
    expected, listed = at_once(scorer, project, tmp_path / "one.csv")
    found, in_pieces = in_parts(scorer, project, tmp_path / "many.csv", 8, 1_000)
    assert found == expected
    assert same(listed, in_pieces)
    asked = pd.DataFrame({"lead_id": data.leads.ids[:300], "cutoff": pd.date_range("2025-06-01", "2026-06-01", 300)})
    expected, _ = at_once(scorer, project, tmp_path / "one.csv", cutoffs=asked)
    assert in_parts(scorer, project, tmp_path / "many.csv", 8, 1_000, cutoffs=asked)[0] == expected


@pytest.mark.parametrize("named", [False, True])
def test_a_list_without_times(named, tmp_path) -> None:
    """The number of a row is its id, in whichever stretch it stands."""
    rows = [(f"n{n * 7919 % 400}", ("ads", "web")[n % 2], n, ("1", "0", "", "0")[n % 4]) for n in range(400)]
    pd.DataFrame(rows, columns=["key", "source", "visits", "converted"]).to_csv(tmp_path / "list.csv", index=False)
    keys = {"leads.id": "key", "outcome.lead": "key"} if named else {}
    project = builders.project(keys, base=builders.LABELLED, folder=tmp_path)
    data = project.read()
    scorer = ls.LeadScorer(parameters={"num_iterations": 10}).fit(data, ls.snapshots(data))
    expected, listed = at_once(scorer, project, tmp_path / "one.csv")
    found, in_pieces = in_parts(scorer, project, tmp_path / "many.csv", 3, 60)
    assert found == expected
    assert same(listed, in_pieces)
    assert len(listed.probability) == 100


def test_a_list_without_outcomes_takes_every_lead_as_open(sample_scorer, fresh_sample, tmp_path) -> None:
    folder = fresh_sample()
    (folder / "outcomes.csv").unlink()
    project = ls.Project.load(folder)
    expected, listed = at_once(sample_scorer, project, tmp_path / "one.csv", n_reasons=1, capacity=50)
    found, in_pieces = in_parts(sample_scorer, project, tmp_path / "many.csv", 3, 9_000, n_reasons=1, capacity=50)
    assert found == expected
    assert same(listed, in_pieces)
    assert len(pd.read_csv(tmp_path / "many.csv")) == 50
    assert len(listed.probability) > 1_500
    assert [note.kind for note in listed.notes if note.table == "outcome"] == ["no_outcomes"]


def test_nobody_is_open(sample, sample_scorer, tmp_path) -> None:
    early = int(sample.leads.created.min()) - 1
    for ending in (".csv", ".parquet"):
        expected, _ = at_once(sample_scorer, sample.project, tmp_path / f"one{ending}", as_of=early)
        found, listed = in_parts(sample_scorer, sample.project, tmp_path / f"many{ending}", 3, 9_000, as_of=early)
        assert found == expected
        assert listed.grades == {}


def test_reasons_and_warnings_are_json(sample, sample_scorer, tmp_path) -> None:
    in_parts(sample_scorer, sample.project, tmp_path / "many.csv", 2, 50_000)
    scored = pd.read_csv(tmp_path / "many.csv")
    assert scored["reasons"].map(json.loads).map(len).max() == 3
    assert scored["warnings"].map(json.loads).map(type).eq(list).all()
