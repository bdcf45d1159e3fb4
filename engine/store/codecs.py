"""Codecs: how a row, the keys or values of one token and head, is written down.

Every row stands for itself, scales inside, so that any run of rows can be read back alone. The codec's name is part of
the namespace. The quantising ones keep within a stated error. No kernel reads them yet: rows are brought back to the
model's type once, when they are restored, and those just computed when they are saved, so that attention reads the same
states before a restart and after it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from engine.errors import StoreError

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
GROUP = 32
"""Values that share a scale in int4."""
ROUND_UP = 1 + 2**-7
"""Keeps a scale, once rounded to bfloat16, from being too small for its largest value."""


class Codec(Protocol):
    """A way to write rows [N, D] as bytes [N, row_bytes] and back."""

    @property
    def exact(self) -> bool:
        """Whether every bit comes back."""

    def row_bytes(self, dim: int) -> int:
        """Bytes of a row of `dim` values."""

    def rows(self, heads: int, tokens: int) -> int:
        """Rows of a layer's keys and values."""

    def encode(self, rows: Tensor) -> Tensor:
        """Rows [N, D] as uint8 [N, row_bytes]; raises StoreError where a value has no finite neighbour."""

    def decode(self, data: Tensor, dim: int, dtype: torch.dtype) -> Tensor:
        """Rows [N, D] in `dtype` from uint8 [N, row_bytes]."""


class ByToken:
    """A row for each head and token of the keys, then of the values."""

    __slots__ = ()

    def rows(self, heads: int, tokens: int) -> int:
        """As Codec.rows."""
        return 2 * heads * tokens


@dataclass(frozen=True, slots=True)
class Raw(ByToken):
    """The values themselves, in their own type."""

    dtype: torch.dtype
    exact: bool = True

    def row_bytes(self, dim: int) -> int:
        """Bytes of a row of `dim` values."""
        return dim * self.dtype.itemsize

    def encode(self, rows: Tensor) -> Tensor:
        """The rows' bytes."""
        return rows.contiguous().view(torch.uint8)

    def decode(self, data: Tensor, dim: int, dtype: torch.dtype) -> Tensor:
        """The rows, without a copy."""
        return data.view(dtype)


@dataclass(frozen=True, slots=True)
class Scaled(ByToken):
    """One byte a value, then the row's scale as bfloat16: value = byte · scale.

    |error| ≤ relative · |value| + absolute · the row's largest |value|, before the model's own type rounds it.
    """

    kind: torch.dtype
    top: float
    relative: float
    absolute: float
    exact: bool = False

    def row_bytes(self, dim: int) -> int:
        """Bytes of a row of `dim` values."""
        return dim + 2

    def encode(self, rows: Tensor) -> Tensor:
        """Quantise."""
        rows = rows.float()
        scale = _scale(rows.abs().amax(-1, keepdim=True) / self.top)
        codes = rows / scale.float()
        codes = codes if self.kind.is_floating_point else codes.round()
        return torch.cat((codes.to(self.kind).view(torch.uint8), scale.view(torch.uint8)), -1)

    def decode(self, data: Tensor, dim: int, dtype: torch.dtype) -> Tensor:
        """Multiply, rounding once to `dtype`."""
        codes, scale = data[:, :dim].view(self.kind), data[:, dim:].contiguous().view(torch.bfloat16)
        return (_widened(codes) * scale.float()).to(dtype)


@dataclass(frozen=True, slots=True)
class Grouped(ByToken):
    """Half a byte a value; scale and least value of each group of 32 as bfloat16: value = code · scale + least.

    |error| ≤ the group's (largest - least) / 29 + its largest |value| / 250 (the least value's own rounding).
    """

    exact: bool = False

    def row_bytes(self, dim: int) -> int:
        """Bytes of a row of `dim` values."""
        return dim // 2 + 4 * (dim // _group(dim))

    def encode(self, rows: Tensor) -> Tensor:
        """Quantise; two codes a byte, the first in the low half."""
        n, dim = rows.shape
        groups = rows.float().view(n, -1, _group(dim))
        least = groups.amin(-1, keepdim=True).bfloat16()
        scale = _scale((groups.amax(-1, keepdim=True) - least.float()) / 15)
        codes = ((groups - least.float()) / scale.float()).round().clamp(0, 15).to(torch.uint8).view(n, -1, 2)
        packed = codes[..., 0] | codes[..., 1] << 4
        return torch.cat((packed, scale.view(n, -1).view(torch.uint8), least.view(n, -1).view(torch.uint8)), -1)

    def decode(self, data: Tensor, dim: int, dtype: torch.dtype) -> Tensor:
        """Unpack, multiply and add, rounding once to `dtype`."""
        n = len(data)
        packed, (scale, least) = data[:, : dim // 2], data[:, dim // 2 :].chunk(2, -1)
        codes = torch.stack((packed & 15, packed >> 4), -1).view(n, -1, _group(dim))
        scale, least = (x.contiguous().view(torch.bfloat16).float()[..., None] for x in (scale, least))
        return (codes.float() * scale + least).view(n, dim).to(dtype)


QUANTISING: dict[str, Codec] = {
    "fp8": Scaled(torch.float8_e4m3fn, top=448, relative=1 / 16, absolute=1 / 400_000),
    "int8": Scaled(torch.int8, top=127, relative=0, absolute=1 / 250),
    "int4": Grouped(),
}
NAMES = ("raw", *QUANTISING)


def codec(name: str) -> Codec:
    """The codec of a namespace's name, 'bfloat16' (raw) to 'int4'; raises StoreError."""
    if name in DTYPES:
        return Raw(DTYPES[name])
    if name in QUANTISING:
        return QUANTISING[name]
    raise StoreError(f"There is no KV codec '{name}'; there are {', '.join([*DTYPES, *QUANTISING])}.")


def _group(dim: int) -> int:
    return math.gcd(dim, GROUP)


def _widened(codes: Tensor) -> Tensor:
    """Codes as float32; float8 on a CPU through the bits of float16, 4 times as fast as torch's own way."""
    if codes.dtype != torch.float8_e4m3fn or codes.is_cuda:
        return codes.float()
    wide = codes.view(torch.int8).to(torch.int16)  # brings the sign along
    return ((wide & 0x7F) << 7 | wide & -0x8000).view(torch.float16).float() * 256


def _scale(wanted: Tensor) -> Tensor:
    """Scales as bfloat16, none too small and none zero."""
    scale = (wanted * ROUND_UP).clamp_min(torch.finfo(torch.bfloat16).tiny).bfloat16()
    if not torch.isfinite(scale).all():
        raise StoreError("A KV chunk was not kept: it has values that are not finite.")
    return scale
