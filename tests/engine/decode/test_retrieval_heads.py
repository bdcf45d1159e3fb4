"""The default model's retrieval heads point at the sentence that an answer was taken from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from app.answering import prompt
from engine.decode.retrieval_heads import best_heads
from engine.decode.sampling import Sampling
from engine.engine import Engine
from engine.models.frame import Message
from engine.models.model import LanguageModel

HANDBOOK = Path(__file__).parents[3] / "data" / "samples" / "handbook.md"


@pytest.mark.parametrize(
    ("question", "fact"),
    [
        ("Who is the warden of the hut?", "Ilse Varga"),
        ("How many solar panels does the roof carry?", "18 solar panels"),
    ],
)
def test_the_block_looked_at_most_holds_the_fact(
    default_language_model: LanguageModel, question: str, fact: str
) -> None:
    model, text = default_language_model, HANDBOOK.read_text()
    head, tail = model.frame([Message("user", prompt.BRIEF.format(question=question))], system=prompt.SYSTEM)
    ids, offsets = model.encode_with_offsets(text)
    engine = Engine(model, chunk_tokens=512)
    context = engine.context([*head, *ids])
    seen = engine.watch(context)
    generation = engine.generate(context, tail, sampling=Sampling(max_new_tokens=16), provenance=seen)
    list(generation)
    assert fact.split()[0] in generation.text
    shares = seen.shares()
    best = shares.index(max(shares)) * seen.block - len(head)
    looked_at = text[offsets[max(best, 0)][0] : offsets[min(best + seen.block, len(ids)) - 1][1]]
    assert any(word in looked_at for word in fact.split())
    assert max(shares) > 0.3


def test_the_best_heads_come_first() -> None:
    scores = torch.tensor([[0.1, 0.5], [0.9, 0.2]])
    assert best_heads(scores, 3) == [(1, 0), (0, 1), (1, 1)]
