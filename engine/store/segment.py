"""Segment: one chunk's KV in a file that checks itself.

    8 bytes   magic "OMNIKV02", or "OMNIKE02" where it is encrypted
    8 bytes   length of the header, little endian
    16 bytes  xxh3-128 of the header, or its GCM tag
    header    JSON: key, parent, namespace record, token ids, per layer offset, length and checksum;
              blanks up to the next multiple of 4 KiB; where it is encrypted, behind 16 bytes of salt
    payload   layer after layer: a row for each head and token of the keys [Hkv, T, D], then of the values, as the
              namespace's codec writes them; zeros up to the next multiple of 4 KiB

A layer can be read and checked alone, in runs of rows of any length. Every byte of the file stands under a checksum,
padding too, and the key must be the hash of what the header says.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import CorruptChunk, StoreError
from engine.store.codecs import DTYPES, Codec
from engine.store.files import File, open_file
from engine.store.namespace import chunk_key, record_digest
from engine.store.pages import Pages, layout
from engine.store.seal import PLAIN, Guard, Seal

ALIGN = 4096
PREAMBLE = 32


@dataclass(frozen=True, slots=True)
class LayerPlace:
    """Where a layer lies behind the header, and the tag of its `length` bytes with the padding behind them."""

    offset: int
    length: int
    tag: str


@dataclass(frozen=True, slots=True)
class Segment:
    """An opened chunk file whose header was checked; payload is checked layer by layer as it is read."""

    path: Path
    key: str
    parent: str | None
    namespace: dict[str, Any]
    tokens: tuple[int, ...]
    payload: int
    layers: tuple[LayerPlace, ...]
    seal: Seal
    guard: Guard

    @classmethod
    def open(cls, path: Path, seal: Seal = PLAIN) -> Segment:
        """Read and check the header; raises CorruptChunk, or OSError where the file cannot be read at all."""
        with closing(open_file(path)) as file:
            preamble, end = bytearray(PREAMBLE), file.size
            if not file.read_at(0, memoryview(preamble)) or preamble[:8] != seal.magic:
                raise CorruptChunk(path, "it is not a chunk file of this version, or not sealed as this store's are")
            size = int.from_bytes(preamble[8:16], "little")
            if size > end - PREAMBLE:
                raise CorruptChunk(path, "its header is cut off")
            header = bytearray(size)
            whole = file.read_at(PREAMBLE, memoryview(header))
        guard, text = seal.guard(bytes(header[: seal.salt_bytes])), memoryview(header)[seal.salt_bytes :]
        watch = guard(0)
        watch.unseal(text)
        if not whole or not watch.confirms(bytes(preamble[16:])):
            raise CorruptChunk(path, "its header does not match its checksum")
        segment = cls._parse(path, bytes(text), seal, guard)
        last = segment.layers[-1]
        if end != segment.payload + last.offset + padded(last.length):
            raise CorruptChunk(path, "it is not as long as its header says")
        if segment.key != chunk_key(record_digest(segment.namespace), segment.parent, segment.tokens):
            raise CorruptChunk(path, "its key is not the hash of what it says it holds")
        return segment

    @classmethod
    def _parse(cls, path: Path, header: bytes, seal: Seal, guard: Guard) -> Segment:
        try:
            fields = json.loads(header)
            segment = cls(
                path,
                fields["key"],
                fields["parent"],
                fields["namespace"],
                tuple(fields["tokens"]),
                PREAMBLE + seal.salt_bytes + len(header),
                tuple(LayerPlace(*place) for place in fields["layers"]),
                seal,
                guard,
            )
            heads, tokens, dim = segment.shape
            size = segment.layout.rows(heads, tokens) * segment.layout.row_bytes(dim)
            count = segment.namespace["layers"]
        except (ValueError, KeyError, TypeError, StoreError) as error:
            raise CorruptChunk(path, f"its header cannot be understood: {error!r}") from error
        if not tokens or not count or [place.length for place in segment.layers].count(size) != count:
            raise CorruptChunk(path, "its layers are not as many or as long as its namespace says")
        return segment

    @property
    def shape(self) -> tuple[int, int, int]:
        """[Hkv, T, D] of a layer's keys, and of its values."""
        return self.namespace["kv_heads"], len(self.tokens), self.namespace["head_dim"]

    @property
    def dtype(self) -> torch.dtype:
        """The model's type, which its rows become."""
        return DTYPES[self.namespace["dtype"]]

    @property
    def layout(self) -> Codec | Pages:
        """How its rows are written."""
        return layout(self.namespace["codec"])

    def rows(self, file: File, i: int, take: Callable[[], Tensor]) -> Iterator[tuple[int, Tensor]]:
        """Layer i as runs of rows [N, row bytes], uint8, each with its first row's number.

        A run is as long as the buffer that `take` gives and lies in it. Only the end of the iteration says that all of
        it was right: CorruptChunk is raised there where it was not, or OSError. Threads should share the file.
        """
        place, width = self.layers[i], self.layout.row_bytes(self.shape[2])
        watch, done = self.guard(i + 1), 0
        padding = torch.empty(padded(place.length) - place.length, dtype=torch.uint8)
        while done < place.length + len(padding):
            run = padding
            if done < place.length:
                buffer = take()
                run = buffer[: min(place.length - done, len(buffer) // width * width)]
            if not file.read_at(self.payload + place.offset + done, run.numpy().data):
                raise CorruptChunk(self.path, f"layer {i} is cut off")
            watch.unseal(run.numpy().data)
            if run is not padding:
                yield done // width, run.view(-1, width)
            done += len(run)
        if not watch.confirms(bytes.fromhex(place.tag)):
            raise CorruptChunk(self.path, f"layer {i} does not match its checksum")

    def check(self) -> None:
        """Read and check every byte; raises CorruptChunk or OSError."""
        buffer = torch.empty(1 << 20, dtype=torch.uint8)
        with closing(open_file(self.path)) as file:
            for i in range(len(self.layers)):
                deque(self.rows(file, i, lambda: buffer), 0)

    def reopened(self) -> Segment | None:
        """The chunk as another process has written it anew since its header was read; None where none has."""
        try:
            again = Segment.open(self.path, self.seal)
        except (CorruptChunk, OSError):
            return None
        return None if again.layers == self.layers else again


def padded(size: int) -> int:
    """A size rounded up to whole pages of ALIGN bytes."""
    return -(-size // ALIGN) * ALIGN
