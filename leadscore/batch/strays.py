"""Event ids that were delivered for one lead, then for another: the one thing that no part can settle by itself.

Beside the rows of a stretch stand the hashes of its event ids and their leads, by id: so each id is looked at in one
place. Only rows of ids that have several leads, which are few, are then brought together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
from numpy.typing import NDArray

from leadscore.batch.writing import whole_or_nothing
from leadscore.columns import Hashes, hashed, may_repeat, ranked
from leadscore.reading import TypedRows
from leadscore.reading.assembling import redelivered
from leadscore.reading.typed import joined


def write_ids(path: Path, typed: TypedRows, n_parts: int) -> None:
    """Write the ids of a stretch with their leads, one batch for each part of the ids."""
    named = typed.texts["id"].is_valid().to_numpy(zero_copy_only=False)
    ids, leads = hashed(typed.texts["id"])[named], hashed(typed.texts["lead"])[named]
    parts = (ids % np.uint64(n_parts)).astype(np.uint16)
    order = np.argsort(parts, kind="stable")
    edges = np.concatenate([[0], np.cumsum(np.bincount(parts, minlength=n_parts))]).tolist()
    table = pa.record_batch({"id": ids[order], "lead": leads[order]})
    with whole_or_nothing(path) as beside, pyarrow.ipc.new_file(beside, table.schema) as file:
        for start, end in pairwise(edges):
            file.write_batch(table.slice(start, end - start))


def strays(paths: Sequence[Path], part: int) -> Hashes:
    """Return the ids of one part that have several leads."""
    ids, leads = (np.concatenate(found) for found in zip(*(_read(path, part) for path in paths), strict=True))
    rows = may_repeat(ids)
    ids, leads = ids[rows], leads[rows]
    order = np.lexsort((leads, ids))
    ids, leads = ids[order], leads[order]
    return np.unique(ids[1:][(ids[1:] == ids[:-1]) & (leads[1:] != leads[:-1])])


def _read(path: Path, part: int) -> tuple[Hashes, Hashes]:
    with pa.memory_map(str(path)) as source, pyarrow.ipc.open_file(source) as file:
        batch = file.get_batch(part)
        return batch.column("id").to_numpy(), batch.column("lead").to_numpy()


def lost_rows(
    ids: Hashes, parts: Iterable[int], rows: Callable[[int], TypedRows], leads: Callable[[int], pa.Array]
) -> NDArray[np.int64]:
    """Return which rows of a table are later deliveries of some ids, by where they stand in their source.

    `rows` gives those of a part, `leads` the ids of its leads: events of nobody were never delivered.
    """
    found = []
    for part in parts:
        typed = rows(part)
        asked = np.isin(hashed(typed.texts["id"]), ids)
        if asked.any():
            typed = typed.kept(asked)
            there = pc.is_in(typed.texts["lead"], value_set=leads(part)).to_numpy(zero_copy_only=False)
            found.append(typed.kept(there))
    together = joined(found)
    lead, _ = ranked(together.texts["lead"])
    return together.row[redelivered(together, np.ones(len(together), dtype=bool), lead)]
