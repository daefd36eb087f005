"""Lists that fit into memory: scored in slices, as one table."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from leadscore import time
from leadscore.batch.writing import (
    COLUMNS,
    ListWriter,
    list_table,
    repeated_json_texts,
    require_place,
    whole_or_nothing,
)
from leadscore.model.booster import Progress
from leadscore.model.scorer import LeadScorer
from leadscore.model.scores import Scores
from leadscore.snapshots import open_leads
from leadscore.tables import Cutoffs, Data
from leadscore.threads import ahead, n_threads, one_of

SLICE = 2_000
"""Leads that are scored at once: a matrix of so many stays near a processor. The scores don't depend on it."""


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
    for scores in sliced(scorer, data, asked, n_reasons=n_reasons):
        frames.append(scorer.frame(scores))
        margins.append(scores.margin)
        if progress is not None:
            progress(sum(map(len, margins)), len(asked))
    whole = pd.concat(frames, ignore_index=True)
    if cutoffs is not None:
        return whole
    best_first = np.argsort(-np.concatenate(margins), kind="stable")
    return whole.iloc[best_first].reset_index(drop=True)


def sliced(
    scorer: LeadScorer, data: Data, asked: Cutoffs, *, n_reasons: int, as_json: bool = False
) -> Iterator[Scores]:
    """Score leads at cutoffs slice by slice, some ahead, in order; nobody at all is one empty slice."""
    n = n_threads()

    def score(start: int) -> Scores:
        part = Cutoffs(asked.lead[start : start + SLICE], asked.at[start : start + SLICE])
        with one_of(n):
            return scorer.score_rows(data, part, n_reasons=n_reasons, as_json=as_json)

    yield score(0)  # what all slices share is made with the first
    starts = range(SLICE, len(asked), SLICE)
    yield from map(score, starts) if n == 1 else ahead(score, starts, n=n)


def score_part(
    scorer: LeadScorer, data: Data, asked: Cutoffs, *, n_reasons: int, place: NDArray[np.int64] | None = None,
    progress: Progress | None = None,
) -> pa.Table:  # fmt: skip
    """Score some leads of a list, so that parts can be merged into what `score_list` gives of all of them.

    Parameters
    ----------
    data : holds the leads, with all their rows and all leads of their accounts; ``among`` what the whole base counted
    place : int64 (n,), where each stands in the whole list; default best first, ties in the order of ids

    Returns
    -------
    Table
        The columns of a scored list, and `MERGED_BY`: ascending, and no two leads of a list have the same.
    """
    tables, margins = [], []
    with _uncollected():
        for scores in sliced(scorer, data, asked, n_reasons=n_reasons, as_json=True):
            tables.append(scores_table(scorer, scores))
            margins.append(scores.margin)
            if progress is not None:
                progress(sum(map(len, margins)), len(asked))
    table, margin = pa.concat_tables(tables), np.concatenate(margins)
    by = -margin if place is None else place.astype(np.float64)  # exact: a list is shorter than 2**53
    order = np.argsort(by, kind="stable")
    return table.append_column(MERGED_BY, pa.array(by)).take(pa.array(order)).combine_chunks()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Don't look for cycles meanwhile: there are none in a million short lists, and looking takes as long as they."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def scores_table(scorer: LeadScorer, scores: Scores) -> pa.Table:
    """Return scores with reasons as JSON in the columns of a file, as `list_table` makes them of a frame of them."""
    n_rows = len(scores.margin)
    at = scores.at if scorer.project.timed else np.full(n_rows, time.NEVER)  # which Arrow takes for null
    columns = [
        scores.lead_ids, at.view("M8[us]"), scores.probability, scores.score, scores.grade,
        scores.fit or pa.nulls(n_rows), scores.intent or pa.nulls(n_rows),
        scores.reasons or ["[]"] * n_rows,
        repeated_json_texts(scores.warnings), pa.nulls(n_rows) if scorer.version is None else [scorer.version] * n_rows,
    ]  # fmt: skip
    arrays = [
        pa.array(column, field.type) if not isinstance(column, pa.Array) else column.cast(field.type)
        for column, field in zip(columns, COLUMNS, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=COLUMNS)


MERGED_BY = "merged_by"
"""Column of a scored part that orders it; ties stand in the order of ids."""


def write_list(scores: pd.DataFrame, out: str | Path) -> Path:
    """Write a scored list as CSV or Parquet, by ending; reasons and warnings as JSON text, as_of as ISO 8601 in CSV.

    Raises
    ------
    DataError
        If the ending is neither, or the folder does not exist.
    """
    path = require_place(out)
    with whole_or_nothing(path) as beside, ListWriter(beside, path.suffix) as writer:
        for start in range(0, len(scores), SLICE) or [0]:
            writer.write(list_table(scores.iloc[start : start + SLICE]))
    return path
