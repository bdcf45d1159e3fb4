"""Answers behind a long prefix on one GPU: `python -m tests.benchmarks.answering --out FILE`.

An 8B shape with random weights behind a prefix of random keys and values (what attention costs does not depend on
them). Decode of one question, beside what memory bandwidth allows (weights and KV read once a token at the rate of a
plain copy); many questions at once beside one after another; and a prefix in host memory, read page-sparse.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from engine.decode.batch import TOGETHER
from engine.decode.decoding import Decoding
from engine.kv.cache import KVCache
from engine.kv.host_cache import HostCache
from engine.kv.prefix import HostPrefix, Prefix, ResidentPrefix
from tests.benchmarks.report import show, write
from tests.benchmarks.shapes import SHAPES, random_model

QUESTION, ANSWER = 48, 64
Row = dict[str, Any]


def language_model(shape: str, tokens: int) -> Any:
    """What Decoding needs of a LanguageModel, over random weights."""
    s, made = SHAPES[shape], random_model(shape, tokens + 4096, "cuda")
    fingerprint = SimpleNamespace(
        layers=s["num_hidden_layers"], kv_heads=s["num_key_value_heads"], head_dim=s["head_dim"]
    )
    return SimpleNamespace(
        fingerprint=fingerprint,
        dual_chunk=None, decoder=made.model, head=made.lm_head, device=torch.device("cuda"),
        dtype=torch.bfloat16, weights=sum(p.nbytes for p in made.parameters()) - made.model.embed_tokens.weight.nbytes,
    )  # fmt: skip


def prefix_of(model: Any, tokens: int, place: str) -> tuple[Prefix, int]:
    """A prefix of random keys and values, and its bytes."""
    f = model.fingerprint
    sizes = {"capacity": tokens, "dtype": model.dtype, "device": model.device}
    if place == "device":
        cache = KVCache.empty(f.layers, f.kv_heads, f.head_dim, **sizes)
        for layer in cache.layers:
            layer.keys.normal_()
            layer.values.normal_()
        cache.fill(tokens)
        return ResidentPrefix(cache), sum(layer.keys.nbytes * 2 for layer in cache.layers)
    host = HostCache(f.layers, f.kv_heads, f.head_dim, **sizes)
    for i in range(f.layers):
        host.begin_layer(i)
        host.layers[i].keys.normal_()
        host.layers[i].values.normal_()
        host.layers[i].length = tokens
        host.end_layer(i)
    host.commit(tokens)
    return HostPrefix(host), host.bytes


def copy_rate() -> float:
    """Bytes a second that a plain copy moves (reads and writes)."""
    a, b = (torch.empty(1 << 30, dtype=torch.uint8, device="cuda") for _ in range(2))
    times = []
    for _ in range(7):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        b.copy_(a)
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    return 2 * a.nbytes / sorted(times)[3]


def answer(model: Any, prefix: Prefix, batch: int, *, rounds: int = 3) -> dict[str, float]:
    """Median seconds of reading `batch` questions, of one decode step, and of a whole batch of answers."""
    decoding = Decoding(model, prefix, batch=batch, capacity=QUESTION + ANSWER, chunk_tokens=16384)
    figures: dict[str, list[float]] = {"read": [], "step": [], "whole": []}
    for _ in range(rounds + 1):
        torch.cuda.synchronize()
        began = time.perf_counter()
        for b in range(0, batch, TOGETHER):
            slots = range(b, min(b + TOGETHER, batch))
            for slot in slots:
                decoding.tails.take(slot, 0)
            if batch == 1:
                decoding.read(0, list(range(QUESTION))).argmax().item()
            else:
                decoding.read_together(slots, [list(range(QUESTION))] * len(slots)).argmax().item()
        read = time.perf_counter()
        decoding.going(range(batch))
        tokens = [0] * batch
        for _ in range(ANSWER):
            tokens = decoding.step(tokens).argmax(-1).tolist()
        end = time.perf_counter()
        for name, value in (("read", read - began), ("step", (end - read) / ANSWER), ("whole", end - began)):
            figures[name].append(value)
    return {name: sorted(values[1:])[rounds // 2] for name, values in figures.items()}  # the first one captures


def main() -> None:
    """All cases; prints a table, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", default="llama-3.1-8b", choices=SHAPES)
    parser.add_argument("--tokens", type=int, default=131072, help="of the resident prefix")
    parser.add_argument("--host-tokens", type=int, default=1 << 20, help="of the prefix in host memory; 0: none")
    parser.add_argument("--questions", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path("data/results/answering.json"))
    options = parser.parse_args()
    model = language_model(options.shape, max(options.tokens, options.host_tokens))
    rate, rows = copy_rate(), []
    prefix, size = prefix_of(model, options.tokens, "device")
    single = answer(model, prefix, 1)
    bound = (model.weights + size) / rate
    rows.append(
        {"case": "one question, resident", "prefix": options.tokens, "questions": 1, **single,
         "tokens_per_second": 1 / single["step"], "of_bandwidth": bound / single["step"]}
    )  # fmt: skip
    many = answer(model, prefix, options.questions)
    rows.append(
        {"case": "questions together", "prefix": options.tokens, "questions": options.questions, **many,
         "tokens_per_second": options.questions / many["step"], "of_bandwidth": bound / many["step"],
         "times_one_by_one": single["whole"] * options.questions / many["whole"]}
    )  # fmt: skip
    write(options.out, rows)
    if options.host_tokens:
        del prefix
        torch.cuda.empty_cache()
        prefix, size = prefix_of(model, options.host_tokens, "host")
        far = answer(model, prefix, 1)
        rows.append(
            {"case": "one question, prefix on the host", "prefix": options.host_tokens, "questions": 1, **far,
             "tokens_per_second": 1 / far["step"], "host_gb": size / 1e9,
             "peak_gib": torch.cuda.max_memory_allocated() / 2**30}
        )  # fmt: skip
        write(options.out, rows)
    show(rows, ["case", "prefix", "questions", "read", "step", "whole", "tokens_per_second", "of_bandwidth",
                "times_one_by_one", "host_gb"])  # fmt: skip
    print(f"copy {rate / 1e12:.2f} TB/s, weights {model.weights / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
