"""Snapshots: what an answer was made from, named by a hash, to be had again though the documents have changed.

A snapshot names texts by their digests. While a document still has its text nothing is stored twice; when it changes,
the old text is put aside if a snapshot needs it. When a document is deleted its old texts go with it, and the snapshots
that needed them say so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session, sessionmaker, undefer

from app.answering.answer import Mode
from app.database.models import CollectionRow, DocumentRow, OldTextRow, SnapshotPartRow, SnapshotRow
from app.errors import NoSuchSnapshot, SnapshotIncomplete
from ingest import Document, Encode, Excerpt, PackedPrompt, Page, Verdict, pack

if TYPE_CHECKING:
    from app.planning.planning import Prepared

KEPT = 1000
"""Snapshots of a collection that are remembered, the newest."""


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """A snapshot as lists show it; `documents` counts the excerpts."""

    hash: str
    mode: Mode
    documents: int
    created: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was packed: excerpts in order, names of what was left out, the fence, lines that the tree was allowed.

    `digest` is that of the tokens.
    """

    hash: str
    mode: Mode
    digest: str
    fence: str
    created: datetime
    excerpts: tuple[Excerpt, ...]
    listed: tuple[str, ...]
    tree_lines: int

    def packed(self, encode: Encode) -> PackedPrompt:
        """The prompt again, its corpus to the byte."""
        return pack(self.excerpts, encode, fence=self.fence, listed=self.listed, tree=lambda _: self.tree_lines)

    @property
    def text(self) -> str:
        """The packed prompt as text, to the byte as the model's tokenizer was given it."""
        return "".join(map(chr, self.packed(_characters).token_ids))


def digest_of(document: Document) -> str:
    """Names a document's text and pages, which are all that packing depends on beside its path."""
    return _digest(document.text, [[p.index, p.label, p.start, p.end] for p in document.pages])


def snapshot_hash(excerpts: Sequence[Excerpt], listed: Sequence[str], fence: str, tree_lines: int) -> str:
    """Names what is packed, whatever the tokenizer; one that has no tree as it was named before there were trees."""
    parts = [(e.document.path, digest_of(e.document), e.start, e.end, e.same_as, e.pieces) for e in excerpts]
    named = [fence, parts, list(listed), *([tree_lines] if tree_lines else [])]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:16]


class Snapshots:
    """The snapshots of one collection."""

    def __init__(self, sessions: sessionmaker[Session], collection: str, fence: str) -> None:
        self._sessions, self._name, self._fence = sessions, collection, fence

    def record(self, prepared: Prepared) -> None:
        """Remember what an answer is made from; once is enough. The oldest beyond KEPT go."""
        packed, name = prepared.packed, prepared.snapshot
        with self._sessions.begin() as db:
            collection = db.scalars(select(CollectionRow.id).where(CollectionRow.name == self._name)).one()
            mine = SnapshotRow.collection_id == collection
            if db.scalar(select(SnapshotRow.id).where(mine, SnapshotRow.hash == name)) is not None:
                return
            row = SnapshotRow(
                collection_id=collection,
                hash=name,
                mode=prepared.mode,
                digest=packed.digest,
                listed=list(prepared.listed),
                tree_lines=packed.tree_lines,
            )
            row.parts = [_part(position, excerpt) for position, excerpt in enumerate(prepared.excerpts)]
            db.add(row)
            db.flush()
            old = select(SnapshotRow.id).where(mine).order_by(SnapshotRow.id.desc()).offset(KEPT)
            if db.execute(delete(SnapshotRow).where(SnapshotRow.id.in_(old))).rowcount:  # type: ignore[attr-defined]
                needed = exists().where(SnapshotPartRow.digest == OldTextRow.digest)
                db.execute(delete(OldTextRow).where(OldTextRow.collection_id == collection, ~needed))

    def all(self) -> list[SnapshotInfo]:
        """Every snapshot, newest first."""
        with self._sessions() as db:
            query = select(SnapshotRow).join(CollectionRow, CollectionRow.id == SnapshotRow.collection_id)
            rows = db.scalars(query.where(CollectionRow.name == self._name).order_by(SnapshotRow.id.desc()))
            return [
                SnapshotInfo(row.hash, row.mode, len(row.parts), row.created.replace(tzinfo=UTC))  # type: ignore[arg-type]
                for row in rows
            ]

    def get(self, name: str) -> Snapshot:
        """A snapshot with its texts as they were; raises NoSuchSnapshot, SnapshotIncomplete."""
        with self._sessions() as db:
            query = select(SnapshotRow).join(CollectionRow, CollectionRow.id == SnapshotRow.collection_id)
            row = db.scalar(query.where(CollectionRow.name == self._name, SnapshotRow.hash == name))
            if row is None:
                raise NoSuchSnapshot(name)
            texts = _Texts(db, row.collection_id)
            found = [(part, texts.find(part.path, part.digest)) for part in row.parts]
            if missing := [part.path for part, document in found if document is None]:
                raise SnapshotIncomplete(name, missing)
            excerpts = [
                Excerpt(document, part.start, part.end, part.same_as, tuple((a, b) for a, b in part.pieces))
                for part, document in found
                if document is not None
            ]
            mode: Mode = row.mode  # type: ignore[assignment]
            created = row.created.replace(tzinfo=UTC)
            return Snapshot(
                name, mode, row.digest, self._fence, created, tuple(excerpts), tuple(row.listed), row.tree_lines
            )


class _Texts:
    """Texts by digest: a document's own, one put aside, or that of a document which was moved."""

    def __init__(self, db: Session, collection: int) -> None:
        self._db, self._collection = db, collection
        self._elsewhere: dict[str, Document] | None = None

    def find(self, path: str, digest: str) -> Document | None:
        """The document of that path with that text."""
        here = self._rows(DocumentRow.path == path)
        if here and digest_of(here[0]) == digest:
            return here[0]
        same = (OldTextRow.collection_id == self._collection, OldTextRow.digest == digest)
        old = self._db.scalar(select(OldTextRow).where(*same, OldTextRow.path == path))
        if old is not None:
            return _as_document(old, path)
        if self._elsewhere is None:
            self._elsewhere = {digest_of(document): document for document in self._rows()}
        moved = self._elsewhere.get(digest)
        return None if moved is None else replace(moved, path=path)

    def _rows(self, *where: object) -> list[Document]:
        query = select(DocumentRow).where(DocumentRow.collection_id == self._collection, *where)  # type: ignore[arg-type]
        return [_as_document(row, row.path) for row in self._db.scalars(query.options(undefer(DocumentRow.text)))]


def put_aside(db: Session, row: DocumentRow) -> None:
    """Keep the text of a document that is about to change, where a snapshot needs it."""
    digest = _digest(row.text, row.pages)
    needed = select(SnapshotPartRow.id).join(SnapshotRow, SnapshotRow.id == SnapshotPartRow.snapshot_id)
    mine = (SnapshotRow.collection_id == row.collection_id, SnapshotPartRow.path == row.path)
    if db.scalar(needed.where(*mine, SnapshotPartRow.digest == digest).limit(1)) is None:
        return
    same = (OldTextRow.collection_id == row.collection_id, OldTextRow.path == row.path, OldTextRow.digest == digest)
    if db.scalar(select(OldTextRow.id).where(*same)) is None:
        db.add(
            OldTextRow(
                collection_id=row.collection_id,
                path=row.path,
                digest=digest,
                content_hash=row.content_hash,
                kind=row.kind,
                title=row.title,
                text=row.text,
                pages=row.pages,
            )
        )


def purge(db: Session, collection: int, path: str) -> None:
    """Forget the old texts of a document that is deleted."""
    db.execute(delete(OldTextRow).where(OldTextRow.collection_id == collection, OldTextRow.path == path))


def _digest(text: str, pages: Sequence[Sequence[object]]) -> str:
    digest = hashlib.sha256(text.encode())
    digest.update(json.dumps([list(page) for page in pages]).encode())
    return digest.hexdigest()


def _part(position: int, excerpt: Excerpt) -> SnapshotPartRow:
    return SnapshotPartRow(
        position=position,
        path=excerpt.document.path,
        digest=digest_of(excerpt.document),
        start=excerpt.start,
        end=excerpt.end,
        same_as=excerpt.same_as,
        pieces=[list(piece) for piece in excerpt.pieces],
    )


def _as_document(row: DocumentRow | OldTextRow, path: str) -> Document:
    pages = tuple(Page(*page) for page in row.pages)
    verdict = Verdict("loaded")
    return Document(path, "", row.content_hash, row.kind, row.title, row.text, verdict, pages)  # type: ignore[arg-type]


def _characters(text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """A tokenizer whose tokens are characters."""
    return [ord(c) for c in text], [(i, i + 1) for i in range(len(text))]
