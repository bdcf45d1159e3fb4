"""Sparse vectors find passages by the rarest words they share with a question, and follow the documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.library import Library
from app.settings import Settings

pytest.importorskip("seismic")


def test_passages_come_by_sparse_vectors_too_and_follow_the_documents(home: Path) -> None:
    with Library(settings=Settings(home=home, sparse=True)) as library:
        collection = library.collection("x")
        for n in range(40):
            collection.add_bytes(f"{n}.txt", f"The keeper of harbour{n} paints the boat.\n".encode() * 4)
        index = library.sparse.of("x", collection.shelf.documents())
        assert index is library.sparse.of("x", collection.shelf.documents())
        assert index.find("Who keeps harbour17?", limit=3)[0].path == "17.txt"
        assert index.find("of the and", limit=3) == index.find("zebra", limit=3) == []
        prepared = collection.prepare(library.engine, "Who keeps harbour17?", "packed", (), 16)
        assert "17.txt" in {entry.document_path for entry in prepared.packed.entries}
        collection.add_bytes("99.txt", b"The zebra eats.")
        again = library.sparse.of("x", collection.shelf.documents())
        assert [hit.path for hit in again.find("zebra", limit=3)] == ["99.txt"]
