"""The rooms and ``leadscore report`` say the same of the same moment."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import leadscore as ls
from leadscore import time
from leadscore.cli import main
from service.measuring import measure
from service.store import open_store
from service.store.importing import import_project

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
MOMENT = "2026-05-20T10:30:00Z"
SLA = """
[sla]
qualified = "B"
leads = { webinar = 20, "*" = 80 }
respond = { A = "4h", B = "24h" }
attempts = { A = 6, B = 3 }
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_rooms_and_reports_of_a_moment_have_the_same_tables(
    new_url: Any, kind: str, scorer: ls.LeadScorer, tmp_path: Path
) -> None:
    """Not a lead apart: a room is measured of what is known, a report of files by default as of their end."""
    folder = shutil.copytree(SAMPLE, tmp_path / "project")
    with (folder / "leadscore.toml").open("a", encoding="utf-8") as file:
        file.write(SLA)
    project, saved = ls.Project.load(folder), scorer.save(tmp_path / "scorer")
    store = open_store(new_url(kind), project)
    import_project(store.journal)
    measure(store, scorer, tmp_path / "rooms", now=time.parse_instant(MOMENT, "UTC"))
    store.close()
    for name in ("channels", "funnel", "agreement"):
        options = ["--out", tmp_path / "reports", "--as-of", MOMENT, "--model", saved]
        done = CliRunner().invoke(main, ["report", name, str(folder), *map(str, options)])
        assert done.exit_code == 0, done.output
    rooms = sorted(path.name for path in (tmp_path / "rooms").glob("*.csv"))
    assert rooms == sorted(path.name for path in (tmp_path / "reports").glob("*.csv"))
    for name in rooms:
        assert (tmp_path / "rooms" / name).read_bytes() == (tmp_path / "reports" / name).read_bytes(), name
