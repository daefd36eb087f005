"""A list that is scored on a Spark cluster has the bytes of one that is scored here at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import leadscore as ls
from leadscore.batch.asked import Asked, Listed
from leadscore.errors import ClusterError, DataError
from leadscore.project import Source
from tests import builders
from tests.batch.scoring import at_once, same, silently
from tests.batch.test_parts import rewritten, shuffled

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"

pytest.importorskip("pyspark", reason="needs the extra spark")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java", allow_module_level=True)


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from leadscore.batch.spark.session import session

    with session("local[2]") as opened:
        yield opened


@pytest.fixture
def on_spark(spark):
    """Score a list on the cluster; nothing is left beside it."""
    from leadscore.batch.spark import score_on_spark

    def score(scorer: ls.LeadScorer, project: ls.Project, out: Path, **asked: Any) -> tuple[bytes, Listed]:
        try:
            listed = score_on_spark(scorer, Asked(project, out, **asked), silently)
        finally:
            assert not list(out.parent.glob(".*"))
        return out.read_bytes(), listed

    return score


def test_bytes_are_those_of_one_machine(sample, sample_scorer, on_spark, tmp_path) -> None:
    assert sample_scorer.plan.reads_accounts
    expected, listed = at_once(sample_scorer, sample.project, tmp_path / "one.csv")
    found, on_cluster = on_spark(sample_scorer, sample.project, tmp_path / "many.csv")
    assert found == expected
    assert same(listed, on_cluster)


def test_neither_order_nor_format_nor_files_matter(sample, sample_scorer, on_spark, fresh_sample, tmp_path) -> None:
    expected, listed = at_once(sample_scorer, sample.project, tmp_path / "one.parquet", n_reasons=0, capacity=50)
    found, on_cluster = on_spark(
        sample_scorer, shuffled(fresh_sample()), tmp_path / "many.parquet", n_reasons=0, capacity=50
    )
    assert found == expected
    assert same(listed, on_cluster)


def test_ten_thousand_cutoffs_stay_in_their_order(sample, sample_scorer, on_spark, tmp_path) -> None:
    rng = np.random.default_rng(1)
    asked = pd.DataFrame({"lead_id": rng.choice(sample.leads.ids, 10_000)})
    asked["cutoff"] = pd.Timestamp("2025-03-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 400, 10_000), unit="D")
    expected, _ = at_once(sample_scorer, sample.project, tmp_path / "one.csv", cutoffs=asked)
    assert on_spark(sample_scorer, sample.project, tmp_path / "many.csv", cutoffs=asked)[0] == expected
    asked.loc[[7, 40], "lead_id"] = "nobody"
    with pytest.raises(DataError, match=r"2 rows name a lead_id that is not in \[leads\] \(first: row 8, 41\)"):
        on_spark(sample_scorer, sample.project, tmp_path / "many.csv", cutoffs=asked)


def test_a_new_list_stands_beside_the_projects_own(sample, sample_scorer, on_spark, fresh_sample, tmp_path) -> None:
    """Its youngest lead says when; the last instant in the data is found without a declared end."""
    folder = fresh_sample()
    leads = pd.read_csv(folder / "leads.csv", dtype=object).iloc[:60]
    leads.loc[leads.index[50:], "lead_id"] = [f"new{n}" for n in range(10)]
    leads.loc[leads.index[55], "created_at"] = "2026-07-04T08:00:00Z"
    leads.to_csv(tmp_path / "new.csv", index=False)
    project = rewritten(folder, {'\nobserved_until = "2026-06-30"': ""}, {})
    asked = {"leads": Source(path=str(tmp_path / "new.csv")), "n_reasons": 1}
    expected, listed = at_once(sample_scorer, project, tmp_path / "one.csv", **asked)
    found, on_cluster = on_spark(sample_scorer, project, tmp_path / "many.csv", **asked)
    assert found == expected
    assert same(listed, on_cluster)


def test_an_id_that_comes_for_two_leads_is_the_row_known_first(
    sample, sample_scorer, on_spark, fresh_sample, tmp_path
) -> None:
    folder = fresh_sample()
    events = pd.read_csv(folder / "touchpoints.csv", dtype=object)
    late = events.iloc[::40].assign(ingested_at="2026-06-29T00:00:00Z")
    early = events.iloc[7::40].assign(ingested_at="2024-06-29T00:00:00Z")
    again = pd.concat([late, early])
    again["lead_id"] = np.resize(sample.leads.ids, len(again))
    nobody = early.assign(lead_id="nobody", ingested_at="2024-01-01T00:00:00Z")
    project = rewritten(folder, {}, {"touchpoints.csv": pd.concat([events, again, nobody])})
    expected, listed = at_once(sample_scorer, project, tmp_path / "one.csv", n_reasons=1)
    found, on_cluster = on_spark(sample_scorer, project, tmp_path / "many.csv", n_reasons=1)
    assert found == expected
    assert same(listed, on_cluster)
    assert next(note.n for note in listed.notes if note.kind == "redelivered") > 1_000


def test_the_number_of_a_row_is_its_id_in_whichever_file(on_spark, tmp_path) -> None:
    rows = [(("ads", "web")[n % 2], n, ("1", "0", "", "0")[n % 4]) for n in range(400)]
    frame = pd.DataFrame(rows, columns=["source", "visits", "converted"])
    (tmp_path / "list").mkdir()
    for number, piece in enumerate((frame[:150], frame[150:151], frame[151:])):
        piece.to_csv(tmp_path / "list" / f"{number}.csv", index=False)
    sources = {"leads.source": "list/*.csv", "outcome.source": "list/*.csv"}
    project = builders.project(sources, base=builders.LABELLED, folder=tmp_path)
    data = project.read()
    scorer = ls.LeadScorer(parameters={"num_iterations": 10}).fit(data, ls.snapshots(data))
    expected, listed = at_once(scorer, project, tmp_path / "one.csv")
    found, on_cluster = on_spark(scorer, project, tmp_path / "many.csv")
    assert found == expected
    assert same(listed, on_cluster)


def test_a_query_is_read_where_its_address_is_known(
    sample, sample_scorer, on_spark, spark, fresh_sample, tmp_path, monkeypatch
) -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    url = f"sqlite:///{tmp_path / 'crm.db'}"
    frame = pd.read_csv(sample.project.folder / "touchpoints.csv", dtype=object)
    frame.to_sql("touchpoints", sqlalchemy.create_engine(url), index=False)
    query = '{ sql = "select * from touchpoints", url = "env:CRM_URL" }'
    project = rewritten(fresh_sample(), {'"touchpoints.csv"': query}, {})
    monkeypatch.setenv("CRM_URL", url)
    with pytest.raises(DataError, match="environment variable CRM_URL, which is not set"):
        on_spark(sample_scorer, project, tmp_path / "many.csv", n_reasons=0)
    monkeypatch.setitem(spark.sparkContext.environment, "CRM_URL", url)
    expected, _ = at_once(sample_scorer, sample.project, tmp_path / "one.csv", n_reasons=0)
    assert on_spark(sample_scorer, project, tmp_path / "many.csv", n_reasons=0)[0] == expected


def test_row_groups_are_read_apart(sample, sample_scorer, on_spark, fresh_sample, tmp_path) -> None:
    """The rows of a file that is damaged behind are read, and then it is named."""
    folder = fresh_sample()
    frame = pd.read_csv(folder / "touchpoints.csv", dtype=object)
    frame.to_parquet(folder / "touchpoints.parquet", row_group_size=1_000)
    project = rewritten(folder, {"touchpoints.csv": "touchpoints.parquet"}, {})
    from leadscore.batch.parting import tables_of
    from leadscore.batch.spark.units import cut

    (table,) = [each for each in tables_of(Asked(project, tmp_path)) if each.key == "touchpoints"]
    _, units = cut(table, folder, 2_500)
    assert [unit.first for unit in units] == list(range(0, len(frame), 3_000))
    assert [group for unit in units for group in unit.groups or ()] == list(range(-(-len(frame) // 1_000)))
    expected, listed = at_once(sample_scorer, project, tmp_path / "one.csv", n_reasons=0)
    found, on_cluster = on_spark(sample_scorer, project, tmp_path / "many.csv", n_reasons=0)
    assert found == expected
    assert same(listed, on_cluster)
    content = bytearray((folder / "touchpoints.parquet").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2_000] = bytes(2_000)
    (folder / "touchpoints.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"touchpoints.parquet can't be read"):
        on_spark(sample_scorer, project, tmp_path / "many.csv", n_reasons=0)


def test_what_is_wrong_with_a_table_is_said_in_the_same_words(
    sample_scorer, on_spark, spark, fresh_sample, tmp_path
) -> None:
    folder = fresh_sample()
    events = pd.read_csv(folder / "touchpoints.csv", dtype=object)
    events.loc[: int(0.07 * len(events)), "occurred_at"] = "99/99/9999"
    events.to_csv(folder / "touchpoints.csv", index=False)
    leads = pd.read_csv(folder / "leads.csv", dtype=object)
    said = []
    for score in (at_once, on_spark):
        with pytest.raises(DataError) as raised:
            score(sample_scorer, ls.Project.load(folder), tmp_path / "out.csv")
        said.append(str(raised.value))
    assert said[0] == said[1]
    shutil.copy(ROOT / "data" / "sample" / "touchpoints.csv", folder)
    leads.loc[1_999, "lead_id"] = leads.loc[3, "lead_id"]
    leads.to_csv(folder / "leads.csv", index=False)
    with pytest.raises(DataError, match=r"repeats an id \(1 ids; first at leads.csv row 4, leads.csv row 2000\)"):
        on_spark(sample_scorer, ls.Project.load(folder), tmp_path / "out.csv")
    with (folder / "leads.csv").open("a", encoding="utf-8") as file:
        file.write("a,b\n")
    with pytest.raises(DataError, match=r"leads.csv row 2001 has 2 fields"):
        on_spark(sample_scorer, ls.Project.load(folder), tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_failure_of_spark_itself_is_told_in_one_line(spark) -> None:
    from leadscore.batch.spark.session import session

    with pytest.raises(ClusterError, match="Spark failed: "), session(None):
        spark.sql("SELECT nothing FROM nowhere")


def test_what_a_task_met_is_told_without_its_words(spark) -> None:
    from leadscore.batch.spark.session import session

    def fail(batches: Any) -> Any:
        raise ValueError("Jane Doe")

    with pytest.raises(ClusterError, match="a task met ValueError") as raised, session(None):
        spark.range(1).mapInArrow(fail, "id bigint").collect()
    assert "Jane" not in str(raised.value)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared data")
def test_bpic2012(on_spark, tmp_path) -> None:
    project = ls.Project.load(shutil.copytree(SHARED / "bpic2012", tmp_path / "bpic2012"))
    data = project.read()
    scorer = ls.LeadScorer(parameters={"num_iterations": 30}).fit(data, ls.snapshots(data))
    rows = np.random.default_rng(2).integers(0, len(data.leads.ids), 10_000)
    asked = pd.DataFrame({"lead_id": data.leads.ids[rows]})
    asked["cutoff"] = pd.to_datetime(data.leads.created[rows].view("M8[us]"), utc=True) + pd.Timedelta("3D")
    expected, _ = at_once(scorer, project, tmp_path / "one.csv", cutoffs=asked)
    assert on_spark(scorer, project, tmp_path / "many.csv", cutoffs=asked)[0] == expected
