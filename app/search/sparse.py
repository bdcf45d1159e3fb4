"""Sparse vectors: passages as weighted tokens in a Seismic index; a question is looked up, no model reads it.

Weights come from the corpus: a token of a passage weighs what BM25 gives it, a token of a question what it is worth by
the number of passages that hold it (its IDF). Or they are learned (app.search.splade). Needs the extra `sparse`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from app.answering.words import stems
from app.errors import SparseMissing
from app.search.search import Hit
from ingest import Document, passages

SATURATION = 1.2
LENGTH = 0.75
"""BM25's k1 and b."""
HEAP_FACTOR = 0.8
"""Seismic's: how much of a block's best possible score must beat the worst result kept."""
MOST_TERMS = 64
"""Tokens of a question that are looked up, the rarest."""


class Weights(Protocol):
    """What passages and questions weigh: token -> weight."""

    def passages(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """A vector for each text; questions are weighed among these from then on."""
        ...

    def question(self, text: str) -> dict[str, float]:
        """A question's tokens, those only that any passage holds."""
        ...


class CorpusWeights:
    """BM25's weights, by word stems."""

    def __init__(self) -> None:
        self._worth: dict[str, float] = {}

    def passages(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """What BM25 gives each stem of each text, but for its IDF."""
        counts = [Counter(stems(text)) for text in texts]
        within = Counter(term for count in counts for term in count)
        self._worth = {term: math.log(1 + (len(counts) - n + 0.5) / (n + 0.5)) for term, n in within.items()}
        mean = sum(count.total() for count in counts) / max(len(counts), 1)
        return [_saturated(count, mean) for count in counts]

    def question(self, text: str) -> dict[str, float]:
        """The IDF of each stem."""
        return {term: self._worth[term] for term in set(stems(text)) if self._worth.get(term, 0.0) > 0}


class SparseIndex:
    """An index of passages of at most `max_chars` characters, in memory. Raises SparseMissing without the extra."""

    def __init__(self, documents: Sequence[Document], *, max_chars: int, weights: Weights | None = None) -> None:
        try:
            import seismic
        except ImportError as error:
            raise SparseMissing from error
        self._hits: list[Hit] = []
        texts: list[str] = []
        for document in documents:
            for passage in passages(document, max_chars=max_chars):
                self._hits.append(Hit(document.path, passage.start, passage.end))
                texts.append(f"{document.path} {passage.heading} {document.text[passage.start : passage.end]}")
        self._weights = weights or CorpusWeights()
        self._type = seismic.get_seismic_string()
        dataset = seismic.SeismicDataset()
        for number, vector in enumerate(self._weights.passages(texts)):
            names, values = list(vector) or [""], np.array(list(vector.values()) or [0.0], dtype=np.float32)
            dataset.add_document(str(number), np.array(names, dtype=self._type), values)
        self._index = seismic.SeismicIndex.build_from_dataset(dataset, num_threads=1)

    def find(self, question: str, *, limit: int) -> list[Hit]:
        """Passages by the inner product with the question's tokens, best first."""
        terms = self._weights.question(question)
        if not terms:
            return []
        names = np.array(sorted(terms, key=lambda term: (-terms[term], term)), dtype=self._type)
        values = np.array([terms[str(name)] for name in names], dtype=np.float32)
        found = self._index.search(
            query_id="0",
            query_components=names,
            query_values=values,
            k=limit,
            query_cut=MOST_TERMS,
            heap_factor=HEAP_FACTOR,
        )
        return [self._hits[int(number)] for _, _, number in found]


def _saturated(count: Counter[str], mean: float) -> dict[str, float]:
    length = SATURATION * (1 - LENGTH + LENGTH * count.total() / mean)
    return {term: n * (SATURATION + 1) / (n + length) for term, n in count.items()}
