"""How tests score a list: at once, or cut as they say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

import leadscore as ls
from leadscore.batch.asked import Asked, Listed
from leadscore.batch.budget import Budget
from leadscore.batch.local import score_at_once, score_in_parts
from leadscore.model.booster import Progress


@contextmanager
def silently(_: str) -> Iterator[Progress]:
    yield lambda done, total: None


def cut(n_parts: int, n_rows: int) -> Budget:
    return Budget(n_parts, n_rows, {"leads": 1}, 0, 3, 2**30)


def at_once(scorer: ls.LeadScorer, project: ls.Project, out: Path, **asked: Any) -> tuple[bytes, Listed]:
    listed = score_at_once(scorer, Asked(project, out, **asked), silently)
    return out.read_bytes(), listed


def in_parts(
    scorer: ls.LeadScorer, project: ls.Project, out: Path, n_parts: int, n_rows: int, **asked: Any
) -> tuple[bytes, Listed]:
    said: list[str] = []
    fresh = asked.pop("fresh", False)
    listed = score_in_parts(
        scorer, Asked(project, out, **asked), silently, cut(n_parts, n_rows), fresh=fresh, say=said.append
    )
    assert not list(out.parent.glob(".*")), "a run that is done leaves nothing behind"
    assert not [file for file in psutil.Process().open_files() if ".run/" in file.path], "nor anything open"
    return out.read_bytes(), listed


def same(one: Listed, other: Listed) -> bool:
    """Whether two runs say the same of their lists."""
    told = [
        (each.as_of, each.until, each.probability.tolist(), each.grades, each.n_leads, set(each.notes))
        for each in (one, other)
    ]
    return told[0] == told[1]
