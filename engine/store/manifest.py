"""Manifest: a named session, the chunks that make it, and what it was made of."""

from __future__ import annotations

import base64
import builtins
import json
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import xxhash

from engine.errors import StoreError
from engine.store.namespace import token_bytes
from engine.store.seal import PLAIN, Seal


@dataclass(frozen=True, slots=True)
class Manifest:
    """A session, never evicted: its tokens, so that it can be computed again, and its chunk keys in order.

    `pack` is the digest of the packed prompt, `created` a time in nanoseconds, `bytes` what its chunk files take.
    """

    name: str
    namespace: dict[str, Any]
    tokens: tuple[int, ...]
    keys: tuple[str, ...]
    bytes: int
    pack: str
    created: int

    def dump(self, seal: Seal = PLAIN) -> builtins.bytes:
        """The session file's bytes: a checksum, and JSON, sealed."""
        record = {f.name: getattr(self, f.name) for f in fields(self)}
        record["tokens"] = base64.b64encode(token_bytes(self.tokens)).decode()
        text = json.dumps(record).encode()
        return seal.wrap(xxhash.xxh3_128_hexdigest(text).encode() + b"\n" + text)

    @classmethod
    def parse(cls, data: builtins.bytes, source: str, seal: Seal = PLAIN) -> Manifest:
        """Check and understand a session file's bytes; raises StoreError, which names the source."""
        try:
            data = seal.unwrap(data)
        except ValueError as error:
            raise StoreError(f"The session file {source} cannot be read: {error}.") from error
        checksum, _, text = data.partition(b"\n")
        if checksum != xxhash.xxh3_128_hexdigest(text).encode():
            raise StoreError(f"The session file {source} is damaged.")
        try:
            record = json.loads(text)
            tokens = np.frombuffer(base64.b64decode(record["tokens"]), dtype="<u4")
            return cls(**{**record, "tokens": tuple(tokens.tolist()), "keys": tuple(record["keys"])})
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"The session file {source} cannot be understood.") from error
