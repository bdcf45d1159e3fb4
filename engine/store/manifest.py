"""Manifest: a named session, the chunks that make it, and what it was made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Manifest:
    """A session: the chunk keys in order, their tokens in number, and whether eviction must leave them alone."""

    name: str
    namespace: str
    keys: tuple[str, ...]
    tokens: int
    bytes: int
    created: float
    used: float
    pinned: bool
