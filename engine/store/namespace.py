"""Namespace: everything that KV states depend on; what differs in one field never meets."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

FORMAT = 1
"""Version of the chunk files; part of every namespace."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """Model, tokenizer, positions, number types, policy, chunking, and the salt that keeps tenants apart."""

    model: str
    weights: str
    tokenizer: str
    rope: str
    dtype: str
    layers: int
    kv_heads: int
    head_dim: int
    codec: str
    policy: str
    policy_parameters: tuple[tuple[str, float | int | str], ...]
    chunk_tokens: int
    numerics: int
    salt: str = ""
    format: int = FORMAT

    def record(self) -> dict[str, Any]:
        """The fields as JSON-ready values, for people and for chunk headers."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical record."""
        return hashlib.sha256(json.dumps(self.record(), sort_keys=True).encode()).hexdigest()

    def difference(self, other: dict[str, Any]) -> str:
        """One line that names the fields in which a stored record differs from this one; empty when none does."""
        mine = self.record()
        names = [n for n in sorted(mine.keys() | other.keys()) if mine.get(n) != other.get(n)]
        return "; ".join(f"{n} is {mine.get(n)!r}, stored with {other.get(n)!r}" for n in names)

    def chunk_key(self, parent: str | None, tokens: bytes) -> str:
        """Key of a chunk: SHA-256 over this namespace, the key before it, and its tokens (little-endian u32)."""
        chain = hashlib.sha256()
        chain.update(bytes.fromhex(self.digest))
        chain.update(bytes.fromhex(parent) if parent else bytes(32))
        chain.update(tokens)
        return chain.hexdigest()
