"""q, k and v of a real model on a real text: `python -m tests.benchmarks.real_heads --layer 2 --layer 20 --out FILE`.

The file (safetensors) holds, per layer N, `N.q` [1, H, T, D], `N.k` and `N.v` [1, Hkv, T, D], rotated already;
`tests.benchmarks.policies --heads FILE` runs every policy on them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from engine.models.model import LanguageModel
from engine.prefill.prefill import prefill_segment
from kernels import dense_attention
from tests.texts import long_text

Heads = tuple[Tensor, Tensor, Tensor]


class Recorder:
    """Dense attention that keeps the q, k and v of chosen layers."""

    def __init__(self, layers: Sequence[int]) -> None:
        self.layers, self.kept = set(layers), dict[int, Heads]()

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> tuple[Tensor, Tensor]:
        """Dense attention over every key."""
        if layer in self.layers:
            self.kept[layer] = (q.clone(), k.clone(), v.clone())
        return dense_attention(q, k, v, scale=scale)


def heads_of(model: LanguageModel, tokens: list[int], layers: Sequence[int]) -> dict[int, Heads]:
    """Per layer q [1, H, T, D], k and v [1, Hkv, T, D] of one prefill of `tokens`, after the rotary embedding."""
    recorder = Recorder(layers)
    prefill_segment(model.decoder, model.new_cache(len(tokens)), tokens, [(0, len(tokens))], attends=recorder)
    return recorder.kept


def main() -> None:
    """Writes the chosen layers' heads to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--layer", type=int, action="append", required=True)
    parser.add_argument("--tokens", type=int, default=8000)
    parser.add_argument("--kind", choices=["prose", "code"], default="prose")
    parser.add_argument("--text", type=Path, help="a file to read instead")
    parser.add_argument("--home", type=Path, default=Path(".cache/omnibus"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    model = LanguageModel.load(options.model, home=options.home)
    text = options.text.read_text() if options.text else long_text(options.kind)
    tokens = model.encode(text)[: options.tokens]
    found = heads_of(model, tokens, options.layer)
    if missing := set(options.layer) - set(found):
        parser.error(f"the model has no layer {min(missing)}")
    named = {
        f"{n}.{name}": x.contiguous().cpu() for n, heads in found.items() for name, x in zip("qkv", heads, strict=True)
    }
    save_file(named, options.out, {"model": model.name, "tokens": str(len(tokens))})
    print(f"{options.out}: layers {', '.join(map(str, sorted(found)))} of {model.name} over {len(tokens):,} tokens")


if __name__ == "__main__":
    main()
