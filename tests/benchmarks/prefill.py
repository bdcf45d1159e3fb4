"""Prefill of a whole model with its KV kept: `python -m tests.benchmarks.prefill --tokens N --policy P --out FILE`.

Random weights of a known shape. Seconds run from the token ids to the last position's logits with every key and value
in its place, memory for them included: on the device in bfloat16 where they fit, else in host memory in e4m3.
Attention and index are timed by events around the calls; what is left is matrix products, the small steps between them
and what copies do not hide. The linear layers' floor is the rate of a large product (DESIGN §4).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from engine.kv.cache import KVCache
from engine.kv.host_cache import HostCache
from engine.policies import Policy, policy_by_name
from engine.prefill import attention
from engine.prefill.prefill import prefill_segment
from engine.prefill.spans import chunk_spans
from tests.benchmarks.report import show, write
from tests.benchmarks.shapes import SHAPES, linear_flops, random_model

GEMM_TFLOPS = 726
"""A large bfloat16 product on an H100 (DESIGN §4): what the linear layers could reach."""
Row = dict[str, Any]


class Clock:
    """Device time of calls, by kind, without waiting for them."""

    def __init__(self) -> None:
        self.spans: dict[str, list[tuple[torch.cuda.Event, torch.cuda.Event]]] = {}

    def timed(self, kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, its device time noted under `kind`."""

        def run(*args: Any, **kwargs: Any) -> Any:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            result = call(*args, **kwargs)
            end.record()
            self.spans.setdefault(kind, []).append((start, end))
            return result

        return run

    def seconds(self, kind: str) -> float:
        """Seconds so far; waits for the device."""
        torch.cuda.synchronize()
        return sum(start.elapsed_time(end) for start, end in self.spans.get(kind, [])) / 1e3


@contextmanager
def clocked(policy: Policy) -> Iterator[Clock]:
    """Times the policy's index, attention and audit within the block."""
    clock = Clock()
    names = {"sparse_attention": "attention", "dense_attention": "attention", "review": "audit"}
    with (
        patch.object(policy, "index", clock.timed("index", policy.index)),
        patch.multiple(
            attention, **{name: clock.timed(kind, getattr(attention, name)) for name, kind in names.items()}
        ),
    ):
        yield clock


def make_cache(shape: str, tokens: int, kind: str) -> KVCache | HostCache:
    """An empty cache of that kind."""
    s = SHAPES[shape]
    make: Any = HostCache if kind == "host" else KVCache.empty
    cache: KVCache | HostCache = make(
        s["num_hidden_layers"], s["num_key_value_heads"], s["head_dim"],
        capacity=tokens, dtype=torch.bfloat16, device=torch.device("cuda"),
    )  # fmt: skip
    return cache


def measure(model: Any, shape: str, tokens: int, spec: str, chunk: int, kind: str) -> Row:
    """One prefill, from token ids to logits with the KV kept."""
    policy = policy_by_name(spec, model.config)
    ids = torch.randint(0, SHAPES[shape]["vocab_size"], (tokens,), generator=torch.Generator().manual_seed(1)).tolist()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    with clocked(policy) as clock:
        started = time.perf_counter()
        cache = make_cache(shape, tokens, kind)
        under = attention.Attending(policy)
        hidden = prefill_segment(model.model, cache, ids, chunk_spans(tokens, chunk), attends=under)
        logits = model.lm_head(hidden[0, -1])
        torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        parts = {part: clock.seconds(part) for part in ("attention", "index", "audit")}
    assert torch.isfinite(logits).all()
    assert cache.length == tokens
    rest = seconds - sum(parts.values())
    flops = linear_flops(shape) * tokens
    return {
        "shape": shape, "policy": spec, "tokens": tokens, "chunk": chunk, "kv": kind, "seconds": seconds,
        **parts, "linear_and_rest": rest, "linear_floor": flops / GEMM_TFLOPS / 1e12,
        "linear_tflops": flops / rest / 1e12, "density": under.density, "kept": under.recall.mean,
        "tokens_per_second": tokens / seconds, "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
    }  # fmt: skip


def main() -> None:
    """Each policy at each length; prints a table, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", default="llama-3.1-8b", choices=SHAPES)
    parser.add_argument("--tokens", type=int, action="append")
    parser.add_argument("--policy", action="append")
    parser.add_argument("--chunk", type=int, default=32768)
    parser.add_argument("--kv", choices=["auto", "device", "host"], default="auto")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("data/results/prefill.json"))
    options = parser.parse_args()
    lengths = options.tokens or [32768, 131072]
    model = random_model(options.shape, max(lengths), "cuda")
    rows: list[Row] = []
    for tokens in lengths:
        kind = options.kv if options.kv != "auto" else "host" if tokens > 262144 else "device"
        warm = min(tokens, 2 * options.chunk)
        for spec in options.policy or ["minference:1000,6096"]:
            measure(model, options.shape, warm, spec, options.chunk, kind)  # compiles and tunes
            for _ in range(options.rounds):
                rows.append(measure(model, options.shape, tokens, spec, options.chunk, kind))
                write(options.out, rows)
                torch.cuda.empty_cache()
    show(rows, [c for c in rows[0] if c != "shape"])


if __name__ == "__main__":
    main()
