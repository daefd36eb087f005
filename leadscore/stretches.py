"""Files and queries → Arrow tables of a bounded number of rows: the same rows, and errors, as `leadscore.sources`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from leadscore import sources
from leadscore.project import Source
from leadscore.sources import Rows

Pieces = Iterator[tuple[str, pa.Table]]
_BATCH = 1 << 16


def stretches(
    source: Source, folder: Path, columns: Sequence[str], *, where: str, n_rows: int, coded: Sequence[str] = ()
) -> Iterator[Rows]:
    """Read the named columns of a source, `n_rows` rows at a time. A source without rows is one stretch of none.

    Text of the columns `coded` comes as codes, which is faster where a few words stand in many rows.

    Raises
    ------
    DataError
        As `leadscore.sources.read_rows`; also in the midst of a file.
    """
    wanted = list(dict.fromkeys(columns))
    pieces = (
        _queried(source, wanted, where, n_rows)
        if source.sql is not None
        else _filed(source, folder, wanted, where, coded)
    )
    yield from _cut(pieces, source, where, n_rows)


def stretches_of_file(
    path: Path, schema: pa.Schema, *, where: str, n_rows: int, coded: Sequence[str] = (),
    groups: Sequence[int] | None = None,
) -> Iterator[Rows]:  # fmt: skip
    """Read one file of a source, or some row groups of it, in the types that `common_schema` gave. As `stretches`."""
    yield from _cut(_pieces(path, schema, where, coded, groups), Source(path=str(path)), where, n_rows)


def _cut(pieces: Pieces, source: Source, where: str, n_rows: int) -> Iterator[Rows]:
    parts: dict[str, int] = {}
    waiting: list[pa.Table] = []
    first = n_waiting = 0
    for name, table in pieces:
        parts.setdefault(name, 0)
        while table.num_rows:
            taken = table.slice(0, n_rows - n_waiting)
            table = table.slice(taken.num_rows)
            parts[name] += taken.num_rows
            n_waiting += taken.num_rows
            waiting.append(taken)
            if n_waiting == n_rows:
                yield Rows(_one(waiting, source, where), _named(parts), first)
                first, n_waiting, waiting = first + n_waiting, 0, []
        empty = table
    if n_waiting or not first:
        yield Rows(_one([*waiting, empty], source, where), _named(parts), first)


def _named(parts: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple((Path(name).name, n_rows) for name, n_rows in parts.items())


def _one(tables: list[pa.Table], source: Source, where: str) -> pa.Table:
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise sources.disagreeing(source, where, error) from None


def _filed(source: Source, folder: Path, columns: list[str], where: str, coded: Sequence[str]) -> Pieces:
    paths = sources.paths_of(source, folder, where)
    schema = common_schema(source, paths, columns, where)
    for path in paths:
        yield from _pieces(path, schema, where, coded, None)


def _pieces(path: Path, schema: pa.Schema, where: str, coded: Sequence[str], groups: Sequence[int] | None) -> Pieces:
    schema = _with_codes(schema, coded)
    yield str(path), schema.empty_table()
    columns = schema.names
    try:
        parquet = sources.is_parquet(path)
        for table in _parquet(path, columns, where, coded, groups) if parquet else _csv(path, columns, where):
            yield str(path), table.cast(schema)
    except sources.UNREADABLE as error:
        raise sources.unreadable(path, where, error) from None


def common_schema(source: Source, paths: Sequence[Path], columns: list[str], where: str) -> pa.Schema:
    """Return the types that all files agree on: what `read_rows` makes of them side by side. Raises as that."""
    return agreed_schema(source, (head_of(path, columns, where) for path in paths), where)


def agreed_schema(source: Source, heads: Iterable[pa.Table], where: str) -> pa.Schema:
    """As `common_schema`, of files without their rows."""
    return _one(list(heads), source, where).schema


def head_of(path: Path, columns: list[str], where: str, *, text: bool = False) -> pa.Table:
    """Return a file without its rows, as it will be read. Raises as `read_rows`.

    `text` says that a file that isn't Parquet was found to have the columns before, and is not looked into.
    """
    try:
        if text and not sources.is_parquet(path):
            return sources.head_of_text(columns)
        return sources.read_head(path, columns, where=where)
    except sources.UNREADABLE as error:
        raise sources.unreadable(path, where, error) from None


def _with_codes(schema: pa.Schema, coded: Sequence[str]) -> pa.Schema:
    code = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [field.with_type(code) if field.name in coded and pa.types.is_string(field.type) else field for field in schema]
    )


def _parquet(
    path: Path, columns: list[str], where: str, coded: Sequence[str], groups: Sequence[int] | None
) -> Iterator[pa.Table]:
    texts = [field.name for field in pyarrow.parquet.read_schema(path) if pa.types.is_string(field.type)]
    codes = [name for name in texts if name in coded]
    with pyarrow.parquet.ParquetFile(path, pre_buffer=False, read_dictionary=codes) as file:
        chosen = None if groups is None else list(groups)
        for batch in file.iter_batches(batch_size=_BATCH, row_groups=chosen, columns=columns):
            table = pa.Table.from_batches([batch]).select(columns)
            yield sources.plain(sources.whole(table), path.name, where)


def _csv(path: Path, columns: list[str], where: str) -> Iterator[pa.Table]:
    layout = sources.CsvLayout.of(path, columns, where)
    with pyarrow.csv.open_csv(path, **layout.options(columns, threads=False)) as reader:
        for batch in reader:
            yield pa.Table.from_batches([batch])
    layout.refuse_ragged(path)


def _queried(source: Source, columns: list[str], where: str, n_rows: int) -> Pieces:
    name = f"the query of [{where}]"
    for frame in sources.query(source, where, chunk=n_rows):
        yield name, sources.rows_from_frame(frame, columns, where=where, name=name).table
