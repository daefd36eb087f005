"""A scored list → where others work with it: a table of a database, or a file of what has moved since."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from leadscore.batch.writing import COLUMNS, ROW_GROUP, ListWriter, require_place, whole_or_nothing
from leadscore.errors import DataError, MissingExtraError
from leadscore.hashing import hashed
from leadscore.model.booster import Progress
from leadscore.sources import UNREADABLE
from leadscore.time import Mask

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Table

KEY = ("lead_id", "as_of")
_ROWS_AT_ONCE = 2_000


@dataclass(frozen=True)
class Earlier:
    """What leads scored before: 64-bit hashes of their ids, ascending, their scores and grades."""

    lead: NDArray[np.uint64]
    score: NDArray[np.int64]
    grade: NDArray[np.object_]

    @classmethod
    def of(cls, lead_ids: Sequence[str], score: Sequence[int], grade: Sequence[str]) -> Earlier:
        """Take scores by lead; of several the last counts."""
        lead = hashed(pa.array(lead_ids, pa.string()))
        order = np.argsort(lead, kind="stable")
        last = np.append(lead[order][1:] != lead[order][:-1], True)[: len(order)]
        kept = order[last]
        return cls(lead[kept], np.array(score, dtype=np.int64)[kept], np.array(grade, dtype=object)[kept])

    @classmethod
    def of_list(cls, path: Path) -> Earlier:
        """Read them from an earlier list."""
        pieces = [piece.select(["lead_id", "score", "grade"]) for piece in pieces_of(path)]
        whole = pa.concat_tables(pieces)
        return cls.of(whole["lead_id"].to_pylist(), whole["score"].to_pylist(), whole["grade"].to_pylist())

    def moved(self, piece: pa.Table, points: int) -> Mask:
        """Return who is new, has another grade, or a score that is at least so many points away, bool (n,)."""
        if not len(self.lead):
            return np.ones(piece.num_rows, dtype=bool)
        lead = hashed(piece["lead_id"].combine_chunks())
        place = np.minimum(np.searchsorted(self.lead, lead), len(self.lead) - 1)
        new = self.lead[place] != lead
        far = np.abs(piece["score"].to_numpy() - self.score[place]) >= points
        regraded = np.array(piece["grade"].to_pylist(), dtype=object) != self.grade[place]
        return np.asarray(new | far | regraded, dtype=bool)


def pieces_of(path: Path) -> Iterator[pa.Table]:
    """Read a scored list piece by piece, CSV or Parquet, in the columns of `COLUMNS`.

    Raises
    ------
    DataError
        If the file isn't there, is damaged, or is no scored list.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}. Write one with: leadscore score PROJECT --out {path.name}")
    try:
        for piece in _parquet(path) if path.suffix == ".parquet" else _csv(path):
            yield piece.select(COLUMNS.names).cast(COLUMNS)
    except KeyError as error:
        raise DataError(f"{path.name} is no scored list: it lacks a column ({error.args[0]})") from None
    except UNREADABLE as error:
        told = str(error).splitlines()[0].split(":")[0]
        raise DataError(f"{path.name} can't be read as a scored list ({told}). Score the leads again") from None


def _parquet(path: Path) -> Iterator[pa.Table]:
    with pyarrow.parquet.ParquetFile(path) as file:
        yield file.schema_arrow.empty_table()
        for batch in file.iter_batches(batch_size=ROW_GROUP):
            yield pa.Table.from_batches([batch])


def _csv(path: Path) -> Iterator[pa.Table]:
    kinds = {field.name: field.type for field in COLUMNS}
    convert = pyarrow.csv.ConvertOptions(column_types=kinds, strings_can_be_null=False)
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    with pyarrow.csv.open_csv(path, convert_options=convert, parse_options=parse) as reader:
        yield reader.schema.empty_table()
        for batch in reader:
            yield pa.Table.from_batches([batch])


def write_moved(path: Path, out: Path, before: Earlier, points: int, progress: Progress) -> tuple[int, int]:
    """Write the leads of a list that have moved since `before`, in its order; returns how many, and of how many.

    The file appears whole or not at all. Raises DataError as `pieces_of` and `require_place`.
    """
    require_place(out)
    n_moved = n_all = 0
    with whole_or_nothing(out) as beside, ListWriter(beside, out.suffix) as writer:
        writer.write(COLUMNS.empty_table())
        for piece in pieces_of(path):
            moved = piece.filter(pa.array(before.moved(piece, points)))
            if moved.num_rows:
                writer.write(moved)
            n_moved, n_all = n_moved + moved.num_rows, n_all + piece.num_rows
            progress(n_all, n_all)
    return n_moved, n_all


def upsert(path: Path, url: str, table: str, points: int | None, progress: Progress) -> tuple[int, int]:
    """Write a list into a table of a database, one row per lead and `as_of`; returns how many rows, and of how many.

    All in one transaction: who reads the table sees the whole list or nothing of it, and sending a list again changes
    nothing. A table that isn't there is made.

    Parameters
    ----------
    url : ``env:NAME``, a variable that holds a database URL
    points : write only leads that are new in the table, have another grade, or have moved so far; None writes all

    Raises
    ------
    DataError
        If the list or the database can't be read or written, or the table has other columns.
    """
    engine = _engine(url)
    import sqlalchemy as sa

    try:
        with engine.begin() as connection:
            target = _table(connection, table)
            before = None if points is None else _newest(connection, target)
            return _send(connection, target, path, before, points or 0, progress)
    except sa.exc.SQLAlchemyError as error:
        told = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        raise DataError(f"the database of {url} refused the list, and keeps nothing of it: {told}") from None
    finally:
        engine.dispose()


def _engine(url: str) -> Engine:
    try:
        import sqlalchemy as sa
    except ImportError:
        raise MissingExtraError("A database", "sql") from None
    variable = url.removeprefix("env:")
    if not url.startswith("env:") or not os.environ.get(variable):
        raise DataError(
            f"--to {url} names no variable that is set. Set one to a database URL and name it, as in --to env:CRM_URL"
        )
    try:
        return sa.create_engine(os.environ[variable])
    except (sa.exc.ArgumentError, ImportError) as error:
        raise DataError(f"the variable {variable} holds no database URL ({type(error).__name__})") from None


def _table(connection: Connection, name: str) -> Table:
    """The table, made if it isn't there; refused if it lacks a column."""
    import sqlalchemy as sa

    kinds: dict[str, Any] = {"as_of": sa.DateTime(timezone=True), "probability": sa.Float(53)}
    kinds |= dict.fromkeys(("score", "fit", "intent"), sa.Integer())
    columns = [
        sa.Column(field.name, kinds.get(field.name, sa.Text()), primary_key=field.name in KEY) for field in COLUMNS
    ]
    found = sa.inspect(connection)
    if found.has_table(name):
        lacking = sorted({*COLUMNS.names} - {column["name"] for column in found.get_columns(name)})
        if lacking:
            raise DataError(f"the table {name} lacks {', '.join(lacking)}. Name another table, or add the columns")
    target = sa.Table(name, sa.MetaData(), *columns)
    target.create(connection, checkfirst=True)
    return target


def _newest(connection: Connection, target: Table) -> Earlier:
    import sqlalchemy as sa

    found = connection.execute(
        sa.select(target.c.lead_id, target.c.score, target.c.grade).order_by(target.c.as_of)
    ).all()
    return Earlier.of([row[0] for row in found], [row[1] for row in found], [row[2] for row in found])


def _send(
    connection: Connection, target: Table, path: Path, before: Earlier | None, points: int, progress: Progress
) -> tuple[int, int]:
    statement = _upsert_of(connection, target)
    n_sent = n_all = 0
    for piece in pieces_of(path):
        n_all += piece.num_rows
        if piece["as_of"].null_count:
            raise DataError(f"{path.name} has no as_of, as a list without times: a table is kept by lead and as_of")
        chosen = piece if before is None else piece.filter(pa.array(before.moved(piece, points)))
        for start in range(0, chosen.num_rows, _ROWS_AT_ONCE):
            connection.execute(statement, chosen.slice(start, _ROWS_AT_ONCE).to_pylist())
        n_sent += chosen.num_rows
        progress(n_all, n_all)
    return n_sent, n_all


def _upsert_of(connection: Connection, target: Table) -> Any:
    """The statement of this database that writes a row, or writes it over."""
    from sqlalchemy.dialects import postgresql, sqlite

    inserts: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
    if connection.dialect.name not in inserts:
        raise DataError(f"lists are sent to PostgreSQL and SQLite, not to {connection.dialect.name}")
    statement = inserts[connection.dialect.name](target)
    rest = {name: statement.excluded[name] for name in COLUMNS.names if name not in KEY}
    return statement.on_conflict_do_update(index_elements=list(KEY), set_=rest)
