"""Sampler: from the last logits to the next token."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.decode.sampling import Sampling


class Sampler:
    """Draws one token after another; the same seed and logits give the same tokens."""

    def __init__(self, sampling: Sampling) -> None:
        self._s = sampling
        self._generator = torch.Generator()
        if sampling.seed is not None:
            self._generator.manual_seed(sampling.seed)
        else:
            self._generator.seed()

    def next(self, logits: Tensor, seen: list[int]) -> int:
        """The next token for logits [vocab]; `seen` are the tokens that the repetition penalty applies to."""
        s = self._s
        scores = logits.float().cpu().clone()
        if s.repetition_penalty != 1.0 and seen:
            ids = torch.tensor(sorted(set(seen)))
            held = scores[ids]
            scores[ids] = torch.where(held > 0, held / s.repetition_penalty, held * s.repetition_penalty)
        if s.temperature == 0.0:
            return int(scores.argmax())
        probs = torch.softmax(scores / s.temperature, dim=-1)
        if s.min_p > 0:
            probs[probs < s.min_p * probs.max()] = 0
        if 0 < s.top_k < probs.numel():
            probs[probs < probs.topk(s.top_k).values[-1]] = 0
        if s.top_p < 1:
            ordered, order = probs.sort(descending=True)
            behind = ordered.cumsum(0) - ordered > s.top_p * ordered.sum()
            probs[order[behind]] = 0
        return self._draw(probs)

    def _draw(self, probs: Tensor) -> int:
        """By the inverse of the sum: one random number, where torch.multinomial draws one for each word of the
        vocabulary (1 ms for 49,152)."""
        sums = probs.cumsum(0, dtype=torch.float64)
        at = torch.rand(1, dtype=torch.float64, generator=self._generator) * sums[-1]
        return min(int(torch.searchsorted(sums, at, right=True)), int(probs.nonzero()[-1]))
