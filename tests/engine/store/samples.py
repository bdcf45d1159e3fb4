"""What the store's tests keep: small KV that follows from its tokens alone, so that anybody can check it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import torch

from engine.prefill import chunk_spans
from engine.store import Chunk, Namespace, Store

NAMESPACE = Namespace(
    model="tiny",
    weights="w",
    tokenizer="t",
    rope="r",
    dtype="bfloat16",
    layers=2,
    kv_heads=3,
    head_dim=8,
    codec="bfloat16",
    policy="dense",
    policy_parameters=(("sinks", 4),),
    chunk_tokens=16,
    numerics=1,
)
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
Layers = list[tuple[torch.Tensor, torch.Tensor]]

forkserver = multiprocessing.get_context("forkserver")
forkserver.set_forkserver_preload(["tests.engine.store.samples"])


def kv(context: Sequence[int], start: int, namespace: Namespace = NAMESPACE) -> Layers:
    """KV of tokens start.. of a context; like a model's, it depends on all tokens before."""
    made = torch.Generator().manual_seed(hash(tuple(context)) & 0x7FFFFFFF)
    shape = (namespace.kv_heads, len(context) - start, namespace.head_dim)

    def tensor() -> torch.Tensor:
        return torch.randn(shape, generator=made).to(DTYPES[namespace.codec])

    return [(tensor(), tensor()) for _ in range(namespace.layers)]


def save_all(store: Store, tokens: Sequence[int], namespace: Namespace = NAMESPACE) -> list[str]:
    """Save a whole context; its chunk keys."""
    keys: list[str] = []
    for start, end in chunk_spans(len(tokens), namespace.chunk_tokens):
        parent = keys[-1] if keys else None
        keys.append(store.save(namespace, parent, tokens[start:end], kv(tokens[:end], start, namespace)))
    return keys


def same(chunk: Chunk, layers: Layers) -> bool:
    """Whether a chunk is bit for bit these layers."""
    pairs = zip(chunk.keys, chunk.values, layers, strict=True)
    return all(_bits(k, want_k) and _bits(v, want_v) for k, v, (want_k, want_v) in pairs)


def found(store: Store, tokens: Sequence[int], namespace: Namespace = NAMESPACE) -> int:
    """How many tokens of a context come back; fails where one comes back wrong."""
    tokens, done = list(tokens), 0
    spans = chunk_spans(len(tokens), namespace.chunk_tokens)
    for chunk in store.load(store.longest_prefix(namespace, tokens, spans)):
        end = done + chunk.tokens
        assert same(chunk, kv(tokens[:end], done, namespace)), "wrong KV was loaded"
        done = end
    return done


def chunk_path(store: Store, key: str) -> Path:
    """The file of a chunk."""
    (path,) = store.root.glob(f"chunks/*/{key}.kv")
    return path


def chunk_files(store: Store) -> list[Path]:
    """All chunk files."""
    return sorted(store.root.glob("chunks/*/*.kv"))


def flip(path: Path, at: int, bit: int = 0) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def leftovers(root: Path) -> list[Path]:
    """Files that only a writer at work may have."""
    return [p for p in root.rglob("*.tmp") if p.is_file()]


def _bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.dtype == b.dtype and torch.equal(a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8))
