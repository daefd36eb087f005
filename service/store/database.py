"""SQLite or PostgreSQL: connections, one writer at a time, the version of the schema. All else is the same for both."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from leadscore.errors import StoreError
from service.store import schema

BUSY_SECONDS = 10
"""What a writer waits for the one before it."""
MAPPED_BYTES = 8 * 2**30
"""Of SQLite's file that are mapped into memory, for what of it is there: rows of a lead lie far apart."""
_WRITER = 0x1EAD5C0E
"""The advisory lock of PostgreSQL that writers hold."""


class Database:
    """An engine whose readers never wait, and whose writers come one after the other.

    That the order of `seq` is the order in which rows became visible rests on it: whoever has seen row n has seen all
    before it.
    """

    def __init__(self, engine: Engine, asking: Engine) -> None:
        self._engine = engine
        self._asking = asking
        self._file = Path(str(engine.url.database)) if engine.dialect.name == "sqlite" else None
        self._inode = _inode(self._file)
        self._sqlite = engine.dialect.name == "sqlite"

    @property
    def local(self) -> bool:
        """Whether it is a file: to read a few rows is a matter of microseconds, not of waiting."""
        return self._sqlite

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Database:
        """Connect to a URL, or to SQLite in the file of a path, which is made if it isn't there and `create`.

        Raises
        ------
        StoreError
            If there is no such place, driver or database.
        """
        try:
            address = sa.make_url(url) if "://" in url else sa.URL.create("sqlite", database=str(Path(url)))
            if address.get_backend_name() == "postgresql":
                address = address.set(drivername="postgresql+psycopg")
            if not create and address.get_backend_name() == "sqlite" and not Path(str(address.database)).exists():
                raise StoreError(f"there is no store at {address.database}. {_BEGIN}")
            _make_private(address)
            # To change a connection's isolation costs a statement each time, so there are two pools.
            engine, asking = _engine(address), _engine(address, isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                connection.execute(sa.text("select 1"))
        except (SQLAlchemyError, ImportError, OSError) as error:
            raise StoreError(f"the store can't be opened: {reason(error)}. {_REMEDY}") from None
        return cls(engine, asking)

    def ask(self, statement: sa.Select[Any] | sa.CompoundSelect[Any], **values: Any) -> Sequence[Any]:
        """Return the rows of one statement; without a transaction, which would cost two more ways to the database.

        A connection that was lost since its last use is replaced, and asked once more.
        """
        try:
            return self._ask(statement, values)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return self._ask(statement, values)

    def _ask(self, statement: Any, values: dict[str, Any]) -> Sequence[Any]:
        with self._asking.connect() as connection:
            return connection.execute(statement, values).all()

    def question(self, statement: sa.Select[Any]) -> Callable[..., Sequence[tuple[Any, ...]]]:
        """Return what asks one statement again and again, straight from the driver, and gives plain rows.

        It takes the values by their names, as `ask`. Of an answer of a few rows SQLAlchemy would take half of the time.
        """
        compiled = statement.compile(dialect=self._asking.dialect)
        text, names = str(compiled), compiled.positiontup

        def answer(**values: Any) -> Sequence[tuple[Any, ...]]:
            try:
                return self._answer(text, values if names is None else [values[name] for name in names])
            except self._driver.Error:  # which says what it is, or finds another connection
                return [tuple(row) for row in self.ask(statement, **values)]

        return answer

    def _answer(self, text: str, values: Any) -> Sequence[tuple[Any, ...]]:
        connection = self._asking.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(text, values)
            return cursor.fetchall()
        except self._driver.Error:
            connection.invalidate()
            raise
        finally:
            connection.close()

    @property
    def _driver(self) -> Any:
        return self._asking.dialect.dbapi

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection that sees one consistent state to its end."""
        with self._engine.connect() as connection:
            if not self._sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    def require_file(self) -> None:
        """Refuse a file that was removed or replaced: what is written to it then is nowhere.

        Raises
        ------
        StoreError
            If that is so.
        """
        if _inode(self._file) != self._inode:
            raise StoreError("the store's file was removed or replaced. Start the service again")

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection as the only writer; durable when it ends well, else nothing of it stays."""
        self.require_file()
        with self._engine.connect() as connection, connection.execution_options(writes=True).begin():
            if not self._sqlite:
                connection.execute(select(sa.func.pg_advisory_xact_lock(_WRITER)))
            yield connection

    def migrate(self, project: str, *, create: bool = True) -> None:
        """Create the tables if `create`, or bring those of an older version up to date, in one transaction.

        Raises
        ------
        StoreError
            If the store is newer than this program, or another project's.
        """
        try:
            with self.writing() as connection:
                if not sa.inspect(connection).has_table("about"):
                    if not create:
                        raise StoreError(f"there is no store in that database. {_BEGIN}")
                    schema.create(connection)
                    facts = {"version": str(schema.VERSION), "project": project, "salt": secrets.token_hex(16)}
                    connection.execute(
                        schema.about.insert(), [{"name": name, "value": value} for name, value in facts.items()]
                    )
                    return
                told = connection.execute(select(schema.about.c.name, schema.about.c.value))
                found: dict[str, str] = {row.name: row.value for row in told}
                _refuse_foreign(found, project)
                version = int(found["version"])
                for step in range(version, schema.VERSION):
                    schema.STEPS[step](connection)
                if version < schema.VERSION:
                    newer = schema.about.update().where(schema.about.c.name == "version")
                    connection.execute(newer.values(value=str(schema.VERSION)))
        except SQLAlchemyError as error:
            raise StoreError(f"the store's tables can't be made: {reason(error)}. {_REMEDY}") from None

    @property
    def salt(self) -> bytes:
        """What keys of leads are hashed with, so that a hash of this store says nothing elsewhere."""
        [[salt]] = self.ask(select(schema.about.c.value).where(schema.about.c.name == "salt"))
        return bytes.fromhex(salt)

    def upsert(self, table: sa.Table) -> Any:
        """Return an insert that replaces the row of the same primary key."""
        statement = self._insert(table)
        keys = [column.name for column in table.primary_key]
        others = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
        return statement.on_conflict_do_update(index_elements=keys, set_=others)

    def insert_new(self, table: sa.Table) -> Any:
        """Return an insert that leaves a row of the same primary key as it is."""
        return self._insert(table).on_conflict_do_nothing()

    def _insert(self, table: sa.Table) -> Any:
        return (sqlite if self._sqlite else postgresql).insert(table)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()
        self._asking.dispose()


def _inode(file: Path | None) -> int | None:
    try:
        return None if file is None else file.stat().st_ino
    except OSError:
        return -1


def reason(error: BaseException) -> str:
    """Return what a driver says, in one line and without the statement and its values."""
    told = getattr(error, "orig", None) or error
    return (str(told).strip().splitlines() or [type(told).__name__])[0]


_BEGIN = "Begin one with: leadscore serve PROJECT; or name another with --store"
_REMEDY = "Name a file in a folder that is there, or a URL such as postgresql://user@host/name, with --store"


def _make_private(address: sa.URL) -> None:
    """Let a file that isn't there yet be readable by its owner alone; SQLite's files beside it follow."""
    if address.get_backend_name() == "sqlite" and address.database and not Path(address.database).exists():
        os.close(os.open(address.database, os.O_CREAT | os.O_WRONLY, 0o600))


def _engine(address: sa.URL, **options: Any) -> Engine:
    engine = sa.create_engine(address, **_options(address), **options)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _settle_sqlite)
        if not options:
            event.listen(engine, "begin", _begin_sqlite)
    return engine


def _options(address: sa.URL) -> dict[str, Any]:
    if address.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_SECONDS, "check_same_thread": False, "isolation_level": None}}
    # The connection used last, whose caches are warm at the other end; the others are there for when many ask.
    return {"pool_size": 8, "max_overflow": 8, "pool_use_lifo": True}


def _settle_sqlite(connection: Any, _: Any) -> None:
    """Readers beside a writer, nothing acknowledged before it is on the disk, and the file read without copies."""
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute(f"pragma mmap_size = {MAPPED_BYTES}")


def _begin_sqlite(connection: Connection) -> None:
    """Begin ourselves: the driver would begin late, and a reader that turns writer can fail where a writer waits."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("begin immediate" if writes else "begin")


def _refuse_foreign(found: dict[str, str], project: str) -> None:
    if int(found["version"]) > schema.VERSION:
        raise StoreError(
            f"the store has version {found['version']}, this program knows {schema.VERSION}. Update leadscore"
        )
    if found["project"] != project:
        raise StoreError(
            f"the store belongs to the project '{found['project']}', not to '{project}'. Name another with --store"
        )
