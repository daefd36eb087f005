"""Scored lists in tables, whole or not at all, and what has moved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import leadscore as ls
from leadscore.batch import score_list, write_list
from leadscore.batch.sync import Earlier
from leadscore.cli import main
from leadscore.time import DAY

POSTGRESQL = "postgresql+psycopg://postgres@127.0.0.1:5432/test"
SCHEMA = "leadscore_test_sync"


@pytest.fixture(scope="module")
def lists(sample: ls.Data, sample_scorer: ls.LeadScorer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The list of a day and that of a week later, as CSV and Parquet."""
    folder = tmp_path_factory.mktemp("lists")
    for name, at in (("monday", sample.observed_until - 7 * DAY), ("later", sample.observed_until)):
        scores = score_list(sample_scorer, sample, as_of=at)
        for ending in (".csv", ".parquet"):
            write_list(scores, folder / f"{name}{ending}")
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    """An empty database, named by CRM_URL."""
    url = f"sqlite:///{tmp_path / 'crm.db'}"
    if request.param == "postgresql":
        engine = sa.create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 2})
        try:
            with engine.connect() as connection:
                connection.execute(sa.text(f"drop schema if exists {SCHEMA} cascade"))
                connection.execute(sa.text(f"create schema {SCHEMA}"))
        except sa.exc.OperationalError:
            pytest.skip("no PostgreSQL answers at 127.0.0.1:5432")
        url = f"{POSTGRESQL}?options=-csearch_path%3D{SCHEMA}"
    monkeypatch.setenv("CRM_URL", url)
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


def sync(*options: object) -> tuple[int, dict[str, Any], str]:
    done = CliRunner().invoke(main, ["sync", *map(str, options), "--json"])
    return done.exit_code, json.loads(done.stdout) if done.stdout.startswith("{") else {}, done.stderr


def rows(database: sa.Engine) -> pd.DataFrame:
    with database.connect() as connection:
        return pd.read_sql_query(sa.text("select * from lead_scores order by as_of, lead_id"), connection)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_list_becomes_a_table_and_sending_it_again_changes_nothing(
    lists: Path, database: sa.Engine, ending: str
) -> None:
    code, told, _ = sync(lists / f"monday{ending}", "--to", "env:CRM_URL")
    listed = pd.read_parquet(lists / "monday.parquet").sort_values("lead_id").reset_index(drop=True)
    assert (code, told["n"]) == (0, len(listed))
    once = rows(database)
    for name in ("lead_id", "probability", "score", "grade", "reasons", "fit"):
        assert once[name].tolist() == listed[name].tolist(), name
    sync(lists / f"monday{ending}", "--to", "env:CRM_URL")
    pd.testing.assert_frame_equal(rows(database), once)


def test_only_what_moved_is_sent(lists: Path, database: sa.Engine) -> None:
    sync(lists / "monday.parquet", "--to", "env:CRM_URL")
    before = rows(database).set_index("lead_id")
    _, told, _ = sync(lists / "later.csv", "--to", "env:CRM_URL", "--moved", 5)
    now = pd.read_parquet(lists / "later.parquet").set_index("lead_id")
    both = now.join(before.add_suffix("_before"))
    far = (both["score"] - both["score_before"]).abs() >= 5
    expected = both["score_before"].isna() | far | (both["grade"] != both["grade_before"])
    assert 0 < told["n"] == int(expected.sum()) < told["of"] == len(now)
    assert len(rows(database)) == len(before) + told["n"]


def test_what_moved_is_written_as_a_list(lists: Path, tmp_path: Path) -> None:
    for ending in (".csv", ".parquet"):
        out = tmp_path / f"moved{ending}"
        code, told, _ = sync(lists / "later.csv", "--before", lists / "monday.parquet", "--moved", 5, "--out", out)
        assert code == 0
        found = pd.read_csv(out) if ending == ".csv" else pd.read_parquet(out)
        whole = pd.read_csv(lists / "later.csv")
        assert told["n"] == len(found)
        kept = whole[whole["lead_id"].isin(found["lead_id"])]
        assert found["lead_id"].tolist() == kept["lead_id"].tolist(), "in the order of the list"
        if ending == ".csv":
            pd.testing.assert_frame_equal(found, kept.reset_index(drop=True))
    everybody, _, _ = sync(lists / "later.csv", "--before", lists / "later.parquet", "--moved", 1, "--out", out)
    assert everybody == 0
    assert len(pd.read_parquet(out)) == 0


def test_a_list_that_breaks_off_leaves_no_row(lists: Path, database: sa.Engine, tmp_path: Path) -> None:
    sync(lists / "monday.csv", "--to", "env:CRM_URL")
    once = rows(database)
    broken = tmp_path / "broken.csv"
    text = (lists / "later.csv").read_text().splitlines(keepends=True)
    broken.write_text("".join(text) + text[1].replace("2026", "never", 1))
    code, _, said = sync(broken, "--to", "env:CRM_URL")
    assert code == 1
    assert "broken.csv can't be read as a scored list" in said
    pd.testing.assert_frame_equal(rows(database), once)


def test_a_table_of_another_shape_is_refused(lists: Path, database: sa.Engine) -> None:
    with database.begin() as connection:
        connection.execute(sa.text("create table lead_scores (lead_id text, score integer)"))
    code, _, said = sync(lists / "monday.csv", "--to", "env:CRM_URL")
    assert code == 1
    assert "lacks as_of, fit, grade" in said


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        ([], 2, "say where to"),
        (["--to", "env:CRM_URL", "--out", "x.csv"], 2, "say where to"),
        (["--out", "x.csv"], 2, "needs --before"),
        (["--to", "env:CRM_URL", "--before", "x.csv"], 2, "goes with --out"),
        (["--to", "env:NOBODY_SET_THIS"], 1, "names no variable that is set"),
        (["--to", "postgresql://user:secret@host/crm"], 1, "names no variable"),
    ],
)
def test_wrong_use_says_what_to_do(lists: Path, options: list[str], code: int, told: str) -> None:
    found, _, said = sync(lists / "monday.csv", *options)
    assert (found, told in said) == (code, True), said


def test_another_file_is_no_list(tmp_path: Path, database: sa.Engine) -> None:
    other = tmp_path / "leads.csv"
    other.write_text("lead_id,name\nL1,Ann\n")
    assert "is no scored list" in sync(other, "--to", "env:CRM_URL")[2]
    assert "there is no file" in sync(tmp_path / "none.csv", "--to", "env:CRM_URL")[2]


def test_of_several_earlier_scores_the_last_counts() -> None:
    earlier = Earlier.of(["a", "b", "a"], [10, 20, 30], ["C", "C", "B"])
    assert dict(zip(sorted(earlier.score.tolist()), [20, 30], strict=True)) == {20: 20, 30: 30}
