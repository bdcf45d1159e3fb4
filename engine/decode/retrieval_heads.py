"""Retrieval heads: those whose attention, while an answer is given, lies where the answer stands in the prompt.

A few heads of every model copy from the context (Wu et al., arXiv 2404.15574). They are found by prompts whose place of
truth is known: the mean attention that each head pays to it while the true answer is fed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.decode.decoding import Decoding
from engine.decode.provenance import Provenance
from engine.engine import Engine
from engine.models.model import LanguageModel

BLOCK = 16


@dataclass(frozen=True, slots=True)
class Needle:
    """A prompt whose answer stands at tokens start..end of the prefix."""

    prefix: tuple[int, ...]
    question: tuple[int, ...]
    answer: tuple[int, ...]
    start: int
    end: int


class _Watch(Provenance):
    """Attention of every head to some blocks, [layers, heads]."""

    def __init__(self, layers: int, heads: int, needle: Needle, device: torch.device) -> None:
        super().__init__(dict.fromkeys(range(layers), range(heads)), len(needle.prefix), block=BLOCK, device=device)
        self.seen = torch.zeros(layers, heads)
        self._blocks = slice(needle.start // BLOCK, (needle.end - 1) // BLOCK + 1)

    def add(self, layer: int, mass: Tensor) -> None:
        """Count a layer's shares [1, H, 1, blocks]."""
        self.seen[layer] += mass[0, :, :, self._blocks].sum((1, 2)).cpu()


@torch.inference_mode()
def retrieval_scores(model: LanguageModel, needles: Sequence[Needle]) -> Tensor:
    """Mean share of attention that each head [layers, heads] pays to the truth while it answers."""
    layers, heads = model.fingerprint.layers, model.fingerprint.heads
    engine, total = Engine(model), torch.zeros(layers, heads)
    for needle in needles:
        context = engine.context(needle.prefix)
        watch = _Watch(layers, heads, needle, model.device)
        room = len(needle.question) + len(needle.answer)
        decoding = Decoding(model, context.prefix, capacity=room, provenance=watch)
        decoding.read(0, needle.question)
        decoding.going([0])
        for token in needle.answer:
            decoding.step([token])
        total += watch.seen / len(needle.answer)
    return total / len(needles)


def best_heads(scores: Tensor, count: int = 8) -> list[tuple[int, int]]:
    """The `count` (layer, head) pairs with the highest scores [layers, heads], best first."""
    places = scores.flatten().topk(min(count, scores.numel())).indices
    return [divmod(int(place), scores.shape[1]) for place in places]
