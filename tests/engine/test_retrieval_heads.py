"""The default model's retrieval heads point at the fact that an answer was taken from."""

from __future__ import annotations

import torch

from engine.engine import Engine
from engine.model import LanguageModel
from engine.retrieval_heads import best_heads
from engine.sampling import Sampling
from tests.benchmarks.retrieval_heads import needles


def test_the_block_looked_at_most_holds_the_fact(default_language_model: LanguageModel) -> None:
    engine = Engine(default_language_model, chunk_tokens=512)
    right = 0
    for needle in needles(default_language_model, 4, 500):
        context = engine.context(needle.prefix)
        seen = engine.watch(context)
        list(engine.generate(context, needle.question, sampling=Sampling(max_new_tokens=8), provenance=seen))
        shares = seen.shares()
        best = shares.index(max(shares))
        right += needle.start // 64 <= best <= (needle.end - 1) // 64
    assert right >= 3


def test_the_best_heads_come_first() -> None:
    scores = torch.tensor([[0.1, 0.5], [0.9, 0.2]])
    assert best_heads(scores, 3) == [(1, 0), (0, 1), (1, 1)]
