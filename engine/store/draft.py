"""Draft: a chunk on its way to the disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import StoreError
from engine.kv.paged_layer import PagedLayer
from engine.store.codecs import DTYPES, Codec
from engine.store.files import write_all, write_whole
from engine.store.namespace import Namespace, chunk_key
from engine.store.pages import Pages, layout
from engine.store.restore import Layer, Layers
from engine.store.seal import PLAIN, Seal
from engine.store.segment import PREAMBLE, padded


@dataclass(frozen=True, slots=True)
class Draft:
    """A chunk on its way to the disk: what it is, and the bytes of each layer, copies of their own in host memory."""

    key: str
    parent: str | None
    namespace: dict[str, Any]
    tokens: tuple[int, ...]
    layers: tuple[Tensor, ...]
    seal: Seal = PLAIN

    @classmethod
    def of(
        cls, namespace: Namespace, parent: str | None, tokens: Sequence[int], layers: Layers, seal: Seal = PLAIN
    ) -> Draft:
        """Copy what is to be kept; StoreError where it cannot be KV of these tokens under this namespace."""
        ids = tuple(int(t) for t in tokens)
        room = (namespace.kv_heads, len(ids), namespace.head_dim)
        kinds = {(tuple(t.shape), str(t.dtype).removeprefix("torch.")) for layer in layers for t in layer[:2]}
        how = layout(namespace.codec)
        dtype = namespace.codec if namespace.codec in DTYPES else namespace.dtype
        if isinstance(how, Pages):
            dtype, room = "float8_e4m3fn", (room[0], -(-room[1] // how.page) * how.page, room[2])
        if not ids or len(layers) != namespace.layers or kinds != {(room, dtype)}:
            raise StoreError(
                f"A KV chunk was not kept: {len(layers)} layers of {sorted(kinds)} are not "
                f"{namespace.layers} of {room} in {dtype}."
            )
        written = tuple(_written(how, layer, len(ids)) for layer in layers)
        key = chunk_key(namespace.digest, parent, ids)
        return cls(key, parent, namespace.record(), ids, written, seal)

    @property
    def size(self) -> int:
        """Bytes of all layers."""
        return sum(len(layer) for layer in self.layers)

    @property
    def _payload(self) -> int:
        """Where the layers begin."""
        return PREAMBLE + self.seal.salt_bytes + len(self._header([bytes(16)] * len(self.layers)))

    @property
    def file_bytes(self) -> int:
        """What its file takes."""
        return self._payload + sum(padded(len(layer)) for layer in self.layers)

    def write(self, path: Path) -> None:
        """Write the chunk file, whole or not at all; raises OSError."""
        salt = self.seal.salt()
        guard = self.seal.guard(salt)

        def fill(stream: FileIO) -> None:
            stream.seek(self._payload)
            tags = []
            for i, layer in enumerate(self.layers, 1):
                watch = guard(i)
                for data in (layer.numpy().data, memoryview(bytes(padded(len(layer)) - len(layer)))):
                    write_all(stream, watch.seal(data))
                tags.append(watch.tag())
            watch = guard(0)
            text = watch.seal(memoryview(self._header(tags)))
            stream.seek(0)
            write_all(stream, self.seal.magic + (len(salt) + len(text)).to_bytes(8, "little") + watch.tag() + salt)
            write_all(stream, text)

        write_whole(path, fill)

    def _header(self, tags: Sequence[bytes]) -> bytes:
        places, offset = [], 0
        for layer, tag in zip(self.layers, tags, strict=True):
            places.append([offset, len(layer), tag.hex()])
            offset += padded(len(layer))
        fields = {
            "key": self.key,
            "parent": self.parent,
            "namespace": self.namespace,
            "tokens": self.tokens,
            "layers": places,
        }
        text, before = json.dumps(fields, separators=(",", ":")).encode(), PREAMBLE + self.seal.salt_bytes
        return text.ljust(padded(before + len(text)) - before)


@torch.inference_mode()
def _written(how: Codec | Pages, layer: Layer, tokens: int) -> Tensor:
    """A layer's bytes, in memory of their own; the layer becomes what they say where they say less."""
    if isinstance(how, Pages):
        return how.encode(PagedLayer(*layer), tokens).view(-1)
    keys, values = layer[:2]
    dim = keys.shape[-1]
    rows = how.encode(torch.stack((keys, values)).view(-1, dim))
    if not how.exact:
        back = how.decode(rows, dim, keys.dtype).view(2, *keys.shape)
        keys.copy_(back[0])
        values.copy_(back[1])
    return rows.view(-1).to("cpu")
