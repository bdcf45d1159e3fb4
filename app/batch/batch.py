"""Batch question answering: each corpus is read once, its questions are decoded together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from app.answering import prompt
from app.answering.answer import Answer, AnswerStats, Citation
from app.answering.answering import Answering
from app.answering.evidence import Evidence, gather, lead_in, pool
from app.collection import Collection
from app.errors import NoSuchCollection, explain
from app.examination.scores import Scores, score
from app.planning.planner import ModeChoice
from app.planning.planning import Prepared
from app.reading import Reading
from engine.batch import SLOTS, Choice, Reply
from engine.choose import in_common
from engine.engine import Context, Engine
from engine.errors import Cancelled
from engine.events import CancelToken
from engine.sampling import Sampling

if TYPE_CHECKING:
    from app.library import Library


@dataclass(frozen=True, slots=True)
class Question:
    """A question at its place in the batch. `reference` is the right answer and `source` the path it should come from,
    where known; `fault` says why a row that was read is no question."""

    index: int
    question: str
    collection: str
    id: str | None = None
    reference: str | None = None
    source: str | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """The answer to one question, or the error that it met. It holds no times: the same run gives the same rows."""

    question: Question
    text: str | None
    citations: tuple[Citation, ...]
    prompt_tokens: int | None
    answer_tokens: int | None
    finish_reason: str | None
    mode: str | None
    scores: Scores | None
    error: str | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, one row of the answers file."""
        q, s = self.question, self.scores
        empty = AnswerStats(0, 0, 0, 0, None, "", "none", None, None, 0)
        return {
            "index": q.index,
            "id": q.id,
            "collection": q.collection,
            "question": q.question,
            "answer": self.text,
            "citations": Answer("", self.citations, empty, "").to_dict()["citations"],
            "mode": self.mode,
            "prompt_tokens": self.prompt_tokens,
            "answer_tokens": self.answer_tokens,
            "finish_reason": self.finish_reason,
            "exact_match": s.exact_match if s else None,
            "token_f1": s.token_f1 if s else None,
            "citation_precision": s.citation_precision if s else None,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How many questions are answered (failed ones among them) of how many; questions per second; seconds left."""

    done: int
    total: int
    failed: int
    per_second: float | None
    eta_seconds: float | None


OnBatchProgress = Callable[[BatchProgress], None]


def answer_batch(
    library: Library,
    questions: Sequence[Question],
    *,
    mode: ModeChoice = "auto",
    sampling: Sampling | None = None,
    skip: frozenset[int] = frozenset(),
    on_progress: OnBatchProgress | None = None,
    cancel: CancelToken | None = None,
) -> Iterator[BatchAnswer]:
    """The answers as they finish; those of `skip` (by index) are left out, and change nothing in the others.

    Progress is told of an answer once its reader asks for the next. A question's own error is its row's. The engine is
    held for a collection at a time, so nothing else of the library can be asked from inside the loop. Raises Cancelled,
    or the engine's errors where no model can be loaded.
    """
    drawn = library.settings.drawn(sampling)
    report = _Reporter(len(questions) - len(skip), on_progress)
    groups: dict[str, list[Question]] = {}
    for question in questions:
        groups.setdefault(question.collection, []).append(question)
    for name, group in groups.items():
        waiting = [q for q in group if q.index not in skip]
        if not waiting:
            continue
        try:
            collection = library.collection(name)
        except NoSuchCollection as error:
            for answer in (failed(q, error.message) for q in waiting):
                yield answer
                report(answer)
            continue
        if library.generator is not None:
            from app.batch.generator_batch import answers

            for answer in answers(library.generator, collection, waiting, mode, drawn, cancel):
                yield answer
                report(answer)
            continue
        with library.turn(cancel):
            job = _Group(library.load_engine(), collection, group, mode, drawn, cancel)
            for answer in job.run(waiting):
                yield answer
                report(answer)


class _Reporter:
    """Counts answers and says how long the rest takes, by the rate since the first."""

    def __init__(self, total: int, on_progress: OnBatchProgress | None) -> None:
        self._total, self._tell = total, on_progress
        self._done = self._failed = 0
        self._started = time.perf_counter()

    def __call__(self, answer: BatchAnswer) -> None:
        self._done += 1
        self._failed += answer.error is not None
        if self._tell:
            rate = self._done / (time.perf_counter() - self._started)
            self._tell(BatchProgress(self._done, self._total, self._failed, rate, (self._total - self._done) / rate))


class _Group:
    """The questions of one collection."""

    def __init__(
        self,
        engine: Engine,
        collection: Collection,
        everything: Sequence[Question],
        mode: ModeChoice,
        sampling: Sampling,
        cancel: CancelToken | None,
    ) -> None:
        self._engine, self._collection, self._mode = engine, collection, mode
        self._sampling, self._cancel, self._everything = sampling, cancel, everything
        self._longest = max((q.question for q in everything), key=len)
        # by all questions, answered ones too: what is computed together must not depend on where a run was killed
        self._slots = min(SLOTS, 1 << (len(everything) - 1).bit_length())

    def run(self, waiting: Sequence[Question]) -> Iterator[BatchAnswer]:
        """Answer them, together where all read the same."""
        sound = [q for q in waiting if q.question.strip() and q.fault is None]
        yield from (failed(q, q.fault or "The question is empty.") for q in waiting if q not in sound)
        if not sound:
            return
        try:
            prepared = self._prepare(self._longest)
            shared = self._context(prepared) if prepared.mode == "whole" else None
        except Exception as error:
            yield from (failed(q, sentence_of(error)) for q in sound)
            return
        if shared is None:
            yield from (self._alone(q) for q in sound)
        else:
            yield from self._together(prepared, shared, sound)

    def _together(self, prepared: Prepared, context: Context, sound: Sequence[Question]) -> Iterator[BatchAnswer]:
        # tails of all questions, answered ones too: what they share and how long they are is part of the computation
        asked = {q.index: q for q in self._everything if q.fault is None and q.question.strip()}
        tails = {index: self._tail(q) for index, q in asked.items()}
        fitting: list[Question] = []
        for question in sound:
            try:
                length = len(context.tokens) + len(tails[question.index])
                self._engine.check_fits(length, self._sampling.max_new_tokens)
            except Exception as error:
                yield failed(question, sentence_of(error))
                continue
            fitting.append(question)
        for reply, found in self._replies(prepared, context, fitting, tails):
            question = asked[reply.index]
            yield self._finished(question, replace(prepared, tail=tails[question.index]), context, reply, found)

    def _alone(self, question: Question) -> BatchAnswer:
        """Answer one that reads passages of its own."""
        try:
            prepared = self._prepare(question.question)
            context = self._context(prepared)
            reply = self._reply(context, question, prepared.tail)
        except Exception as error:
            return failed(question, sentence_of(error))
        return self._finished(question, prepared, context, reply, None)

    def _replies(
        self, prepared: Prepared, context: Context, questions: Sequence[Question], tails: dict[int, list[int]]
    ) -> Iterator[tuple[Reply, Evidence | None]]:
        """Decode behind the context: all together, or by itself what is the only question of its collection.

        With each reply comes its evidence, if the model could choose among it.
        """
        if self._slots == 1:
            yield from ((self._reply(context, question, tails[question.index]), None) for question in questions)
            return
        room = self._engine.model.window - len(context.tokens)
        fit = [tail for tail in tails.values() if len(tail) + self._sampling.max_new_tokens <= room]
        proof, among = lead_in(self._engine.model), pool(prepared.packed.entries)
        for run in _runs(questions, by_index=self._sampling.temperature > 0):
            gathered: dict[int, Evidence] = {}
            first = run[0].index

            def choice(
                reply: Reply, run: list[Question] = run, gathered: dict[int, Evidence] = gathered
            ) -> Choice | None:
                question = run[reply.index - run[0].index]
                found = gather(prepared.packed.entries, self._engine.model, question.question, reply.text, among)
                gathered[reply.index] = found
                used = len(tails[question.index]) + len(reply.token_ids) + len(proof)
                several = len(found.candidates) > 1 and found.longest <= room - used
                return Choice(proof, found.tokens) if several else None

            batch = self._engine.batch(
                context,
                [tails[q.index] for q in run],
                sampling=self._sampling,
                slots=self._slots,
                longest=max(map(len, fit), default=0),
                lead=min(in_common(min(fit), max(fit)), min(map(len, fit)) - 1),
                choices=choice,
                first_index=first,
                cancel=self._cancel,
            )
            for reply in batch:
                yield replace(reply, index=run[reply.index - first].index), gathered.get(reply.index)

    def _tail(self, question: Question) -> list[int]:
        return prompt.framed(self._engine.model, question.question, ())[1]

    def _reply(self, context: Context, question: Question, tail: Sequence[int]) -> Reply:
        s = self._sampling
        own = s if s.seed is None else replace(s, seed=s.seed + question.index)
        generation = self._engine.generate(context, tail, sampling=own, cancel=self._cancel)
        for _ in generation:
            pass
        assert generation.stats is not None
        return Reply(question.index, generation.text, tuple(generation.token_ids), generation.stats)

    def _prepare(self, question: str) -> Prepared:
        return self._collection.prepare(self._engine, question, self._mode, (), self._sampling.max_new_tokens)

    def _context(self, prepared: Prepared) -> Context:
        return Reading(self._collection, self._engine).read(prepared, self._cancel)

    def _finished(
        self, question: Question, prepared: Prepared, context: Context, reply: Reply, found: Evidence | None
    ) -> BatchAnswer:
        if self._cancel is not None:
            self._cancel.raise_if_cancelled()
        text = reply.text.strip()
        if found is not None and (reply.chosen is not None or len(found.candidates) < 2):
            cited = found.cited(reply.chosen or 0)
        else:  # its choice had no room beside others
            answering = Answering(self._collection, self._engine, self._cancel)
            cited = answering.cite(context, prepared, question.question, reply.text, reply.token_ids)
        return BatchAnswer(
            question,
            text,
            cited,
            len(context.tokens) + len(prepared.tail),
            len(reply.token_ids),
            reply.stats.finish_reason,
            prepared.mode,
            score(text, cited, question.reference, question.source),
            None,
        )


def _runs(questions: Sequence[Question], *, by_index: bool) -> Iterator[list[Question]]:
    """Questions to decode together: all, or where each draws by its own index, those that follow each other."""
    run: list[Question] = []
    for question in questions:
        if run and by_index and question.index != run[-1].index + 1:
            yield run
            run = []
        run.append(question)
    if run:
        yield run


def failed(question: Question, sentence: str) -> BatchAnswer:
    """The row of a question that met an error."""
    return BatchAnswer(question, None, (), None, None, None, None, None, sentence)


def sentence_of(error: Exception) -> str:
    """The row's error; a stop is the whole run's, and a bug too."""
    sentence = explain(error)
    if sentence is None or isinstance(error, Cancelled):
        raise error
    return sentence
