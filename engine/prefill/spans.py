"""Spans: where the chunks of a prompt begin and end, for whoever reads it and whoever keeps what was read."""

from __future__ import annotations

import itertools


def chunk_spans(tokens: int, chunk_tokens: int, *, start: int = 0) -> list[tuple[int, int]]:
    """Chunk boundaries of start..tokens: multiples of chunk_tokens, and the end."""
    edges = [start, *range((start // chunk_tokens + 1) * chunk_tokens, tokens, chunk_tokens), tokens]
    return list(itertools.pairwise(edges)) if tokens > start else []
