"""Tables of the session store's catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA = 5
"""Version of the tables; a catalogue of another one is made again from the files."""


class Base(DeclarativeBase):
    """All of them."""


class CatalogueRow(Base):
    """One row: the tables' version, and the store whose files they follow."""

    __tablename__ = "catalogue"
    version: Mapped[int] = mapped_column(primary_key=True)
    store: Mapped[str]


class ChunkRow(Base):
    """One chunk file; `used` in nanoseconds."""

    __tablename__ = "chunk"
    key: Mapped[str] = mapped_column(primary_key=True)
    namespace: Mapped[str] = mapped_column(index=True)
    parent: Mapped[str | None]
    bytes: Mapped[int] = mapped_column(BigInteger)
    used: Mapped[int] = mapped_column(BigInteger)


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


class PacesRow(Base):
    """How fast a machine restored bytes and computed tokens of a namespace (engine.store.planner)."""

    __tablename__ = "paces"
    machine: Mapped[str] = mapped_column(primary_key=True)
    namespace: Mapped[str] = mapped_column(primary_key=True)
    record: Mapped[dict[str, Any]] = mapped_column(JSON)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the catalogue knows of a chunk."""

    key: str
    namespace: dict[str, Any]
    parent: str | None
    bytes: int
    used: int
