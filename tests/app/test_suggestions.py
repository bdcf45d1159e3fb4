"""Suggestions: first questions from what documents say about themselves."""

from __future__ import annotations

from app.suggestions import Suggestion, suggestions
from ingest import read_all, read_bytes
from tests.conftest import SAMPLES


def test_headings_and_declarations_of_all_documents_are_suggested() -> None:
    documents = [d for name in ("handbook.md", "booking.py") for d in read_all(SAMPLES / name, name)]
    found = suggestions(documents)
    assert found[0] == Suggestion("heading", "handbook.md", "Opening")
    assert Suggestion("code", "booking.py", "class HutFull") in found
    assert len(found) == 4


def test_a_heading_keeps_its_first_letters() -> None:

    document = read_bytes(b"# Title\n\ntext\n\n## Introduction\n\ntext\n\n## IV. Exports\n\ntext\n", "a.md")
    headings = [suggestion.heading for suggestion in suggestions([document])]
    assert headings == ["Introduction", "Exports"]


def test_a_document_without_headings_is_suggested_itself() -> None:

    assert suggestions([read_bytes(b"just words\n", "a/notes.txt")]) == [Suggestion("document", "notes.txt")]
    assert suggestions([]) == []
