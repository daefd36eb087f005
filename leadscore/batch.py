"""Whole lists: scored in slices, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from leadscore import time
from leadscore.errors import DataError
from leadscore.model.booster import Progress
from leadscore.model.scorer import LeadScorer
from leadscore.snapshots import open_leads
from leadscore.tables import Cutoffs, Data

SLICE = 10_000
"""Leads that are scored at once; the scores don't depend on it."""
ENDINGS = (".csv", ".parquet")


def score_list(
    scorer: LeadScorer,
    data: Data,
    *,
    as_of: int | None = None,
    cutoffs: Cutoffs | None = None,
    n_reasons: int = 3,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Score every open lead as of an instant (UTC microseconds), best first; or given leads at cutoffs, in order.

    Returns
    -------
    DataFrame
        As `LeadScorer.score`. Leads that tie stand in the order of their ids.
    """
    asked = cutoffs if cutoffs is not None else open_leads(data, time.FOREVER if as_of is None else as_of)
    frames, margins = [], []
    for start in range(0, len(asked), SLICE) or [0]:
        part = Cutoffs(asked.lead[start : start + SLICE], asked.at[start : start + SLICE])
        scores = scorer.score_rows(data, part, n_reasons=n_reasons)
        frames.append(scorer.frame(scores))
        margins.append(scores.margin)
        if progress is not None:
            progress(min(start + SLICE, len(asked)), len(asked))
    whole = pd.concat(frames, ignore_index=True)
    if cutoffs is not None:
        return whole
    best_first = np.argsort(-np.concatenate(margins), kind="stable")
    return whole.iloc[best_first].reset_index(drop=True)


def write_list(scores: pd.DataFrame, out: str | Path) -> Path:
    """Write a scored list as CSV or Parquet, by ending; reasons and warnings as JSON text, as_of as ISO 8601 in CSV.

    Raises
    ------
    DataError
        If the ending is neither, or the folder does not exist.
    """
    path = Path(out)
    if path.suffix not in ENDINGS:
        raise DataError(f"{path.name} must end with {' or '.join(ENDINGS)}: the ending chooses the format")
    if not path.parent.is_dir():
        raise DataError(f"the folder {path.parent} of {path.name} does not exist; create it first")
    table = scores.assign(
        reasons=[json.dumps(reasons, ensure_ascii=False) for reasons in scores["reasons"]],
        warnings=[json.dumps(warnings, ensure_ascii=False) for warnings in scores["warnings"]],
    )
    with whole_or_nothing(path) as beside:
        if path.suffix == ".parquet":
            table.to_parquet(beside, index=False)
        else:
            instants = table["as_of"].dt.tz_localize(None).to_numpy().astype("M8[us]")
            texts = [None if np.isnat(at) else time.format_instant(int(at.astype(np.int64))) for at in instants]
            table.assign(as_of=pd.Series(texts, dtype="object")).to_csv(beside, index=False)
    return path


def write_page(path: str | Path, html: str) -> Path:
    """Write a page whole or not at all; raises DataError if its folder does not exist."""
    target = Path(path)
    if not target.parent.is_dir():
        raise DataError(f"the folder {target.parent} of {target.name} does not exist; create it first")
    with whole_or_nothing(target) as beside:
        beside.write_text(html, encoding="utf-8")
    return target


@contextmanager
def whole_or_nothing(path: Path) -> Iterator[Path]:
    """Yield a name beside `path`; rename it into place at the end, remove it on any failure, Ctrl-C included."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
