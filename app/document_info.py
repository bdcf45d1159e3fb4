"""A document as the database keeps it: what lists show of it, and itself."""

from __future__ import annotations

from dataclasses import dataclass

from app.database.models import DocumentRow
from ingest import Document, Page, Verdict


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A document as lists show it. status: loaded, decoded (by a guess, see encoding and confidence) or skipped."""

    id: str
    path: str
    kind: str
    title: str
    characters: int
    pages: int
    status: str
    reason: str | None
    encoding: str | None
    confidence: float | None

    @classmethod
    def of(cls, row: DocumentRow) -> DocumentInfo:
        """As the database keeps it; the text is not read."""
        identity = Document(row.path, "", row.content_hash, "text", "", "", Verdict("loaded")).id
        return cls(
            identity,
            row.path,
            row.kind,
            row.title,
            row.characters,
            len(row.pages),
            row.status,
            row.reason,
            row.encoding,
            row.confidence,
        )


def document_of(row: DocumentRow) -> Document:
    """The document itself, its text and its pages."""
    verdict = Verdict(row.status, row.reason, row.encoding, row.confidence)  # type: ignore[arg-type]
    return Document(
        row.path,
        row.source,
        row.content_hash,
        row.kind,  # type: ignore[arg-type]
        row.title,
        row.text,
        verdict,
        tuple(Page(*page) for page in row.pages),
    )
