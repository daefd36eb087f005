"""Files and queries → Arrow tables of the columns that a project names; the only reader of raw bytes."""

from __future__ import annotations

import csv
import glob
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from leadscore.errors import DataError, MissingExtraError, NoSourceError, nearest
from leadscore.project import Source

_DELIMITERS = ",;\t|"
_SNIFFED_BYTES = 1 << 16
_UNREADABLE = (pa.ArrowException, OSError, UnicodeError, csv.Error, EOFError)


@dataclass(frozen=True)
class Rows:
    """The rows of one source, as they stand there.

    `parts` names each file with its number of rows, so that a row can be found again by a person.
    """

    table: pa.Table
    parts: tuple[tuple[str, int], ...]

    def place(self, row: int) -> str:
        """Return where a row stands, as ``leads.csv row 17`` (data rows count from 1)."""
        for name, n_rows in self.parts:
            if row < n_rows:
                return f"{name} row {row + 1}"
            row -= n_rows
        return f"row {row + 1}"

    @property
    def name(self) -> str:
        """What to call the source in a message."""
        return (
            self.parts[0][0] if len(self.parts) == 1 else f"{self.parts[0][0]} (and {len(self.parts) - 1} more files)"
        )


def read_rows(source: Source, folder: Path, columns: Sequence[str], *, where: str) -> Rows:
    """Read the named columns of a source, untyped for CSV (text), typed for Parquet and SQL.

    Parameters
    ----------
    columns : names to read; repeats are fine
    where : the section of leadscore.toml that declares the source, for messages

    Raises
    ------
    DataError
        If nothing is there, it can't be read, rows are ragged, or a column is missing or named twice.
    """
    wanted = list(dict.fromkeys(columns))
    if source.sql is not None:
        return _from_frame(_query(source, where), wanted, name=f"the query of [{where}]", where=where)
    paths = _paths(source, folder, where)
    tables = [_read_file(path, wanted, where=where) for path in paths]
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            f"[{where}] source {source}: its files don't agree on a column's type ({error}). Write them alike"
        ) from None
    return Rows(table, tuple((path.name, part.num_rows) for path, part in zip(paths, tables, strict=True)))


def rows_from_frame(frame: pd.DataFrame, columns: Sequence[str], *, where: str) -> Rows:
    """Take the named columns of a DataFrame; the index is ignored. Raises as `read_rows`."""
    return _from_frame(frame, list(dict.fromkeys(columns)), name=f"the DataFrame of [{where}]", where=where)


def header(source: Source, folder: Path, *, where: str) -> list[str]:
    """Return the column names of a source, in order."""
    if source.sql is not None:
        return [str(column) for column in _query(source, where).columns]
    path = _paths(source, folder, where)[0]
    try:
        if _is_parquet(path):
            return list(pyarrow.parquet.read_schema(path).names)
        _, text = _head(path)
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text)), [])
    except _UNREADABLE as error:
        raise _unreadable(path, where, error) from None


def _paths(source: Source, folder: Path, where: str) -> list[Path]:
    exact = folder / str(source.path)
    pattern = str(Path(glob.escape(str(folder))) / str(source.path))
    matches = [exact] if exact.is_file() else [Path(match) for match in glob.glob(pattern, recursive=True)]
    files = [path for path in sorted(matches) if path.is_file()]
    if not files:
        beside = sorted(path.name for path in folder.glob("*") if path.is_file()) if folder.is_dir() else []
        raise NoSourceError(
            f"[{where}] source '{source.path}' matches no file in {folder}.{nearest(str(source.path), beside)} "
            f"Paths are relative to leadscore.toml"
        )
    return files


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _read_file(path: Path, columns: list[str], *, where: str) -> pa.Table:
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path.name} is empty; it needs a header row. It is the source of [{where}]")
        if _is_parquet(path):
            _check_columns(list(pyarrow.parquet.read_schema(path).names), columns, path.name, where)
            table = pyarrow.parquet.read_table(path, columns=columns, partitioning=None)
            return _plain(_whole(table), path.name, where)
        return _read_csv(path, columns, where)
    except _UNREADABLE as error:
        raise _unreadable(path, where, error) from None


def _unreadable(path: Path, where: str, error: Exception) -> DataError:
    """Say that a file is damaged, without quoting what it holds."""
    detail = (str(error).splitlines() or [type(error).__name__])[0].split(":")[0].rstrip(".")
    return DataError(
        f"{path.name} can't be read ({detail}). It is the source of [{where}]: "
        "export it again, as CSV or Parquet, with one header row"
    )


def _whole(table: pa.Table) -> pa.Table:
    """Return the table if its text is text: the Parquet reader takes any bytes for it."""
    try:
        table.validate(full=True)
    except pa.ArrowInvalid:
        raise pa.ArrowInvalid("it holds text that is not UTF-8, or is damaged") from None
    return table


def _plain(table: pa.Table, name: str, where: str) -> pa.Table:
    """Take bytes as text; refuse columns that hold lists or objects."""
    for position, column in enumerate(table.schema):
        kind = column.type
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
            kind, target = pa.binary(), pa.string()
        elif pa.types.is_float16(kind):
            target = pa.float32()
        elif pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType):
            target = None
        else:
            continue
        try:
            values = None if target is None else table.column(position).cast(kind).cast(target)
        except pa.ArrowException:
            values = None
        if values is None:
            raise DataError(
                f"{name} column '{column.name}' holds {column.type}; it needs one text, number or time a row. "
                f"Flatten it, or leave it out of [{where}] in leadscore.toml"
            )
        table = table.set_column(position, column.name, values)
    return table


def _read_csv(path: Path, columns: list[str], where: str) -> pa.Table:
    encoding, text = _head(path)
    delimiter = _delimiter(text)
    names = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    _check_columns(names, columns, path.name, where)
    ragged: list[tuple[int | None, int, int]] = []

    def note_ragged(row: pyarrow.csv.InvalidRow) -> str:
        ragged.append((row.number, row.expected_columns, row.actual_columns))
        return "skip"

    def parse(*, threads: bool) -> pa.Table:
        return pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(encoding=encoding, use_threads=threads, block_size=1 << 24),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values='"' in text, invalid_row_handler=note_ragged
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=columns,
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
            ),
        )

    table = parse(threads=True)
    if ragged:
        ragged.clear()
        parse(threads=False)  # only a serial reader knows row numbers
        number, expected, actual = ragged[0]
        raise DataError(
            f"{path.name} row {(number or 2) - 1} has {actual} fields, the header has {expected} "
            f"({len(ragged)} such rows). Quote fields that hold the delimiter {delimiter!r}, or mend the rows"
        )
    return table


def _head(path: Path) -> tuple[str, str]:
    """Encoding and first lines of a text file, compressed or not."""
    with pa.input_stream(str(path), compression="detect") as stream:
        head = stream.read(_SNIFFED_BYTES)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16", head.decode("utf-16", errors="ignore")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            text = head.decode(encoding) if len(head) < _SNIFFED_BYTES else _whole_lines(head).decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "utf-8-sig":
            return _utf8_throughout(path), text
        return encoding, text
    return "latin-1", head.decode("latin-1")


def _whole_lines(head: bytes) -> bytes:
    return head[: head.rfind(b"\n") + 1] or head


def _utf8_throughout(path: Path) -> str:
    """``utf8`` unless a later byte isn't; then what Windows would have written."""
    with pa.input_stream(str(path), compression="detect") as stream:
        rest = b""
        while block := stream.read(1 << 24):
            block = rest + block
            try:
                block.decode("utf-8")
                rest = b""
            except UnicodeDecodeError as error:
                if len(block) - error.start > 3:
                    return "cp1252"
                rest = block[error.start :]
    return "utf8" if not rest else "cp1252"


def _delimiter(text: str) -> str:
    """Return the delimiter under which the first lines have the most columns and agree on how many."""
    lines = text.splitlines()[:50]
    if len(text) >= _SNIFFED_BYTES // 4:
        lines = lines[:-1]

    def agreement(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        if not widths or widths[0] == 1:
            return 0.0, 0
        return sum(width == widths[0] for width in widths) / len(widths), widths[0]

    return max(_DELIMITERS, key=agreement)


def _check_columns(found: list[str], wanted: list[str], name: str, where: str) -> None:
    for column in wanted:
        if column not in found:
            shown = ", ".join(f"'{item}'" for item in found[:12]) + (", …" if len(found) > 12 else "")
            raise DataError(
                f"{name} is missing column '{column}'; found {shown}.{nearest(column, found)} "
                f"Mend the column name in [{where}] of leadscore.toml"
            )
        if found.count(column) > 1:
            raise DataError(
                f"{name} has {found.count(column)} columns named '{column}', which [{where}] reads. Rename all but one"
            )


def _query(source: Source, where: str) -> pd.DataFrame:
    try:
        import sqlalchemy
    except ImportError:
        raise MissingExtraError("A SQL source", "sql") from None
    variable = str(source.url).removeprefix("env:")
    url = os.environ.get(variable)
    if not url:
        raise NoSourceError(
            f"[{where}] reads SQL from the environment variable {variable}, which is not set. "
            "Set it to a database URL, as in postgresql://user:password@host/name"
        )
    try:
        with sqlalchemy.create_engine(url).connect() as connection:
            return pd.read_sql_query(sqlalchemy.text(str(source.sql)), connection)
    except (
        sqlalchemy.exc.SQLAlchemyError,
        pd.errors.DatabaseError,
        ImportError,
        OSError,
        TypeError,
        ValueError,
    ) as error:
        told = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None) or type(error).__name__
        reason = (str(told).splitlines() or [type(told).__name__])[0]
        raise DataError(f"[{where}] the query on {variable} failed: {reason}") from None


def _from_frame(frame: pd.DataFrame, columns: list[str], *, name: str, where: str) -> Rows:
    names = [str(column) for column in frame.columns]
    _check_columns(names, columns, name, where)
    arrays = [_array(frame.iloc[:, names.index(column)], name) for column in columns]
    return Rows(_plain(pa.table(arrays, names=columns), name, where), ((name, len(frame)),))


def _array(column: pd.Series, name: str) -> pa.Array:
    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowException, OverflowError):  # a mixed column: let the text speak
        return pa.array(column.astype("str"), from_pandas=True)
    except UnicodeEncodeError:
        raise DataError(
            f"{name} column '{column.name}' holds half a surrogate pair, which is no text. Decode it from UTF-8"
        ) from None
