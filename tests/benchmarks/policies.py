"""Sparse policies on one GPU: `python -m tests.benchmarks.policies --out FILE`.

A layer of 32 query heads, 8 KV heads, head dim 128, on structured heads (engine/policies/structured.py), prefilled in
chunks of 32K queries as the engine does. `ms` is the whole layer, chunk after chunk: index, attention, and for `auto`
the audit with what it does again (dense above 128K: a straight line through its first and last chunk). The parts are
timed one by one, Python's launching included; above 128K on four chunks evenly spaced, the rest by the trapezoid rule.
Kept mass is an independent exact computation for 64 queries a chunk that no estimator looks at.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from engine.policies import Policy, policy_by_name
from engine.policies.structured import structured_heads
from engine.prefill.attention import Attending, review
from kernels import BlockIndex, dense_attention, sampled_lse, sparse_attention
from kernels.density import computed_share
from tests.benchmarks.report import show, write

CHUNK = 32768
POLICIES = [
    "dense",
    "auto",
    "auto:recall=0.9",
    "auto:recall=0.8",
    "auto:recall=0.75",
    "minference:1000,6096",
    "flexprefill:gamma=0.95",
    "xattention:stride=16,threshold=0.9",
]
Row = dict[str, Any]


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds on the device, and the result."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    result = run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end), result


def kept(q: Tensor, k: Tensor, lse: Tensor) -> Tensor:
    """Share of the attention that queries at odd places kept, [H]."""
    step = max(q.shape[2] // 64, 1)
    rows = torch.arange(step // 3, q.shape[2], step, device=q.device)
    exact = sampled_lse(q[:, :, rows], k, (rows + k.shape[2] - q.shape[2]).int())
    return torch.exp(lse[:, :, rows] - exact)[0].clamp_max(1).mean(-1)


def chunk_row(policy: Policy, q: Tensor, k: Tensor, v: Tensor) -> dict[str, float]:
    """One chunk: milliseconds of index, attention and audit, density, kept mass by mean and worst head."""
    index_ms, index = timed(lambda: policy.index(0, q, k))
    if index is None:
        attention_ms, (_, lse) = timed(lambda: dense_attention(q, k, v))
        return {"index": index_ms, "attention": attention_ms, "audit": 0.0, "density": 1.0, "kept": 1.0, "worst": 1.0}
    found: BlockIndex = index
    attention_ms, (out, lse) = timed(lambda: sparse_attention(q, k, v, found))
    density, audit_ms = computed_share(found).item(), 0.0
    if policy.name == "auto":
        state = Attending(policy)
        audit_ms, _ = timed(lambda: review(state, q, k, v, out, lse, None))
        density += sum(pairs * float(share) for pairs, share in state.computed) / (
            q.shape[2] * (2 * k.shape[2] - q.shape[2] + 1) / 2
        )
    held = kept(q, k, lse)
    return {
        "index": index_ms,
        "attention": attention_ms,
        "audit": audit_ms,
        "density": density,
        "kept": held.mean().item(),
        "worst": held.min().item(),
    }


def layer(spec: str, q: Tensor, k: Tensor, v: Tensor) -> Row:
    """A whole layer under one policy."""
    tokens = k.shape[2]
    policy = policy_by_name(spec)
    chunk = min(CHUNK, tokens)
    ends = list(range(chunk, tokens + 1, chunk))
    some = ends if len(ends) <= 4 else [ends[round(i * (len(ends) - 1) / 3)] for i in range(4)]
    straight = spec == "dense" and tokens > 131072
    if straight:
        some = [ends[0], ends[-1]]
    for end in some:  # compile, and warm up
        chunk_row(policy, q[:, :, end - chunk : end], k[:, :, :end], v[:, :, :end])
    rows = [chunk_row(policy, q[:, :, end - chunk : end], k[:, :, :end], v[:, :, :end]) for end in some]

    def total(name: str) -> float:
        if len(some) == len(ends):
            return sum(row[name] for row in rows)
        area = sum(
            (b - a) / chunk * (x[name] + y[name]) / 2
            for a, b, x, y in zip(some, some[1:], rows, rows[1:], strict=False)
        )
        return area + (rows[0][name] + rows[-1][name]) / 2

    def whole() -> None:
        state = Attending(policy, audited=policy.name == "auto")
        for end in ends:
            state.attend(0, q[:, :, end - chunk : end], k[:, :, :end], v[:, :, :end], None)

    weights = [2 * end - chunk for end in some]

    def mean(name: str) -> float:
        return sum(w * row[name] for w, row in zip(weights, rows, strict=True)) / sum(weights)

    parts = {f"{name}_ms": total(name) for name in ("index", "attention", "audit")}
    return {
        "policy": spec,
        "tokens": tokens,
        "ms": sum(parts.values()) if straight else min(timed(whole)[0] for _ in range(2)),
        **parts,
        "density": mean("density"),
        "kept": sum(row["kept"] for row in rows) / len(rows),
        "worst_head": min(row["worst"] for row in rows),
    }


def rival(q: Tensor, k: Tensor, v: Tensor) -> float:
    """Dense causal attention by cuDNN, milliseconds."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    def run() -> Tensor:
        with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

    run()
    return min(timed(run)[0] for _ in range(3))


def inputs(lengths: list[int], heads: Path | None) -> Iterator[tuple[str, tuple[Tensor, Tensor, Tensor]]]:
    """What to run on, one after another: structured heads of each length, or each layer of a file in whole chunks."""
    if heads is None:
        for tokens in lengths:
            yield "structured", structured_heads(tokens)
        return
    with safe_open(heads, "pt", device="cuda") as file:
        for layer in sorted({int(key.split(".")[0]) for key in file.keys()}):  # noqa: SIM118
            q, k, v = (file.get_tensor(f"{layer}.{part}").bfloat16() for part in "qkv")
            tokens = q.shape[2] // min(CHUNK, q.shape[2]) * min(CHUNK, q.shape[2])
            yield f"layer {layer}", (q[:, :, :tokens], k[:, :, :tokens], v[:, :, :tokens])


def main() -> None:
    """Every policy at every length; prints a table, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/results/policies.json"))
    parser.add_argument("--tokens", type=int, action="append")
    parser.add_argument("--policy", action="append")
    parser.add_argument("--heads", type=Path, help="real ones, from tests.benchmarks.real_heads, instead")
    options = parser.parse_args()
    rows: list[Row] = []
    for name, (q, k, v) in inputs(options.tokens or [32768, 131072, 524288, 1 << 20], options.heads):
        tokens = q.shape[2]
        if tokens <= 131072:
            time = rival(q, k, v)
            rows.append({"policy": "cuDNN, one call", "tokens": tokens, "ms": time, "density": 1.0, "kept": 1.0})
        for spec in options.policy or POLICIES:
            torch.cuda.reset_peak_memory_stats()
            try:
                row = layer(spec, q, k, v)
            except torch.cuda.OutOfMemoryError:
                row = {"policy": spec, "tokens": tokens, "note": "out of memory"}
            row["heads"] = name
            row["memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
            rows.append(row)
            write(options.out, rows)
            torch.cuda.empty_cache()
    show(
        rows,
        [
            "policy",
            "heads",
            "tokens",
            "ms",
            "index_ms",
            "attention_ms",
            "audit_ms",
            "density",
            "kept",
            "worst_head",
            "memory_gb",
        ],
    )


if __name__ == "__main__":
    main()
