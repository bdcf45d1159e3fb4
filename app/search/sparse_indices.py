"""Sparse indices: one a collection, in memory, made anew when its documents change."""

from __future__ import annotations

from collections.abc import Sequence

from app.search.sparse import SparseIndex
from app.settings import Settings
from app.shelf import PASSAGE_CHARS
from ingest import Document


class SparseIndices:
    """By the collection's name, with the documents that each was made of."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept: dict[str, tuple[list[tuple[str, str]], SparseIndex]] = {}

    def of(self, name: str, documents: Sequence[Document]) -> SparseIndex:
        """Sparse vectors of a collection's documents; raises SparseMissing."""
        state = [(d.path, d.content_hash) for d in documents]
        kept = self._kept.get(name)
        if kept is None or kept[0] != state:
            weights = None
            if self._settings.sparse_model is not None:
                from app.search.splade import Splade

                weights = Splade(self._settings.sparse_model)
            kept = self._kept[name] = (state, SparseIndex(documents, max_chars=PASSAGE_CHARS, weights=weights))
        return kept[1]
