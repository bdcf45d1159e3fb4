"""Is sparse prefill never slower than dense: `python -m tests.benchmarks.crossover --out FILE`.

Whole prefills of random weights of a known shape, from token ids to the last hidden state with the KV kept: dense,
`auto` with its border measured here (into an empty folder: its seconds are a figure too), and `auto`
with the border that is assumed where none was measured. Random weights attend to everything, so attention reads
structured heads (engine.policies.structured) of the same shape in the place of the model's own. The policies take
turns; a figure is the least of the rounds. Of a large shape its first layers do: the others take as long each.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.hardware import pick_chunk
from engine.kv.cache import KVCache
from engine.policies import Policy, policy_by_name
from engine.policies.structured import structured_heads
from engine.prefill.attention import Attending
from engine.prefill.crossover import Shape, border_of_shape, known
from engine.prefill.prefill import prefill_segment
from engine.prefill.spans import chunk_spans
from tests.benchmarks.report import show, write
from tests.benchmarks.shapes import SHAPES, random_model

LAYERS = 30
"""Layers of the small default model; of others as many as fit beside structured heads of 128K."""
Row = dict[str, Any]


class Structured:
    """Attention over structured heads, read where the model's own would be."""

    def __init__(self, inner: Attending, heads: tuple[Tensor, Tensor, Tensor]) -> None:
        self._inner, self._heads = inner, heads

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> tuple[Tensor, Tensor]:
        """As Attends.attend, of the same places."""
        end = k.shape[2]
        others_q, others_k, others_v = self._heads
        return self._inner.attend(
            layer, others_q[:, :, end - q.shape[2] : end], others_k[:, :, :end], others_v[:, :, :end], None
        )


def prefill(model: Any, policy: Policy, heads: tuple[Tensor, Tensor, Tensor], chunk: int) -> tuple[float, Attending]:
    """Seconds of one prefill, and what its attention did."""
    tokens, config, device = heads[1].shape[2], model.config, heads[1].device
    ids = torch.randint(0, config.vocab_size, (tokens,), generator=torch.Generator().manual_seed(1)).tolist()
    cache = KVCache.empty(
        config.num_hidden_layers, config.num_key_value_heads, config.head_dim,
        capacity=tokens, dtype=torch.bfloat16, device=device,
    )  # fmt: skip
    under = Attending(policy)
    wait(device)
    started = time.perf_counter()
    prefill_segment(model.model, cache, ids, chunk_spans(tokens, chunk), attends=Structured(under, heads))
    wait(device)
    return time.perf_counter() - started, under


def wait(device: torch.device) -> None:
    """For what was asked of a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    """Each shape at each length; prints a table, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", action="append", choices=SHAPES)
    parser.add_argument("--tokens", type=int, action="append")
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path("data/results/crossover.json"))
    options = parser.parse_args()
    lengths = options.tokens or [8192, 16384, 32768, 65536, 131072]
    device, rows = torch.device(options.device), list[Row]()
    for name in options.shape or ["smollm2-135m", "llama-3.1-8b"]:
        model = random_model(name, max(lengths), options.device, layers=options.layers)
        c, chunk = model.config, pick_chunk(device)
        shape = Shape(c.num_attention_heads, c.num_key_value_heads, c.head_dim, torch.bfloat16, device, chunk)
        with tempfile.TemporaryDirectory() as folder:
            auto = policy_by_name("auto", border=border_of_shape(Path(folder), shape, max(lengths)))
            (found,) = known(Path(folder)) or [{}]
        rows.append({"shape": name, "policy": "measured", **{k: found.get(k) for k in ("keys", "seconds", "samples")}})
        policies = {
            "dense": policy_by_name("dense"),
            "auto": auto,
            "assumed": policy_by_name("auto", None, device.type),
        }
        for tokens in lengths:
            heads = structured_heads(
                tokens, heads=c.num_attention_heads, kv_heads=c.num_key_value_heads, dim=c.head_dim, device=device
            )
            taken: dict[str, list[float]] = {policy: [] for policy in policies}
            states: dict[str, Attending] = {}
            for round_number in range(options.rounds + 1):
                for policy, chosen in policies.items():
                    seconds, states[policy] = prefill(model, chosen, heads, chunk)
                    if round_number:  # the first one compiles
                        taken[policy].append(seconds)
            dense = min(taken["dense"])
            for policy, seconds_ in taken.items():
                state = states[policy]
                rows.append(
                    {
                        "shape": name, "layers": c.num_hidden_layers, "policy": policy, "tokens": tokens,
                        "seconds": min(seconds_), "beside_dense": min(seconds_) / dense, "rounds": seconds_,
                        "density": state.density, "kept": state.recall.mean, "redone": state.recall.redone,
                    }
                )  # fmt: skip
            write(options.out, rows)
        del model
    show(rows, ["shape", "layers", "policy", "tokens", "keys", "seconds", "beside_dense", "density", "kept", "redone"])


if __name__ == "__main__":
    main()
