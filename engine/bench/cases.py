"""Cases: prefill, decode, restore and batch of one prompt, our engine in turns with what else is installed."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from engine.bench.rivals import Prompt, Rival
from engine.bench.roof import Bound, Roof, Work
from engine.bench.turns import Run, in_turns, timed, times
from engine.bench.work import reading, restoring, step
from engine.context import Context
from engine.decode.sampling import Sampling
from engine.engine import Engine
from engine.models.model import LanguageModel
from engine.policies.base import Policy
from engine.prefill.spans import chunk_spans
from engine.store import Store

OURS = "Omnibus"
OnRun = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Row:
    """`rate` is tokens (batch: answers) a second from the median of the rounds; `share` the part of that time that the
    machine's own rates need for it, by `bound`. `times` is how many times as long this took as our own (restore: as
    long as it takes to read the tokens anew; batch: one question after another), the median of pairs. `rounds` are
    those that the time was enough for."""

    what: str
    who: str
    tokens: int
    seconds: float
    rate: float
    share: float
    bound: Bound
    times: float
    rounds: int


class Cases:
    """One prompt, measured in rounds."""

    def __init__(
        self,
        prompt: Prompt,
        roof: Roof,
        rounds: int,
        others: Mapping[str, Rival],
        sparse: Mapping[str, Policy],
        on_run: OnRun,
        seconds: float | None = None,
    ) -> None:
        """`sparse` are the policies to read with beside dense attention, by what they are called; no round of a case
        begins when its `seconds` are over."""
        self._model, self._ids, self._decoded = prompt.model, list(prompt.ids), prompt.decoded
        self._roof, self._rounds = roof, rounds
        self._others, self._sparse, self._on_run, self._seconds = others, sparse, on_run, seconds

    def prefill(self) -> Iterator[Row]:
        """Reading the prompt: every key, as the policy says, and by the others."""
        engine, device = Engine(self._model), self._model.device
        density: dict[str, float] = {}

        def read(name: str, sparse: Engine) -> None:
            density[name] = sparse.context(self._ids).stats.density or 1.0

        runs: dict[str, Run] = {OURS: lambda: timed(lambda: engine.context(self._ids), device)}
        for called, policy in self._sparse.items():
            name = f"{OURS}, {called}"
            runs[name] = partial(timed, partial(read, name, Engine(self._model, policy=policy)), device)
        runs |= {name: rival.prefill for name, rival in self._others.items() if rival.prefill}
        found = self._turns("prefill", runs)
        works = {name: reading(self._model, len(self._ids), density=density.get(name, 1.0)) for name in runs}
        yield from self._rows("prefill", found, works, len(self._ids))

    def decode(self) -> Iterator[Row]:
        """Steps of an answer behind the prompt."""
        engine = Engine(self._model)
        context = engine.context(self._ids[:-1])

        behind = len(self._ids) + self._decoded // 2
        runs: dict[str, Run] = {OURS: partial(steps, engine, context, self._ids[-1:], self._decoded)}
        works = {OURS: step(self._model, behind) * self._decoded}
        for name, rival in self._others.items():
            if rival.decode:
                runs[name] = rival.decode
                works[name] = step(self._model, behind, weights=rival.weight_bytes or "own") * self._decoded
        with unstopped(self._model):
            yield from self._rows("decode", self._turns("decode", runs), works, self._decoded)

    def restore(self) -> Iterator[Row]:
        """The prompt's KV from the session store's files, as the system keeps them in memory, beside reading anew."""
        with tempfile.TemporaryDirectory() as folder, closing(Store(Path(folder))) as store:
            engine = Engine(self._model, store=store)
            engine.context(self._ids)
            store.flush()
            placed = engine.plan(len(self._ids))
            spans = chunk_spans(len(self._ids), placed.chunk_tokens)
            kept = store.longest_prefix(engine.namespace_of(placed), self._ids, spans)

            def back() -> None:
                cache = self._model.new_cache(len(self._ids), placed.placement)
                store.restore(kept, cache.span(0, kept.tokens))

            bare = Engine(self._model)
            device = self._model.device
            runs: dict[str, Run] = {
                OURS: lambda: timed(back, device),
                "reading anew": lambda: timed(lambda: bare.context(self._ids), device),
            }
            found = self._turns("restore", runs)
            work = restoring(self._model, len(self._ids), store.usage())
            (row,) = self._rows("restore", {OURS: found[OURS]}, {OURS: work}, len(self._ids))
            yield _beside(row, times(found["reading anew"], found[OURS]))

    def batch(self, questions: int) -> Iterator[Row]:
        """Questions over the prompt answered together, beside one after another; rates are answers a second."""
        engine, room = Engine(self._model), Sampling(max_new_tokens=self._decoded)
        context = engine.context(self._ids)
        suffixes = [
            self._model.encode(f"\nWhat does part {i} of this program do, and who calls it?") for i in range(questions)
        ]
        with unstopped(self._model):
            found = self._turns("batch", together(engine, context, suffixes, room))
        wide = max(len(suffix) for suffix in suffixes)
        read = reading(self._model, questions * wide, behind=len(self._ids))
        work = read + step(self._model, len(self._ids), sequences=questions) * (self._decoded - 1)
        (row,) = self._rows("batch", {OURS: found["together"]}, {OURS: work}, questions)
        yield _beside(row, times(found["one by one"], found["together"]))

    def _turns(self, what: str, runs: dict[str, Run]) -> dict[str, list[float]]:
        return in_turns(runs, self._rounds, lambda name: self._on_run(f"{what}, {name}"), seconds=self._seconds)

    def _rows(self, what: str, found: dict[str, list[float]], works: dict[str, Work], count: int) -> Iterator[Row]:
        for name, taken in found.items():
            seconds = statistics.median(taken)
            floor, bound = self._roof.floor(works[name])
            yield Row(
                what, name, len(self._ids), seconds, count / seconds, floor / seconds, bound,
                times(taken, found[OURS]), len(taken),
            )  # fmt: skip


def steps(engine: Engine, context: Context, last: Sequence[int], count: int) -> float:
    """Seconds of `count` steps behind the context and the token that ends it."""
    answer = engine.generate(context, last, sampling=Sampling(max_new_tokens=count + 1))
    for _ in answer:
        pass
    assert answer.stats is not None
    return answer.stats.decode_seconds


def together(engine: Engine, context: Context, suffixes: Sequence[list[int]], room: Sampling) -> dict[str, Run]:
    """The two ways to answer many questions behind one context."""
    slots = len(suffixes)
    return {
        "together": lambda: timed(lambda: list(engine.batch(context, suffixes, sampling=room, slots=slots))),
        "one by one": lambda: timed(lambda: [list(engine.generate(context, s, sampling=room)) for s in suffixes]),
    }


@contextmanager
def unstopped(model: LanguageModel) -> Iterator[None]:
    """Answers in the block have all the tokens they may have."""
    before, model.stop_ids = model.stop_ids, frozenset()
    try:
        yield
    finally:
        model.stop_ids = before


def _beside(row: Row, ratio: float) -> Row:
    return replace(row, times=ratio)
