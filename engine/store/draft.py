"""Draft: a chunk on its way to the disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import torch
import xxhash
from torch import Tensor

from engine.errors import StoreError
from engine.store.codecs import DTYPES, Codec, codec
from engine.store.files import write_all, write_whole
from engine.store.namespace import Namespace, chunk_key
from engine.store.restore import Layers
from engine.store.segment import ALIGN, MAGIC, PREAMBLE, padded


@dataclass(frozen=True, slots=True)
class Draft:
    """A chunk on its way to the disk: what it is, and the bytes of each layer, copies of their own in host memory."""

    key: str
    parent: str | None
    namespace: dict[str, Any]
    tokens: tuple[int, ...]
    dtype: torch.dtype
    shape: tuple[int, int, int]
    layers: tuple[Tensor, ...]

    @classmethod
    def of(cls, namespace: Namespace, parent: str | None, tokens: Sequence[int], layers: Layers) -> Draft:
        """Copy what is to be kept; StoreError where it cannot be KV of these tokens under this namespace."""
        ids = tuple(int(t) for t in tokens)
        shape = (namespace.kv_heads, len(ids), namespace.head_dim)
        kinds = {(tuple(t.shape), str(t.dtype).removeprefix("torch.")) for pair in layers for t in pair}
        dtype = namespace.codec if namespace.codec in DTYPES else namespace.dtype
        if not ids or len(layers) != namespace.layers or kinds != {(shape, dtype)}:
            raise StoreError(
                f"A KV chunk was not kept: {len(layers)} layers of {sorted(kinds)} are not "
                f"{namespace.layers} of {shape} in {dtype}."
            )
        how = codec(namespace.codec)
        written = tuple(_written(how, keys, values) for keys, values in layers)
        key = chunk_key(namespace.digest, parent, ids)
        return cls(key, parent, namespace.record(), ids, layers[0][0].dtype, shape, written)

    @property
    def size(self) -> int:
        """Bytes of all layers."""
        return sum(len(layer) for layer in self.layers)

    @property
    def file_bytes_at_most(self) -> int:
        """What its file takes, slightly overestimated (the header is text)."""
        header = ALIGN + len(json.dumps(self.namespace)) + 12 * len(self.tokens) + 96 * len(self.layers)
        return sum(padded(len(layer)) for layer in self.layers) + padded(header)

    def write(self, path: Path) -> None:
        """Write the chunk file, whole or not at all; raises OSError."""
        checksums = []
        for layer in self.layers:
            checksum = xxhash.xxh3_128(layer.numpy().data)
            checksum.update(bytes(padded(len(layer)) - len(layer)))
            checksums.append(checksum.hexdigest())
        text = self._header(checksums)

        def fill(stream: FileIO) -> None:
            write_all(stream, MAGIC + len(text).to_bytes(8, "little") + xxhash.xxh3_128_digest(text) + text)
            for layer in self.layers:
                write_all(stream, layer.numpy().data)
                write_all(stream, bytes(padded(len(layer)) - len(layer)))

        write_whole(path, fill)

    def _header(self, checksums: Sequence[str]) -> bytes:
        places, offset = [], 0
        for layer, checksum in zip(self.layers, checksums, strict=True):
            places.append([offset, len(layer), checksum])
            offset += padded(len(layer))
        fields = {
            "key": self.key,
            "parent": self.parent,
            "namespace": self.namespace,
            "tokens": self.tokens,
            "dtype": str(self.dtype).removeprefix("torch."),
            "shape": self.shape,
            "layers": places,
        }
        text = json.dumps(fields, separators=(",", ":")).encode()
        return text.ljust(padded(PREAMBLE + len(text)) - PREAMBLE)


@torch.inference_mode()
def _written(how: Codec, keys: Tensor, values: Tensor) -> Tensor:
    """A layer's bytes, in memory of their own; the layer becomes what they say where they say less."""
    dim = keys.shape[-1]
    rows = how.encode(torch.stack((keys, values)).view(-1, dim))
    if not how.exact:
        back = how.decode(rows, dim, keys.dtype).view(2, *keys.shape)
        keys.copy_(back[0])
        values.copy_(back[1])
    return rows.view(-1).to("cpu")
