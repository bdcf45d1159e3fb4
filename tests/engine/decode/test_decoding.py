"""Decoding behind a prefix gives the logits of one forward pass, wherever the prefix is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from engine.decode.decoding import Decoding
from engine.decode.provenance import Provenance
from engine.kv.host_cache import HostCache
from engine.kv.prefix import HostPrefix, Prefix, ResidentPrefix
from engine.models.model import LanguageModel
from engine.policies import Dense
from engine.prefill.attention import Attending
from engine.prefill.prefill import prefill_segment
from engine.prefill.spans import chunk_spans

TOKENS = torch.randint(0, 40000, (700,), generator=torch.Generator().manual_seed(2)).tolist()
PREFIX, QUESTION = 600, 60


@pytest.fixture(scope="module")
def model(random_models: dict[str, Path]) -> LanguageModel:
    return LanguageModel.load(str(random_models["qwen3"]), dtype="float32", device="cpu", home=random_models["qwen3"])


@pytest.fixture(scope="module")
def expected(random_models: dict[str, Path]) -> torch.Tensor:
    reference = AutoModelForCausalLM.from_pretrained(random_models["qwen3"], dtype=torch.float32)
    with torch.inference_mode():
        return reference(torch.tensor([TOKENS])).logits[0]


def kept(model: LanguageModel, place: str, pages: int = 1000) -> Prefix:
    f = model.fingerprint
    cache = model.new_cache(PREFIX)
    if place == "host":
        cache = HostCache(f.layers, f.kv_heads, f.head_dim, capacity=PREFIX, dtype=model.dtype, device=model.device)
    prefill_segment(model.decoder, cache, TOKENS[:PREFIX], chunk_spans(PREFIX, 128), attends=Attending(Dense()))
    return HostPrefix(cache, pages=pages) if isinstance(cache, HostCache) else ResidentPrefix(cache)


@pytest.mark.parametrize(("place", "allowed"), [("device", 1e-3), ("host", 0.1)])
def test_reading_and_stepping_follow_one_forward_pass(
    model: LanguageModel, expected: torch.Tensor, place: str, allowed: float
) -> None:
    decoding = Decoding(model, kept(model, place), batch=2, capacity=128, chunk_tokens=32)
    decoding.read(0, TOKENS[PREFIX : PREFIX + 7])
    logits = decoding.read(1, TOKENS[PREFIX : PREFIX + QUESTION])
    assert (logits - expected[PREFIX + QUESTION - 1]).abs().max() <= allowed
    decoding.going([0, 1])
    for i in range(20):
        both = decoding.step([TOKENS[PREFIX + 7 + i], TOKENS[PREFIX + QUESTION + i]])
        assert (both[0] - expected[PREFIX + 7 + i]).abs().max() <= allowed
        assert (both[1] - expected[PREFIX + QUESTION + i]).abs().max() <= allowed
    assert decoding.tails.lengths == [27, QUESTION + 20]


@pytest.mark.parametrize(("place", "allowed"), [("device", 1e-3), ("host", 0.1)])
def test_questions_read_together_are_read_as_one_by_one(
    model: LanguageModel, expected: torch.Tensor, place: str, allowed: float
) -> None:
    decoding = Decoding(model, kept(model, place), batch=3, capacity=64)
    logits = decoding.read_together([2, 0], [TOKENS[PREFIX : PREFIX + 4], TOKENS[PREFIX : PREFIX + 30]])
    assert (logits[0] - expected[PREFIX + 3]).abs().max() <= allowed
    assert (logits[1] - expected[PREFIX + 29]).abs().max() <= allowed
    decoding.going([0, 2])
    both = decoding.step([TOKENS[PREFIX + 30], 0, TOKENS[PREFIX + 4]])
    assert (both[0] - expected[PREFIX + 30]).abs().max() <= allowed
    assert (both[2] - expected[PREFIX + 4]).abs().max() <= allowed


def test_a_slot_that_stands_still_stays_as_it_is(model: LanguageModel, expected: torch.Tensor) -> None:
    decoding = Decoding(model, kept(model, "device"), batch=2, capacity=64, chunk_tokens=32)
    decoding.read(0, TOKENS[PREFIX : PREFIX + 5])
    decoding.read(1, TOKENS[PREFIX : PREFIX + 9])
    decoding.going([1])
    for i in range(3):
        decoding.step([17, TOKENS[PREFIX + 9 + i]])
    decoding.going([0])
    logits = decoding.step([TOKENS[PREFIX + 5], 17])
    assert (logits[0] - expected[PREFIX + 5]).abs().max() <= 1e-3
    assert decoding.tails.lengths == [6, 12]


def test_few_pages_of_a_host_prefix_are_read_and_the_first_and_last_always(model: LanguageModel) -> None:
    prefix = kept(model, "host", pages=6)
    assert isinstance(prefix, HostPrefix)
    pages = prefix.choose(0, torch.randn(1, 4, 3, 32), None)
    assert int(pages.counts.max()) <= 7
    for head in range(2):
        chosen = pages.numbers[0, head, : int(pages.counts[0, head])].tolist()
        assert {0, 6, 7, 8, 9} <= set(chosen)


def test_provenance_names_the_block_that_the_answer_looks_at(model: LanguageModel) -> None:
    prefix = kept(model, "device")
    seen = Provenance(dict.fromkeys(range(3), range(4)), PREFIX, block=64, device=model.device)
    decoding = Decoding(model, prefix, capacity=64, provenance=seen)
    decoding.read(0, TOKENS[PREFIX : PREFIX + 5])
    decoding.going([0])
    decoding.step([TOKENS[PREFIX + 5]])
    assert seen.mass.shape == (1, 10)
    heads = model.config.num_attention_heads * 3
    assert 0.5 * heads < float(seen.mass.sum()) < heads  # the rest went to the question itself
    assert sum(seen.shares()) == pytest.approx(1)
