"""Segment: one chunk's KV in a file that checks itself.

    8 bytes   magic "OMNIKV01"
    8 bytes   length of the header, little endian
    16 bytes  xxh3-128 of the header
    header    JSON: key, parent, namespace record, token ids, shape, dtype, per layer: offset and checksum
    payload   from the next multiple of 4 KiB on; layer after layer, keys [Hkv, T, D] then values

A layer starts at a multiple of 4 KiB and can be read and checked alone.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import xxhash
from torch import Tensor

from engine.errors import CorruptChunk

MAGIC = b"OMNIKV01"
ALIGN = 4096
PREAMBLE = 32
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True, slots=True)
class Segment:
    """An opened chunk file whose header was checked; payload is checked layer by layer as it is read."""

    path: Path
    key: str
    parent: str | None
    namespace: dict[str, Any]
    tokens: tuple[int, ...]
    dtype: torch.dtype
    shape: tuple[int, int, int]
    layers: tuple[tuple[int, str], ...]

    @property
    def layer_bytes(self) -> int:
        """Bytes of one layer's keys and values."""
        heads, tokens, dim = self.shape
        return 2 * heads * tokens * dim * self.dtype.itemsize

    @classmethod
    def open(cls, path: Path) -> Segment:
        """Read and check the header; raises CorruptChunk."""
        try:
            with path.open("rb") as stream:
                preamble = stream.read(PREAMBLE)
                if len(preamble) < PREAMBLE or preamble[:8] != MAGIC:
                    raise CorruptChunk(path, "it is not a chunk file")
                size = int.from_bytes(preamble[8:16], "little")
                if size > path.stat().st_size:
                    raise CorruptChunk(path, "its header is cut off")
                header = stream.read(size)
        except OSError as error:
            raise CorruptChunk(path, f"it cannot be read: {error.strerror}") from error
        if xxhash.xxh3_128_digest(header) != preamble[16:32]:
            raise CorruptChunk(path, "its header does not match its checksum")
        fields = json.loads(header)
        segment = cls(
            path,
            fields["key"],
            fields["parent"],
            fields["namespace"],
            tuple(fields["tokens"]),
            DTYPES[fields["dtype"]],
            tuple(fields["shape"]),
            tuple((offset, checksum) for offset, checksum in fields["layers"]),
        )
        if path.stat().st_size != segment.layers[-1][0] + segment.layer_bytes:
            raise CorruptChunk(path, "it is not as long as its header says")
        return segment

    def read(self) -> list[tuple[Tensor, Tensor]]:
        """Keys and values [Hkv, T, D] of every layer, each checked; raises CorruptChunk at the first that is wrong."""
        out: list[tuple[Tensor, Tensor]] = []
        with self.path.open("rb", buffering=0) as stream:
            for layer, (offset, checksum) in enumerate(self.layers):
                data = bytearray(self.layer_bytes)
                stream.seek(offset)
                if stream.readinto(data) != self.layer_bytes:
                    raise CorruptChunk(self.path, f"layer {layer} is cut off")
                if xxhash.xxh3_128_hexdigest(data) != checksum:
                    raise CorruptChunk(self.path, f"layer {layer} does not match its checksum")
                both = torch.frombuffer(data, dtype=self.dtype).view(2, *self.shape)
                out.append((both[0], both[1]))
        return out


def write(
    folder: Path,
    *,
    key: str,
    parent: str | None,
    namespace: dict[str, Any],
    tokens: Sequence[int],
    layers: Sequence[tuple[Tensor, Tensor]],
) -> Path:
    """Write a chunk file as <folder>/<key>.kv: temporary name, fsync, rename, fsync of the folder.

    Raises OSError (a full disk, say) with nothing left behind.
    """
    first = layers[0][0]
    payload = [_bytes(keys, values) for keys, values in layers]
    size = len(payload[0])
    stride = -(-size // ALIGN) * ALIGN
    fields: dict[str, Any] = {
        "key": key,
        "parent": parent,
        "namespace": namespace,
        "tokens": list(tokens),
        "dtype": str(first.dtype).removeprefix("torch."),
        "shape": list(first.shape),
    }
    checksums = [xxhash.xxh3_128_hexdigest(data) for data in payload]
    start = 0
    while True:  # the offsets stand in the header, whose length moves the offsets
        fields["layers"] = [[start + i * stride, c] for i, c in enumerate(checksums)]
        header = json.dumps(fields, separators=(",", ":")).encode()
        needed = -(-(PREAMBLE + len(header)) // ALIGN) * ALIGN
        if needed == start:
            break
        start = needed
    target = folder / f"{key}.kv"
    temporary = folder / f".{key[:16]}-{secrets.token_hex(8)}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as stream:
            preamble = MAGIC + len(header).to_bytes(8, "little") + xxhash.xxh3_128_digest(header)
            _write_all(stream, preamble + header)
            for (offset, _), data in zip(fields["layers"], payload, strict=True):
                stream.seek(offset)
                _write_all(stream, data)
            os.fsync(stream.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(folder)
    return target


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _bytes(keys: Tensor, values: Tensor) -> memoryview:
    both = torch.stack((keys, values)).to("cpu")
    return both.view(torch.uint8).view(-1).numpy().data


def _write_all(stream: Any, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]
