"""Search: words by BM25 and parts of words by their trigrams (SQLite FTS5), fused; indices per collection, so that no
collection colours another's ranking."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.answering.words import content_words, identifiers

FUSE = 60
"""Constant of reciprocal-rank fusion: how little the first ranks count more than the next."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a question's words were found in: characters start..end of a document."""

    path: str
    start: int
    end: int


class Search:
    """The index of one collection, inside the caller's transaction. Rows are passages, by their id."""

    def __init__(self, db: Session, collection_id: int) -> None:
        self._db, number = db, int(collection_id)
        self._words, self._trigrams = f"passage_text_{number}", f"passage_trigram_{number}"

    def create(self) -> None:
        """Make the indices; that of trigrams keeps no text of its own."""
        columns = "path, heading, text, tokenize='porter unicode61'"
        self._run(f"CREATE VIRTUAL TABLE IF NOT EXISTS {self._words} USING fts5({columns})")
        columns = f"text, content='{self._words}', tokenize='trigram'"
        self._run(f"CREATE VIRTUAL TABLE IF NOT EXISTS {self._trigrams} USING fts5({columns})")

    def drop(self) -> None:
        """Remove the indices."""
        for table in (self._trigrams, self._words):
            self._run(f"DROP TABLE IF EXISTS {table}")

    def add(self, passage_id: int, path: str, heading: str, body: str) -> None:
        """Index a passage."""
        values = {"id": passage_id, "path": path, "heading": heading, "body": body}
        insert = f"INSERT INTO {self._words} (rowid, path, heading, text) VALUES (:id, :path, :heading, :body)"
        self._run(insert, **values)
        self._run(f"INSERT INTO {self._trigrams} (rowid, text) VALUES (:id, :body)", id=passage_id, body=body)

    def forget(self, document_id: int) -> None:
        """Take a document's passages out; before their rows go."""
        these = "rowid IN (SELECT id FROM passage WHERE document_id = :document)"
        kept = f"SELECT 'delete', rowid, text FROM {self._words} WHERE {these}"
        self._run(f"INSERT INTO {self._trigrams} ({self._trigrams}, rowid, text) {kept}", document=document_id)
        self._run(f"DELETE FROM {self._words} WHERE {these}", document=document_id)

    def purge(self) -> None:
        """Write the indices anew without the words of what was forgotten, which they hold until then."""
        for table in (self._words, self._trigrams):
            self._run(f"INSERT INTO {table} ({table}) VALUES ('optimize')")

    def find(self, question: str, *, limit: int) -> list[Hit]:
        """Passages that share words with the question, or hold them as parts of longer ones, best first."""
        return fuse([self.words(question, limit=limit), self.parts(question, limit=limit)])[:limit]

    def words(self, question: str, *, limit: int) -> list[Hit]:
        """Passages that share words with the question; headings count more than paths and bodies."""
        return self._match(self._words, set(content_words(question)), limit, "2.0, 4.0, 1.0")

    def parts(self, question: str, *, limit: int) -> list[Hit]:
        """Passages that hold the question's words and identifiers, three characters and more, anywhere."""
        terms = {*content_words(question), *identifiers(question)}
        return self._match(self._trigrams, {term for term in terms if len(term) > 2}, limit, "1.0")

    def _match(self, table: str, terms: set[str], limit: int, weights: str) -> list[Hit]:
        """Passages with any of the terms, by BM25."""
        if not terms:
            return []
        query = (
            f'SELECT d.path, p.start, p."end" FROM {table} JOIN passage p ON p.id = {table}.rowid '
            f"JOIN document d ON d.id = p.document_id WHERE {table} MATCH :match "
            f"ORDER BY bm25({table}, {weights}), p.id LIMIT :limit"
        )
        match = " OR ".join(f'"{term}"' for term in sorted(terms))
        return [Hit(*row) for row in self._db.execute(text(query), {"match": match, "limit": limit})]

    def _run(self, statement: str, **values: object) -> None:
        self._db.execute(text(statement), values)


def fuse(rankings: Sequence[Sequence[Hit]]) -> list[Hit]:
    """Reciprocal-rank fusion: a place counts 1 / (FUSE + rank) in each ranking that has it."""
    score: defaultdict[Hit, float] = defaultdict(float)
    for ranking in rankings:
        for rank, hit in enumerate(ranking, 1):
            score[hit] += 1 / (FUSE + rank)
    return sorted(score, key=lambda hit: -score[hit])
