"""Building sparse indices on one GPU: `python -m tests.benchmarks.estimate --out FILE`.

32 query heads, 8 KV heads, head dim 128, bf16, each case in a CUDA graph where it never waits for the host. "share" is
the time over that of dense causal attention at the same length, measured in the same run up to 128K.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from engine.policies import Auto
from kernels import (
    BlockIndex,
    antidiagonal_scores,
    dense_attention,
    last_query_scores,
    pool,
    pooled_scores,
    select_keys,
)
from tests.benchmarks.attention import DIM, HEADS, estimate_lines, tensors
from tests.benchmarks.report import graphed, race, show, write

Row = dict[str, Any]


def runs_at(tokens: int, chunk: int) -> dict[str, tuple[Callable[[], object], str]]:
    """What to time for the last `chunk` of `tokens`: name -> (run, target)."""
    q, k, _ = tensors(tokens)
    q = q[:, :, -chunk:]
    last = q[:, :, -64:]
    target = tokens == chunk == 131072

    def pooled() -> object:
        return pooled_scores(pool(q), pool(k))

    def lines() -> tuple[torch.Tensor, ...]:
        vertical, slash = last_query_scores(last, k)
        columns, column_counts = select_keys(vertical, count=1000)
        diagonals, diagonal_counts = select_keys(slash, count=6096)
        return columns, column_counts, diagonals, diagonal_counts

    def line_index() -> BlockIndex:
        columns, column_counts, diagonals, diagonal_counts = lines()
        return BlockIndex.vertical_slash(
            columns[..., :1024].contiguous(), diagonals[..., :6144].contiguous(), q_len=chunk, kv_len=tokens,
            column_counts=column_counts.clamp_max(1024), diagonal_counts=diagonal_counts.clamp_max(6144),
        )  # fmt: skip

    scores = antidiagonal_scores(q, k)
    found: dict[str, tuple[Callable[[], object], str]] = {
        "last 64 queries, columns and diagonals": (lambda: last_query_scores(last, k), "<= 4 ms" if target else ""),
        "pooled scores": (pooled, "<= 4 ms" if target else ""),
        "antidiagonals, stride 16": (lambda: antidiagonal_scores(q, k), "<= 12 ms" if target else ""),
        "blocks of 0.9 of the mass, by bisection": (lambda: select_keys(scores, mass=0.9), ""),
        "1000 columns and 6096 diagonals, by bisection": (lines, ""),
        "index of vertical lines and diagonals, whole": (line_index, ""),
        "auto's columns and blocks, whole": (lambda: Auto().index(0, q, k), "<= 1 % of dense" if target else ""),
    }
    if target:
        found["antidiagonals, stride 8"] = (lambda: antidiagonal_scores(q, k, stride=8), "")
        found["the same lines in plain torch"] = (lambda: estimate_lines(q, k), "")
    if tokens <= 131072 and chunk == tokens:
        found["dense attention"] = (lambda: dense_attention(q, k, k), "")
    return found


def case(tokens: int, chunk: int) -> list[Row]:
    """One length's table."""
    torch.cuda.reset_peak_memory_stats()
    found = runs_at(tokens, chunk)
    times = race({name: graphed(run) for name, (run, _) in found.items()}, budget=150)
    dense = times.get("dense attention")
    rows = []
    for name, time in times.items():
        row = {"case": name, "tokens": tokens, "queries": chunk, "ms": time, "target": found[name][1]}
        row["share"] = time / dense if dense else None
        if "antidiagonals" in name:
            stride = int(name.split()[-1])
            strided, before = chunk / stride, (tokens - chunk) / stride
            row["tflops"] = 2 * DIM * stride * HEADS * (strided * before + strided * strided / 2) / time / 1e9
        rows.append(row)
    rows[0]["memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
    return rows


def explore() -> list[Row]:
    """Tiles of the antidiagonal product at 128K."""
    from kernels.triton.antidiagonal_scores import Tiles
    from kernels.triton.antidiagonal_scores import antidiagonal_scores as on_triton

    q, k, _ = tensors(131072)
    runs: dict[str, Callable[[], object]] = {}
    for m, n, warps, stages, flatten in [
        (128, 128, 8, 3, False), (128, 128, 8, 2, False), (128, 128, 4, 3, False), (128, 128, 8, 3, True),
        (128, 256, 8, 2, False), (128, 256, 8, 2, True), (256, 128, 8, 2, False), (64, 256, 4, 2, False),
        (128, 64, 4, 4, False), (128, 192, 8, 2, False), (128, 128, 4, 3, True),
    ]:  # fmt: skip
        tiles = Tiles(m, n, warps, stages, flatten)
        try:
            run = lambda t=tiles: on_triton(q, k, tiles=t)  # noqa: E731
            run()
            runs[str(tiles)] = run
        except Exception as reason:  # a configuration that the device refuses is a result
            print(tiles, repr(reason)[:200])
    return [{"case": name, "ms": time} for name, time in race(runs, budget=100).items()]


def main() -> None:
    """Runs every case, prints the table, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/results/estimate.json"))
    parser.add_argument("--explore", action="store_true", help="time tile sizes instead")
    options = parser.parse_args()
    rows: list[Row] = []
    if options.explore:
        rows = explore()
    else:
        for tokens, chunk in ((32768, 32768), (131072, 131072), (524288, 16384), (1 << 20, 16384)):
            rows += case(tokens, chunk)
            torch.cuda.empty_cache()
            write(options.out, rows)
    write(options.out, rows)
    show(rows, ["case", "tokens", "queries", "ms", "tflops", "share", "memory_gb", "target"])


if __name__ == "__main__":
    main()
