"""Auto, ours: single keys that many queries read, and per block of queries the blocks that hold the rest.

A few queries of every block are sampled, and their exact attention is summed per block of keys (one pass over the
keys, 1 / (2 x stride) of dense attention). Keys that the sampled queries share become columns, which cost one key and
not a block each; what these hold is taken off the blocks' sums, and each block of queries takes the fewest blocks that
bring it to its aim. A head with local attention so gets its diagonal and the first block, one with diffuse attention
nearly everything. The audit (engine.audit) measures other queries; heads that missed the target are asked again with a
higher aim. Nothing is carried from chunk to chunk: the same tokens always give the same KV.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import UnknownPolicy
from kernels import BlockIndex, column_scores, sampled_scores, select_keys

BLOCK = 128
LEVELS = {"fast": 0.9, "balanced": 0.95, "high": 0.99}
"""Share of the attention to keep, by name; `exact` is the dense policy."""
COLUMN_QUERIES = 64
"""Sampled queries that columns are chosen by."""
NEIGHBOURS = 0.5
"""Weight of the samples of the blocks of queries before and after, whose topics may reach into this one: at the same
density it keeps 1 % more attention on real heads (tests/benchmarks/NOTES.md)."""
LOSS = 1.5
"""What samples, neighbours' included, may lose for 1 % that all queries lose: measured, 1.2 to 2.2."""


class Auto:
    """Columns and blocks that together keep `recall` of the attention, per head and block of queries."""

    name = "auto"

    def __init__(self, recall: float = 0.95, minimum: int = 4096, level: str = "") -> None:
        """`recall` in (0, 1), or a level's name; below `minimum` keys every key is read.

        A head whose audited queries lose more than twice what `recall` allows is asked again.
        """
        if level and level not in LEVELS:
            raise UnknownPolicy(f"auto:level={level}", f"its levels are {', '.join(LEVELS)}; for 'exact' take 'dense'.")
        recall = LEVELS.get(level, recall)
        if not 0 < recall < 1:
            raise UnknownPolicy(f"auto:recall={recall}", "the share of attention to keep lies between 0 and 1.")
        self.recall, self.minimum = recall, minimum
        self._last: Estimate | None = None

    def parameters(self) -> dict[str, float | int | str]:
        """The share to keep and the length from which keys are left out."""
        return {"recall": self.recall, "minimum": self.minimum}

    def index(self, layer: int, q: Tensor, k: Tensor) -> BlockIndex | None:
        """Columns and blocks of 128 per query head; None, every key, for short prompts."""
        if k.shape[2] < self.minimum or q.shape[2] < BLOCK:
            return None
        self._last = Estimate.of(q, k)
        return self._last.choose(torch.full((q.shape[1],), 1 - LOSS * (1 - self.recall), device=q.device))

    def misses(self, kept: Tensor) -> Tensor:
        """Which heads kept too little, bool like `kept`."""
        return kept < 1 - 2 * (1 - self.recall)

    def again(self, heads: Tensor, kept: Tensor) -> BlockIndex:
        """A better index for `heads` of the last call, which kept only `kept` [n]: the aim rises by what was missed."""
        if self._last is None:
            raise RuntimeError("again() follows index()")
        allowed = 1 - self.recall
        return self._last.choose(1 - LOSS * allowed * allowed / (1 - kept).clamp_min(allowed), heads)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the sampled queries of one chunk say: what each column holds, and each block beside the columns."""

    queries: int
    keys: int
    stride: int
    columns: Tensor  # [1, H, C] ascending keys
    column_counts: Tensor  # [1, H]
    held: Tensor  # float32 [1, H, R]: attention of the row's samples, and its neighbours', to the columns
    rest: Tensor  # float32 [1, H, R, blocks]: to what else is in each block

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
        columns, counts = _columns(sampled, k, positions, lse)
        held = _held(sampled, k, positions, lse, columns, counts, per)  # [1, H, R, C]
        block_of = (columns.long() // BLOCK).clamp_max(scores.shape[-1] - 1).unsqueeze(2).expand_as(held)
        rest = scores.scatter_add_(-1, block_of, -held).clamp_min_(0)
        return cls(queries, keys, stride, columns, counts, _shared(held.sum(-1), 2), _shared(rest, 2))

    def choose(self, aim: Tensor, heads: Tensor | None = None) -> BlockIndex:
        """The index under which each sampled query of `heads` [n] keeps aim [n] of its attention."""
        parts = (self.rest, self.held, self.columns, self.column_counts)
        rest, held, columns, column_counts = parts if heads is None else (x[:, heads] for x in parts)
        left = rest.sum(-1)
        need = ((aim.view(1, -1, 1) * (held + left) - held) / left.clamp_min(1e-9)).clamp(0, 1)
        edge = max(BLOCK, self.stride)  # queries that share a list
        first = torch.arange(rest.shape[2], device=rest.device) * edge + (self.keys - self.queries)
        last = (first + edge - 1).clamp_max(self.keys - 1) // BLOCK
        block = torch.arange(rest.shape[3], device=rest.device)
        forced = (block == 0) | ((block >= first.unsqueeze(-1) // BLOCK) & (block <= last.unsqueeze(-1)))
        places, counts = select_keys(rest, mass=need, forced=forced, allowed=(last + 1).int())
        if edge > BLOCK:
            share = torch.arange(-(-self.queries // BLOCK), device=rest.device) // (edge // BLOCK)
            places, counts = places[:, :, share], counts[:, :, share]
        return BlockIndex.from_lists(
            places * BLOCK, counts, q_len=self.queries, kv_len=self.keys, columns=columns.contiguous(),
            column_counts=column_counts, alignment=BLOCK,
        )  # fmt: skip


def sampling(keys: int) -> int:
    """Every how many queries one is sampled: rarer in longer prompts, so that sampling stays linear above 512K."""
    stride = 32
    while keys > stride * 1024 and stride < BLOCK:
        stride *= 2
    while keys > stride * 4096:
        stride *= 2
    return stride


def _shared(sums: Tensor, dim: int) -> Tensor:
    """Each row's sums with part of those of the rows before and after it."""
    rows = sums.shape[dim]
    before = torch.cat([sums.narrow(dim, 0, 1), sums.narrow(dim, 0, rows - 1)], dim)
    after = torch.cat([sums.narrow(dim, 1, rows - 1), sums.narrow(dim, rows - 1, 1)], dim)
    return sums + NEIGHBOURS * (before + after)


def _columns(sampled: Tensor, k: Tensor, positions: Tensor, lse: Tensor) -> tuple[Tensor, Tensor]:
    """The keys [1, H, C] that sampled queries read most, ascending, behind the `counts` [1, H] used the key length."""
    keys = k.shape[2]
    some = torch.linspace(0, positions.numel() - 1, min(COLUMN_QUERIES, positions.numel()), device=k.device).long()
    read = column_scores(sampled[:, :, some], k, positions[some], lse[:, :, some])
    place = torch.arange(keys, device=k.device, dtype=torch.int32)
    readers = some.numel() - torch.searchsorted(positions[some], place)
    wanted = min(1024, max(128, keys // 64))
    places, counts = select_keys(read / readers.clamp_min(4), count=wanted)
    return places[..., :wanted].contiguous(), counts.clamp_max(wanted)


def _held(
    sampled: Tensor, k: Tensor, positions: Tensor, lse: Tensor, columns: Tensor, counts: Tensor, per: int
) -> Tensor:
    """Attention that the columns hold, summed over `per` sampled queries: float32 [1, H, ceil(A / per), C]."""
    _, heads, samples, dim = sampled.shape
    group = heads // k.shape[1]
    head = torch.arange(heads, device=k.device).view(-1, 1)
    chosen = k[0, head // group, columns[0].clamp_max(k.shape[2] - 1).long()]  # [H, C, D]
    scores = (sampled[0] @ chosen.transpose(-1, -2)).float() * dim**-0.5
    used = torch.arange(columns.shape[-1], device=k.device) < counts[0].unsqueeze(-1)
    seen = used.unsqueeze(1) & (columns[0].unsqueeze(1) <= positions.view(1, -1, 1))
    shares = torch.exp(scores - lse[0].unsqueeze(-1)).masked_fill(~seen, 0)
    shares = torch.nn.functional.pad(shares, (0, 0, 0, -samples % per))
    return shares.view(heads, -1, per, shares.shape[-1]).sum(2).unsqueeze(0)
