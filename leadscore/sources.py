"""Files and queries → Arrow tables of the columns that a project names; the only reader of raw bytes."""

from __future__ import annotations

import csv
import glob
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from leadscore.errors import DataError, MissingExtraError, NoSourceError, nearest
from leadscore.project import Source

_DELIMITERS = ",;\t|"
_SNIFFED_BYTES = 1 << 16
UNREADABLE = (pa.ArrowException, OSError, UnicodeError, csv.Error, EOFError)


@dataclass(frozen=True)
class Rows:
    """The rows of one source, as they stand there.

    `parts` names each file with its number of rows, so that a row can be found again by a person. A stretch of a source
    begins at its row `first`.
    """

    table: pa.Table
    parts: tuple[tuple[str, int], ...]
    first: int = 0

    def place(self, row: int) -> str:
        """Return where a row stands, as ``leads.csv row 17`` (data rows count from 1)."""
        row += self.first
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
        return _from_frame(next(query(source, where)), wanted, name=f"the query of [{where}]", where=where)
    paths = paths_of(source, folder, where)
    tables = [_read_file(path, wanted, where=where) for path in paths]
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise disagreeing(source, where, error) from None
    return Rows(table, tuple((path.name, part.num_rows) for path, part in zip(paths, tables, strict=True)))


def rows_from_frame(frame: pd.DataFrame, columns: Sequence[str], *, where: str, name: str | None = None) -> Rows:
    """Take the named columns of a DataFrame; the index is ignored. Raises as `read_rows`; `name` is for messages."""
    return _from_frame(frame, list(dict.fromkeys(columns)), name=name or f"the DataFrame of [{where}]", where=where)


def disagreeing(source: Source, where: str, error: Exception) -> DataError:
    """Say that the files of a source can't be one table."""
    return DataError(f"[{where}] source {source}: its files don't agree on a column's type ({error}). Write them alike")


def header(source: Source, folder: Path, *, where: str) -> list[str]:
    """Return the column names of a source, in order."""
    if source.sql is not None:
        return [str(column) for column in next(query(source, where)).columns]
    path = paths_of(source, folder, where)[0]
    try:
        if is_parquet(path):
            return list(pyarrow.parquet.read_schema(path).names)
        _, text = _head(path)
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text)), [])
    except UNREADABLE as error:
        raise unreadable(path, where, error) from None


def paths_of(source: Source, folder: Path, where: str) -> list[Path]:
    """Return the files of a source, sorted; raises NoSourceError where there is none."""
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


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet, by its first bytes."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _read_file(path: Path, columns: list[str], *, where: str) -> pa.Table:
    try:
        _check_head(path, columns, where)
        if is_parquet(path):
            table = pyarrow.parquet.read_table(path, columns=columns, partitioning=None)
            return plain(whole(table), path.name, where)
        return _read_csv(path, columns, where)
    except UNREADABLE as error:
        raise unreadable(path, where, error) from None


def bytes_a_row(path: Path) -> float:
    """About how many bytes of a CSV file a row takes, by its first lines; of a compressed one a sixth of that."""
    _, text = _head(path)
    with path.open("rb") as file, pa.input_stream(str(path), compression="detect") as stream:
        packed = file.read(64) != stream.read(64)
    return max(1.0, len(text.encode()) / max(1, text.count("\n")) / (6 if packed else 1))


def _check_head(path: Path, columns: list[str], where: str) -> None:
    if path.stat().st_size == 0:
        raise DataError(f"{path.name} is empty; it needs a header row. It is the source of [{where}]")
    if is_parquet(path):
        _check_columns(list(pyarrow.parquet.read_schema(path).names), columns, path.name, where)


def read_head(path: Path, columns: list[str], *, where: str) -> pa.Table:
    """Return the named columns of a file without its rows: as they will be read. Raises as `read_rows`."""
    _check_head(path, columns, where)
    if is_parquet(path):
        schema = pyarrow.parquet.read_schema(path)
        table = pa.schema([schema.field(name) for name in columns]).empty_table()
        return plain(table, path.name, where)
    CsvLayout.of(path, columns, where)
    return head_of_text(columns)


def head_of_text(columns: list[str]) -> pa.Table:
    """Return columns as they are in any CSV file, without rows."""
    return pa.schema([(name, pa.string()) for name in columns]).empty_table()


def unreadable(path: Path, where: str, error: Exception) -> DataError:
    """Say that a file is damaged, without quoting what it holds."""
    detail = (str(error).splitlines() or [type(error).__name__])[0].split(":")[0].rstrip(".")
    return DataError(
        f"{path.name} can't be read ({detail}). It is the source of [{where}]: "
        "export it again, as CSV or Parquet, with one header row"
    )


def whole(table: pa.Table) -> pa.Table:
    """Return the table if its text is text: the Parquet reader takes any bytes for it."""
    try:
        table.validate(full=True)
    except pa.ArrowInvalid:
        raise pa.ArrowInvalid("it holds text that is not UTF-8, or is damaged") from None
    return table


def plain(table: pa.Table, name: str, where: str) -> pa.Table:
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
    layout = CsvLayout.of(path, columns, where)
    table = pyarrow.csv.read_csv(path, **layout.options(columns, threads=True))
    if layout.ragged:
        layout.ragged.clear()
        pyarrow.csv.read_csv(path, **layout.options(columns, threads=False))  # only a serial reader knows row numbers
        layout.refuse_ragged(path)
    return table


@dataclass(frozen=True)
class CsvLayout:
    """How a CSV file is written, and the rows in it that have more or fewer fields than its header."""

    encoding: str
    delimiter: str
    quoted: bool
    names: list[str]
    ragged: list[tuple[int | None, int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path, columns: list[str], where: str) -> CsvLayout:
        """Look at the first lines; raises DataError if a column isn't there once."""
        encoding, text = _head(path)
        delimiter = _delimiter(text)
        names = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
        _check_columns(names, columns, path.name, where)
        return cls(encoding, delimiter, '"' in text, names)

    def options(self, columns: list[str], *, threads: bool) -> dict[str, Any]:
        """Return options of Arrow's reader: everything is text, only nothing at all is null."""
        return {
            "read_options": pyarrow.csv.ReadOptions(encoding=self.encoding, use_threads=threads, block_size=1 << 24),
            "parse_options": pyarrow.csv.ParseOptions(
                delimiter=self.delimiter, newlines_in_values=self.quoted, invalid_row_handler=self._note
            ),
            "convert_options": pyarrow.csv.ConvertOptions(
                include_columns=columns,
                column_types=dict.fromkeys(self.names, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
            ),
        }

    def _note(self, row: pyarrow.csv.InvalidRow) -> str:
        self.ragged.append((row.number, row.expected_columns, row.actual_columns))
        return "skip"

    def refuse_ragged(self, path: Path) -> None:
        """Raise DataError if any row was ragged."""
        if not self.ragged:
            return
        number, expected, actual = self.ragged[0]
        raise DataError(
            f"{path.name} row {(number or 2) - 1} has {actual} fields, the header has {expected} "
            f"({len(self.ragged)} such rows). Quote fields that hold the delimiter {self.delimiter!r}, or mend the rows"
        )


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


_FIXED = ("--cutoffs", "task.cutoffs")
"""Where columns have names that no leadscore.toml changes."""


def _check_columns(found: list[str], wanted: list[str], name: str, where: str) -> None:
    for column in wanted:
        if column not in found:
            shown = ", ".join(f"'{item}'" for item in found[:12]) + (", …" if len(found) > 12 else "")
            raise DataError(
                f"{name} is missing column '{column}'; found {shown}.{nearest(column, found)} "
                f"Mend it there{'' if where in _FIXED else f', or the name in [{where}] of leadscore.toml'}"
            )
        if found.count(column) > 1:
            raise DataError(
                f"{name} has {found.count(column)} columns named '{column}', which [{where}] reads. Rename all but one"
            )


def query(source: Source, where: str, chunk: int | None = None) -> Iterator[pd.DataFrame]:
    """Ask a database: one DataFrame, or one for every `chunk` rows, without holding more. Raises as `read_rows`."""
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
            text = sqlalchemy.text(str(source.sql))
            if chunk is None:
                yield pd.read_sql_query(text, connection)
            else:
                yield from pd.read_sql_query(text, connection.execution_options(stream_results=True), chunksize=chunk)
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


def count_rows(source: Source, where: str) -> int:
    """Ask a database how many rows a query has. Raises as `read_rows`."""
    counting = f"SELECT count(*) AS n FROM ({str(source.sql).strip().rstrip(';')}) AS counted"
    return int(next(query(Source(sql=counting, url=source.url), where))["n"].iloc[0])


def _from_frame(frame: pd.DataFrame, columns: list[str], *, name: str, where: str) -> Rows:
    names = [str(column) for column in frame.columns]
    _check_columns(names, columns, name, where)
    arrays = [_array(frame.iloc[:, names.index(column)], name) for column in columns]
    return Rows(plain(pa.table(arrays, names=columns), name, where), ((name, len(frame)),))


def _array(column: pd.Series, name: str) -> pa.Array:
    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowException, OverflowError):  # a mixed column: let the text speak
        return pa.array(column.astype("str"), from_pandas=True)
    except UnicodeEncodeError:
        raise DataError(
            f"{name} column '{column.name}' holds half a surrogate pair, which is no text. Decode it from UTF-8"
        ) from None
