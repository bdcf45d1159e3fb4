"""Database: where the catalogue's tables are, a SQLite file for the processes of one machine, or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.orm import Session

from engine.errors import StoreError
from engine.file_lock import locked
from engine.store.errors import CatalogueDamaged, ExtraMissing, StoreFull, refused
from engine.store.files import elsewhere, make_folder

STORE_LOCK, WRITE_LOCK = 7_203_001, 7_203_002
"""PostgreSQL's advisory locks: one holder of the store, one writer of its catalogue."""


def database_at(place: str | Path) -> Database:
    """The database of a file or an address; raises StoreError."""
    if isinstance(place, str):
        return PostgreSQL(place)
    if elsewhere(place):
        raise StoreError(f"The catalogue of {place.parent} must be elsewhere: a file here, or PostgreSQL.")
    try:
        make_folder(place.parent)
    except OSError as error:
        raise refused(f"The catalogue {place}", error) from error
    return SQLite(place)


class SQLite:
    """A file in WAL mode; whoever will write takes the write lock at once, and waits for it."""

    disposable = True
    """Whether it is this store's alone, so that one of another store or version may be made anew."""
    insert = staticmethod(sqlite.insert)
    """An INSERT that knows ON CONFLICT."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30, "check_same_thread": False})
        event.listen(self.engine, "connect", self._connect)
        event.listen(self.engine, "begin", self._begin)

    def _connect(self, connection: Any, _: Any) -> None:
        self.path.touch()
        self.path.chmod(0o600)  # before SQLite makes its -wal and -shm with the same mode
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    def _begin(self, connection: Any) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    def check(self, db: Session) -> None:
        """Raise CatalogueDamaged where it is no sound database."""
        sound = db.scalar(text("PRAGMA quick_check(1)"))
        if sound != "ok":
            raise CatalogueDamaged(f"The session store's catalogue is damaged ({sound}).")

    def error(self, error: DBAPIError) -> StoreError:
        """The typed error: locked, full, read-only, input/output; all else is damage."""
        if not isinstance(error, OperationalError):
            return CatalogueDamaged(f"The session store's catalogue is damaged: {error.orig}.")
        sort = StoreFull if "full" in str(error.orig) else StoreError
        return sort(f"The session store's catalogue cannot be used: {error.orig}.")

    def files(self) -> list[Path]:
        """Its own files, to be set aside where they are damaged."""
        return [Path(f"{self.path}{suffix}") for suffix in ("", "-wal", "-shm")]

    def alone(self) -> AbstractContextManager[None]:
        """Hold the store's lock, against threads and processes: a file beside the database."""
        return locked(self.path.parent / "lock")


class PostgreSQL:
    """A schema 'omnibus' of its own in a database that several machines share; nothing outside it is touched."""

    disposable = False
    insert = staticmethod(postgresql.insert)

    def __init__(self, url: str) -> None:
        """Raises StoreError where the address is none, or its driver is missing."""
        options = {"options": "-c search_path=omnibus", "connect_timeout": 10}
        try:
            address = make_url(url).set(drivername="postgresql+psycopg")
            self.engine = create_engine(address, connect_args=options, pool_pre_ping=True)
        except ArgumentError as error:
            raise StoreError("The catalogue's address should be like postgresql://user@host/database.") from error
        except ImportError as error:
            raise ExtraMissing("A catalogue in PostgreSQL", "postgres") from error
        event.listen(self.engine, "begin", self._begin)

    def _begin(self, connection: Any) -> None:
        if connection.get_execution_options().get("writes"):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITE_LOCK})")

    def check(self, db: Session) -> None:
        """The server cares for its files; the schema may have to be made."""
        db.execute(text("CREATE SCHEMA IF NOT EXISTS omnibus"))

    def error(self, error: DBAPIError) -> StoreError:
        """The typed error."""
        return StoreError(f"The session store's catalogue cannot be used: {' '.join(str(error.orig).split())}.")

    def files(self) -> list[Path]:
        """None that the store could reach."""
        return []

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the store's lock, against all who use this database; it falls with its holder's connection."""
        try:
            connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            with connection:
                connection.exec_driver_sql(f"SELECT pg_advisory_lock({STORE_LOCK})")
                try:
                    yield
                finally:
                    connection.exec_driver_sql(f"SELECT pg_advisory_unlock({STORE_LOCK})")
        except DBAPIError as error:
            raise self.error(error) from error


Database = SQLite | PostgreSQL
"""One writer at a time; reading never waits."""
