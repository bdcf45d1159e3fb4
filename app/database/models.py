"""Tables of the library."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


def _now() -> datetime:
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Declarative base."""


class CollectionRow(Base):
    """A named set of documents."""

    __tablename__ = "collection"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created: Mapped[datetime] = mapped_column(default=_now)


class UserRow(Base):
    """Somebody who may use the server; `password` is argon2's encoded hash, null for who comes through a proxy."""

    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    password: Mapped[str | None]
    created: Mapped[datetime] = mapped_column(default=_now)


class SignInRow(Base):
    """A browser in which a user is signed in, by the SHA-256 of the secret in its cookie; `expires` in UTC."""

    __tablename__ = "sign_in"
    digest: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    expires: Mapped[datetime]


class GrantRow(Base):
    """A collection that a user may see."""

    __tablename__ = "grant"
    __table_args__ = (UniqueConstraint("user_id", "collection_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id", ondelete="CASCADE"), index=True)


class DocumentRow(Base):
    """One file's text and verdict, as it was when it was added."""

    __tablename__ = "document"
    __table_args__ = (UniqueConstraint("collection_id", "path"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id", ondelete="CASCADE"), index=True)
    path: Mapped[str]
    source: Mapped[str]
    content_hash: Mapped[str]
    kind: Mapped[str]
    title: Mapped[str]
    text: Mapped[str] = mapped_column(deferred=True)
    characters: Mapped[int]
    pages: Mapped[list[Any]] = mapped_column(JSON)
    status: Mapped[str]
    reason: Mapped[str | None]
    encoding: Mapped[str | None]
    confidence: Mapped[float | None]
    added: Mapped[datetime] = mapped_column(default=_now)
    passages: Mapped[list[PassageRow]] = relationship(cascade="all, delete-orphan", passive_deletes=True)


class PassageRow(Base):
    """Characters start..end of a document; their text is indexed (app.search.search) under the same id."""

    __tablename__ = "passage"
    id: Mapped[int] = mapped_column(primary_key=True)
    document_id: Mapped[int] = mapped_column(ForeignKey("document.id", ondelete="CASCADE"), index=True)
    start: Mapped[int]
    end: Mapped[int]
    heading: Mapped[str]


class WatchedRow(Base):
    """A file of a watched folder and its stamp (size, times, inode) when it was last read."""

    __tablename__ = "watched"
    __table_args__ = (UniqueConstraint("collection_id", "source"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id", ondelete="CASCADE"), index=True)
    source: Mapped[str]
    stamp: Mapped[str]


class WatchedRootRow(Base):
    """A folder that a collection is kept equal to; the server watches it as long as it is here."""

    __tablename__ = "watched_root"
    __table_args__ = (UniqueConstraint("collection", "path"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    collection: Mapped[str]
    path: Mapped[str]


class KeptChunkRow(Base):
    """A KV chunk in the session store that was made of a collection's text, up to a part of document `last`."""

    __tablename__ = "kept_chunk"
    __table_args__ = (UniqueConstraint("collection_id", "key"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id", ondelete="CASCADE"), index=True)
    namespace: Mapped[str]
    key: Mapped[str]
    last: Mapped[str]


class RuleRow(Base):
    """What a collection's plan is told: pin or exclude the documents of a pattern."""

    __tablename__ = "rule"
    __table_args__ = (UniqueConstraint("collection_id", "pattern"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id", ondelete="CASCADE"), index=True)
    effect: Mapped[str]
    pattern: Mapped[str]


class SnapshotRow(Base):
    """What an answer was made from; its parts follow in `position` order, `listed` are names of what was left out.

    `tree_lines` is how many lines the tree of what was read was allowed (0: there was none).
    """

    __tablename__ = "snapshot"
    __table_args__ = (UniqueConstraint("collection_id", "hash"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id", ondelete="CASCADE"), index=True)
    hash: Mapped[str]
    mode: Mapped[str]
    digest: Mapped[str]
    listed: Mapped[list[str]] = mapped_column(JSON)
    tree_lines: Mapped[int] = mapped_column(default=0)
    created: Mapped[datetime] = mapped_column(default=_now)
    parts: Mapped[list[SnapshotPartRow]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="SnapshotPartRow.position"
    )


class SnapshotPartRow(Base):
    """Characters start..end (or the pieces) of the text with that digest, as the document of that path."""

    __tablename__ = "snapshot_part"
    id: Mapped[int] = mapped_column(primary_key=True)
    snapshot_id: Mapped[int] = mapped_column(ForeignKey("snapshot.id", ondelete="CASCADE"), index=True)
    position: Mapped[int]
    path: Mapped[str]
    digest: Mapped[str] = mapped_column(index=True)
    start: Mapped[int]
    end: Mapped[int]
    same_as: Mapped[str | None]
    pieces: Mapped[list[Any]] = mapped_column(JSON)


class OldTextRow(Base):
    """The text that a document had when a snapshot was made, kept since the document changed."""

    __tablename__ = "old_text"
    __table_args__ = (UniqueConstraint("collection_id", "path", "digest"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id", ondelete="CASCADE"), index=True)
    path: Mapped[str]
    digest: Mapped[str]
    content_hash: Mapped[str]
    kind: Mapped[str]
    title: Mapped[str]
    text: Mapped[str]
    pages: Mapped[list[Any]] = mapped_column(JSON)


class ConversationRow(Base):
    """A dialogue with a collection that can be gone on with, by its user (null: where there was none)."""

    __tablename__ = "conversation"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    updated: Mapped[datetime] = mapped_column(default=_now)
    turns: Mapped[list[ConversationTurnRow]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="ConversationTurnRow.id"
    )


class ConversationTurnRow(Base):
    """A question and its answer, citations and figures included."""

    __tablename__ = "conversation_turn"
    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversation.id", ondelete="CASCADE"), index=True)
    question: Mapped[str]
    answer: Mapped[dict[str, Any]] = mapped_column(JSON)


class JobRow(Base):
    """Long work and how far it is; it goes on from here after a kill, as the user who began it (null: none did)."""

    __tablename__ = "job"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    collection: Mapped[str]
    arguments: Mapped[list[str]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(default="running")
    stop: Mapped[bool] = mapped_column(default=False)
    files_done: Mapped[int] = mapped_column(default=0)
    files_total: Mapped[int] = mapped_column(default=0)
    bytes_done: Mapped[int] = mapped_column(default=0)
    bytes_total: Mapped[int] = mapped_column(default=0)
    bytes_before: Mapped[int] = mapped_column(default=0)
    tokens: Mapped[int | None]
    at: Mapped[str] = mapped_column(default="")
    created: Mapped[datetime] = mapped_column(default=_now)
    started: Mapped[datetime] = mapped_column(default=_now)
    updated: Mapped[datetime] = mapped_column(default=_now)
    error: Mapped[str | None]


class JobFileRow(Base):
    """A file that a job has done with: its stamp then, and the paths of the documents that it gave."""

    __tablename__ = "job_file"
    __table_args__ = (UniqueConstraint("job_id", "source"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), index=True)
    source: Mapped[str]
    stamp: Mapped[str]
    paths: Mapped[list[str]] = mapped_column(JSON)


class MeasurementRow(Base):
    """A rate seen on this machine, so that plans can say how long reading will take."""

    __tablename__ = "measurement"
    id: Mapped[int] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(index=True)
    tokens: Mapped[int]
    seconds: Mapped[float]
    at: Mapped[datetime] = mapped_column(default=_now)
