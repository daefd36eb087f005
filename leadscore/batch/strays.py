"""Event ids that were delivered for one lead, then for another: the one thing that no part can settle by itself.

Beside the rows of a stretch stand the hashes of its event ids and their leads, by id: so each id is looked at in one
place. Only rows of ids that have several leads, which are few, are then brought together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit
from numpy.typing import NDArray

from leadscore.batch.keys import parts_of
from leadscore.batch.spilling import opened_stretch
from leadscore.batch.writing import batches_of
from leadscore.columns import ranked
from leadscore.hashing import NOTHING, Hashes, hashed, may_repeat
from leadscore.reading import TypedRows
from leadscore.reading.assembling import redelivered
from leadscore.reading.typed import joined


def write_ids(path: Path, typed: TypedRows, n_parts: int) -> None:
    """Write the ids of a stretch with their leads, one batch for each part of the ids."""
    batches = ids_by_part(typed, n_parts)
    with batches_of(path, batches[0].schema) as file:
        for batch in batches:
            file.write_batch(batch)


def ids_by_part(typed: TypedRows, n_parts: int) -> list[pa.RecordBatch]:
    """Return the hashes of event ids and their leads, by part of the ids."""
    ids, leads = hashed(typed.texts["id"]), hashed(typed.texts["lead"])
    parts, by_part = parts_of(ids, n_parts), np.empty((2, len(ids)), dtype=np.uint64)
    edges = np.zeros(n_parts + 1, dtype=np.int64)
    _bring_together(ids, leads, parts, edges, *by_part)
    table = pa.record_batch({"id": by_part[0], "lead": by_part[1]})
    return [table.slice(start, end - start) for start, end in pairwise(edges.tolist())]


@njit(nogil=True, cache=True)
def _bring_together(ids, leads, parts, edges, ids_by_part, leads_by_part):  # type: ignore[no-untyped-def]
    """Write rows that have an id by part, in their order; those of part p end up between edges p and p + 1."""
    for i in range(len(ids)):
        if ids[i] != NOTHING:
            edges[parts[i] + 1] += 1
    edges[:] = np.cumsum(edges)
    free = edges[:-1].copy()
    for i in range(len(ids)):
        if ids[i] != NOTHING:
            place = free[parts[i]]
            ids_by_part[place], leads_by_part[place] = ids[i], leads[i]
            free[parts[i]] += 1


def strays(paths: Sequence[Path], part: int) -> Hashes:
    """Return the ids of one part that have several leads."""
    return with_several(_read(path, part) for path in paths)


def with_several(found: Iterable[tuple[Hashes, Hashes]]) -> Hashes:
    """Return the ids that have several leads, of all that are in one part."""
    ids, leads = (np.concatenate(column) for column in zip(*found, strict=True))
    rows = may_repeat(ids)
    ids, leads = ids[rows], leads[rows]
    order = np.lexsort((leads, ids))
    ids, leads = ids[order], leads[order]
    return np.unique(ids[1:][(ids[1:] == ids[:-1]) & (leads[1:] != leads[:-1])])


def _read(path: Path, part: int) -> tuple[Hashes, Hashes]:
    batch = opened_stretch(path).batch(part)
    return batch.column("id").to_numpy(), batch.column("lead").to_numpy()


def lost_rows(
    ids: Hashes, parts: Iterable[int], rows: Callable[[int], TypedRows], leads: Callable[[int], pa.Array]
) -> NDArray[np.int64]:
    """Return which rows of a table are later deliveries of some ids, by where they stand in their source.

    `rows` gives those of a part, `leads` the ids of its leads: events of nobody were never delivered.
    """
    found = []
    for part in parts:
        typed = deliveries(ids, rows(part), partial(leads, part))
        if typed is not None:
            found.append(typed)
    return all_but_first(found)


def deliveries(ids: Hashes, typed: TypedRows, leads: Callable[[], pa.Array]) -> TypedRows | None:
    """Return the rows of some ids that are of leads that are there; None where there are none of them."""
    asked = np.isin(hashed(typed.texts["id"]), ids)
    if not asked.any():
        return None
    typed = typed.kept(asked)
    return typed.kept(pc.is_in(typed.texts["lead"], value_set=leads()).to_numpy(zero_copy_only=False))


def all_but_first(found: Sequence[TypedRows]) -> NDArray[np.int64]:
    """Return which of some rows are not the first delivery of their id, by where they stand in their source."""
    together = joined(found)
    lead, _ = ranked(together.texts["lead"])
    return together.row[redelivered(together, np.ones(len(together), dtype=bool), lead)]
