"""What the store's tests keep: small KV that follows from its tokens alone, so that anybody can check it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from engine.prefill.spans import chunk_spans
from engine.store import Namespace, Prefix, Store
from engine.store.files import open_file
from engine.store.segment import Segment

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
        return torch.randn(shape, generator=made).to(DTYPES[namespace.dtype])

    return [(tensor(), tensor()) for _ in range(namespace.layers)]


def save_all(store: Store, tokens: Sequence[int], namespace: Namespace = NAMESPACE) -> list[str]:
    """Save a whole context; its chunk keys."""
    keys: list[str] = []
    for start, end in chunk_spans(len(tokens), namespace.chunk_tokens):
        parent = keys[-1] if keys else None
        keys.append(store.save(namespace, parent, tokens[start:end], kv(tokens[:end], start, namespace)))
    return keys


def same(a: Layers, b: Layers) -> bool:
    """Whether these layers are the same bit for bit."""
    return all(_bits(x, y) for pair in zip(a, b, strict=True) for x, y in zip(*pair, strict=True))


def restored(store: Store, prefix: Prefix, namespace: Namespace = NAMESPACE) -> Layers:
    """What a prefix gives back, cut to what is verified."""
    shape, dtype = (namespace.kv_heads, prefix.tokens, namespace.head_dim), DTYPES[namespace.dtype]
    layers = [
        (torch.full(shape, 7.0, dtype=dtype), torch.full(shape, 7.0, dtype=dtype)) for _ in range(namespace.layers)
    ]
    done = store.restore(prefix, layers)
    return [(keys[:, :done], values[:, :done]) for keys, values in layers]


def found(store: Store, tokens: Sequence[int], namespace: Namespace = NAMESPACE) -> int:
    """How many tokens of a context come back; fails where one comes back wrong."""
    tokens, done = list(tokens), 0
    spans = chunk_spans(len(tokens), namespace.chunk_tokens)
    got = restored(store, store.longest_prefix(namespace, tokens, spans), namespace)
    for start, end in spans:
        if end > got[0][0].shape[1]:
            break
        part = [(keys[:, start:end], values[:, start:end]) for keys, values in got]
        assert same(part, kv(tokens[:end], start, namespace)), "wrong KV was restored"
        done = end
    assert done == got[0][0].shape[1]
    return done


def one_layer(segment: Segment, i: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values of a layer of raw states, read and checked without the others."""
    buffer = torch.empty(segment.layers[i].length, dtype=torch.uint8)
    with closing(open_file(segment.path)) as file:
        ((_, rows),) = segment.rows(file, i, lambda: buffer)
    keys, values = rows.view(segment.dtype).view(2, *segment.shape)
    return keys, values


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


def started(target: Any, *arguments: Any) -> tuple[Any, Connection]:
    """A process that does `target(*arguments, pipe)`, and the end of the pipe that hears from it."""
    mine, theirs = forkserver.Pipe(duplex=False)
    child = forkserver.Process(target=target, args=(*arguments, theirs))
    child.start()
    theirs.close()
    return child, mine


def _bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.dtype == b.dtype and torch.equal(a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8))
