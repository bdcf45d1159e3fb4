"""Search: one full-text index (SQLite FTS5, BM25) per collection, so that no collection colours another's ranking."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.words import content_words


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a question's words were found in: characters start..end of a document."""

    path: str
    start: int
    end: int


class Search:
    """The index of one collection, inside the caller's transaction. Rows are passages, by their id."""

    def __init__(self, db: Session, collection_id: int) -> None:
        self._db, self._table = db, f"passage_text_{int(collection_id)}"

    def create(self) -> None:
        """Make the index."""
        columns = "path, heading, text, tokenize='porter unicode61'"
        self._db.execute(text(f"CREATE VIRTUAL TABLE IF NOT EXISTS {self._table} USING fts5({columns})"))

    def drop(self) -> None:
        """Remove the index."""
        self._db.execute(text(f"DROP TABLE IF EXISTS {self._table}"))

    def add(self, passage_id: int, path: str, heading: str, body: str) -> None:
        """Index a passage."""
        values = {"id": passage_id, "path": path, "heading": heading, "body": body}
        insert = f"INSERT INTO {self._table} (rowid, path, heading, text) VALUES (:id, :path, :heading, :body)"
        self._db.execute(text(insert), values)

    def forget(self, document_id: int) -> None:
        """Take a document's passages out; before their rows go."""
        these = "SELECT id FROM passage WHERE document_id = :document"
        self._db.execute(text(f"DELETE FROM {self._table} WHERE rowid IN ({these})"), {"document": document_id})

    def find(self, question: str, *, limit: int) -> list[Hit]:
        """Passages that share words with the question, best first; headings count more than paths and bodies."""
        words = set(content_words(question))
        if not words:
            return []
        query = text(
            f'SELECT d.path, p.start, p."end" FROM {self._table} JOIN passage p ON p.id = {self._table}.rowid '
            f"JOIN document d ON d.id = p.document_id WHERE {self._table} MATCH :match "
            f"ORDER BY bm25({self._table}, 2.0, 4.0, 1.0), p.id LIMIT :limit"
        )
        match = " OR ".join(f'"{word}"' for word in sorted(words))
        return [Hit(*row) for row in self._db.execute(query, {"match": match, "limit": limit})]
