"""Typed rows on disk: a file for each stretch of a table, a record batch in it for each part of the list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray

from leadscore.batch.keys import Parts
from leadscore.batch.writing import whole_or_nothing
from leadscore.reading import TypedRows
from leadscore.tables import Coded

_KINDS = {"texts": "text", "instants": "at", "flags": "flag"}
_ABOUT = b"leadscore"


def write_stretch(path: Path, typed: TypedRows, parts: Parts, n_parts: int, facts: dict[str, Any]) -> None:
    """Write rows as one batch a part; `facts` are plain JSON values that stand beside them."""
    order = np.argsort(parts, kind="stable")
    edges = np.concatenate([[0], np.cumsum(np.bincount(parts, minlength=n_parts))])
    words = {
        "vocabularies": typed.vocabularies,
        "roles": {role: vocabulary for role, (_, vocabulary) in typed.roles.items()},
    }
    about = json.dumps({"facts": facts, **words}, ensure_ascii=False).encode()
    table = pa.table(_arrays(typed, order)).replace_schema_metadata({_ABOUT: about})
    options = pyarrow.ipc.IpcWriteOptions(compression="lz4")
    with whole_or_nothing(path) as beside, pyarrow.ipc.new_file(beside, table.schema, options=options) as file:
        for part in range(n_parts):
            file.write_batch(_batch(table.slice(edges[part], edges[part + 1] - edges[part])))


def _batch(table: pa.Table) -> pa.RecordBatch:
    arrays = [column.combine_chunks() if column.num_chunks != 1 else column.chunk(0) for column in table.columns]
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)


def _arrays(typed: TypedRows, order: NDArray[np.int64]) -> dict[str, pa.Array]:
    arrays = {"row": pa.array(typed.row[order])}
    arrays |= {f"text.{name}": text.take(pa.array(order)) for name, text in typed.texts.items()}
    for field in ("instants", "flags"):
        arrays |= {f"{_KINDS[field]}.{name}": pa.array(found[order]) for name, found in getattr(typed, field).items()}
    arrays |= {f"role.{role}": pa.array(_narrow(coded)[order]) for role, coded in typed.roles.items()}
    for position, coded in enumerate(zip(typed.codes, typed.vocabularies, strict=True)):
        arrays[f"code.{position}"] = pa.array(_narrow(coded)[order])
    arrays |= {f"value.{position}": pa.array(values[order]) for position, values in enumerate(typed.values)}
    return arrays


def _narrow(coded: Coded) -> NDArray[np.signedinteger[Any]]:
    """Codes in as few bytes as their words need."""
    codes, words = coded
    kind = next(kind for kind in (np.int8, np.int16, np.int32) if len(words) <= np.iinfo(kind).max)
    return codes.astype(kind)


def read_part(path: Path, part: int) -> TypedRows:
    """Read the rows of one part of a stretch."""
    with pa.memory_map(str(path)) as source, pyarrow.ipc.open_file(source) as file:
        about = json.loads(file.schema.metadata[_ABOUT])
        batch = file.get_batch(part)
        found: dict[str, dict[str, Any]] = {}
        for name in batch.schema.names:
            kind, _, rest = name.partition(".")
            column = batch.column(name)
            found.setdefault(kind, {})[rest] = column if kind == "text" else column.to_numpy(zero_copy_only=False)
        return _typed(found, about, batch.num_rows)


def _typed(found: dict[str, dict[str, Any]], about: dict[str, Any], n_rows: int) -> TypedRows:
    codes = [column.astype(np.int32) for column in found.get("code", {}).values()]
    values = list(found.get("value", {}).values())
    words = {role: tuple(vocabulary) for role, vocabulary in about["roles"].items()}
    return TypedRows(
        found["row"][""],
        found["text"],
        found.get("at", {}),
        found.get("flag", {}),
        {role: (codes.astype(np.int32), words[role]) for role, codes in found.get("role", {}).items()},
        np.array(codes, dtype=np.int32).reshape(len(codes), n_rows),
        tuple(map(tuple, about["vocabularies"])),
        np.array(values, dtype=np.float64).reshape(len(values), n_rows),
    )


def facts_of(path: Path) -> dict[str, Any]:
    """Read what stands beside the rows of a stretch."""
    with pa.memory_map(str(path)) as source, pyarrow.ipc.open_file(source) as file:
        facts: dict[str, Any] = json.loads(file.schema.metadata[_ABOUT])["facts"]
        return facts
