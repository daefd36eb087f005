"""Typed rows on disk: a file for each stretch of a table, a record batch in it for each part of the list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray

from leadscore.batch.keys import Parting, Parts
from leadscore.batch.writing import batches_of
from leadscore.columns import ranked
from leadscore.reading import TypedRows
from leadscore.reading.typed import joined
from leadscore.tables import Coded
from leadscore.time import NEVER

IDS, ACCOUNTS = ".ids", ".accounts"
"""Endings of what stands beside a stretch: the ids of its events, the accounts of its leads."""
_KINDS = {"texts": "text", "instants": "at", "flags": "flag"}
_ABOUT = b"leadscore"
_MOST_OPEN = 400
"""Stretches that stay open while they are read again and again, where the system allows a program as many files."""
_FEW_WORDS = 1_000
"""Words of a column that stand beside the rows; of more, as of accounts, each part has its own."""


def write_stretch(path: Path, typed: TypedRows, parts: Parts, n_parts: int, facts: dict[str, Any]) -> None:
    """Write rows as one batch a part; `facts` are plain JSON values that stand beside them."""
    table, edges = _parted(typed, parts, n_parts, facts)
    with batches_of(path, table.schema) as file:
        for part in range(n_parts):
            file.write_batch(_batch(table.slice(edges[part], edges[part + 1] - edges[part])))


def part_bytes(typed: TypedRows, parts: Parts, n_parts: int) -> Iterator[tuple[int, bytes]]:
    """Return the rows of each part that has any: its number, and what `read_part` reads as its part 0."""
    table, edges = _parted(typed, parts, n_parts, {})
    packed = pyarrow.ipc.IpcWriteOptions(compression="lz4")
    for part in np.flatnonzero(np.diff(edges)):
        sink = pa.BufferOutputStream()
        with pyarrow.ipc.new_file(sink, table.schema, options=packed) as file:
            file.write_batch(_batch(table.slice(edges[part], edges[part + 1] - edges[part])))
        yield int(part), sink.getvalue().to_pybytes()


def _parted(typed: TypedRows, parts: Parts, n_parts: int, facts: dict[str, Any]) -> tuple[pa.Table, NDArray[np.int64]]:
    """Rows in the order of their parts, and where each part begins."""
    order = np.argsort(parts, kind="stable")
    edges = np.concatenate([[0], np.cumsum(np.bincount(parts, minlength=n_parts))])
    coded = _coded(typed)
    words = {name: vocabulary for name, (_, vocabulary) in coded.items() if len(vocabulary) <= _FEW_WORDS}
    about = json.dumps({"facts": facts, "words": words}, ensure_ascii=False).encode()
    return pa.table(_arrays(typed, coded, order)).replace_schema_metadata({_ABOUT: about}), edges


def _batch(table: pa.Table) -> pa.RecordBatch:
    arrays = [column.combine_chunks() if column.num_chunks != 1 else column.chunk(0) for column in table.columns]
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)


def _coded(typed: TypedRows) -> dict[str, Coded]:
    """Roles and categorical columns by the names they have in a file."""
    roles = {f"role.{role}": coded for role, coded in typed.roles.items()}
    columns = enumerate(zip(typed.codes, typed.vocabularies, strict=True))
    return roles | {f"code.{position}": coded for position, coded in columns}


def _arrays(typed: TypedRows, coded: dict[str, Coded], order: NDArray[np.int64]) -> dict[str, pa.Array]:
    arrays = {"row": pa.array(typed.row[order])}
    arrays |= {f"text.{name}": text.take(pa.array(order)) for name, text in typed.texts.items()}
    for field in ("instants", "flags"):
        arrays |= {f"{_KINDS[field]}.{name}": pa.array(found[order]) for name, found in getattr(typed, field).items()}
    for name, (codes, words) in coded.items():
        if len(words) <= _FEW_WORDS:
            arrays[name] = pa.array(_narrow((codes, words))[order])
        else:
            arrays[name] = pa.array(words).take(pa.array(codes[order], mask=codes[order] < 0))
    arrays |= {f"value.{position}": pa.array(values[order]) for position, values in enumerate(typed.values)}
    return arrays


def _narrow(coded: Coded) -> NDArray[np.signedinteger[Any]]:
    """Codes in as few bytes as their words need."""
    codes, words = coded
    kind = next(kind for kind in (np.int8, np.int16, np.int32) if len(words) <= np.iinfo(kind).max)
    return codes.astype(kind)


def read_part(stretch: Path | bytes, part: int) -> TypedRows:
    """Read the rows of one part of a stretch, a file or what is in one."""
    opened = Opened(pa.BufferReader(stretch)) if isinstance(stretch, bytes) else opened_stretch(stretch)
    return opened.rows(part)


def opened_stretch(path: Path) -> Opened:
    """Open a stretch, or what stands beside it; it stays open until `close_stretches`."""
    known = path.stat()
    return _opened(path, known.st_ino, known.st_mtime_ns)


def close_stretches() -> None:
    """Close all files that `read_part` keeps open."""
    _opened.cache_clear()


class Opened:
    """A file with a batch for each part, which several threads read."""

    def __init__(self, source: pa.NativeFile) -> None:
        self._file = pyarrow.ipc.open_file(source)
        self._lock = Lock()

    def batch(self, part: int) -> pa.RecordBatch:
        """Return the batch of a part."""
        with self._lock:
            return self._file.get_batch(part)

    @cached_property
    def _words(self) -> dict[str, tuple[str, ...]]:
        words = json.loads(self._file.schema.metadata[_ABOUT])["words"]
        return {name: tuple(of_column) for name, of_column in words.items()}

    def rows(self, part: int) -> TypedRows:
        """Return the rows of a part."""
        batch = self.batch(part)
        found: dict[str, dict[str, Any]] = {kind: {} for kind in ("row", "text", "at", "flag", "role", "code", "value")}
        for name in batch.schema.names:
            kind, _, rest = name.partition(".")
            found[kind][rest] = _column(kind, batch.column(name), self._words.get(name))
        return _typed(found, batch.num_rows)


def _n_open() -> int:
    """How many stretches may stay open: at most half of the files that a program may have."""
    try:
        import resource
    except ImportError:  # not a system of that kind: it doesn't say
        return _MOST_OPEN // 4
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_OPEN if soft == resource.RLIM_INFINITY else min(_MOST_OPEN, soft // 2)


@lru_cache(_n_open())
def _opened(path: Path, inode: int, changed: int) -> Opened:
    """Open a stretch, or find it open: to open a file of a hundred parts takes as long as to read three of them."""
    return Opened(pa.OSFile(str(path)))  # not mapped: what of it was read would count as memory for as long


def _column(kind: str, column: pa.Array, words: tuple[str, ...] | None) -> Any:
    if kind == "text":
        return column
    if kind not in ("role", "code"):
        return column.to_numpy(zero_copy_only=False)
    if words is None:
        codes, found = ranked(column)
        return codes.astype(np.int32), tuple(found.tolist())
    return column.to_numpy().astype(np.int32), words


def _typed(found: dict[str, dict[str, Any]], n_rows: int) -> TypedRows:
    coded, values = list(found["code"].values()), list(found["value"].values())
    return TypedRows(
        found["row"][""],
        found["text"],
        found["at"],
        found["flag"],
        found["role"],
        np.array([codes for codes, _ in coded], dtype=np.int32).reshape(len(coded), n_rows),
        tuple(words for _, words in coded),
        np.array(values, dtype=np.float64).reshape(len(values), n_rows),
    )


def facts_of(path: Path) -> dict[str, Any]:
    """Read what stands beside the rows of a stretch."""
    with pa.memory_map(str(path)) as source, pyarrow.ipc.open_file(source) as file:
        facts: dict[str, Any] = json.loads(file.schema.metadata[_ABOUT])["facts"]
        return facts


def latest_of(typed: TypedRows, parts: Parts, n_parts: int) -> list[int]:
    """Return the last instant in the rows of each part."""
    latest = np.full(n_parts, NEVER, dtype=np.int64)
    for at in typed.instants.values():
        np.maximum.at(latest, parts, at)
    return latest.tolist()


def part_anew(path: Path, parting: Parting) -> None:
    """Write a stretch again if any of its rows are no longer in the part where they stand: accounts have joined."""
    if _stands_right(path, parting):
        return
    typed = joined([read_part(path, part) for part in range(parting.n_parts)])
    typed = typed.take(np.argsort(typed.row, kind="stable"))
    parts = parting.of(typed.texts["lead"])
    facts = {**facts_of(path), "latest": latest_of(typed, parts, parting.n_parts)}
    write_stretch(path, typed, parts, parting.n_parts, facts)


def _stands_right(path: Path, parting: Parting) -> bool:
    with pa.memory_map(str(path)) as source, pyarrow.ipc.open_file(source) as file:
        leads = (file.get_batch(part).column("text.lead") for part in range(parting.n_parts))
        return all((parting.of(of_part) == part).all() for part, of_part in enumerate(leads))
