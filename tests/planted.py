"""A small healthy project to plant faults in, and how a test asks what `check` says of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from leadscore.evaluate.check import Checked, Finding, check
from leadscore.project import Project

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
DAY = pd.Timedelta("1D")
N_LEADS = 1_200
Tables = dict[str, pd.DataFrame]


def healthy(seed: int = 3) -> Tables:
    """A year of leads: a third win after 2 to 20 days, a third are lost, and a profile that says a little."""
    rng = np.random.default_rng(seed)
    created = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.sort(rng.uniform(0, 365, N_LEADS)), "D").round("s")
    source = rng.choice(["web", "fair", "call"], N_LEADS)
    chance = np.where(source == "fair", 0.45, 0.25)
    fate = np.where(rng.random(N_LEADS) < chance, "won", np.where(rng.random(N_LEADS) < 0.6, "lost", "open"))
    closed = created + pd.to_timedelta(rng.uniform(2, 20, N_LEADS), "D").round("s")
    fate = np.where(closed >= pd.Timestamp("2026-01-01"), "open", fate)
    leads = pd.DataFrame(
        {
            "id": [f"L{i:05d}" for i in range(N_LEADS)],
            "created": created,
            "source": source,
            "size": rng.lognormal(3, 1, N_LEADS).round(1),
        }
    )
    leads.loc[rng.random(N_LEADS) < 0.2, "size"] = np.nan
    outcome = pd.DataFrame({"id": leads["id"], "closed": closed, "status": fate})
    rows = rng.integers(0, N_LEADS, 6_000)
    time = created[rows] + pd.to_timedelta(rng.uniform(0, 15, len(rows)), "D").round("s")
    calls = pd.DataFrame({"id": leads["id"].to_numpy()[rows], "at": time, "loaded": time + pd.Timedelta("1h")})
    calls["kind"] = rng.choice(["in", "out"], len(rows))
    calls["minutes"] = rng.uniform(1, 30, len(rows)).round(2)
    calls = calls[calls["loaded"] < pd.Timestamp("2026-01-01")]
    return {"leads": leads, "outcome": outcome[outcome["status"] != "open"], "calls": calls}


def settings() -> dict[str, Any]:
    """The project file of `healthy`."""
    return {
        "name": "planted",
        "leads": {
            "source": "leads.csv", "id": "id", "created": "created", "categorical": ["source"], "numeric": ["size"]
        },
        "events": {
            "calls": {
                "source": "calls.csv", "lead": "id", "time": "at", "known": "loaded",
                "categorical": ["kind"], "numeric": ["minutes"],
            }
        },
        "outcome": {
            "source": "outcome.csv", "lead": "id", "time": "closed", "column": "status", "won": ["won"],
            "lost": ["lost"],
        },
        "task": {"horizon": "21d", "cutoffs": {"at_age": ["0d", "7d"]}, "observed_until": "2026-01-01"},
    }  # fmt: skip


def write(folder: Path, tables: Mapping[str, pd.DataFrame], raw: dict[str, Any]) -> Project:
    """Write tables and settings as a project."""
    for name, frame in tables.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return Project.from_dict(raw, folder=folder)


def checked_in(folder: Path, tables: Mapping[str, pd.DataFrame], raw: dict[str, Any]) -> Checked:
    """Write tables and settings as a project, and check it."""
    return check(write(folder, tables, raw))


def named(result: Checked, kind: str) -> Finding:
    """The one finding of a kind; fails with all kinds where there is none."""
    found = [finding for finding in result.findings if finding.kind == kind]
    assert found, f"no {kind} among {[(finding.kind, finding.column) for finding in result.findings]}"
    return found[0]


def severe(result: Checked) -> set[str | None]:
    return {finding.column for finding in result.findings if finding.severity == "severe"}


def fates(tables: Tables) -> np.ndarray:
    status = tables["outcome"].set_index("id")["status"]
    return status.reindex(tables["leads"]["id"]).fillna("open").to_numpy()


def shared(name: str) -> Project:
    """A real project beside this one; the test is skipped where it is not there."""
    if not (SHARED / name).is_dir():
        pytest.skip("needs the shared data beside the project")
    return Project.load(SHARED / name)


@cache
def checked_as_listed(name: str) -> Checked:
    """What `check` says of a real project, or of ``sample``, once a session."""
    return check(Project.load(ROOT / "data" / "sample") if name == "sample" else shared(name))
