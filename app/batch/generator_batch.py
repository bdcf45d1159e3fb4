"""A batch through another engine: some questions at once, which its own scheduler and prefix cache bring together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from typing import TYPE_CHECKING

from app.answering.generator import Generator
from app.batch.batch_answer import BatchAnswer, Question, sentence_of
from app.examination.scores import score
from app.planning.planner import ModeChoice
from engine.decode.sampling import Sampling
from engine.events import CancelToken

if TYPE_CHECKING:
    from app.collection import Collection

AT_ONCE = 8


def answers(
    generator: Generator,
    collection: Collection,
    questions: Sequence[Question],
    mode: ModeChoice,
    sampling: Sampling,
    cancel: CancelToken | None,
) -> Iterator[BatchAnswer]:
    """The answers to one collection's questions as they finish; raises Cancelled."""
    token = cancel or CancelToken()

    def ask(question: Question) -> BatchAnswer:
        token.raise_if_cancelled()
        if question.problem:
            return BatchAnswer.failed(question, question.problem)
        own = sampling if sampling.seed is None else replace(sampling, seed=sampling.seed + question.index)
        try:
            answer = generator.answer(collection, question.question, mode=mode, sampling=own, cancel=token)
        except Exception as error:
            return BatchAnswer.failed(question, sentence_of(error))
        return BatchAnswer(
            question,
            answer.text,
            answer.citations,
            answer.stats.prompt_tokens,
            answer.stats.answer_tokens,
            answer.stats.finish_reason,
            answer.stats.mode,
            score(answer.text, answer.citations, question.reference, question.source),
            None,
        )

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="omnibus-generator") as pool:
        waiting = [pool.submit(ask, question) for question in questions]
        try:
            for made in as_completed(waiting):
                yield made.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
