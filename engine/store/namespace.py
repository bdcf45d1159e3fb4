"""Namespace: everything that KV states depend on; what differs in one field never meets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

FORMAT = 2
"""Version of the chunk files; part of every namespace."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """Model, tokenizer, positions, number types, policy, chunking, and the salt that keeps tenants apart.

    Only whoever runs the engine sets the salt, never a request; it is written nowhere.
    """

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
        """The fields as JSON-ready values, for people and for chunk headers; of the salt, a digest."""
        fields = asdict(self)
        fields["salt"] = hashlib.sha256(self.salt.encode()).hexdigest() if self.salt else ""
        return json.loads(json.dumps(fields))  # type: ignore[no-any-return]

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical record."""
        return record_digest(self.record())

    def differing(self, other: dict[str, Any]) -> list[str]:
        """Names of the fields in which a stored record differs from this one."""
        mine, absent = self.record(), object()
        return [n for n in sorted(mine.keys() | other.keys()) if mine.get(n, absent) != other.get(n, absent)]

    def difference(self, other: dict[str, Any]) -> str:
        """One line that says what differs between this and a stored record; empty when nothing does."""
        mine = self.record()

        def said(name: str) -> str:
            if name == "salt":
                return "salt is another"  # whose is nobody else's business
            return f"{name} is {mine.get(name)!r}, stored with {other.get(name)!r}"

        return "; ".join(said(name) for name in self.differing(other))


def record_digest(record: dict[str, Any]) -> str:
    """SHA-256 of a namespace's record in canonical JSON."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def chunk_key(namespace: str, parent: str | None, tokens: Sequence[int]) -> str:
    """Key of a chunk: SHA-256 over the namespace's digest, the key before it, and its tokens (little-endian u32)."""
    chain = hashlib.sha256()
    chain.update(bytes.fromhex(namespace))
    chain.update(bytes.fromhex(parent) if parent else bytes(32))
    chain.update(token_bytes(tokens))
    return chain.hexdigest()


def chain_keys(namespace: str, tokens: Sequence[int], spans: Sequence[tuple[int, int]]) -> list[str]:
    """Keys of the chunks that make a context."""
    keys: list[str] = []
    for start, end in spans:
        keys.append(chunk_key(namespace, keys[-1] if keys else None, tokens[start:end]))
    return keys


def token_bytes(tokens: Sequence[int]) -> bytes:
    """Token ids as little-endian u32."""
    return np.asarray(tokens, dtype="<u4").tobytes()
