"""MInference: a fixed pattern per head, found offline, whose lines are placed online by the last queries.

Source: Jiang et al. (arXiv 2407.02490), §3 and algorithms 1 and 2; sizes per head from its pattern files.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from engine.policies.pattern_file import HeadPattern, Patterns
from kernels import BlockIndex, last_query_scores, pool, pooled_scores, select_keys
from kernels.combine import choose_heads

LAST_QUERIES = 64
FIRST_COLUMNS, NEAREST_DIAGONALS = 30, 100
"""Lines that a vertical-slash head always keeps."""
SPARSE_TOKENS = 6400
"""Keys that a block-sparse head keeps: 100 blocks of 64."""
DEFAULT = HeadPattern()


class MInference:
    """Vertical-slash, streaming or block-sparse attention, head by head."""

    name = "minference"

    def __init__(self, patterns: Patterns = (), *, default: HeadPattern = DEFAULT, block: int = 128) -> None:
        """`patterns` [layers][heads]; without any, every head follows `default`. `block`: edge of computed blocks."""
        self.patterns, self.default, self.block = patterns, default, block
        self._sizes: dict[tuple[int, torch.device], tuple[Tensor, ...]] = {}

    def parameters(self) -> dict[str, float | int | str]:
        """The default pattern, a digest of the heads' patterns, the block."""
        default = f"{self.default.kind},{self.default.a},{self.default.b}"
        heads = [[(p.kind, p.a, p.b) for p in layer] for layer in self.patterns]
        digest = hashlib.sha256(repr(heads).encode()).hexdigest()[:16] if heads else ""
        return {"default": default, "patterns": digest, "block": self.block}

    def index(self, layer: int, q: Tensor, k: Tensor) -> BlockIndex | None:
        """Lines, and blocks where heads are block-sparse, per query head."""
        heads = self.patterns[layer] if self.patterns else (self.default,) * q.shape[1]
        columns, diagonals, streaming, sparse = self._of(layer, heads, q.device)
        lines = self._lines(heads, columns, diagonals, streaming, q, k)
        if not any(p.kind == "block_sparse" for p in heads):
            return lines
        return choose_heads(sparse, lines, self._blocks(q, k))

    def _lines(
        self,
        heads: tuple[HeadPattern, ...],
        columns: Tensor,
        diagonals: Tensor,
        streaming: Tensor,
        q: Tensor,
        k: Tensor,
    ) -> BlockIndex:
        kv_len = k.shape[2]
        vertical, slash = last_query_scores(q[:, :, -LAST_QUERIES:], k)
        place = torch.arange(kv_len, device=q.device)
        chosen = []
        for scores, sizes, kept in ((vertical, columns, FIRST_COLUMNS), (slash, diagonals, NEAREST_DIAGONALS)):
            places, counts = select_keys(scores, count=sizes, forced=place < kept)
            most = min(kv_len, max(max(p.a, p.b) for p in heads) + NEAREST_DIAGONALS)
            plain = streaming.view(1, -1, 1)
            places = torch.where(plain, place[:most].int(), places[..., :most])
            counts = torch.where(streaming.view(1, -1), sizes, counts).clamp_max(most)
            chosen += [places, counts.int()]
        return BlockIndex.vertical_slash(
            chosen[0], chosen[2], q_len=q.shape[2], kv_len=kv_len, q_block=self.block, k_block=self.block,
            column_counts=chosen[1], diagonal_counts=chosen[3],
        )  # fmt: skip

    def _blocks(self, q: Tensor, k: Tensor) -> BlockIndex:
        scores = pooled_scores(pool(q, self.block), pool(k, self.block))
        first = torch.arange(scores.shape[2], device=q.device) * self.block + k.shape[2] - q.shape[2]
        last = (first + self.block - 1).clamp_max(k.shape[2] - 1) // self.block
        block = torch.arange(scores.shape[3], device=q.device)
        mine = (block >= first.unsqueeze(-1) // self.block) & (block <= last.unsqueeze(-1))
        places, counts = select_keys(scores, count=SPARSE_TOKENS // self.block, forced=mine, allowed=(last + 1).int())
        return BlockIndex.from_lists(
            places * self.block, counts, q_len=q.shape[2], kv_len=k.shape[2], q_block=self.block, k_block=self.block,
            alignment=self.block,
        )  # fmt: skip

    def _of(self, layer: int, heads: tuple[HeadPattern, ...], device: torch.device) -> tuple[Tensor, ...]:
        """A layer's columns [H], diagonals [H], which heads stream, which are block-sparse; kept on the device."""
        key = (layer if self.patterns else 0, device)
        if key not in self._sizes:
            line = [p.kind == "vertical_and_slash" for p in heads]
            columns = [max(p.a, FIRST_COLUMNS) if is_line else p.a for p, is_line in zip(heads, line, strict=True)]
            diagonals = [max(p.b, 50) if is_line else p.b for p, is_line in zip(heads, line, strict=True)]
            self._sizes[key] = (
                torch.tensor(columns, dtype=torch.int32, device=device),
                torch.tensor(diagonals, dtype=torch.int32, device=device),
                torch.tensor([p.kind == "stream_llm" for p in heads], device=device),
                torch.tensor([p.kind == "block_sparse" for p in heads], device=device),
            )
        return self._sizes[key]
