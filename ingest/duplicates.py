"""Duplicates: documents with the same text, and those with nearly the same by MinHash over runs of words.

A document only ever points to one before it in the order given, so that what stands behind never changes what stands
before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xxhash
from numpy.typing import NDArray

from ingest.document import Document

RUN = 5
"""Words in a shingle."""
HASHES = 128
BANDS = 32
SMALL = 200
"""Shorter documents are alike by chance."""
PRIME = (1 << 31) - 1
WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A document's path, the earlier one that it repeats, and how alike they are (1.0: the same text)."""

    path: str
    of: str
    similarity: float


def same(documents: Sequence[Document]) -> dict[str, str]:
    """path -> path of the first document with the very same text."""
    first: dict[bytes, str] = {}
    out: dict[str, str] = {}
    for document in documents:
        key = xxhash.xxh3_128_digest(document.text.encode())
        if key in first:
            out[document.path] = first[key]
        else:
            first[key] = document.path
    return out


def near(documents: Sequence[Document], *, least: float = 0.8) -> list[Duplicate]:
    """Documents whose shingles are at least `least` (Jaccard, estimated to about ±0.04) those of an earlier one."""
    repeated = same(documents)
    buckets: dict[tuple[int, bytes], list[int]] = {}
    kept: list[tuple[str, NDArray[np.int64]]] = []
    out = [Duplicate(path, of, 1.0) for path, of in repeated.items()]
    for document in documents:
        if document.path in repeated or len(document.text) < SMALL:
            continue
        signature = _signature(document.text)
        keys = [(band, part.tobytes()) for band, part in enumerate(np.split(signature, BANDS))]
        rivals = sorted({index for key in keys for index in buckets.get(key, ())})
        scores = [(float((kept[i][1] == signature).mean()), -i) for i in rivals]
        best = max(scores, default=(0.0, 0))
        if best[0] >= least:
            out.append(Duplicate(document.path, kept[-best[1]][0], round(best[0], 2)))
            continue
        for key in keys:
            buckets.setdefault(key, []).append(len(kept))
        kept.append((document.path, signature))
    return sorted(out, key=lambda d: d.path.encode())


def _signature(text: str) -> NDArray[np.int64]:
    """The smallest of HASHES linear hashes over all shingles."""
    words = WORD.findall(text.lower())
    runs = {" ".join(words[i : i + RUN]) for i in range(max(1, len(words) - RUN + 1))}
    values = np.fromiter(
        (xxhash.xxh32_intdigest(run.encode()) % PRIME for run in runs), dtype=np.int64, count=len(runs)
    )
    lowest = np.full(HASHES, PRIME, dtype=np.int64)
    for part in np.array_split(values, max(1, len(values) // 4096)):
        lowest = np.minimum(lowest, ((FACTORS * part + SHIFTS) % PRIME).min(axis=1))
    return lowest


_DRAW = np.random.Generator(np.random.PCG64(20240501))
FACTORS = _DRAW.integers(1, PRIME, size=(HASHES, 1), dtype=np.int64)
SHIFTS = _DRAW.integers(0, PRIME, size=(HASHES, 1), dtype=np.int64)
