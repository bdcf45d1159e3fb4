"""Catalog: which chunks there are, when they were used, which sessions hold them.

It serves eviction, usage and explanations. What KV is loaded never depends on it, and it can be made again from the
files: a chunk's last use is its file's modification time.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Engine, ForeignKey, create_engine, delete, event, func, select, text, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from engine.errors import StoreError
from engine.store.errors import CatalogueDamaged, StoreFull
from engine.store.namespace import record_digest

SCHEMA = 2
"""Version of the tables; a catalogue of another one is made again from the files."""


class Base(DeclarativeBase):
    """Tables of the session store's catalogue."""


class ChunkRow(Base):
    """One chunk file; `used` in nanoseconds."""

    __tablename__ = "chunk"
    key: Mapped[str] = mapped_column(primary_key=True)
    namespace: Mapped[str] = mapped_column(index=True)
    parent: Mapped[str | None]
    bytes: Mapped[int]
    used: Mapped[int]


class NamespaceRow(Base):
    """A namespace's readable record, to say what differs."""

    __tablename__ = "namespace"
    digest: Mapped[str] = mapped_column(primary_key=True)
    record: Mapped[dict[str, Any]] = mapped_column(JSON)


class SessionRow(Base):
    """A named session."""

    __tablename__ = "session"
    name: Mapped[str] = mapped_column(primary_key=True)


class SessionChunkRow(Base):
    """Which chunks a session is made of."""

    __tablename__ = "session_chunk"
    session: Mapped[str] = mapped_column(ForeignKey("session.name", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True, index=True)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the catalogue knows of a chunk."""

    key: str
    namespace: dict[str, Any]
    parent: str | None
    bytes: int
    used: int


def connect(path: Path) -> Engine:
    """A SQLite engine in WAL mode; whoever will write takes the write lock at once, and waits for it."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


class Catalog:
    """The store's SQL side; every method is one transaction and raises StoreError where the database fails."""

    def __init__(self, path: Path) -> None:
        """Open or make it; raises CatalogueDamaged. One process at a time (the store holds its lock)."""
        path.touch(mode=0o600)
        path.chmod(0o600)  # before SQLite makes its -wal and -shm with the same mode
        self._engine = connect(path)
        self._writer = self._engine.execution_options(writes=True)
        try:
            with self._writing() as db:
                sound = db.scalar(text("PRAGMA quick_check(1)"))
                if sound != "ok":
                    raise CatalogueDamaged(f"The session store's catalogue is damaged ({sound}).")
                if db.scalar(text("PRAGMA user_version")) != SCHEMA:
                    Base.metadata.drop_all(db.connection())
                    Base.metadata.create_all(db.connection())
                    db.execute(text(f"PRAGMA user_version={SCHEMA}"))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the database."""
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with _typed_errors(), Session(self._engine) as db:
            yield db

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with _typed_errors(), Session(self._writer) as db, db.begin():
            yield db

    # -- chunks -------------------------------------------------------------------------------------------------------

    def add(self, entries: Iterable[Entry]) -> None:
        """Know chunks; adding one again only marks it used."""
        with self._writing() as db:
            for e in entries:
                digest = record_digest(e.namespace)
                row = {"key": e.key, "namespace": digest, "parent": e.parent, "bytes": e.bytes, "used": e.used}
                db.execute(insert(ChunkRow).values(row).on_conflict_do_update(["key"], set_={"used": e.used}))
                space = {"digest": digest, "record": e.namespace}
                db.execute(insert(NamespaceRow).values(space).on_conflict_do_nothing())

    def touch(self, keys: Sequence[str], used: int) -> None:
        """Mark chunks used."""
        with self._writing() as db:
            db.execute(update(ChunkRow).where(ChunkRow.key.in_(keys)).values(used=used))

    def forget(self, keys: Collection[str]) -> None:
        """Drop chunks' rows."""
        if keys:
            with self._writing() as db:
                for key in keys:
                    db.execute(delete(ChunkRow).where(ChunkRow.key == key))

    def clear(self) -> None:
        """Forget everything."""
        with self._writing() as db:
            for table in (SessionChunkRow, SessionRow, ChunkRow, NamespaceRow):
                db.execute(delete(table))

    def keys(self) -> set[str]:
        """All chunks known."""
        with self._reading() as db:
            return set(db.scalars(select(ChunkRow.key)))

    def usage(self) -> int:
        """Bytes of all chunks."""
        with self._reading() as db:
            return int(db.scalar(select(func.coalesce(func.sum(ChunkRow.bytes), 0))) or 0)

    def last_use(self, keys: Sequence[str]) -> int:
        """When one of these chunks was last used, in nanoseconds; 0 when none is known."""
        with self._reading() as db:
            return db.scalar(select(func.max(ChunkRow.used)).where(ChunkRow.key.in_(keys))) or 0

    def namespaces(self) -> list[dict[str, Any]]:
        """Records of the namespaces that have chunks."""
        with self._reading() as db:
            used = select(ChunkRow.namespace).distinct()
            return list(db.scalars(select(NamespaceRow.record).where(NamespaceRow.digest.in_(used))))

    def victims(self, spare: str | None = None) -> Iterator[tuple[str, int]]:
        """Chunks to evict in this order, (key, bytes).

        First those that no lookup reaches, for one before them is gone; then the least recently used; each chain from
        its tail. What a session holds, `spare`, and what stands before these in their chains is never among them.
        """
        with self._reading() as db:
            held = set(db.scalars(select(SessionChunkRow.key))) | {spare}
            rows = {row.key: row for row in db.scalars(select(ChunkRow))}
        children = Counter(row.parent for row in rows.values())
        reached = _reached({key: row.parent for key, row in rows.items()})

        def turn(key: str) -> tuple[bool, int, str]:
            return key in reached, rows[key].used, key

        tails = [turn(key) for key in rows if not children[key] and key not in held]
        heapq.heapify(tails)
        while tails:
            *_, key = heapq.heappop(tails)
            yield key, rows[key].bytes
            parent = rows[key].parent
            children[parent] -= 1
            if parent in rows and not children[parent] and parent not in held:
                heapq.heappush(tails, turn(parent))

    # -- sessions -----------------------------------------------------------------------------------------------------

    def name_session(self, name: str, keys: Sequence[str]) -> None:
        """Create or replace a session."""
        with self._writing() as db:
            db.execute(delete(SessionRow).where(SessionRow.name == name))
            db.add(SessionRow(name=name))
            db.flush()
            db.add_all(SessionChunkRow(session=name, key=key) for key in keys)

    def drop_session(self, name: str) -> None:
        """Forget a session."""
        with self._writing() as db:
            db.execute(delete(SessionRow).where(SessionRow.name == name))

    def session_names(self) -> set[str]:
        """All sessions known."""
        with self._reading() as db:
            return set(db.scalars(select(SessionRow.name)))


def _reached(parents: dict[str, str | None]) -> set[str | None]:
    """Chunks whose chain is there from its beginning."""
    reached: set[str | None] = {None}
    for key in parents:
        chain: list[str] = []
        at: str | None = key
        while at is not None and at not in reached and at in parents:
            chain.append(at)
            at = parents[at]
        if at in reached:
            reached.update(chain)
    return reached


@contextmanager
def _typed_errors() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:  # locked, full, read-only, input/output
        sort = StoreFull if "full" in str(error.orig) else StoreError
        raise sort(f"The session store's catalogue cannot be used: {error.orig}.") from error
    except DBAPIError as error:
        raise CatalogueDamaged(f"The session store's catalogue is damaged: {error.orig}.") from error
