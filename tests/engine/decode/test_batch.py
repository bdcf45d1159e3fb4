"""Many questions over one context: each answered as it would be alone, from fewer slots than questions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.context import Context
from engine.decode.batch import CHOICE_TOKENS, Choice, Reply
from engine.decode.choose import most_fed
from engine.decode.sampling import Sampling
from engine.engine import Engine
from engine.errors import Cancelled, PromptTooLong
from engine.events import CancelToken
from engine.models.model import LanguageModel

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


@pytest.mark.parametrize("slots", [1, 4, 16, 32])
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
    monkeypatch.setattr(batch, "_together", 4)  # of 5 slots: some stay empty until so many are free
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


def test_a_choice_behind_an_answer_is_the_one_made_alone(engine: Engine, context: Context) -> None:
    candidates = [[100 + 37 * (n // 2), 7, 8, 200 + n, 5] for n in range(1000)]
    assert most_fed(candidates) == 3

    def choices(reply: Reply) -> Choice:
        return Choice([11, 900 + 50 * reply.index], candidates)

    replies = list(engine.batch(context, QUESTIONS, sampling=LIMIT, slots=4, choices=choices))
    assert len(replies) == len(QUESTIONS)
    for reply in replies:
        assert list(reply.token_ids) == alone(engine, context, QUESTIONS[reply.index], LIMIT)
        behind = [*QUESTIONS[reply.index], *reply.token_ids, *choices(reply).lead_in]
        assert reply.chosen == engine.choose(context, behind, candidates)
    assert len({reply.chosen for reply in replies}) > 1


def test_a_choice_without_room_is_left_to_the_caller(engine: Engine, context: Context) -> None:
    long = [[*range(100, 100 + CHOICE_TOKENS), last] for last in (1, 2)]
    replies = list(engine.batch(context, QUESTIONS[:2], sampling=LIMIT, slots=2, choices=lambda _: Choice([11], long)))
    assert [reply.chosen for reply in replies] == [None, None]


@pytest.mark.parametrize("slots", [3, 8])
def test_what_all_questions_begin_with_is_read_once(engine: Engine, context: Context, slots: int) -> None:
    lead = [21, 22, 23, 24]
    asked = [[*lead, *question] for question in QUESTIONS]
    for reply in engine.batch(context, asked, sampling=LIMIT, slots=slots, lead=len(lead)):
        assert list(reply.token_ids) == alone(engine, context, asked[reply.index], LIMIT)
    with pytest.raises(ValueError, match="begin with the same 5 tokens"):
        engine.batch(context, asked, sampling=LIMIT, lead=5)
