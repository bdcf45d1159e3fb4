"""Group: the questions of one collection, answered together where all read the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from app.answering import prompt
from app.answering.answering import Answering
from app.answering.evidence import Evidence, gather, lead_in, pool
from app.batch.batch_answer import BatchAnswer, Question, sentence_of
from app.collection import Collection
from app.examination.scores import score
from app.planning.planner import ModeChoice
from app.planning.planning import Prepared
from app.reading import Reading
from engine.context import Context
from engine.decode.batch import SLOTS, Choice, Reply
from engine.decode.choose import in_common
from engine.decode.sampling import Sampling
from engine.engine import Engine
from engine.events import CancelToken


class Group:
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
        yield from (BatchAnswer.failed(q, q.problem) for q in waiting if q.problem)
        sound = [q for q in waiting if q.problem is None]
        if not sound:
            return
        try:
            prepared = self._prepare(self._longest)
            shared = self._context(prepared) if prepared.mode == "whole" else None
        except Exception as error:
            yield from (BatchAnswer.failed(q, sentence_of(error)) for q in sound)
            return
        if shared is None:
            yield from (self._alone(q) for q in sound)
        else:
            yield from self._together(prepared, shared, sound)

    def _together(self, prepared: Prepared, context: Context, sound: Sequence[Question]) -> Iterator[BatchAnswer]:
        # tails of all questions, answered ones too: what they share and how long they are is part of the computation
        asked = {q.index: q for q in self._everything if q.problem is None}
        tails = {index: self._tail(q) for index, q in asked.items()}
        fitting: list[Question] = []
        for question in sound:
            try:
                length = len(context.tokens) + len(tails[question.index])
                self._engine.check_fits(length, self._sampling.max_new_tokens)
            except Exception as error:
                yield BatchAnswer.failed(question, sentence_of(error))
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
            return BatchAnswer.failed(question, sentence_of(error))
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
