"""Auto, ours: single keys that many queries read, and per block of queries the blocks that hold the rest.

A few queries of every block are sampled, and their exact attention is summed per block of keys (one pass over the
keys, 1 / (2 x stride) of dense attention). Keys that the sampled queries share become columns, which cost one key and
not a block each; what these hold is taken off the blocks' sums, and each block of queries takes the fewest blocks that
bring it to its aim. A head with local attention so gets its diagonal and the first block, one with diffuse attention
nearly everything. The audit measures other queries; heads that missed the target are asked again with a
higher aim. Nothing is carried from chunk to chunk: the same tokens always give the same KV.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import UnknownPolicy
from kernels import BlockIndex, choose_blocks, column_scores, column_shares, sampled_scores, select_keys

BLOCK = 128
LEVELS = {"fast": 0.9, "balanced": 0.95, "high": 0.997}
"""Share of the attention to keep, by name; `exact` is the dense policy."""
COLUMN_QUERIES = 64
"""Sampled queries that columns are chosen by."""
COLUMN_BLOCKS = 128
"""Blocks of keys, those read most, in which columns are looked for."""
NEIGHBOURS = 0.5
"""Weight of the samples of the blocks of queries before and after, whose topics may reach into this one: at the same
density it keeps 1 % more attention on real heads (tests/benchmarks/NOTES.md)."""


def sampled_loss(allowed: float) -> float:
    """What samples, neighbours' included, may lose where all queries may lose `allowed`.

    Fitted to a real model at 32K, where samples that lost 15, 7, 2.6 and 1.2 % meant that all queries lost 12, 6.5, 2.7
    and 1.25 % (tests/benchmarks/NOTES.md); at 8K all queries lose less.
    """
    return float(1.2 * allowed**1.06)


class Auto:
    """Columns and blocks that together keep `recall` of the attention, per head and block of queries."""

    name = "auto"

    def __init__(self, recall: float = 0.95, minimum: int = 4096, pairs: int = 0, level: str = "") -> None:
        """`recall` in (0, 1), or a level's name.

        Below `minimum` keys, and in chunks of fewer than `pairs` (query, key) pairs, every key is read.

        A head whose audited queries lose more than twice what `recall` allows is asked again.
        """
        if level and level not in LEVELS:
            raise UnknownPolicy(f"auto:level={level}", f"its levels are {', '.join(LEVELS)}; for 'exact' take 'dense'.")
        recall = LEVELS.get(level, recall)
        if not 0 < recall < 1:
            raise UnknownPolicy(f"auto:recall={recall}", "the share of attention to keep lies between 0 and 1.")
        self.recall, self.minimum, self.pairs = recall, minimum, pairs
        self._last: Estimate | None = None

    def parameters(self) -> dict[str, float | int | str]:
        """The share to keep, and from which length and how many pairs on keys are left out."""
        return {"recall": self.recall, "minimum": self.minimum, "pairs": self.pairs}

    def index(self, layer: int, q: Tensor, k: Tensor) -> BlockIndex | None:
        """Columns and blocks of 128 per query head; None, every key, for short prompts and short chunks."""
        queries, keys = q.shape[2], k.shape[2]
        if keys < self.minimum or queries < BLOCK or causal_pairs(queries, keys) < self.pairs:
            return None
        self._last = Estimate.of(q, k)
        return self._last.choose(torch.full((q.shape[1],), 1 - sampled_loss(1 - self.recall), device=q.device))

    def misses(self, kept: Tensor) -> Tensor:
        """Which heads kept too little, bool like `kept`."""
        return kept < 1 - 2 * (1 - self.recall)

    def again(self, heads: Tensor, kept: Tensor) -> BlockIndex:
        """A better index for `heads` of the last call, which kept only `kept` [n]: the aim rises by what was missed."""
        if self._last is None:
            raise RuntimeError("again() follows index()")
        allowed = 1 - self.recall
        return self._last.choose(1 - sampled_loss(allowed) * allowed / (1 - kept).clamp_min(allowed), heads)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the sampled queries of one chunk say: what each block of keys holds, and each column of that."""

    queries: int
    keys: int
    edge: int  # queries that share a list
    scores: Tensor  # float32 [1, H, R, blocks]: attention of the row's samples to each block
    columns: Tensor  # [1, H, C] ascending keys
    column_counts: Tensor  # [1, H]
    held: Tensor  # float32 [1, H, R, C]: attention of the row's samples to each column

    @classmethod
    def of(cls, q: Tensor, k: Tensor) -> Estimate:
        """From every stride-th query of q [1, H, Tq, D], the last of the keys k [1, Hkv, Tk, D]."""
        queries, keys = q.shape[2], k.shape[2]
        stride = sampling(keys)
        rows = (torch.arange(-(-queries // stride), device=q.device) * stride + stride // 2).clamp_max(queries - 1)
        positions = (rows + (keys - queries)).int()
        sampled = q[:, :, rows]
        per = max(1, BLOCK // stride)
        scores, lse = sampled_scores(sampled, k, positions, block=BLOCK, per=per)
        columns, counts = _columns(sampled, k, positions, lse, scores)
        held = column_shares(sampled, k, positions, lse, columns, counts, per=per)
        return cls(queries, keys, max(BLOCK, stride), scores, columns, counts, held)

    def choose(self, aim: Tensor, heads: Tensor | None = None) -> BlockIndex:
        """The index under which the sampled queries of each of `heads` [n] keep aim [n] of their attention."""
        parts = (self.scores, self.held, self.columns, self.column_counts)
        scores, held, columns, counts = parts if heads is None else (x[:, heads] for x in parts)
        starts, many = choose_blocks(
            scores, held, columns, counts, aim.unsqueeze(0), q_len=self.queries, kv_len=self.keys, edge=self.edge,
            block=BLOCK, neighbours=NEIGHBOURS,
        )  # fmt: skip
        return BlockIndex.from_lists(
            starts, many, q_len=self.queries, kv_len=self.keys, columns=columns, column_counts=counts,
            rows_per_list=self.edge // BLOCK, alignment=BLOCK,
        )  # fmt: skip


def causal_pairs(queries: int, keys: int) -> int:
    """(Query, key) pairs of a chunk whose queries are the last of the keys."""
    return queries * (2 * keys - queries + 1) // 2


def sampling(keys: int) -> int:
    """Every how many queries one is sampled: rarer in longer prompts, so that sampling stays linear above 512K."""
    stride = 32
    while keys > stride * 1024 and stride < BLOCK:
        stride *= 2
    while keys > stride * 4096:
        stride *= 2
    return stride


def _columns(sampled: Tensor, k: Tensor, positions: Tensor, lse: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """The keys [1, H, C] that sampled queries read most, ascending, behind the `counts` [1, H] used some key.

    They are looked for in the blocks that are read most, so that the search costs the same however long the prompt is.
    """
    keys, device = k.shape[2], k.device
    some = torch.linspace(0, positions.numel() - 1, min(COLUMN_QUERIES, positions.numel()), device=device).long()
    number = torch.arange(scores.shape[-1], device=device)
    blocks = number.int().expand(*scores.shape[:2], -1)
    if scores.shape[-1] > COLUMN_BLOCKS:
        read = scores.sum(2) / _readers(positions, number * BLOCK)
        blocks = select_keys(read, count=COLUMN_BLOCKS)[0][..., :COLUMN_BLOCKS]
    read = column_scores(sampled[:, :, some], k, positions[some], lse[:, :, some], blocks, block=BLOCK)
    key = (blocks.unsqueeze(-1) * BLOCK + torch.arange(BLOCK, device=device, dtype=torch.int32)).flatten(2)
    wanted = min(1024, max(128, keys // 64))
    places, counts = select_keys(read / _readers(positions[some], key), count=wanted)
    places = places[..., :wanted].clamp_max(key.shape[-1] - 1).long()
    return key.gather(-1, places), counts.clamp_max(wanted)


def _readers(positions: Tensor, keys: Tensor) -> Tensor:
    """How many of the queries at `positions` see each of the keys, and at least 4."""
    return (positions.numel() - torch.searchsorted(positions, keys.int())).clamp_min(4)
