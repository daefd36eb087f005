"""Files that appear whole or not at all; scored lists among them, written piece by piece."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from leadscore import time
from leadscore.errors import DataError

ENDINGS = (".csv", ".parquet")
ROW_GROUP = 20_000
"""Rows of a group in Parquet, so that the bytes of a list don't depend on the pieces it came in."""
_BUFFER = 1 << 18
"""Bytes that are gathered before they are written: a column of a small batch alone would cost as much as ten."""
COLUMNS = pa.schema(
    [
        ("lead_id", pa.string()),
        ("as_of", pa.timestamp("us", "UTC")),
        ("probability", pa.float64()),
        ("score", pa.int64()),
        ("grade", pa.string()),
        ("fit", pa.int64()),
        ("intent", pa.int64()),
        ("reasons", pa.string()),
        ("warnings", pa.string()),
        ("model_version", pa.string()),
    ]
)
"""The columns of a scored list in a file."""
_RECURRENT = ["as_of", "score", "grade", "fit", "intent", "warnings", "model_version"]
"""Of these, those that have few values."""


def list_table(scores: pd.DataFrame) -> pa.Table:
    """Return a scored list, as of `LeadScorer.frame`, in the columns of a file: reasons and warnings as JSON text."""
    texts = {"reasons": json_texts(scores["reasons"]), "warnings": repeated_json_texts(scores["warnings"])}
    arrays = [
        pa.array(texts[name] if name in texts else scores[name], COLUMNS.field(name).type, from_pandas=True)
        for name in COLUMNS.names
    ]
    return pa.Table.from_arrays(arrays, schema=COLUMNS)


def json_texts(values: Iterable[Any]) -> list[str]:
    """Write lists of texts, or of flat objects, as ``json.dumps`` writes them, but many times faster."""
    return [f"[{', '.join(map(_written, value))}]" if value else "[]" for value in values]


def repeated_json_texts(values: Iterable[list[str]]) -> list[str]:
    """Write lists of texts as `json_texts`, each of the many that are the same once."""
    keys = list(map(tuple, values))
    known = {key: json_texts([key])[0] for key in set(keys)}
    return [known[key] for key in keys]


def _written(value: Any) -> str:
    if type(value) is str:
        return _quoted(value)
    if type(value) is dict:
        return f"{{{', '.join([f'{_quoted(key)}: {_written(item)}' for key, item in value.items()])}}}"
    if type(value) is float and math.isfinite(value):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)


_quoted = json.encoder.encode_basestring


def require_place(out: str | Path) -> Path:
    """Return the path of a list that can be written; its folder is there now. Raises DataError for another ending."""
    path = Path(out)
    if path.suffix not in ENDINGS:
        raise DataError(f"{path.name} must end with {' or '.join(ENDINGS)}: the ending chooses the format")
    make_folder(path.parent)
    return path


def make_folder(folder: Path) -> None:
    """Make a folder to write something into, with those above it; raises DataError if a file is in the way."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise DataError(f"{folder} can't be a folder: a file is in its place, or above it. Name another") from None


class ListWriter:
    """Writes a scored list in pieces; the bytes don't depend on how it was cut.

    Parameters
    ----------
    path : where to, whatever its name
    ending : ``.csv`` or ``.parquet``
    """

    def __init__(self, path: Path, ending: str) -> None:
        self._csv = path.open("w", encoding="utf-8", newline="") if ending == ".csv" else None
        self._parquet = None if self._csv else _parquet_writer(path)
        self._waiting: list[pa.Table] = []
        self._n_written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is None and self._parquet is not None:
                self._write_groups(least=0 if self._n_written == 0 else 1)
        finally:
            for file in (self._csv, self._parquet):
                if file is not None:
                    file.close()

    def write(self, piece: pa.Table) -> None:
        """Add rows in the columns of `COLUMNS`."""
        if self._csv is None:
            self._waiting.append(piece)
            self._write_groups(least=ROW_GROUP)
            return
        lines = _Lines(self._csv)
        _as_text(piece).to_csv(lines, index=False, header=self._n_written == 0, lineterminator=lines.BREAK)  # type: ignore[call-overload]
        self._n_written += 1

    def _write_groups(self, *, least: int) -> None:
        """Write all full groups, and at the end (`least` below their size) the rest."""
        assert self._parquet is not None
        if sum(piece.num_rows for piece in self._waiting) < least:
            return
        whole = pa.concat_tables([COLUMNS.empty_table(), *self._waiting]).combine_chunks()
        end = whole.num_rows - (whole.num_rows % ROW_GROUP if least == ROW_GROUP else 0)
        for start in range(0, end, ROW_GROUP) or ([0] if least == 0 else []):
            group = whole.slice(start, min(ROW_GROUP, end - start))
            self._parquet.write_table(pa.Table.from_arrays(group.columns, schema=self._parquet.schema))
            self._n_written += 1
        self._waiting = [whole.slice(end)]


class _Lines:
    """Ends rows with a line feed; for the writer of rows they end with both, so that it quotes either in a cell."""

    BREAK = "\r\n"

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, row: str) -> int:
        """Write one row, which is what csv gives at once."""
        return self._file.write(f"{row.removesuffix(self.BREAK)}\n")


def _parquet_writer(path: Path) -> pyarrow.parquet.ParquetWriter:
    """Begin a file in which only values that recur are looked up: to find that others don't takes time and room."""
    return pyarrow.parquet.ParquetWriter(path, _with_pandas_types(), use_dictionary=_RECURRENT)


def _with_pandas_types() -> pa.Schema:
    """The columns with what pandas needs to read whole numbers with gaps as such."""
    frame = COLUMNS.empty_table().to_pandas().astype({"fit": "Int64", "intent": "Int64"})
    return COLUMNS.with_metadata(pa.Schema.from_pandas(frame, preserve_index=False).metadata)


def _as_text(piece: pa.Table) -> pd.DataFrame:
    """Rows as they stand in CSV: instants in ISO 8601."""
    instants = piece["as_of"].cast(pa.int64()).to_pylist()
    known = {at: None if at is None else time.format_instant(at) for at in set(instants)}
    frame: pd.DataFrame = piece.drop_columns(["as_of", "fit", "intent"]).to_pandas()
    texts = pd.Series([known[at] for at in instants], dtype="object")
    whole = {name: pd.array(piece[name].to_pylist(), dtype="Int64") for name in ("fit", "intent")}
    frame = frame.assign(as_of=texts, **whole)[COLUMNS.names]
    return frame


def write_page(path: str | Path, html: str) -> Path:
    """Write a page whole or not at all, and its folder if need be; raises DataError as `make_folder`."""
    target = Path(path)
    make_folder(target.parent)
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


@contextmanager
def batches_of(
    path: Path, schema: pa.Schema, options: pyarrow.ipc.IpcWriteOptions | None = None
) -> Iterator[pyarrow.ipc.RecordBatchFileWriter]:
    """Write an Arrow file batch by batch, whole or not at all."""
    with (
        whole_or_nothing(path) as beside,
        pa.output_stream(beside, compression=None, buffer_size=_BUFFER) as sink,
        pyarrow.ipc.new_file(sink, schema, options=options) as file,
    ):
        yield file
