"""The offline search for MInference's patterns, per head: what each costs on this device, what it keeps on real text.

As in Jiang et al. (arXiv 2407.02490, §3.2) with two differences: a candidate's cost is measured, not counted, and the
cheapest one that keeps enough attention is chosen, not the best of one budget. Kept attention is that of audited
queries (engine.prefill.audit), on the text that is given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.events import CancelToken
from engine.models.model import LanguageModel
from engine.policies.minference import MInference
from engine.policies.pattern_file import HeadPattern
from engine.prefill.attention import Attending
from engine.prefill.audit import kept_mass
from engine.prefill.prefill import prefill_segment
from kernels import BlockIndex, sparse_attention

CANDIDATES = (
    HeadPattern("stream_llm", 128, 896),
    HeadPattern("stream_llm", 128, 3968),
    HeadPattern("vertical_and_slash", 30, 800),
    HeadPattern("vertical_and_slash", 500, 700),
    HeadPattern("vertical_and_slash", 1000, 4096),
    HeadPattern("vertical_and_slash", 3500, 100),
    HeadPattern("vertical_and_slash", 1000, 6096),
    HeadPattern("block_sparse", 100, 0),
)
"""Sizes of the published search space (its appendix C.2, and the released code's)."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One candidate on one layer: seconds of a head's share, attention kept [H]."""

    pattern: HeadPattern
    seconds: float
    kept: Tensor


class Searcher:
    """A dense policy that tries every candidate on each layer it sees."""

    name = "search"

    def __init__(self, recall: float, candidates: Sequence[HeadPattern], on_layer: Callable[[int], None]) -> None:
        self.recall, self.candidates, self.on_layer = recall, candidates, on_layer
        self.chosen: dict[int, list[HeadPattern]] = {}

    def parameters(self) -> dict[str, float | int | str]:
        """Nothing that is kept depends on it."""
        return {}

    def index(self, layer: int, q: Tensor, k: Tensor) -> BlockIndex | None:
        """None: the model itself runs dense."""
        tried = [_try(pattern, q, k) for pattern in self.candidates]
        self.chosen[layer] = [self._best(tried, head) for head in range(q.shape[1])]
        self.on_layer(layer)
        return None

    def _best(self, tried: list[Tried], head: int) -> HeadPattern:
        enough = [t for t in tried if t.kept[head] >= self.recall]
        best = min(enough, key=lambda t: t.seconds) if enough else max(tried, key=lambda t: float(t.kept[head]))
        return HeadPattern(best.pattern.kind, best.pattern.a, best.pattern.b, round(float(best.kept[head]), 6))


def _try(pattern: HeadPattern, q: Tensor, k: Tensor) -> Tried:
    policy = MInference(default=pattern)
    lse = torch.empty(0)
    times = []
    for _ in range(2):  # the first run may compile
        began = time.perf_counter()
        index = policy.index(0, q, k)
        assert index is not None
        _, lse = sparse_attention(q, k, k, index)
        if q.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return Tried(pattern, min(times) / q.shape[1], kept_mass(q, k, lse).cpu())


def search_patterns(
    model: LanguageModel,
    tokens: Sequence[int],
    *,
    recall: float = 0.95,
    candidates: Sequence[HeadPattern] = CANDIDATES,
    on_layer: Callable[[int], None] = lambda layer: None,
    cancel: CancelToken | None = None,
) -> tuple[tuple[HeadPattern, ...], ...]:
    """Patterns [layers][heads] for this model, from one dense prefill of `tokens` in one chunk."""
    searcher = Searcher(recall, candidates, on_layer)
    cache = model.new_cache(len(tokens))
    prefill_segment(model.decoder, cache, tokens, [(0, len(tokens))], attends=Attending(searcher), cancel=cancel)
    return tuple(tuple(searcher.chosen[layer]) for layer in sorted(searcher.chosen))
