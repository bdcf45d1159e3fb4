"""Generation streams what transformers would generate, and stops when told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from engine.decode.sampler import Sampler
from engine.decode.sampling import Sampling
from engine.engine import Engine
from engine.errors import Cancelled, PromptTooLong
from engine.events import CancelToken
from engine.models.detokenize import Detokenizer
from engine.models.frame import Message
from engine.models.model import LanguageModel

PROMPT = "The lighthouse keeper wrote in the log that the lamp"


def test_greedy_tokens_are_those_of_transformers_generate(default_model_path: Path) -> None:
    model = LanguageModel.load(str(default_model_path), dtype="float32", device="cpu", home=default_model_path.parent)
    reference = AutoModelForCausalLM.from_pretrained(default_model_path, dtype=torch.float32)
    ids = model.encode(PROMPT)
    expected = reference.generate(torch.tensor([ids]), max_new_tokens=24, do_sample=False)[0, len(ids) :].tolist()
    engine = Engine(model)
    generation = engine.generate(engine.context(ids[:5]), ids[5:], sampling=Sampling(max_new_tokens=24))
    pieces = list(generation)
    made = [t for t in expected if t not in model.stop_ids]
    assert generation.token_ids == made
    assert "".join(pieces) == generation.text == model.decode(made)
    assert generation.stats is not None
    assert generation.stats.decode_tokens == len(made) - 1


def test_a_context_is_left_as_it_was(default_language_model: LanguageModel) -> None:
    engine = Engine(default_language_model)
    ids = default_language_model.encode(PROMPT)
    context = engine.context(ids)
    before = [tuple(t.clone() for t in context.cache.layer(i)) for i in (0, 29)]
    first = "".join(engine.generate(context, ids[:3], sampling=Sampling(max_new_tokens=8)))
    for i, (keys, values) in zip((0, 29), before, strict=True):
        now = context.cache.layer(i)
        assert torch.equal(now[0], keys)
        assert torch.equal(now[1], values)
    assert "".join(engine.generate(context, ids[:3], sampling=Sampling(max_new_tokens=8))) == first


def test_a_seed_makes_sampling_repeatable(default_language_model: LanguageModel) -> None:
    engine = Engine(default_language_model)
    ids = default_language_model.encode(PROMPT)
    context = engine.context(ids[:-1])

    def text(seed: int) -> str:
        sampling = Sampling(temperature=1.2, top_p=0.95, top_k=50, min_p=0.01, seed=seed, max_new_tokens=12)
        return "".join(engine.generate(context, ids[-1:], sampling=sampling))

    assert text(1) == text(1)
    assert len({text(seed) for seed in range(4)}) > 1


def test_cancel_stops_decoding(default_language_model: LanguageModel) -> None:
    engine, token = Engine(default_language_model), CancelToken()
    ids = default_language_model.encode(PROMPT)
    context = engine.context(ids[:-1])
    generation = engine.generate(context, ids[-1:], sampling=Sampling(max_new_tokens=64), cancel=token)
    pieces = []
    iterator = iter(generation)
    pieces.append(next(iterator))
    token.cancel()
    with pytest.raises(Cancelled):
        pieces.extend(iterator)
    assert len(pieces) == 1
    assert context.cache.length == len(ids) - 1


def test_a_prompt_beyond_the_window_is_refused_before_any_work(default_language_model: LanguageModel) -> None:
    engine = Engine(default_language_model)
    with pytest.raises(PromptTooLong) as caught:
        engine.context([1] * 33_000)
    assert (caught.value.tokens, caught.value.window) == (33_001, 32_768)
    assert "packed" in str(caught.value)


def test_choose_takes_the_likelier_of_two_endings(default_language_model: LanguageModel) -> None:
    model = default_language_model
    engine = Engine(model)
    head, tail = model.frame([Message("user", "What is the capital of France?")], system="You answer briefly.")
    context = engine.context(head)
    endings = ["The capital of France is Paris.", "The capital of France is a potato.", "A dog"]
    for order in ([0, 1, 2], [2, 1, 0]):
        picked = engine.choose(context, tail, [model.encode(endings[i]) for i in order])
        assert endings[order[picked]] == endings[0]
    assert context.cache.length == len(head)


class TestSampler:
    logits = torch.tensor([0.0, 2.0, 1.0, -1.0])

    def test_zero_temperature_takes_the_best(self) -> None:
        assert Sampler(Sampling()).next(self.logits, []) == 1

    def test_repetition_penalty_makes_the_best_lose(self) -> None:
        assert Sampler(Sampling(repetition_penalty=4.0)).next(self.logits, [1]) == 2

    @pytest.mark.parametrize("kind", [{"top_k": 1}, {"top_p": 0.1}, {"min_p": 0.99}])
    def test_a_tight_filter_leaves_only_the_best(self, kind: dict[str, float]) -> None:
        sampler = Sampler(Sampling(temperature=5.0, seed=0, **kind))  # type: ignore[arg-type]
        assert {sampler.next(self.logits, []) for _ in range(50)} == {1}

    def test_wrong_settings_are_refused(self) -> None:
        with pytest.raises(ValueError, match="top_p"):
            Sampling(top_p=1.5)


class TestDetokenizer:
    def test_no_half_character_is_ever_given_out(self, default_language_model: LanguageModel) -> None:
        text = "naïve 🦊 狐狸 — ok 🏳️‍🌈!"
        ids = default_language_model.encode(text)
        detokenizer = Detokenizer(default_language_model.decode)
        pieces = [detokenizer.push(i) for i in ids]
        assert not any("\ufffd" in piece for piece in pieces)
        assert "".join(pieces) + detokenizer.flush() == text

    def test_a_stop_string_split_over_tokens_is_cut_and_never_shown(
        self, default_language_model: LanguageModel
    ) -> None:
        ids = default_language_model.encode("one two STOP HERE three")
        detokenizer = Detokenizer(default_language_model.decode, stop=("STOP HERE",))
        shown = ""
        for i in ids:
            shown += detokenizer.push(i)
            assert "STOP" not in shown
            if detokenizer.stopped:
                break
        assert detokenizer.stopped
        assert shown == "one two "

    def test_what_only_began_like_a_stop_string_comes_out_in_the_end(
        self, default_language_model: LanguageModel
    ) -> None:
        ids = default_language_model.encode("wait for ST")
        detokenizer = Detokenizer(default_language_model.decode, stop=("STOP",))
        shown = "".join(detokenizer.push(i) for i in ids)
        assert shown + detokenizer.flush() == "wait for ST"
