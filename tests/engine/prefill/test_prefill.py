"""Prefill computes what one forward pass of transformers computes, however it is cut."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from engine.engine import Engine
from engine.errors import Cancelled
from engine.events import CancelToken, Progress
from engine.models.model import LanguageModel
from engine.policies import Dense, Streaming
from engine.prefill.attention import Attending
from engine.prefill.prefill import prefill_segment
from engine.prefill.spans import chunk_spans

FAMILIES = ["llama", "mistral", "qwen2", "qwen3", "phi3", "smollm3", "glm4", "yarn"]
TOKENS = torch.randint(0, 40000, (300,), generator=torch.Generator().manual_seed(7)).tolist()


def logits_in_chunks(model: LanguageModel, tokens: list[int], chunk: int, segment_chunks: int) -> torch.Tensor:
    cache = model.new_cache(len(tokens))
    spans = chunk_spans(len(tokens), chunk)
    for i in range(0, len(spans), segment_chunks):
        part = spans[i : i + segment_chunks]
        hidden = prefill_segment(
            model.decoder, cache, tokens[part[0][0] : part[-1][1]], part, attends=Attending(Dense())
        )
    assert cache.length == len(tokens)
    return model.logits(hidden)


@pytest.mark.parametrize("family", FAMILIES)
def test_chunked_prefill_gives_the_logits_of_one_forward_pass(family: str, random_models: dict[str, Path]) -> None:
    folder = str(random_models[family])
    model = LanguageModel.load(folder, dtype="float32", device="cpu", home=random_models[family])
    reference = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        expected = reference(torch.tensor([TOKENS])).logits[0, -1]
    for chunk, segment in ((300, 1), (128, 1), (128, 8), (37, 3), (1000, 2)):
        got = logits_in_chunks(model, TOKENS, chunk, segment)
        assert (got - expected).abs().max() <= 1e-3, (chunk, segment)


@pytest.mark.parametrize("family", FAMILIES)
def test_in_bfloat16_the_logits_are_within_its_rounding(family: str, random_models: dict[str, Path]) -> None:
    """Both round at other places; what transformers' own bfloat16 loses to float32 is the yardstick."""
    folder = str(random_models[family])
    model = LanguageModel.load(folder, dtype="bfloat16", device="cpu", home=random_models[family])
    exact, theirs = (AutoModelForCausalLM.from_pretrained(folder, dtype=d) for d in (torch.float32, torch.bfloat16))
    with torch.inference_mode():
        expected = exact(torch.tensor([TOKENS])).logits[0, -1]
        rounded = theirs(torch.tensor([TOKENS])).logits[0, -1].float()
    ours = logits_in_chunks(model, TOKENS, 128, 2).float()
    assert (ours - expected).norm() <= 1.5 * (rounded - expected).norm() + 1e-3 * expected.norm()
    assert (ours - expected).norm() <= 0.05 * expected.norm()


def test_the_default_model_agrees_with_transformers_in_fp32(default_model_path: Path) -> None:
    model = LanguageModel.load(str(default_model_path), dtype="float32", device="cpu", home=default_model_path.parent)
    reference = AutoModelForCausalLM.from_pretrained(default_model_path, dtype=torch.float32)
    tokens = model.encode((Path(__file__).parents[3] / "data" / "samples" / "handbook.md").read_text())
    with torch.inference_mode():
        expected = reference(torch.tensor([tokens])).logits[0, -1]
    for chunk in (100, 512):
        assert (logits_in_chunks(model, tokens, chunk, 2) - expected).abs().max() <= 1e-3


def test_chunk_spans_cover_everything_once_and_break_at_multiples() -> None:
    assert chunk_spans(10, 4) == [(0, 4), (4, 8), (8, 10)]
    assert chunk_spans(8, 4) == [(0, 4), (4, 8)]
    assert chunk_spans(0, 4) == []
    assert chunk_spans(11, 4, start=6) == [(6, 8), (8, 11)]


def test_cancel_ends_prefill_within_a_chunk_and_leaves_the_cache_as_it_was(random_models: dict[str, Path]) -> None:
    model = LanguageModel.load(str(random_models["llama"]), dtype="float32", home=random_models["llama"])
    token, seen = CancelToken(), []

    def stop_at_third(event: Progress) -> None:
        seen.append(event)
        if len(seen) == 3:
            token.cancel()

    engine = Engine(model, chunk_tokens=64)
    with pytest.raises(Cancelled):
        engine.context(TOKENS, cancel=token, on_progress=stop_at_third)
    assert len(seen) == 3
    again = engine.context(TOKENS)
    assert again.cache.length == len(TOKENS)


def test_progress_counts_tokens_up_to_the_prompt_and_never_back(random_models: dict[str, Path]) -> None:
    model = LanguageModel.load(str(random_models["llama"]), dtype="float32", home=random_models["llama"])
    events: list[Progress] = []
    Engine(model, chunk_tokens=64, segment_tokens=128).context(TOKENS, on_progress=events.append)
    done = [e.done for e in events]
    assert done == sorted(done)
    assert done[-1] == len(TOKENS) == events[-1].total
    assert all(e.tokens_per_second for e in events)


def test_a_streaming_policy_computes_less_and_says_so(random_models: dict[str, Path]) -> None:
    model = LanguageModel.load(str(random_models["llama"]), dtype="float32", home=random_models["llama"])
    tokens = TOKENS * 4
    dense = Engine(model, chunk_tokens=256).context(tokens)
    sparse = Engine(model, policy=Streaming(sink=16, local=128), chunk_tokens=256).context(tokens)
    assert dense.stats.density == 1.0
    assert sparse.stats.density is not None
    assert sparse.stats.density < 0.6
    assert not torch.equal(dense.cache.layer(2)[0], sparse.cache.layer(2)[0])
