"""Pages: KV that attention reads as e4m3 pages in host memory, kept as it is, scales and key means beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.kv.paged_layer import PagedLayer
from engine.store.codecs import DTYPES, Codec, codec


@dataclass(frozen=True, slots=True)
class Pages:
    """A row for each head and page: keys, values, their two scales as float32, the keys' mean in the model's type."""

    page: int
    mean: torch.dtype

    def rows(self, heads: int, tokens: int) -> int:
        """Rows of a layer."""
        return heads * -(-tokens // self.page)

    def row_bytes(self, dim: int) -> int:
        """Bytes of a row."""
        return 2 * self.page * dim + 8 + dim * self.mean.itemsize

    def encode(self, layer: PagedLayer, tokens: int) -> Tensor:
        """The rows of the layer's first `tokens` tokens, uint8 [N, row_bytes]; a last page not full ends in zeros."""
        parts = []
        for data in (layer.keys, layer.values):
            whole = data.view(torch.uint8).clone()
            whole[:, tokens:] = 0
            parts.append(whole.view(-1, self.page * data.shape[2]))
        for small in (layer.key_scales, layer.value_scales, layer.means):
            parts.append(small.to("cpu").contiguous().view(len(parts[0]), -1).view(torch.uint8))
        return torch.cat(parts, -1)

    def put(self, rows: Tensor, first: int, tokens: int, layer: PagedLayer, start: int) -> None:
        """Bring rows of a chunk of `tokens` tokens, the first with this number, to their place from `start` on."""
        pages, data = -(-tokens // self.page), self.page * layer.keys.shape[2]
        while len(rows):  # the run may begin and end within a head
            head, page = divmod(first, pages)
            n, at = min(len(rows), pages - page), start // self.page + page
            keys, values, small = rows[:n, :data], rows[:n, data : 2 * data], rows[:n, 2 * data :]
            for target, part in ((layer.keys, keys), (layer.values, values)):
                place = target[head, at * self.page : (at + n) * self.page]
                place.view(torch.uint8).view(n, data).copy_(part)
            scales = small[:, :8].contiguous().view(torch.float32)
            layer.key_scales[head, at : at + n].copy_(scales[:, 0])
            layer.value_scales[head, at : at + n].copy_(scales[:, 1])
            layer.means[head, at : at + n].copy_(small[:, 8:].contiguous().view(self.mean))
            rows, first = rows[n:], first + n


def layout(name: str) -> Codec | Pages:
    """How a namespace's layers are written, 'bfloat16' to 'pages64-bfloat16'; raises StoreError."""
    paged = re.fullmatch(r"pages(\d+)-(\w+)", name)
    if paged and paged[2] in DTYPES:
        return Pages(int(paged[1]), DTYPES[paged[2]])
    return codec(name)
