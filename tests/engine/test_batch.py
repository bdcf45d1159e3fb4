"""Many questions over one context: each answered as it would be alone, from fewer slots than questions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.engine import Context, Engine
from engine.errors import Cancelled, PromptTooLong
from engine.events import CancelToken
from engine.model import LanguageModel
from engine.sampling import Sampling

PREFIX = torch.randint(0, 40000, (200,), generator=torch.Generator().manual_seed(5)).tolist()
QUESTIONS = [
    torch.randint(0, 40000, (3 + 5 * i % 17,), generator=torch.Generator().manual_seed(i)).tolist() for i in range(9)
]
LIMIT = Sampling(max_new_tokens=12)


@pytest.fixture(scope="module")
def engine(random_models: dict[str, Path]) -> Engine:
    model = LanguageModel.load(str(random_models["llama"]), dtype="float32", device="cpu", home=random_models["llama"])
    return Engine(model, chunk_tokens=64)


@pytest.fixture(scope="module")
def context(engine: Engine) -> Context:
    return engine.context(PREFIX)


def alone(engine: Engine, context: Context, question: list[int], sampling: Sampling) -> list[int]:
    generation = engine.generate(context, question, sampling=sampling)
    list(generation)
    return generation.token_ids


@pytest.mark.parametrize("slots", [1, 4, 16])
def test_every_question_is_answered_as_it_would_be_alone(engine: Engine, context: Context, slots: int) -> None:
    replies = {r.index: r for r in engine.batch(context, QUESTIONS, sampling=LIMIT, slots=slots)}
    assert sorted(replies) == list(range(len(QUESTIONS)))
    for i, question in enumerate(QUESTIONS):
        assert list(replies[i].token_ids) == alone(engine, context, question, LIMIT)
        assert replies[i].text == engine.model.decode(replies[i].token_ids)
        assert replies[i].stats.suffix_tokens == len(question)


def test_questions_read_together_get_the_same_answers(
    engine: Engine, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = engine.batch(context, QUESTIONS, sampling=LIMIT, slots=5)
    monkeypatch.setattr(batch, "_together", 4)  # as on a GPU
    for reply in batch:
        assert list(reply.token_ids) == alone(engine, context, QUESTIONS[reply.index], LIMIT)


def test_answers_of_different_lengths_leave_their_slots_to_the_next(engine: Engine, context: Context) -> None:
    stop = engine.model.decode(alone(engine, context, QUESTIONS[0], LIMIT)[3:4])
    sampling = Sampling(max_new_tokens=12, stop=(stop,))
    replies = list(engine.batch(context, QUESTIONS, sampling=sampling, slots=2))
    assert len(replies) == len(QUESTIONS)
    assert all(stop not in r.text for r in replies)
    assert {r.stats.finish_reason for r in replies} == {"stop", "length"}


def test_a_seed_gives_each_question_the_same_answer_wherever_it_runs(engine: Engine, context: Context) -> None:
    sampling = Sampling(temperature=1.0, seed=11, max_new_tokens=8)
    whole = {r.index: r.token_ids for r in engine.batch(context, QUESTIONS, sampling=sampling, slots=4)}
    later = engine.batch(context, QUESTIONS[5:], sampling=sampling, slots=4, first_index=5)
    assert {r.index: r.token_ids for r in later} == {i: t for i, t in whole.items() if i >= 5}
    assert len(set(whole.values())) > 1


def test_a_batch_can_be_cancelled_and_refuses_what_does_not_fit(engine: Engine, context: Context) -> None:
    cancel = CancelToken()
    replies = iter(engine.batch(context, QUESTIONS, sampling=LIMIT, slots=2, cancel=cancel))
    next(replies)
    cancel.cancel()
    with pytest.raises(Cancelled):
        list(replies)
    with pytest.raises(PromptTooLong):
        engine.batch(context, [[1] * 4000])


def test_the_context_is_as_it_was_before(engine: Engine, context: Context) -> None:
    before = [k.clone() for k, _ in context.cache.span(0, len(PREFIX))]
    list(engine.batch(context, QUESTIONS, sampling=LIMIT, slots=3))
    after = [k for k, _ in context.cache.span(0, len(PREFIX))]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert context.cache.length == len(PREFIX)
