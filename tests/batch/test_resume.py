"""A run that is stopped, however rudely, goes on; one that was asked for something else starts anew."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import leadscore as ls
from leadscore.batch import merging, parting, run, spilling
from leadscore.batch.asked import Asked
from leadscore.batch.local import score_in_parts
from leadscore.batch.run_folder import RunFolder, folder_of
from leadscore.errors import DataError
from tests.batch.scoring import at_once, cut, in_parts, silently

KILLED = """
import os, signal, sys
from pathlib import Path
import leadscore as ls
from tests.batch.scoring import in_parts

scorer, project, out = ls.LeadScorer.load(sys.argv[1]), ls.Project.load(sys.argv[2]), Path(sys.argv[3])
n, rename = 0, Path.replace

def replace(self, target):
    global n
    n += 1
    if n == int(sys.argv[4]):
        if sys.argv[5] == "after":
            rename(self, target)
        os.kill(os.getpid(), signal.SIGKILL)
    rename(self, target)

Path.replace = replace
in_parts(scorer, project, out, 6, 5000)
"""


def test_killed_at_any_time_it_goes_on_to_the_same_bytes(sample, sample_scorer, sample_scorer_folder, tmp_path) -> None:
    """While tables are read, before a file is in its place; while parts are scored, after."""
    expected, _ = at_once(sample_scorer, sample.project, tmp_path / "one.csv")
    out = tmp_path / "run" / "many.csv"
    out.parent.mkdir()
    command = [sys.executable, "-c", KILLED, str(sample_scorer_folder), str(sample.project.folder), str(out)]
    for renames, when in ((6, "before"), (21, "after")):
        done = subprocess.run([*command, str(renames), when], cwd=Path(__file__).parents[2], timeout=60)
        assert done.returncode == -signal.SIGKILL
        assert not out.exists()
    assert list(folder_of(out).glob("*.scored"))
    in_parts(sample_scorer, sample.project, out, 6, 5_000)
    assert out.read_bytes() == expected
    assert [path.name for path in out.parent.iterdir()] == ["many.csv"]


def stopped(
    scorer, project, out, monkeypatch, error: BaseException, where=(run, "write_sorted"), after: int = 2
) -> str:
    """Stop a run with an error at a boundary; return what is said of it."""
    n, real = 0, getattr(*where)

    def fail(*args, **options):
        nonlocal n
        n += 1
        if n > after:
            raise error
        return real(*args, **options)

    monkeypatch.setattr(*where, fail)
    with pytest.raises((ls.LeadScoreError, KeyboardInterrupt, OSError)) as raised:
        in_parts(scorer, project, out, 6, 5_000)
    monkeypatch.setattr(*where, real)
    assert not out.exists()
    return str(raised.value)


def test_what_is_done_is_not_done_again(sample, sample_scorer, tmp_path, monkeypatch) -> None:
    expected, _ = at_once(sample_scorer, sample.project, tmp_path / "one.csv")
    out = tmp_path / "many.csv"
    said = stopped(sample_scorer, sample.project, out, monkeypatch, KeyboardInterrupt())
    assert said == "run the same command again and it goes on"
    n_scored = 0

    def count(*args, **options):
        nonlocal n_scored
        n_scored += 1
        return score_part(*args, **options)

    score_part = run.score_part
    monkeypatch.setattr(run, "score_part", count)
    monkeypatch.setattr(spilling, "write_stretch", None)
    told: list[str] = []
    score_in_parts(sample_scorer, Asked(sample.project, out), silently, cut(6, 5_000), say=told.append)
    assert told == ["An earlier run goes on"]
    assert n_scored == 4
    assert out.read_bytes() == expected


def test_a_query_is_not_asked_again(sample_scorer, fresh_sample, tmp_path, monkeypatch) -> None:
    """Leads that have joined other accounts since would be parted in another way than the rows that are there."""
    folder, out = fresh_sample(), tmp_path / "lists" / "many.csv"
    out.parent.mkdir()
    leads = pd.read_csv(folder / "leads.csv", dtype=object)
    text = (folder / "leadscore.toml").read_text(encoding="utf-8")
    query = 'source = { sql = "select * from leads", url = "env:CRM_URL" }'
    (folder / "leadscore.toml").write_text(text.replace('source = "leads.csv"', query), encoding="utf-8")
    monkeypatch.setenv("CRM_URL", f"sqlite:///{tmp_path / 'crm.db'}")
    project = ls.Project.load(folder)
    leads.to_sql("leads", os.environ["CRM_URL"], index=False)
    expected, _ = at_once(sample_scorer, project, tmp_path / "one.csv")
    stopped(sample_scorer, project, out, monkeypatch, KeyboardInterrupt(), (parting, "write_stretch"), after=3)
    leads["account_id"] = leads["account_id"].sample(frac=1, random_state=1).to_numpy()
    leads.to_sql("leads", os.environ["CRM_URL"], index=False, if_exists="replace")
    assert in_parts(sample_scorer, project, out, 6, 5_000)[0] == expected


@pytest.mark.parametrize("where", [(run, "write_sorted"), (merging.pyarrow.ipc, "new_file")])
def test_a_full_disk_names_the_folder_and_the_run_goes_on(where, sample, sample_scorer, tmp_path, monkeypatch) -> None:
    expected, _ = at_once(sample_scorer, sample.project, tmp_path / "one.csv")
    out = tmp_path / "many.csv"
    full = OSError(errno.ENOSPC, "No space left on device")
    said = stopped(sample_scorer, sample.project, out, monkeypatch, full, where)
    assert said.startswith(f"there is no space left in {tmp_path}: the run needs about ")
    assert "it goes on where it stopped" in said
    assert in_parts(sample_scorer, sample.project, out, 6, 5_000)[0] == expected


def test_anything_else_starts_anew_and_says_why(sample, sample_scorer, fresh_sample, tmp_path, monkeypatch) -> None:
    folder = fresh_sample()
    project, out = ls.Project.load(folder), tmp_path / "many.csv"
    other = dataclasses.replace(project, raw={**project.raw, "grades": {"A": 80}})
    asked = Asked(project, out, n_reasons=0)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "write_sorted", stop)

    def told(asked: Asked, *, n_parts: int = 6, fresh: bool = False) -> list[str]:
        said: list[str] = []
        with pytest.raises(KeyboardInterrupt):
            score_in_parts(sample_scorer, asked, silently, cut(n_parts, 5_000), fresh=fresh, say=said.append)
        return said

    assert told(asked) == []
    assert told(asked) == ["An earlier run goes on"]
    assert told(asked, fresh=True) == []
    assert told(dataclasses.replace(asked, n_reasons=1)) == ["An earlier run starts anew: other options were given"]
    assert told(dataclasses.replace(asked, project=other)) == ["An earlier run starts anew: leadscore.toml has changed"]
    assert told(asked) == ["An earlier run starts anew: leadscore.toml has changed"]
    assert told(asked, n_parts=3) == ["An earlier run starts anew: --memory cuts the list in another way"]
    assert told(asked) == ["An earlier run starts anew: --memory cuts the list in another way"]
    os.utime(folder / "leads.csv", ns=(1, 1))
    assert told(asked) == ["An earlier run starts anew: its input has changed"]
    (folder_of(out) / "manifest.json").write_text("{", encoding="utf-8")
    assert told(asked) == []


def test_two_runs_never_write_one_list(tmp_path) -> None:
    manifest = dict.fromkeys(("format", "project", "scorer", "inputs", "asked", "cut"), 1)
    first = RunFolder.open(tmp_path / "list.csv", manifest, fresh=False)
    with pytest.raises(DataError, match=r"another process is writing list\.csv"):
        RunFolder.open(tmp_path / "list.csv", manifest, fresh=False)
    assert json.loads((folder_of(tmp_path / "list.csv") / "manifest.json").read_text()) == manifest
    first.remove()
    assert not list(tmp_path.iterdir())
