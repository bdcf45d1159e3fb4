"""The default model reads a real text under each policy, chunk by chunk, and says how dense it was."""

from __future__ import annotations

import pytest
import torch

from engine.models.model import LanguageModel
from engine.policies import policy_by_name
from engine.prefill.attention import Attending
from engine.prefill.prefill import prefill_segment
from engine.prefill.spans import chunk_spans
from tests.texts import long_text

SPECS = [
    "dense",
    "auto:minimum=256",
    "streaming:sink=64,local=256",
    "trianglemix:first_layer=10,local=256",
    "minference:60,30",
    "flexprefill:gamma=0.9,min_budget=256",
    "xattention:stride=16,threshold=0.8",
    "blocks:density=0.3",
]


def prefilled(model: LanguageModel, spec: str, tokens: list[int], chunk: int) -> tuple[torch.Tensor, Attending]:
    cache = model.new_cache(len(tokens))
    spans = chunk_spans(len(tokens), chunk)
    under = Attending(policy_by_name(spec))
    return prefill_segment(model.decoder, cache, tokens, spans, attends=under), under


@pytest.mark.parametrize("spec", SPECS)
def test_the_last_token_stays_close_to_dense(default_language_model: LanguageModel, spec: str) -> None:
    model = default_language_model
    tokens = model.encode(long_text("prose")[:9000])[:1500]
    dense, _ = prefilled(model, "dense", tokens, 512)
    hidden, under = prefilled(model, spec, tokens, 512)
    assert under.density is not None
    assert (under.density == 1.0) == (spec == "dense")
    assert under.density > 0.1
    likeness = torch.cosine_similarity(hidden.flatten().float(), dense.flatten().float(), dim=0)
    assert likeness > 0.9, likeness
