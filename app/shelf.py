"""Shelf: the documents of one collection in the database, with full-text search over their passages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from sqlalchemy import ColumnElement, Select, delete, or_, select
from sqlalchemy.orm import Session, sessionmaker, undefer

from app.database.models import CollectionRow, DocumentRow, PassageRow, WatchedRow
from app.database.session import truncate
from app.document_info import DocumentInfo, document_of
from app.errors import NoSuchDocument
from app.planning.snapshots import purge, put_aside
from app.search.search import Hit, Search
from ingest import Document, passages

PASSAGE_CHARS = 1200
SEARCHED = 200
"""Passages that a search gives."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A watched file as it was read: where it is, its stamp, and what it held."""

    source: str
    stamp: str
    documents: tuple[Document, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """Paths of documents that left a collection, and of those that hold another text than before."""

    gone: frozenset[str]
    changed: frozenset[str]


class Shelf:
    """All that is kept of a collection's documents; every method is one transaction."""

    def __init__(self, sessions: sessionmaker[Session], name: str) -> None:
        self._sessions, self.name = sessions, name

    def put(self, documents: Sequence[Document], *, archives: Sequence[str] = ()) -> list[Document]:
        """Add documents or replace those of the same path; returns them under the paths they got.

        Two different files that claim one path are both kept: the later gets its folder's name in front. What
        `archives` (their sources) held before and do not hold now goes.
        """
        with self._sessions.begin() as db:
            collection = self._collection(db)
            kept = frozenset((d.path, d.source) for d in documents) if archives else frozenset()
            for source in archives:
                self._drop(db, collection, source, keep=kept)
            return [self._put(db, collection, document) for document in documents]

    def _collection(self, db: Session) -> int:
        """The collection's number; it comes to be here."""
        identity = self._identity(db)
        if identity is None:
            collection = CollectionRow(name=self.name)
            db.add(collection)
            db.flush()
            identity = collection.id
            Search(db, identity).create()
        return identity

    def sync(self, read: Sequence[FileState], gone: Sequence[str]) -> Left:
        """Files as they are now in, files that are gone out, with their stamps, in one transaction.

        What an earlier state of a file held (an archive's members) and this one does not goes with it.
        """
        with self._sessions.begin() as db:
            collection = self._collection(db)
            before: dict[str, str] = {}
            for source in gone:
                before |= self._drop(db, collection, source, keep=frozenset())
                db.execute(delete(WatchedRow).where(*_watched(collection, source)))
            for state in read:
                kept = frozenset((d.path, d.source) for d in state.documents)
                before |= self._drop(db, collection, state.source, keep=kept)
            after: dict[str, str] = {}
            for state in read:
                for document in state.documents:
                    put = self._put(db, collection, document)
                    after[put.path] = put.content_hash
                db.execute(delete(WatchedRow).where(*_watched(collection, state.source)))
                db.add(WatchedRow(collection_id=collection, source=state.source, stamp=state.stamp))
        left = frozenset(before) - frozenset(after)
        return Left(left, frozenset(path for path in before if path not in left and before[path] != after[path]))

    def stamps(self) -> dict[str, str]:
        """source -> stamp of every watched file that was read."""
        with self._sessions() as db:
            query = select(WatchedRow.source, WatchedRow.stamp).join(CollectionRow)
            return {row.source: row.stamp for row in db.execute(query.where(CollectionRow.name == self.name))}

    def _drop(self, db: Session, collection: int, source: str, keep: frozenset[tuple[str, str]]) -> dict[str, str]:
        """Take out the documents of a file, its own and those of members if it is an archive, but for those to keep.

        Gives path -> content hash of them all.
        """
        inside = DocumentRow.source.startswith(f"{source}/", autoescape=True)
        query = select(DocumentRow.id, DocumentRow.path, DocumentRow.source, DocumentRow.content_hash)
        query = query.where(DocumentRow.collection_id == collection, or_(DocumentRow.source == source, inside))
        before: dict[str, str] = {}
        for identity, path, came_from, content_hash in db.execute(query).all():
            before[path] = content_hash
            if (path, came_from) not in keep:
                Search(db, collection).forget(identity)
                purge(db, collection, path)
                db.execute(delete(DocumentRow).where(DocumentRow.id == identity))
        return before

    def _put(self, db: Session, collection_id: int, document: Document) -> Document:
        search = Search(db, collection_id)
        while True:
            same = (DocumentRow.collection_id == collection_id, DocumentRow.path == document.path)
            row = db.scalar(select(DocumentRow).where(*same))
            if row is None or not document.source or not row.source or row.source == document.source:
                break
            document = _renamed(document)
        if row is not None:
            if _same(row, document):
                return document
            put_aside(db, row)
            search.forget(row.id)
            db.delete(row)
            db.flush()
        row = DocumentRow(
            collection_id=collection_id,
            path=document.path,
            source=document.source,
            content_hash=document.content_hash,
            kind=document.kind,
            title=document.title,
            text=document.text,
            characters=len(document.text),
            pages=[[p.index, p.label, p.start, p.end] for p in document.pages],
            status=document.verdict.status,
            reason=document.verdict.reason,
            encoding=document.verdict.encoding,
            confidence=document.verdict.confidence,
        )
        db.add(row)
        db.flush()
        for passage in passages(document, max_chars=PASSAGE_CHARS):
            made = PassageRow(document_id=row.id, start=passage.start, end=passage.end, heading=passage.heading)
            db.add(made)
            db.flush()
            body = document.text[passage.start : passage.end]
            search.add(made.id, document.path, passage.heading, body)
        return document

    def infos(self) -> list[DocumentInfo]:
        """Every document, skipped ones too, in canonical order."""
        with self._sessions() as db:
            return [DocumentInfo.of(row) for row in sorted(db.scalars(self._query()), key=_order)]

    def documents(self) -> list[Document]:
        """Every document that has text, in canonical order: by the bytes of the path."""
        with self._sessions() as db:
            rows = db.scalars(self._query().where(DocumentRow.status != "skipped").options(undefer(DocumentRow.text)))
            return [document_of(row) for row in sorted(rows, key=_order)]

    def document(self, identifier: str) -> Document:
        """One document by its id or path; raises NoSuchDocument."""
        with self._sessions() as db:
            for row in db.scalars(self._query()):
                if identifier in (row.path, DocumentInfo.of(row).id):
                    return document_of(row)
        raise NoSuchDocument(identifier)

    def remove(self, path: str) -> None:
        """Take a document out, its text and its index with it; raises NoSuchDocument."""
        with self._sessions.begin() as db:
            row = db.scalar(self._query().where(DocumentRow.path == path))
            if row is None:
                raise NoSuchDocument(path)
            Search(db, row.collection_id).forget(row.id)
            purge(db, row.collection_id, path)
            db.execute(delete(DocumentRow).where(DocumentRow.id == row.id))

    def purge(self) -> None:
        """Leave no trace of deleted and replaced texts in the indices, the database and its log."""
        with self._sessions.begin() as db:
            if (identity := self._identity(db)) is not None:
                Search(db, identity).purge()
        truncate(self._sessions)

    def search(self, question: str, *, limit: int = SEARCHED) -> list[Hit]:
        """Passages that share words with the question, by BM25."""
        with self._sessions() as db:
            identity = self._identity(db)
            return [] if identity is None else Search(db, identity).find(question, limit=limit)

    def _identity(self, db: Session) -> int | None:
        """The collection's number, where it exists."""
        return db.scalar(select(CollectionRow.id).where(CollectionRow.name == self.name))

    def _query(self) -> Select[DocumentRow]:
        return select(DocumentRow).join(CollectionRow).where(CollectionRow.name == self.name)


def _watched(collection: int, source: str) -> tuple[ColumnElement[bool], ...]:
    return WatchedRow.collection_id == collection, WatchedRow.source == source


def _same(row: DocumentRow, document: Document) -> bool:
    """Whether the row says already what reading the file says now; a newer reader may find other text in old bytes."""
    kept = (row.content_hash, row.status, row.reason, row.characters)
    return kept == (document.content_hash, document.verdict.status, document.verdict.reason, len(document.text))


def _order(row: DocumentRow) -> bytes:
    return row.path.encode()


def _renamed(document: Document) -> Document:
    """The same document with one more folder of its source in its path."""
    parts = PurePosixPath(document.source).parts
    depth = len(PurePosixPath(document.path).parts) + 1
    path = "/".join(parts[-depth:]) if depth <= len(parts) else f"_/{document.path}"
    return Document(
        path.lstrip("/"),
        document.source,
        document.content_hash,
        document.kind,
        document.title,
        document.text,
        document.verdict,
        document.pages,
    )
