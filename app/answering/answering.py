"""Answering: a question to an answer by the local engine, read, generated, proven and looked into."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from app.answering.answer import Answer, AnswerStats, Citation, Turn
from app.answering.evidence import gather, lead_in
from app.answering.inside import Laps, inside
from app.answering.kept_figures import KeptFigures
from app.answering.looked_at import looked_at
from app.answering.stream import Event
from app.planning.planner import ModeChoice
from app.reading import Reading
from engine.decode.sampling import Sampling
from engine.events import CancelToken

if TYPE_CHECKING:
    from app.collection import Collection
    from app.planning.planning import Prepared
    from engine.context import Context
    from engine.engine import Engine


class Answering:
    """Answers from one collection by one engine; whoever asks has the engine's turn."""

    def __init__(self, collection: Collection, engine: Engine, cancel: CancelToken | None) -> None:
        self._collection, self._engine, self._cancel = collection, engine, cancel

    def answer(
        self,
        question: str,
        mode: ModeChoice,
        history: Sequence[Turn],
        sampling: Sampling,
        emit: Callable[[Event], None],
        laps: Laps,
    ) -> Answer:
        """The answer, complete; `emit` gets its pieces, `laps` the time of each part."""
        engine = self._engine
        started = time.perf_counter()
        with laps.lap("packing"):
            prepared = self._collection.prepare(engine, question, mode, history, sampling.max_new_tokens)
        engine.check_fits(len(prepared.prefix) + len(prepared.tail), sampling.max_new_tokens)
        self._collection.kept_snapshots.record(prepared)
        context = Reading(self._collection, engine).read(prepared, self._cancel, emit)
        seen = engine.watch(context)
        generation = engine.generate(
            context, prepared.tail, sampling=sampling, cancel=self._cancel, on_progress=emit, provenance=seen
        )
        first: float | None = None
        for piece in generation:
            first = first or time.perf_counter() - started
            emit(piece)
        assert generation.stats is not None
        with laps.lap("proof"):
            citations = self.cite(context, prepared, question, generation.text, generation.token_ids)
        stats = AnswerStats(
            prompt_tokens=len(context.tokens) + len(prepared.tail),
            cached_tokens=context.stats.cached_tokens,
            prefill_s=round(context.stats.prefill_seconds, 4),
            ttft_s=round(first if first is not None else time.perf_counter() - started, 4),
            decode_tok_s=generation.stats.decode_tokens_per_second,
            policy=engine.policy.name,
            mode=prepared.mode,
            density=context.stats.density,
            recall=context.stats.recall,
            answer_tokens=len(generation.token_ids),
            finish_reason="length" if generation.stats.finish_reason == "length" else "stop",
            snapshot=prepared.snapshot,
        )
        places = looked_at(prepared.packed, seen.shares(), block=seen.block, before=len(prepared.head))
        settings = self._collection.library.settings
        figures, quota = KeptFigures(settings.home / "figures"), int(settings.store_quota_gb * 1e9)
        how = inside(engine, context, prepared, generation.stats, seen, laps, figures, quota)
        notice = prepared.reason.opening()
        return Answer(generation.text.strip(), citations, stats, notice, places, tuple(generation.logprobs), how)

    def cite(
        self, context: Context, prepared: Prepared, question: str, answer: str, said: Sequence[int]
    ) -> tuple[Citation, ...]:
        """Quotes of the answer (`said` in tokens) resolved, then the sentence that the model picks as proof."""
        engine = self._engine
        found = gather(prepared.packed.entries, engine.model, question, answer)
        suffix = [*prepared.tail, *said, *lead_in(engine.model)]
        room = engine.model.window - len(context.tokens) - len(suffix)
        pick = 0
        if len(found.candidates) > 1 and found.longest <= room:
            pick = engine.choose(context, suffix, found.tokens, cancel=self._cancel)
        return found.cited(pick)
