"""The shapes of one attention call, checked once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.errors import ArgumentError
from kernels.index import BlockIndex
from kernels.pages import Pages

FP8 = torch.float8_e4m3fn
MOST_QUERIES = 128
"""Last queries that are scored at once."""
MOST_BLOCKS = 32768
"""Blocks of keys that one program holds at once: four million keys in blocks of 128."""
DTYPES = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


@dataclass(frozen=True, slots=True)
class Problem:
    """Sizes that every backend needs; made by `check`, which raises on anything it cannot take."""

    batch: int
    heads: int
    kv_heads: int
    q_len: int
    kv_len: int
    head_dim: int
    scale: float

    @property
    def group(self) -> int:
        """Query heads that share a KV head."""
        return self.heads // self.kv_heads


def check(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float | None = None,
    causal: bool = True,
    index: BlockIndex | None = None,
    q_lens: Tensor | None = None,
    kv_lens: Tensor | None = None,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
    pages: Pages | None = None,
) -> Problem:
    """The problem's sizes; ArgumentError names the argument that does not fit, its shape and what was expected."""
    for name, x in (("q", q), ("k", k), ("v", v)):
        if x.dim() != 4:
            raise ArgumentError(name, f"of shape {list(x.shape)}", "[batch, heads, tokens, head_dim]")
        if x.device != q.device and not (pages is not None and x.is_pinned()):
            raise ArgumentError(name, f"on {x.device}", f"on {q.device}, as q")
        if x.stride(3) != 1 and x.numel() and not (x.dtype == FP8 and name == "v"):
            raise ArgumentError(name, f"strided {x.stride()}", "contiguous in its last dimension")
    batch, heads, q_len, head_dim = q.shape
    kv_heads, kv_len = k.shape[1:3]
    if q.dtype not in DTYPES:
        raise ArgumentError("q", str(q.dtype), "bfloat16, float16 or float32")
    for name, x in (("k", k), ("v", v)):
        if tuple(x.shape) != (batch, kv_heads, kv_len, head_dim):
            want = f"[{batch}, kv_heads, kv_len, {head_dim}], k and v alike"
            raise ArgumentError(name, f"of shape {list(x.shape)}", want)
        if x.dtype not in (q.dtype, FP8) or k.dtype != v.dtype:
            raise ArgumentError(name, f"{x.dtype} (k {k.dtype}, v {v.dtype})", f"{q.dtype} or {FP8}, k and v alike")
    if kv_heads == 0 or heads % kv_heads:
        raise ArgumentError("q", f"of {heads} heads with {kv_heads} KV heads", "a multiple of the KV heads")
    if q_len > kv_len and causal:
        raise ArgumentError("q", f"of {q_len} tokens with {kv_len} keys", "at most as many queries as keys")
    for name, lens, most in (("q_lens", q_lens, q_len), ("kv_lens", kv_lens, kv_len)):
        if lens is not None and (tuple(lens.shape) != (batch,) or lens.dtype != torch.int32 or lens.device != q.device):
            got = f"{lens.dtype} of shape {list(lens.shape)} on {lens.device}"
            raise ArgumentError(name, got, f"int32 of shape [{batch}] on {q.device}, at most {most}")
    for name, factor in (("k_scale", k_scale), ("v_scale", v_scale)):
        if factor is not None and (factor.dim() != 3 or tuple(factor.shape[:2]) != (batch, kv_heads)):
            raise ArgumentError(name, f"of shape {list(factor.shape)}", f"[{batch}, {kv_heads}, 1 or blocks]")
    if index is not None:
        _check_index(index, batch, heads, kv_heads, q_len, kv_len, q.device)
    if pages is not None:
        _check_pages(pages, batch, kv_heads, q.device)
    return Problem(batch, heads, kv_heads, q_len, kv_len, head_dim, head_dim**-0.5 if scale is None else scale)


def check_scores(
    q: Tensor, k: Tensor, scale: float | None = None, *, stride: int = 1, block: int = 1, most: int | None = None
) -> Problem:
    """As check, for what scores queries against keys; `most` queries at most, chunks begin at whole strides."""
    sizes = check(q, k, k, scale=scale)
    if most is not None and sizes.q_len > most:
        raise ArgumentError("q", f"of {sizes.q_len} tokens", f"at most {most} of them")
    for name, size in (("stride", stride), ("block", block)):
        if size < 1 or size & (size - 1):
            raise ArgumentError(name, str(size), "a power of two")
    if block % stride:
        raise ArgumentError("stride", f"{stride} with block {block}", "a divisor of the block")
    if (sizes.kv_len - sizes.q_len) % stride:
        got = f"of {sizes.q_len} tokens, the last of {sizes.kv_len}"
        raise ArgumentError("q", got, f"queries that begin at a multiple of the stride {stride}")
    return sizes


def check_samples(
    q: Tensor, k: Tensor, positions: Tensor, scale: float | None = None, *, block: int = 16, per: int = 1
) -> Problem:
    """As check, for queries sampled at ascending positions int32 [Tq] of the keys."""
    sizes = check(q, k, k, scale=scale, causal=False)
    if tuple(positions.shape) != (sizes.q_len,) or positions.dtype != torch.int32 or positions.device != q.device:
        got = f"{positions.dtype} of shape {list(positions.shape)} on {positions.device}"
        raise ArgumentError("positions", got, f"int32 of shape [{sizes.q_len}] on {q.device}")
    if block < 16 or block & (block - 1):
        raise ArgumentError("block", str(block), "a power of two of at least 16")
    if per < 1:
        raise ArgumentError("per", str(per), "at least 1")
    return sizes


def check_columns(
    q: Tensor, k: Tensor, positions: Tensor, columns: Tensor, counts: Tensor, scale: float | None, *, per: int
) -> Problem:
    """As check_samples, for `per` sampled queries at a time and columns int32 [B, H, C], counts [B, H]."""
    sizes = check_samples(q, k, positions, scale, per=per)
    if per not in (1, 2, 4, 8, 16):
        raise ArgumentError("per", str(per), "1, 2, 4, 8 or 16")
    heads = (sizes.batch, sizes.heads)
    for name, x, dims in (("columns", columns, 3), ("counts", counts, 2)):
        if x.dim() != dims or tuple(x.shape[:2]) != heads or x.dtype != torch.int32:
            raise ArgumentError(name, f"{x.dtype} of shape {list(x.shape)}", f"int32 {list(heads)} and the columns")
    return sizes


def check_choice(
    scores: Tensor, held: Tensor, columns: Tensor, column_counts: Tensor, aim: Tensor,
    q_len: int, kv_len: int, edge: int, block: int,
) -> None:  # fmt: skip
    """Raise ArgumentError where blocks cannot be chosen from these (see kernels.dispatch.choose_blocks)."""
    if scores.dim() != 4 or scores.dtype != torch.float32:
        raise ArgumentError("scores", f"{scores.dtype} of shape {list(scores.shape)}", "float32 [B, H, rows, blocks]")
    heads, rows, blocks = tuple(scores.shape[:2]), -(-q_len // max(edge, 1)), -(-kv_len // block)
    if tuple(scores.shape[2:]) != (rows, blocks) or blocks > MOST_BLOCKS:
        want = f"{rows} rows and {blocks} blocks for {q_len} queries and {kv_len} keys, at most {MOST_BLOCKS} blocks"
        raise ArgumentError("scores", f"of shape {list(scores.shape)}", want)
    if edge % block:
        raise ArgumentError("edge", str(edge), f"a multiple of the block {block}")
    capacity = columns.shape[-1]
    for name, x, shape in (
        ("held", held, (*heads, rows, capacity)),
        ("columns", columns, (*heads, capacity)),
        ("column_counts", column_counts, heads),
        ("aim", aim, heads),
    ):
        if tuple(x.shape) != shape:
            raise ArgumentError(name, f"of shape {list(x.shape)}", str(list(shape)))


def check_selection(
    scores: Tensor,
    mass: Tensor | float | None,
    count: Tensor | int | None,
    forced: Tensor | None,
    allowed: Tensor | None,
) -> Tensor:
    """What to reach, one number per row: mass (float32) or count (int32), whichever is given. Raises ArgumentError."""
    rows = scores.shape[:-1]
    if scores.dim() < 1 or not scores.is_floating_point():
        raise ArgumentError("scores", f"{scores.dtype} of shape {list(scores.shape)}", "floats [..., N]")
    if (mass is None) == (count is None):
        raise ArgumentError("mass, count", "both or neither given", "one of the two")
    if forced is not None and (forced.dtype != torch.bool or forced.shape[-1] != scores.shape[-1]):
        got = f"{forced.dtype} of shape {list(forced.shape)}"
        raise ArgumentError("forced", got, f"bool that broadcasts to {list(scores.shape)}")
    if allowed is not None and allowed.dtype != torch.int32:
        raise ArgumentError("allowed", str(allowed.dtype), f"int32 that broadcasts to {list(rows)}")
    goal, kind = (mass, torch.float32) if mass is not None else (count, torch.int32)
    if isinstance(goal, Tensor):
        return goal.to(scores.device, kind).expand(rows)
    return torch.full(rows, goal, dtype=kind, device=scores.device)  # type: ignore[arg-type]


def _check_pages(pages: Pages, batch: int, kv_heads: int, device: torch.device) -> None:
    shape = tuple(pages.counts.shape)
    if shape[0] not in (1, batch) or shape[1] not in (1, kv_heads):
        raise ArgumentError("pages", f"for {list(shape)} sequences and heads", f"for 1 or {batch} and 1 or {kv_heads}")
    if pages.numbers.device != device or pages.counts.device != device:
        raise ArgumentError("pages", f"on {pages.numbers.device}", f"on {device}, as q")


def _check_index(
    index: BlockIndex, batch: int, heads: int, kv_heads: int, q_len: int, kv_len: int, device: torch.device
) -> None:
    if (index.q_len, index.kv_len) != (q_len, kv_len):
        got = f"for {index.q_len} queries over {index.kv_len} keys"
        raise ArgumentError("index", got, f"for {q_len} queries over {kv_len} keys")
    if index.batch not in (1, batch) or index.groups not in (1, kv_heads, heads):
        got = f"for {index.batch} sequences of {index.groups} heads"
        raise ArgumentError("index", got, f"for 1 or {batch} sequences of 1, {kv_heads} or {heads} heads")
    if index.device != device:
        raise ArgumentError("index", f"on {index.device}", f"on {device}, as q")
