"""Catalog: which chunks there are, when they were used, which sessions hold them.

It serves eviction, usage and explanations. What KV is loaded never depends on it, and it can be made again from the
files: a chunk's last use is its file's modification time.
"""

from __future__ import annotations

import heapq
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from engine.errors import StoreError
from engine.store.database import Database
from engine.store.errors import CatalogueDamaged
from engine.store.namespace import record_digest
from engine.store.quarantine import Quarantine
from engine.store.tables import (
    SCHEMA,
    Base,
    CatalogueRow,
    ChunkRow,
    Entry,
    NamespaceRow,
    PacesRow,
    SessionChunkRow,
    SessionRow,
)

log = logging.getLogger(__name__)


class Catalog:
    """The store's SQL side; every method is one transaction and raises StoreError where the database fails."""

    def __init__(self, database: Database, store: str) -> None:
        """Open or make that of a store; raises CatalogueDamaged, StoreError where it is another store's.

        One process at a time (the store holds its lock).
        """
        self._database, self._store = database, store
        self._writer = database.engine.execution_options(writes=True)
        try:
            with self._writing() as db:
                database.check(db)
                self._settle(db)
        except BaseException:
            self.close()
            raise

    def _settle(self, db: Session) -> None:
        """Make the tables, anew where they are of another version or follow another store's files."""
        Base.metadata.create_all(db.connection(), [Base.metadata.tables["catalogue"]])
        row = db.scalars(select(CatalogueRow)).one_or_none()
        known = (row.version, row.store) if row else None
        if known == (SCHEMA, self._store):
            return
        if row is not None and row.store != self._store and not self._database.disposable:
            raise StoreError("This catalogue belongs to another session store; give each a database of its own.")
        Base.metadata.drop_all(db.connection())
        Base.metadata.create_all(db.connection())
        db.add(CatalogueRow(version=SCHEMA, store=self._store))

    def close(self) -> None:
        """Release the database."""
        self._database.engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with self._typed_errors(), Session(self._database.engine) as db:
            yield db

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with self._typed_errors(), Session(self._writer) as db, db.begin():
            yield db

    @contextmanager
    def _typed_errors(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self._database.error(error) from error

    # -- chunks -------------------------------------------------------------------------------------------------------

    def add(self, entries: Iterable[Entry]) -> None:
        """Know chunks; adding one again only marks it used."""
        insert = self._database.insert
        with self._writing() as db:
            for e in entries:
                digest = record_digest(e.namespace)
                row = insert(ChunkRow).values(asdict(e) | {"namespace": digest})
                db.execute(row.on_conflict_do_update(index_elements=["key"], set_={"used": e.used}))
                space = insert(NamespaceRow).values(digest=digest, record=e.namespace)
                db.execute(space.on_conflict_do_nothing())

    def touch(self, keys: Sequence[str], used: int) -> None:
        """Mark chunks used."""
        with self._writing() as db:
            db.execute(update(ChunkRow).where(ChunkRow.key.in_(keys)).values(used=used))

    def forget(self, keys: Collection[str]) -> None:
        """Drop chunks' rows."""
        if keys:
            with self._writing() as db:
                for key in keys:  # one by one: their number is not bounded, a statement's variables are
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
        children = defaultdict[str | None, set[str]](set)
        for key, row in rows.items():
            children[row.parent].add(key)
        reached, front = set[str](), list[str | None]([None])
        while front:
            behind = children[front.pop()]
            reached |= behind
            front.extend(behind)
        tails = list[tuple[bool, int, str]]()

        def push(key: str | None) -> None:
            if key in rows and not children[key] and key not in held:
                heapq.heappush(tails, (key in reached, rows[key].used, key))

        for key in rows:
            push(key)
        while tails:
            *_, key = heapq.heappop(tails)
            yield key, rows[key].bytes
            children[rows[key].parent].remove(key)
            push(rows[key].parent)

    # -- paces --------------------------------------------------------------------------------------------------------

    def paces(self, machine: str, namespace: str) -> dict[str, Any] | None:
        """How fast a machine was, as its planner wrote it down."""
        with self._reading() as db:
            row = db.get(PacesRow, (machine, namespace))
            return row.record if row else None

    def keep_paces(self, machine: str, namespace: str, record: dict[str, Any]) -> None:
        """Replace them."""
        with self._writing() as db:
            db.merge(PacesRow(machine=machine, namespace=namespace, record=record))

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


def open_catalog(database: Database, store: str, quarantine: Quarantine) -> Catalog:
    """A store's catalogue; one that is damaged is set aside and begun anew, to be filled from the files."""
    try:
        return Catalog(database, store)
    except CatalogueDamaged as error:
        log.warning("%s It is made again from the files.", error)
        for path in database.files():
            quarantine.take(path)
        return Catalog(database, store)
