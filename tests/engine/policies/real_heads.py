"""q and k of a real model on a real text: what policies are tested on, beside structured noise."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from engine.attention import Attending
from engine.model import LanguageModel
from engine.prefill import prefill_segment
from kernels import BlockIndex


class Recorder:
    """A dense policy that keeps the q and k of chosen layers."""

    name = "recorder"

    def __init__(self, layers: Sequence[int]) -> None:
        self.layers, self.kept = set(layers), dict[int, tuple[Tensor, Tensor]]()

    def parameters(self) -> dict[str, float | int | str]:
        return {}

    def index(self, layer: int, q: Tensor, k: Tensor) -> BlockIndex | None:
        if layer in self.layers:
            self.kept[layer] = (q.clone(), k.clone())
        return None


def heads_of(model: LanguageModel, tokens: list[int], layers: Sequence[int]) -> dict[int, tuple[Tensor, Tensor]]:
    """Per layer q [1, H, T, D] and k [1, Hkv, T, D] after the rotary embedding."""
    recorder = Recorder(layers)
    cache = model.new_cache(len(tokens))
    prefill_segment(model.decoder, cache, tokens, [(0, len(tokens))], attends=Attending(recorder))
    return recorder.kept
