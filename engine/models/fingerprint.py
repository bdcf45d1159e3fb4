"""ModelFingerprint: everything about a model that its KV states depend on, as digests."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelFingerprint:
    """Identity of a loaded model; two models with equal fingerprints make equal KV for equal tokens.

    `weights` covers the weight files and config.json (norm epsilon, activation, attention biases change KV too).
    """

    model: str
    weights: str
    tokenizer: str
    rope: str
    dtype: str
    layers: int
    heads: int
    kv_heads: int
    head_dim: int

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of keys and values of one token in this dtype."""
        width = {"float32": 4, "bfloat16": 2, "float16": 2}[self.dtype]
        return 2 * self.layers * self.kv_heads * self.head_dim * width


def digest_files(files: list[Path], cache: Path) -> str:
    """SHA-256 over names and contents; remembered in `cache` by path, size and modification time."""
    stamp = json.dumps([[str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns] for f in sorted(files)])
    key = hashlib.sha256(stamp.encode()).hexdigest()
    known: dict[str, str] = {}
    try:
        known = json.loads(cache.read_text())
    except (OSError, ValueError):
        known = {}
    if key in known:
        return known[key]
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(file.name.encode() + b"\0")
        with file.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    known[key] = total.hexdigest()
    cache.parent.mkdir(parents=True, exist_ok=True)
    temporary = cache.with_name(f".{cache.name}.{os.getpid()}")  # several processes may share a home
    temporary.write_text(json.dumps(known, indent=1))
    temporary.replace(cache)
    return known[key]


def digest_json(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
