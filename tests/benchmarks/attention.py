"""Prefill attention on one GPU: `python -m tests.benchmarks.attention --out FILE`.

32 query heads, 8 KV heads, head dim 128, causal, normal random data. TFLOP/s counts 4 · head_dim operations for every
(query, key) pair of the tiles computed; a dense causal call has half of all pairs. "share" is the rate over cuDNN's
(or FlashAttention-3's, where its package is installed) dense causal rate at the same length in the same run.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kernels import BlockIndex, dense_attention, sparse_attention
from kernels.fp8 import quantize
from tests.benchmarks.report import milliseconds, race, show, write

HEADS, KV_HEADS, DIM = 32, 8, 128
Row = dict[str, Any]


def tensors(tokens: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random bf16 q, k, v."""
    torch.manual_seed(0)
    shapes = [(1, heads, tokens, DIM) for heads in (HEADS, KV_HEADS, KV_HEADS)]
    q, k, v = (torch.randn(shape, device="cuda", dtype=torch.bfloat16) for shape in shapes)
    return q, k, v


def row(case: str, tokens: int, time: float, operations: float, target: str, **more: Any) -> Row:
    """One line of the table."""
    return {"case": case, "tokens": tokens, "ms": time, "tflops": operations / time / 1e9, "target": target, **more}


def dense_operations(tokens: int) -> float:
    """Of a dense causal call."""
    return 4 * DIM * HEADS * tokens * tokens / 2


def tile_operations(index: BlockIndex) -> float:
    """Of the blocks that an index makes the kernel compute (packed columns not counted)."""
    return 4 * DIM * index.q_block * index.k_block * index.counts.sum().item() * HEADS / index.groups


def random_index(tokens: int, density: float, groups: int) -> BlockIndex:
    """Blocks of 128 x 128 chosen at random per head or KV head, with the diagonal and the first column of blocks."""
    blocks = tokens // 128
    generator = torch.Generator("cuda").manual_seed(1)
    mask = torch.empty(1, groups, blocks, blocks, dtype=torch.bool, device="cuda")
    for head in range(groups):
        mask[0, head] = torch.rand(blocks, blocks, device="cuda", generator=generator) < density
    diagonal = torch.arange(blocks, device="cuda")
    mask[:, :, diagonal, diagonal] = True
    mask[..., 0] = True
    return BlockIndex.from_mask(mask, q_len=tokens, kv_len=tokens)


def structured_lines(tokens: int) -> tuple[Tensor, Tensor, Tensor]:
    """1000 random columns and 6096 diagonals per head, half of these next to the query, half in 24 bands elsewhere."""
    generator = torch.Generator().manual_seed(1)
    columns, diagonals, counts = [], [], []
    for _ in range(HEADS):
        columns.append(torch.randperm(tokens, generator=generator)[:1000])
        bands = torch.randint(4096, tokens - 256, (24,), generator=generator)
        lines = torch.cat([torch.arange(3048), *(band + torch.arange(127) for band in bands)]).unique()
        counts.append(len(lines))
        diagonals.append(torch.nn.functional.pad(lines, (0, 6096 - len(lines))))
    stacked = (torch.stack(columns), torch.stack(diagonals), torch.tensor(counts))
    a, b, c = (x.int().cuda().unsqueeze(0) for x in stacked)
    return a, b, c


def estimate_lines(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """Columns and diagonals with the most attention of the last 64 queries (arXiv 2407.02490, algorithm 2)."""
    tokens, rows, group = k.shape[2], 64, HEADS // KV_HEADS
    columns, diagonals = [], []
    later = torch.ones(rows, rows, dtype=torch.bool, device=q.device).triu(1)
    for head in range(KV_HEADS):
        last = q[0, head * group : (head + 1) * group, -rows:].reshape(-1, DIM)
        scores = (last @ k[0, head].T).view(group, rows, tokens)
        scores[:, :, -rows:].masked_fill_(later, -torch.inf)
        weights = torch.softmax(scores.float() * DIM**-0.5, dim=-1)
        columns.append(weights.sum(1).topk(1000).indices)
        # with keys in reverse order the diagonals are antidiagonals: rows one place shorter line them up
        reverse = torch.nn.functional.pad(weights.flip(-1), (0, rows))
        lined = reverse.as_strided((group, rows, tokens + rows - 1), (reverse.stride(0), tokens + rows - 1, 1))
        diagonals.append(lined.sum(1)[:, rows - 1 :].topk(6096).indices)
    return torch.cat(columns).unsqueeze(0), torch.cat(diagonals).unsqueeze(0)


def baselines(q: Tensor, k: Tensor, v: Tensor) -> Iterator[tuple[str, Callable[[], object]]]:
    """Dense causal attention by what else is installed."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    def cudnn() -> Tensor:
        with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

    yield "cuDNN", cudnn
    try:
        from flash_attn_interface import flash_attn_func  # type: ignore[import-not-found]
    except ImportError:
        return
    swapped = [x.transpose(1, 2).contiguous() for x in (q, k, v)]
    yield "FlashAttention-3", lambda: flash_attn_func(*swapped, causal=True)


def dense_case(tokens: int, target: str) -> list[Row]:
    """bf16, and before it the baselines; at 128K also e4m3 with its error."""
    q, k, v = tensors(tokens)
    runs: dict[str, Callable[[], object]] = {}
    for name, run in baselines(q, k, v):
        try:
            run()
            runs[f"dense, {name}"] = run
        except RuntimeError as reason:
            print(f"{name}: {reason}")
    others = list(runs)
    runs["dense"] = lambda: dense_attention(q, k, v)
    targets, errors = {"dense": target, "dense, e4m3": "800 TFLOP/s"}, {}
    if tokens >= 131072:
        (k8, k_scale), (v8, v_scale) = quantize(k), quantize(v)

        def in_fp8() -> tuple[Tensor, Tensor]:
            return dense_attention(q, k8, v8, k_scale=k_scale, v_scale=v_scale)

        out, exact = in_fp8()[0].float(), dense_attention(q, k, v)[0].float()
        errors["dense, e4m3"] = ((out - exact).norm() / exact.norm()).item()
        runs["dense, e4m3"] = in_fp8
    times = race(runs)
    best = min((times[name] for name in others), default=None)
    return [
        row(name, tokens, time, dense_operations(tokens), targets.get(name, ""))
        | ({} if name in others or best is None else {"share": best / time})
        | ({"error": errors[name]} if name in errors else {})
        for name, time in times.items()
    ]


def ballast(tokens: int) -> Tensor:
    """20 GB of other data beside a million tokens."""
    return torch.empty((20 << 30) if tokens == 1 << 20 else 0, dtype=torch.uint8, device="cuda")


def sparse_case(tokens: int, density: float, groups: int, target: str) -> list[Row]:
    """Random blocks, per head or per KV head."""
    beside = ballast(tokens)
    index = random_index(tokens, density, groups)
    q, k, v = tensors(tokens)
    time = milliseconds(lambda: sparse_attention(q, k, v, index), budget=600)
    name = f"blocks, {density:.0%} per {'head' if groups == HEADS else 'KV head'}"
    more = {"index_mb": index.nbytes / 1e6, "memory_gb": torch.cuda.max_memory_allocated() / 1e9}
    del beside
    return [row(name, tokens, time, tile_operations(index), target, **more)]


def line_case(tokens: int, target: str) -> list[Row]:
    """Vertical-slash (1000, 6096), estimating and index building included."""
    beside = ballast(tokens)
    q, k, v = tensors(tokens)
    columns, diagonals, counts = structured_lines(tokens)

    def layer() -> tuple[Tensor, Tensor]:
        estimate_lines(q, k)  # for its cost: on random data the lines it finds have no structure
        index = BlockIndex.vertical_slash(columns, diagonals, q_len=tokens, diagonal_counts=counts)
        return sparse_attention(q, k, v, index)

    index = BlockIndex.vertical_slash(columns, diagonals, q_len=tokens, diagonal_counts=counts)
    more = {
        "estimate_ms": milliseconds(lambda: estimate_lines(q, k)),
        "attention_ms": milliseconds(lambda: sparse_attention(q, k, v, index)),
    }
    time = milliseconds(layer, budget=600)
    more["memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
    del beside
    return [row("vertical-slash, whole layer", tokens, time, tile_operations(index), target, **more)]


CASES: list[Callable[[], list[Row]]] = [
    lambda: dense_case(65536, "600 TFLOP/s"),
    lambda: dense_case(131072, ""),
    lambda: sparse_case(131072, 0.10, HEADS, "600 TFLOP/s"),
    lambda: sparse_case(524288, 0.03, HEADS, "560 TFLOP/s"),
    lambda: sparse_case(524288, 0.03, KV_HEADS, "560 TFLOP/s"),
    lambda: sparse_case(1 << 20, 0.01, KV_HEADS, "no out-of-memory"),
    lambda: line_case(131072, ""),
    lambda: line_case(524288, "200 ms"),
    lambda: line_case(1 << 20, "no out-of-memory"),
]


def main() -> None:
    """Runs every case, prints the table, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/results/attention.json"))
    options = parser.parse_args()
    rows: list[Row] = []
    for case in CASES:
        torch.cuda.reset_peak_memory_stats()
        try:
            rows += case()
        except torch.cuda.OutOfMemoryError as reason:
            print(f"out of memory: {reason}")
        print(rows[-1], flush=True)
        torch.cuda.empty_cache()
        write(options.out, rows)
    show(rows, ["case", "tokens", "ms", "tflops", "target", "share", "error", "estimate_ms", "memory_gb"])


if __name__ == "__main__":
    main()
