"""Sparse vectors: passages as weighted tokens in a Seismic index; a question is looked up, no model reads it.

Weights come from the corpus: a token of a passage weighs what BM25 gives it, a token of a question what it is worth by
the number of passages that hold it (its IDF). Needs the extra `sparse`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from app.errors import SparseMissing
from app.search import Hit
from app.words import stems
from ingest import Document, passages

SATURATION = 1.2
LENGTH = 0.75
"""BM25's k1 and b."""
HEAP_FACTOR = 0.8
"""Seismic's: how much of a block's best possible score must beat the worst result kept."""
MOST_TERMS = 64
"""Tokens of a question that are looked up, the rarest."""


class SparseIndex:
    """An index of passages of at most `max_chars` characters, in memory. Raises SparseMissing without the extra."""

    def __init__(self, documents: Sequence[Document], *, max_chars: int) -> None:
        try:
            import seismic
        except ImportError as error:
            raise SparseMissing from error
        self._hits: list[Hit] = []
        counts: list[Counter[str]] = []
        for document in documents:
            for passage in passages(document, max_chars=max_chars):
                self._hits.append(Hit(document.path, passage.start, passage.end))
                words = stems(f"{document.path} {passage.heading} {document.text[passage.start : passage.end]}")
                counts.append(Counter(words))
        self._type = seismic.get_seismic_string()
        self._weights = _worth(counts)
        mean = sum(c.total() for c in counts) / max(len(counts), 1)
        dataset = seismic.SeismicDataset()
        for number, count in enumerate(counts):
            names, values = _vector(count, mean)
            dataset.add_document(str(number), np.array(names, dtype=self._type), values)
        self._index = seismic.SeismicIndex.build_from_dataset(dataset, num_threads=1)

    def find(self, question: str, *, limit: int) -> list[Hit]:
        """Passages by the inner product with the question's tokens, best first."""
        terms = {term: self._weights[term] for term in set(stems(question)) if self._weights.get(term, 0.0) > 0}
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


def _worth(counts: Sequence[Counter[str]]) -> dict[str, float]:
    """BM25's IDF of each token."""
    within = Counter(term for count in counts for term in count)
    return {term: math.log(1 + (len(counts) - n + 0.5) / (n + 0.5)) for term, n in within.items()}


def _vector(count: Counter[str], mean: float) -> tuple[list[str], np.ndarray]:
    """Tokens and what BM25 gives each, but for its IDF."""
    length = SATURATION * (1 - LENGTH + LENGTH * count.total() / mean)
    names = list(count) or [""]
    values = [n * (SATURATION + 1) / (n + length) for n in count.values()] or [0.0]
    return names, np.array(values, dtype=np.float32)
