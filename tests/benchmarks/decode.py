"""Decode attention on one GPU: `python -m tests.benchmarks.decode --out FILE`.

32 query heads, 8 KV heads, head dim 128, one query a sequence, normal random data, each case in a CUDA graph. GB/s
counts the keys and values read, once; "share" is that rate over the rate at which torch copies 1 GiB in the same run
(bytes read plus bytes written).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kernels import Pages, decode_attention, shared_prefix_attention
from kernels.fp8 import quantize
from tests.benchmarks.report import graphed, race, show, write

HEADS, KV_HEADS, DIM = 32, 8, 128
QUESTIONS, OWN = 32, 64
Row = dict[str, Any]


def tensors(batch: int, tokens: int, dtype: torch.dtype = torch.bfloat16) -> tuple[Tensor, Tensor, Tensor]:
    """Random q of one token, k and v of `tokens`."""
    torch.manual_seed(0)
    q = torch.randn(batch, HEADS, 1, DIM, device="cuda", dtype=dtype)
    k, v = (torch.randn(batch, KV_HEADS, tokens, DIM, device="cuda", dtype=dtype) for _ in range(2))
    return q, k, v


def copy() -> tuple[Callable[[], object], float]:
    """torch's copy of 1 GiB, and the bytes that it moves."""
    source = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return lambda: target.copy_(source), 2.0 * (1 << 30)


def cases() -> dict[str, tuple[Callable[[], object], float]]:
    """Name -> what to run, and the bytes of keys and values that it must read."""
    found: dict[str, tuple[Callable[[], object], float]] = {"copy": copy()}
    for batch, tokens in ((1, 8192), (1, 32768), (1, 131072), (8, 16384)):
        q, k, v = tensors(batch, tokens)
        name = f"{tokens // 1024}K x {batch}"
        size = 4.0 * k.numel()
        found[name] = (lambda q=q, k=k, v=v: decode_attention(q, k, v), size)
        if tokens == 131072:
            found |= long_cases(q, k, v, size)
    return found


def long_cases(q: Tensor, k: Tensor, v: Tensor, size: float) -> dict[str, tuple[Callable[[], object], float]]:
    """Over 128K: 8-bit keys, a tenth of the pages, attention mass, torch's own, and a million tokens."""
    (k8, k_scale), (v8, v_scale) = quantize(k), quantize(v)
    order = torch.stack([torch.randperm(1024, device="cuda")[:102].sort().values for _ in range(KV_HEADS)])
    pages = Pages.of(order.unsqueeze(0), 128)

    def torch_attention() -> Tensor:
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    return {
        "128K x 1, torch": (torch_attention, size),
        "128K x 1, e4m3": (lambda: decode_attention(q, k8, v8, k_scale=k_scale, v_scale=v_scale), size / 2),
        "128K x 1, mass per 128 keys": (lambda: decode_attention(q, k, v, mass_block=128), size),
        "128K x 1, 10 % of pages": (lambda: decode_attention(q, k, v, pages=pages), size * 102 / 1024),
    }


def shared() -> list[Row]:
    """32 questions over one prefix of 128K: together, and one by one."""
    _, prefix_k, prefix_v = tensors(1, 131072)
    q, k, v = tensors(QUESTIONS, OWN)
    lens = torch.full((QUESTIONS,), OWN, dtype=torch.int32, device="cuda")
    whole_k, whole_v = (torch.cat([a, b[:1]], dim=2) for a, b in ((prefix_k, k), (prefix_v, v)))

    def together() -> object:
        return shared_prefix_attention(q, prefix_k, prefix_v, k, v, kv_lens=lens)

    def apart() -> object:
        return [decode_attention(q[i : i + 1], whole_k, whole_v)[0] for i in range(QUESTIONS)]

    got = together()[0][:1].float()  # type: ignore[index]
    error = (got - decode_attention(q[:1], whole_k, whole_v)[0].float()).norm() / got.norm()
    times = race({"together": graphed(together), "apart": graphed(apart)})
    read = 4.0 * prefix_k.numel()
    return [
        {"case": f"{QUESTIONS} questions, one by one", "ms": times["apart"], "gb_s": read * 32 / times["apart"] / 1e6},
        {
            "case": f"{QUESTIONS} questions, shared prefix 128K",
            "ms": times["together"],
            "gb_s": read / times["together"] / 1e6,
            "target": ">= 10 times",
            "times": times["apart"] / times["together"],
            "error": error.item(),
        },
    ]


def explore(out: list[Row]) -> None:
    """Every tile worth trying, at one sequence of 128K and at 32 questions over it."""
    from kernels.triton.decode_attention import Tiles
    from kernels.triton.decode_attention import decode_attention as on_triton

    q, k, v = tensors(1, 131072)
    many = torch.randn(1, HEADS, QUESTIONS, DIM, device="cuda", dtype=torch.bfloat16)
    runs: dict[str, Callable[[], object]] = {}
    for n, warps, stages, resident in [
        (64, 4, 2, 2), (64, 4, 3, 2), (64, 4, 4, 1), (32, 4, 4, 4), (32, 2, 4, 4), (128, 4, 2, 1), (128, 8, 2, 1),
        (64, 8, 3, 2), (128, 8, 3, 1), (64, 2, 3, 2), (64, 4, 3, 4),
    ]:  # fmt: skip
        tiles = Tiles(16, n, warps, stages, resident)
        runs[f"1 {tiles}"] = graphed(lambda t=tiles: on_triton(q, k, v, tiles=t))
    for m, n, warps, stages, resident in [
        (128, 64, 8, 3, 2), (128, 64, 4, 3, 1), (128, 128, 8, 2, 1), (64, 64, 4, 3, 2), (128, 64, 8, 2, 2),
        (64, 128, 4, 2, 1), (128, 32, 8, 4, 2),
    ]:  # fmt: skip
        tiles = Tiles(m, n, warps, stages, resident)
        try:
            runs[f"32 {tiles}"] = graphed(lambda t=tiles: on_triton(many, k, v, causal=False, tiles=t))
        except Exception as reason:  # a configuration that the device refuses is a result
            print(tiles, repr(reason)[:100])
    (k8, k_scale), (v8, v_scale) = quantize(k), quantize(v)
    for n, warps, stages, resident in [(64, 4, 3, 2), (64, 8, 3, 2), (128, 8, 3, 2), (128, 4, 3, 2), (128, 8, 4, 1)]:
        tiles = Tiles(16, n, warps, stages, resident)
        runs[f"e4m3 {tiles}"] = graphed(lambda t=tiles: on_triton(q, k8, v8, k_scale=k_scale, v_scale=v_scale, tiles=t))
    for name, time in race(runs, budget=40).items():
        read = (2.0 if name.startswith("e4m3") else 4.0) * k.numel()
        out.append({"case": name, "ms": time, "gb_s": read / time / 1e6})


def main() -> None:
    """Runs every case, prints the table, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/results/decode.json"))
    parser.add_argument("--explore", action="store_true", help="time tile sizes instead")
    options = parser.parse_args()
    rows: list[Row] = []
    if options.explore:
        explore(rows)
    else:
        found = cases()
        times = race({name: graphed(run) for name, (run, _) in found.items()})
        rate = {name: found[name][1] / times[name] / 1e6 for name in times}
        for name, time in times.items():
            target = ">= 0.8 share" if name == "128K x 1" else ""
            rows.append(
                {"case": name, "ms": time, "gb_s": rate[name], "share": rate[name] / rate["copy"], "target": target}
            )
        rows += shared()
    write(options.out, rows)
    show(rows, ["case", "ms", "gb_s", "share", "times", "error", "target"])


if __name__ == "__main__":
    main()
