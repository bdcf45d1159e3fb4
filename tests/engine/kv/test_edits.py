"""Edits: what is moved is where it should be, what is computed anew is right, and the rest is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.kv.cache import KVCache
from engine.kv.edits import reuse, turned
from engine.models.model import LanguageModel

TOKENS = torch.randint(0, 40000, (300,), generator=torch.Generator().manual_seed(5)).tolist()
BEFORE, OLD, NEW, BEHIND = TOKENS[:90], TOKENS[90:120], TOKENS[250:300], TOKENS[120:250]


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def model(request: pytest.FixtureRequest, random_models: dict[str, Path]) -> LanguageModel:
    path = random_models[request.param]
    return LanguageModel.load(str(path), dtype="float32", device="cpu", home=path)


def states(model: LanguageModel, tokens: list[int], capacity: int = 0) -> KVCache:
    cache = model.new_cache(max(capacity, len(tokens)))
    model.step(tokens, cache)
    assert isinstance(cache, KVCache)
    return cache


@pytest.mark.parametrize("by", [-30, 0, 1, 1000])
def test_turned_keys_are_those_of_the_new_place(model: LanguageModel, by: int) -> None:
    made = torch.Generator().manual_seed(1)
    dim = model.fingerprint.head_dim
    q, k = torch.randn(2, 1, 8, dim, generator=made)
    rotary = model.decoder.rotary_emb
    before = turned(k, 40, rotary)
    torch.testing.assert_close(turned(before, by, rotary), turned(k, 40 + by, rotary), atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(turned(turned(k, by, rotary), -by, rotary), k, atol=2e-4, rtol=1e-4)
    scores = [turned(q, a, rotary) @ turned(k, b, rotary).mT for a, b in ((7, 3), (7 + by, 3 + by))]
    torch.testing.assert_close(scores[0], scores[1], atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("new", [NEW, OLD[:10], []], ids=["longer", "shorter", "removed"])
def test_with_all_tokens_computed_anew_it_is_a_prefill(model: LanguageModel, new: list[int]) -> None:
    tokens = BEFORE + new + BEHIND
    cache = states(model, BEFORE + new, len(tokens))
    audit = reuse(model, cache, tokens, states(model, BEFORE + OLD + BEHIND), len(BEFORE + OLD), 1.0)
    assert (audit.reused, audit.recomputed, audit.difference) == (130, 130, 0.0)
    for mine, right in zip(cache.span(0, len(tokens)), states(model, tokens).span(0, len(tokens)), strict=True):
        for x, y in zip(mine, right, strict=True):
            torch.testing.assert_close(x, y, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_what_is_not_computed_anew_is_near_and_the_first_layers_are_exact(model: LanguageModel, share: float) -> None:
    tokens = BEFORE + NEW + BEHIND
    cache = states(model, BEFORE + NEW, len(tokens))
    audit = reuse(model, cache, tokens, states(model, BEFORE + OLD + BEHIND), len(BEFORE + OLD), share)
    assert audit.recomputed == round(share * 130)
    assert 0 < audit.difference < 1
    right = states(model, tokens)
    for mine, want in list(zip(cache.span(0, len(tokens)), right.span(0, len(tokens)), strict=True))[:2]:
        for x, y in zip(mine, want, strict=True):
            torch.testing.assert_close(x, y, atol=1e-3, rtol=1e-3)


def test_an_edit_that_changes_nothing_reuses_what_is_right(model: LanguageModel) -> None:
    tokens = BEFORE + OLD + BEHIND
    right, cache = states(model, tokens), states(model, BEFORE + OLD, len(tokens))
    audit = reuse(model, cache, tokens, right, len(BEFORE + OLD), 0.0)
    assert audit.difference < 1e-4
    for mine, want in zip(cache.span(0, len(tokens)), right.span(0, len(tokens)), strict=True):
        torch.testing.assert_close(mine[0], want[0], atol=1e-3, rtol=1e-3)
