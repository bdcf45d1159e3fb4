"""Catalog: where each chunk lies, when it was used, which sessions hold it. Rebuilt from the files at need."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Engine, ForeignKey, create_engine, delete, event, func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from engine.store.manifest import Manifest
from engine.store.segment import Segment


class Base(DeclarativeBase):
    """Tables of the session store's catalogue."""


class ChunkRow(Base):
    """One chunk file."""

    __tablename__ = "chunk"
    key: Mapped[str] = mapped_column(primary_key=True)
    namespace: Mapped[str] = mapped_column(index=True)
    parent: Mapped[str | None]
    depth: Mapped[int]
    tokens: Mapped[int]
    bytes: Mapped[int]
    used: Mapped[float]


class NamespaceRow(Base):
    """A namespace's readable record, to say what differs."""

    __tablename__ = "namespace"
    digest: Mapped[str] = mapped_column(primary_key=True)
    record: Mapped[dict[str, Any]] = mapped_column(JSON)
    used: Mapped[float]


class SessionRow(Base):
    """A named session."""

    __tablename__ = "session"
    name: Mapped[str] = mapped_column(primary_key=True)
    namespace: Mapped[str]
    created: Mapped[float]
    used: Mapped[float]
    pinned: Mapped[bool]


class SessionChunkRow(Base):
    """Which chunks a session is made of, in order."""

    __tablename__ = "session_chunk"
    session: Mapped[str] = mapped_column(ForeignKey("session.name", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(index=True)


def connect(path: Path) -> Engine:
    """A SQLite engine in WAL mode that waits for other writers."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


class Catalog:
    """The store's SQL side; every method is one transaction."""

    def __init__(self, path: Path) -> None:
        self._engine = connect(path)
        Base.metadata.create_all(self._engine)
        path.chmod(0o600)

    def close(self) -> None:
        """Release the database."""
        self._engine.dispose()

    def add(self, segment: Segment, namespace_digest: str, size: int) -> None:
        """Know a chunk; adding it again only marks it used."""
        now = time.time()
        with Session(self._engine) as db, db.begin():
            parent = db.get(ChunkRow, segment.parent) if segment.parent else None
            row = {
                "key": segment.key,
                "namespace": namespace_digest,
                "parent": segment.parent,
                "depth": parent.depth + 1 if parent else 0,
                "tokens": len(segment.tokens),
                "bytes": size,
                "used": now,
            }
            db.execute(insert(ChunkRow).values(row).on_conflict_do_update(["key"], set_={"used": now}))
            space = {"digest": namespace_digest, "record": segment.namespace, "used": now}
            db.execute(insert(NamespaceRow).values(space).on_conflict_do_update(["digest"], set_={"used": now}))

    def touch(self, keys: Sequence[str]) -> None:
        """Mark chunks used now."""
        with Session(self._engine) as db, db.begin():
            db.execute(update(ChunkRow).where(ChunkRow.key.in_(keys)).values(used=time.time()))

    def forget(self, key: str) -> None:
        """Drop a chunk's row."""
        with Session(self._engine) as db, db.begin():
            db.execute(delete(ChunkRow).where(ChunkRow.key == key))

    def keys(self) -> set[str]:
        """All chunks known."""
        with Session(self._engine) as db:
            return set(db.scalars(select(ChunkRow.key)))

    def usage(self) -> int:
        """Bytes of all chunks."""
        with Session(self._engine) as db:
            return int(db.scalar(select(func.coalesce(func.sum(ChunkRow.bytes), 0))) or 0)

    def latest_namespace(self, other_than: str) -> dict[str, Any] | None:
        """Record of the namespace used last, but for this one; to explain a miss."""
        with Session(self._engine) as db:
            query = select(NamespaceRow.record).where(NamespaceRow.digest != other_than)
            return db.scalar(query.order_by(NamespaceRow.used.desc()).limit(1))

    def victims(self) -> Iterable[tuple[str, int]]:
        """Chunks that may be evicted, (key, bytes): least recently used first, of equally old ones the tail first."""
        with Session(self._engine) as db:
            pinned = (
                select(SessionChunkRow.key)
                .join(SessionRow, SessionRow.name == SessionChunkRow.session)
                .where(SessionRow.pinned)
            )
            parents = select(ChunkRow.parent).where(ChunkRow.parent.is_not(None))
            leaves = select(ChunkRow.key, ChunkRow.bytes).where(
                ChunkRow.key.not_in(pinned), ChunkRow.key.not_in(parents)
            )
            return [(key, size) for key, size in db.execute(leaves.order_by(ChunkRow.used, ChunkRow.depth.desc()))]

    # -- sessions -----------------------------------------------------------------------------------------------------

    def name_session(self, name: str, namespace: str, keys: Sequence[str], *, pinned: bool) -> None:
        """Create or replace a named session."""
        now = time.time()
        with Session(self._engine) as db, db.begin():
            db.execute(delete(SessionRow).where(SessionRow.name == name))
            db.add(SessionRow(name=name, namespace=namespace, created=now, used=now, pinned=pinned))
            db.flush()
            db.add_all(SessionChunkRow(session=name, position=i, key=key) for i, key in enumerate(keys))

    def drop_session(self, name: str) -> bool:
        """Forget a session; its chunks stay until they are evicted. False when there was none."""
        with Session(self._engine) as db, db.begin():
            return bool(db.execute(delete(SessionRow).where(SessionRow.name == name)).rowcount)  # type: ignore[attr-defined]

    def sessions(self) -> list[Manifest]:
        """Every named session."""
        with Session(self._engine) as db:
            out = []
            for row in db.scalars(select(SessionRow).order_by(SessionRow.name)):
                held = select(SessionChunkRow.key).where(SessionChunkRow.session == row.name)
                keys = tuple(db.scalars(held.order_by(SessionChunkRow.position)))
                sums = select(func.coalesce(func.sum(ChunkRow.tokens), 0), func.coalesce(func.sum(ChunkRow.bytes), 0))
                tokens, size = db.execute(sums.where(ChunkRow.key.in_(keys))).one()
                out.append(Manifest(row.name, row.namespace, keys, tokens, size, row.created, row.used, row.pinned))
            return out
