"""Rows that are kept give the bytes and the counts of a list that is read anew, whatever happened to the files."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import leadscore as ls
from leadscore.batch import keeping, local, parting, spilling
from leadscore.batch.asked import Asked, Listed
from leadscore.batch.keeping import Kept
from leadscore.batch.local import score_in_parts, score_project
from leadscore.cli import main
from leadscore.errors import DataError
from leadscore.project import Source
from tests import builders
from tests.batch.scoring import at_once, cut, same, silently

FILES = {"leads": 3, "touchpoints": 5, "interactions": 4}
NAMES = [
    *("account.touchpoints.count.all", "account.win_rate", "origin.win_rate", "owner.open_leads"),
    *("touchpoints.count.30d", "interactions.count.7d", "lead.industry"),
]


def texts(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=object)


def write(frame: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)


def daily(folder: Path) -> Path:
    """The sample with its leads in versions, and its tables in files of some days each."""
    text = (folder / "leadscore.toml").read_text(encoding="utf-8")
    text = text.replace('owner = "rep"', 'owner = "rep"\nknown = "updated_at"')
    for table, n_files in FILES.items():
        frame, ending = texts(folder / f"{table}.csv"), "parquet" if table == "interactions" else "csv"
        if table == "leads":
            frame["updated_at"] = frame["created_at"]
        for number, rows in enumerate(np.array_split(np.arange(len(frame)), n_files)):
            write(frame.iloc[rows], folder / table / f"{number}.{ending}")
        (folder / f"{table}.csv").unlink()
        text = text.replace(f"{table}.csv", f"{table}/*.{ending}")
    (folder / "leadscore.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def folder(fresh_sample: Callable[[], Path]) -> Path:
    return daily(fresh_sample())


@pytest.fixture(scope="module")
def scorer(fresh_sample: Callable[[], Path]) -> ls.LeadScorer:
    """Looks at what other leads of an account and of an origin did."""
    project = ls.Project.load(daily(fresh_sample()))
    data = project.read()
    plan = ls.FeaturePlan.of(project, NAMES)
    return ls.LeadScorer(features=plan, parameters={"num_iterations": 10}).fit(data, ls.snapshots(data))


def night(
    scorer: ls.LeadScorer, folder: Path | ls.Project, out: Path, *, n_parts: int = 4, n_rows: int = 2_500,
    fresh: bool = False, **asked: Any,
) -> tuple[bytes, Listed, list[str]]:  # fmt: skip
    """Score with what is kept beside the list; return the list, what came of it, and what was said."""
    project = folder if isinstance(folder, ls.Project) else ls.Project.load(folder)
    said: list[str] = []
    asked = {"n_reasons": 0, **asked}
    with Kept.open(out.parent / "kept", project) as kept:
        budget = kept.cut(cut(n_parts, n_rows), fresh=fresh)
        listed = score_in_parts(
            scorer, Asked(project, out, **asked), silently, budget, kept=kept, fresh=fresh, say=said.append
        )
    assert not list((out.parent / "kept").glob("*.part"))
    return out.read_bytes(), listed, said


def lines(said: list[str], table: str) -> str:
    return next(line.removeprefix(f"{table}: ") for line in said if line.startswith(f"{table}: "))


def is_as_fresh(scorer: ls.LeadScorer, folder: Path, out: Path) -> list[str]:
    """Score with what is kept and without; say what was said."""
    found, listed, said = night(scorer, folder, out)
    expected, at_one_go = at_once(scorer, ls.Project.load(folder), out.with_name("one.csv"), n_reasons=0)
    assert found == expected
    assert same(listed, at_one_go)
    return said


def test_night_after_night(scorer, folder, tmp_path, monkeypatch) -> None:
    out = tmp_path / "list.csv"
    said = is_as_fresh(scorer, folder, out)
    assert lines(said, "touchpoints") == "0 of 5 files kept (0 rows), 5 read (18,972 rows)"
    assert said[-1].startswith(f"{tmp_path / 'kept'} keeps ")

    with monkeypatch.context() as patched:
        patched.setattr(parting, "typing_of", lambda *_: None)
        patched.setattr(spilling, "write_stretch", None)
        assert night(scorer, folder, out)[0] == out.with_name("one.csv").read_bytes()

    # ids come again, for other leads, known earlier and later; in a file between old ones, with new words
    old = texts(folder / "touchpoints" / "1.csv")
    again = pd.concat(
        [
            old.iloc[:200].assign(ingested_at="2024-06-01T00:00:00Z"),
            old.iloc[200:400].assign(ingested_at="2026-06-29T00:00:00Z", campaign="never seen"),
            old.iloc[400:500],
            old.iloc[500:600].assign(event_id=[f"late{n}" for n in range(100)], lead_id="L9999999"),
        ]
    )
    again.iloc[:400, again.columns.get_loc("lead_id")] = np.roll(again["lead_id"].to_numpy()[:400], 7)
    write(again, folder / "touchpoints" / "1a.csv")
    said = is_as_fresh(scorer, folder, out)
    assert lines(said, "touchpoints") == "5 of 6 files kept (18,972 rows), 1 read (600 rows)"
    assert lines(said, "leads") == "3 of 3 files kept (2,000 rows), 0 read (0 rows)"

    # a lead whose events were of nobody, and moves that bring accounts together: rows change their parts
    leads = texts(folder / "leads" / "0.csv")
    moved = leads.iloc[::9].assign(updated_at="2026-03-01T00:00:00Z")
    moved["account_id"] = np.roll(moved["account_id"].to_numpy(), 1)
    write(pd.concat([moved, leads.iloc[:1].assign(lead_id="L9999999")]), folder / "leads" / "3.csv")
    said = is_as_fresh(scorer, folder, out)
    assert lines(said, "leads") == "3 of 4 files kept (2,000 rows), 1 read (76 rows)"

    # one file changes, one goes
    write(old.iloc[::2], folder / "touchpoints" / "1.csv")
    (folder / "interactions" / "2.parquet").unlink()
    said = is_as_fresh(scorer, folder, out)
    assert lines(said, "touchpoints").endswith(f"1 read ({len(old.iloc[::2]):,} rows, 1 changed)")
    assert lines(said, "interactions").startswith("3 of 3 files kept (9,")
    assert lines(said, "interactions").endswith("0 read (0 rows), 1 gone")
    rows = {stem.name.split("-")[0] for stem in (tmp_path / "kept").glob("*.rows")}
    assert rows == {note.stem for note in (tmp_path / "kept").glob("*.done")}
    assert len(rows) == 4 + 6 + 3 + 1


def test_what_is_rejected_counts_on(scorer, folder, tmp_path) -> None:
    """Kept rows are of the table's 5 %; a run that is refused leaves what is kept for the next."""
    out = tmp_path / "list.csv"
    path = folder / "touchpoints" / "0.csv"
    bad = texts(path)
    bad.loc[: int(0.04 * 18_972), "occurred_at"] = "99/99/9999"
    write(bad, path)
    is_as_fresh(scorer, folder, out)
    more = bad.iloc[:500].assign(event_id=[f"x{n}" for n in range(500)])
    write(more, folder / "touchpoints" / "00.csv")
    messages = []
    for score in (lambda: night(scorer, folder, out), lambda: at_once(scorer, ls.Project.load(folder), out)):
        with pytest.raises(DataError, match=r"rows have no readable 'occurred_at'.*0\.csv row 1 looks like") as raised:
            score()
        messages.append(str(raised.value).partition(". Mend")[0])
    assert messages[0] == messages[1]
    (folder / "touchpoints" / "00.csv").unlink()
    assert lines(is_as_fresh(scorer, folder, out), "touchpoints").startswith("5 of 5 files kept")


@pytest.mark.slow
def test_only_what_typing_depends_on_reads_anew(scorer, sample_scorer, folder, tmp_path, monkeypatch) -> None:
    out = tmp_path / "list.csv"
    night(scorer, folder, out)
    toml = folder / "leadscore.toml"

    def edit(before: str, after: str) -> None:
        text = toml.read_text(encoding="utf-8")
        assert before in text
        toml.write_text(text.replace(before, after), encoding="utf-8")

    edit('horizon = "30d"', 'horizon = "30d" # as ever')
    at = int(pd.Timestamp("2026-02-01", tz="UTC").value // 1_000)
    other = dataclasses.replace(ls.Project.load(folder), grades={"A": 80})
    said = night(scorer, other, tmp_path / "other.csv", as_of=at, n_reasons=1)[2]
    assert all("0 read (0 rows)" in line for line in said[:-1])
    expected, _ = at_once(scorer, other, tmp_path / "one.csv", as_of=at, n_reasons=1)
    assert (tmp_path / "other.csv").read_bytes() == expected

    edit('numeric = ["minutes"]', 'numeric = ["minutes"]\ntime_format = "%Y-%m-%dT%H:%M:%SZ"')
    said = is_as_fresh(scorer, folder, out)
    assert lines(said, "interactions").endswith("; all, as [events.interactions] of leadscore.toml has changed")
    assert "5 of 5 files kept" in lines(said, "touchpoints")

    path = folder / "interactions" / "3.parquet"
    frame = texts(path)
    write(frame.assign(occurred_at=pd.to_datetime(frame["occurred_at"])), folder / "interactions" / "4.parquet")
    with pytest.raises(DataError, match="its files don't agree on a column's type"):
        night(scorer, folder, out)
    (folder / "interactions" / "4.parquet").unlink()
    assert "4 of 4 files kept" in lines(is_as_fresh(scorer, folder, out), "interactions")

    for why, change in {
        "the tables no longer fit into --memory in 4 parts": {"n_parts": 5},
        "--fresh says so": {"fresh": True},
    }.items():
        said = night(scorer, folder, out, **change)[2]
        assert said[0] == f"{tmp_path / 'kept'} begins anew: {why}"
        assert "0 of 5 files kept" in lines(said, "touchpoints")
    assert night(scorer, folder, out, n_parts=2, n_rows=1_000)[2][0].startswith("leads: 3 of 3 files kept")
    monkeypatch.setattr(keeping, "FORMAT", keeping.FORMAT + 1)
    assert night(scorer, folder, out)[2][0].endswith(
        "begins anew: it is of another version of leadscore, pandas, pyarrow"
    )


def test_numbers_that_become_broken_are_read_anew(scorer, folder, tmp_path) -> None:
    """Of Parquet a column is of the type that all files agree on."""
    out = tmp_path / "list.csv"
    for path in (folder / "interactions").iterdir():
        frame = texts(path)
        write(frame.assign(minutes=frame["minutes"].astype(float).fillna(0).astype("int64")), path)
    is_as_fresh(scorer, folder, out)
    frame = texts(folder / "interactions" / "3.parquet").head(50)
    write(frame.assign(event_id=[f"n{n}" for n in range(50)], minutes=2.5), folder / "interactions" / "4.parquet")
    said = is_as_fresh(scorer, folder, out)
    assert lines(said, "interactions").endswith("; all, as its files agree on other types")


def test_a_model_without_accounts_and_one_with_them_share_what_is_kept(scorer, folder, tmp_path) -> None:
    project = ls.Project.load(folder)
    data = project.read()
    plan = ls.FeaturePlan.of(project, ["touchpoints.count.30d", "lead.industry"])
    alone = ls.LeadScorer(features=plan, parameters={"num_iterations": 10}).fit(data, ls.snapshots(data))
    for each in (alone, scorer, alone):
        said = is_as_fresh(each, folder, tmp_path / "list.csv")
    assert "5 of 5 files kept" in lines(said, "touchpoints")


def test_a_list_beside_the_own_leads(scorer, folder, tmp_path) -> None:
    new = texts(folder / "leads" / "2.csv").head(60)
    new["lead_id"] = [f"new{n}" for n in range(60)]
    project, out = ls.Project.load(folder), tmp_path / "list.csv"
    for name in ("monday.csv", "tuesday.csv"):
        write(new.assign(country=name), tmp_path / name)
        source = Source(path=str(tmp_path / name))
        found, listed, said = night(scorer, project, out, leads=source)
        expected, at_one_go = at_once(scorer, project, tmp_path / "one.csv", leads=source, n_reasons=0)
        assert found == expected
        assert same(listed, at_one_go)
    assert lines(said, "own leads") == "3 of 3 files kept (2,000 rows), 0 read (0 rows), 1 gone"
    assert lines(said, "leads") == "0 of 1 file kept (0 rows), 1 read (60 rows)"


def test_a_query_is_read_each_time(scorer, folder, tmp_path, monkeypatch) -> None:
    rows = pd.concat(map(texts, sorted((folder / "touchpoints").iterdir())))
    text = (folder / "leadscore.toml").read_text(encoding="utf-8")
    query = '{ sql = "select * from touchpoints", url = "env:CRM_URL" }'
    (folder / "leadscore.toml").write_text(text.replace('"touchpoints/*.csv"', query), encoding="utf-8")
    monkeypatch.setenv("CRM_URL", f"sqlite:///{tmp_path / 'crm.db'}")
    for n_rows in (15_000, len(rows)):
        with sqlite3.connect(tmp_path / "crm.db") as database:
            rows.head(n_rows).to_sql("touchpoints", database, index=False, if_exists="replace")
        said = is_as_fresh(scorer, folder, tmp_path / "list.csv")
        assert lines(said, "touchpoints") == f"a query is read whole each time ({n_rows:,} rows)"
    assert "3 of 3 files kept" in lines(said, "leads")


def test_rows_that_are_numbered_are_read_anew(tmp_path) -> None:
    """Their number in the whole table is the id of a lead."""
    rows = [(("ads", "web")[n % 2], n, ("1", "0", "", "0", "0")[n % 5]) for n in range(300)]
    frame = pd.DataFrame(rows, columns=["source", "visits", "converted"])
    home = tmp_path / "project"
    home.mkdir()
    for number in (1, 3):
        write(frame.iloc[number::4], home / f"list{number}.csv")
    sources = {"leads.source": "list*.csv", "outcome.source": "list*.csv"}
    project = builders.project(sources, base=builders.LABELLED, folder=home)
    data = project.read()
    scorer = ls.LeadScorer(parameters={"num_iterations": 10}).fit(data, ls.snapshots(data))
    write(frame.iloc[2::4], home / "list2.csv")
    for _ in range(2):
        found, listed, said = night(scorer, project, tmp_path / "list.csv", n_rows=40)
        expected, at_one_go = at_once(scorer, project, tmp_path / "one.csv", n_reasons=0)
        assert found == expected
        assert same(listed, at_one_go)
    assert lines(said, "leads") == "3 of 3 files kept (225 rows), 0 read (0 rows)"
    os.utime(home / "list2.csv", ns=(1, 1))
    said = night(scorer, project, tmp_path / "list.csv", n_rows=40)[2]
    told = "0 of 3 files kept (0 rows), 3 read (225 rows, 1 changed); all, as its leads are numbered by row"
    assert lines(said, "leads") == told


KILLED = """
import os, signal, sys
from pathlib import Path
import leadscore as ls
from tests.batch.test_keeping import night

scorer, folder, out = ls.LeadScorer.load(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
n, rename = 0, Path.replace

def replace(self, target):
    global n
    n += 1
    if n == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
    rename(self, target)

Path.replace = replace
night(scorer, folder, out)
"""


@pytest.mark.slow
def test_killed_at_any_time_it_goes_on(scorer, folder, tmp_path) -> None:
    """While files are read for the first time; and while rows change their parts, after which files change again."""
    out, model = tmp_path / "list.csv", scorer.save(tmp_path / "scorer")
    command = [sys.executable, "-c", KILLED, str(model), str(folder), str(out)]

    def kill(renames: int) -> None:
        done = subprocess.run([*command, str(renames)], cwd=Path(__file__).parents[2], timeout=100)
        assert done.returncode == -signal.SIGKILL

    kill(20)
    assert list((tmp_path / "kept").glob(".*.part"))
    is_as_fresh(scorer, folder, out)
    leads = texts(folder / "leads" / "0.csv")
    for number, after in enumerate((14, 9)):
        moved = leads.iloc[number::5].assign(updated_at="2026-03-01T00:00:00Z")
        moved["account_id"] = np.roll(moved["account_id"].to_numpy(), 1 + number)
        write(moved, folder / "leads" / f"{3 + number}.csv")
        kill(after)
    (folder / "leads" / "3.csv").unlink()
    is_as_fresh(scorer, folder, out)


def test_a_file_without_its_end_is_read_again(scorer, folder, tmp_path) -> None:
    out = tmp_path / "list.csv"
    night(scorer, folder, out)
    for kind in ("rows", "ids", "accounts"):
        damaged = min((tmp_path / "kept").glob(f"*.{kind}"))
        damaged.write_bytes(damaged.read_bytes()[:-100])
    is_as_fresh(scorer, folder, out)


def test_one_run_at_a_time_and_nothing_else_in_the_folder(folder, tmp_path) -> None:
    project, kept = ls.Project.load(folder), tmp_path / "kept"
    with Kept.open(kept, project), pytest.raises(DataError, match=r"another process is using the rows in .*kept; wait"):
        Kept.open(kept, project)
    (kept / "letter.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match=r"kept holds letter\.txt, which is not of kept rows\. Name a new folder"):
        Kept.open(kept, project)
    assert (kept / "letter.txt").exists()
    for wrong in (kept / "letter.txt", kept / "letter.txt" / "kept"):
        with pytest.raises(DataError, match="can't be a folder: a file is in its place, or above it"):
            Kept.open(wrong, project)
    with Kept.open(tmp_path / "no" / "kept", project) as made:
        assert made.path.is_dir()


@pytest.mark.slow
def test_growth_within_bounds_keeps_the_cut(scorer, folder, tmp_path, monkeypatch) -> None:
    """There is room for twice as much; with less memory the parts are others."""
    monkeypatch.setattr("leadscore.batch.budget._PROGRAM", 0)
    monkeypatch.setattr("leadscore.batch.budget.MOST_PARTS", 9)
    project, out, said = ls.Project.load(folder), tmp_path / "list.csv", []

    def score(memory: int) -> list[str]:
        said.clear()
        asked = Asked(project, out, n_reasons=0)
        score_project(scorer, asked, silently, memory=memory, keep=tmp_path / "kept", say=said.append)
        return list(said)

    score(2**24)
    frame = texts(folder / "touchpoints" / "4.csv")
    write(frame.assign(event_id=frame["event_id"] + "b"), folder / "touchpoints" / "5.csv")
    assert lines(score(2**24), "touchpoints").startswith("5 of 6 files kept")
    assert lines(score(2**26), "touchpoints").startswith("6 of 6 files kept")
    anew = score(2**22)
    assert "begins anew: the tables no longer fit into --memory in " in anew[0]
    expected, _ = at_once(scorer, project, tmp_path / "one.csv", n_reasons=0)
    assert out.read_bytes() == expected


def test_the_command_says_what_it_skipped(sample_scorer_folder, tmp_path) -> None:
    sample = Path(__file__).parents[2] / "data" / "sample"
    options = ["--model", sample_scorer_folder, "--out", tmp_path / "list.csv", "--keep", tmp_path / "kept"]
    command = [str(word) for word in ("score", sample, *options, "--reasons", 0)]
    kept = []
    for _ in range(2):
        result = CliRunner().invoke(main, [*command, "--json"])
        assert result.exit_code == 0, result.stderr
        kept.append(json.loads(result.stdout)["kept"])
    assert [each["tables"]["touchpoints"]["rows_kept"] for each in kept] == [0, 18_972]
    assert kept[1]["why"] is None
    assert kept[1]["bytes"] == sum(file.stat().st_size for file in (tmp_path / "kept").iterdir())
    result = CliRunner().invoke(main, command)
    assert "touchpoints: 1 of 1 file kept (18,972 rows), 0 read (0 rows)\n" in result.stdout
    result = CliRunner().invoke(main, [*command, "--engine", "spark"])
    assert result.exit_code == 2
    assert "--keep is of --engine local" in result.stderr


def test_a_store_is_read_whole(scorer, folder, tmp_path, monkeypatch) -> None:
    said: list[str] = []
    stored = dataclasses.replace(ls.Project.load(folder), store="store.db")
    nothing = Listed(None, None, np.empty(0), {}, 0, ())
    monkeypatch.setattr(local, "score_at_once", lambda *_: nothing)
    asked = Asked(stored, tmp_path / "list.csv")
    listed = score_project(scorer, asked, silently, memory=2**31, keep=tmp_path / "kept", say=said.append)
    assert said == [f"{tmp_path / 'kept'} keeps nothing: a store is read whole each time"]
    assert listed.kept == {"folder": None, "bytes": 0, "why": "a store is read whole each time", "tables": {}}
    assert not (tmp_path / "kept").exists()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_any_nights(seed, scorer, folder, tmp_path) -> None:
    """Files come, change and go at random, with rows of others; the cut and the list may be others each night."""
    rng = np.random.default_rng(seed)
    known = {"leads": "updated_at", "touchpoints": "ingested_at", "interactions": "recorded_at"}

    def change() -> None:
        table = str(rng.choice(list(FILES)))
        paths = sorted((folder / table).iterdir())
        path = paths[int(rng.integers(len(paths)))]
        if len(paths) > 2 and rng.random() < 0.3:
            path.unlink()
            return
        rows = texts(path).sample(frac=0.3, random_state=int(rng.integers(1_000)))
        rows[known[table]] = rng.choice(["2024-06-01T00:00:00Z", "2026-04-01T00:00:00Z"], len(rows))
        mixed = "account_id" if table == "leads" else "lead_id"
        rows[mixed] = rng.permutation(rows[mixed].to_numpy())
        write(rows, path if rng.random() < 0.3 else path.with_stem(f"{path.stem}{rng.integers(10)}"))

    for n in range(6):
        for _ in range(int(rng.integers(3))):
            change()
        project, out = ls.Project.load(folder), tmp_path / f"list{n % 2}.csv"
        found, listed, _ = night(scorer, project, out, n_parts=int(rng.integers(1, 5)))
        expected, at_one_go = at_once(scorer, project, tmp_path / "one.csv", n_reasons=0)
        assert found == expected
        assert same(listed, at_one_go)
