"""Runner: the same prompts read in every variant, asked, scored and held beside dense attention."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from engine.context import Context
from engine.decode.sampling import Sampling
from engine.engine import Engine
from engine.evaluation.errors import UnknownSuite
from engine.evaluation.forced import forced
from engine.evaluation.record import Ledger, Record
from engine.evaluation.rope import scaled
from engine.evaluation.scorers import SCORERS
from engine.evaluation.suites import SUITES
from engine.evaluation.task import Frame, Question, Recipe, Suite, Task
from engine.evaluation.variant import Variant
from engine.models.model import LanguageModel
from engine.policies.dense import Dense

DENSE = Variant("dense", Dense())
MARGIN = 96
"""Tokens that a recipe leaves for frame, question and answer at first; more where they need more."""
ATTEMPTS = 4

OnTask = Callable[[str, int, int], None]
"""Called with what is being done, how many records were made, and how many there will be."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A task in tokens: the prefix, and per question what stands behind it."""

    task: Task
    prefix: list[int]
    suffixes: list[list[int]]
    continuation: list[int]

    @property
    def tokens(self) -> int:
        """Of the longest prompt and its answer."""
        asked = [len(s) + q.room for s, q in zip(self.suffixes, self.task.questions, strict=True)]
        return len(self.prefix) + max([*asked, len(self.continuation)])


def prompt_of(model: LanguageModel, task: Task, frame: Frame) -> Prompt:
    """The task in the product's frame; a continuation stands right behind its corpus, in no frame."""
    corpus = model.encode_with_offsets(task.corpus)[0]
    behind = model.encode_with_offsets(task.continuation)[0] if task.continuation else []
    if not task.questions:
        return Prompt(task, corpus, [], behind)
    framed = [frame(question.text, question.history) for question in task.questions]
    suffixes = [[*tail, *model.encode(q.lead)] for (_, tail), q in zip(framed, task.questions, strict=True)]
    return Prompt(task, [*framed[0][0], *corpus], suffixes, behind)


def made(model: LanguageModel, suite: Suite, length: int, seed: str, frame: Frame) -> Prompt:
    """The suite's task whose longest prompt, with its answer, has at most `length` tokens."""
    budget = length - MARGIN
    for _ in range(ATTEMPTS):
        recipe = Recipe(budget, Random(seed), lambda text: len(model.encode_with_offsets(text)[0]))
        prompt = prompt_of(model, suite(recipe), frame)
        if prompt.tokens <= length:
            break
        budget -= prompt.tokens - length + 8
    return prompt


def members(names: Sequence[str]) -> list[str]:
    """The suites that names and groups stand for; raises UnknownSuite."""
    out: list[str] = []
    for name in names:
        found = [suite for suite in SUITES if suite == name or suite.startswith((f"{name}/", f"{name}#"))]
        if not found:
            raise UnknownSuite(name, groups())
        out += [suite for suite in found if suite not in out]
    return out


def groups() -> list[str]:
    """The names that stand for every suite."""
    return list(dict.fromkeys(suite.split("#")[0].split("/")[0] for suite in SUITES))


class Runner:
    """Runs suites at lengths in rounds: each round asks every suite once at every length, in every variant.

    Dense comes first in each, as the others are compared with it. What the ledger holds is not made again.
    """

    def __init__(self, model: LanguageModel, ledger: Ledger, frame: Frame, variants: Sequence[Variant]) -> None:
        self._model, self._ledger, self._frame = model, ledger, frame
        self._variants = [DENSE, *(v for v in variants if v.name != DENSE.name)]
        self._warm: set[tuple[str, int]] = set()

    def run(
        self,
        suites: Sequence[str],
        lengths: Sequence[int],
        rounds: int,
        *,
        seed: int = 0,
        seconds: float | None = None,
        on_task: OnTask | None = None,
    ) -> bool:
        """Everything, or as many whole tasks as begin within `seconds`; whether all was done."""
        began = time.perf_counter()
        plan = [(r, length, suite) for r in range(rounds) for length in lengths for suite in members(suites)]
        total, done = len(plan) * len(self._variants), 0
        for turn, length, suite in plan:
            if seconds is not None and time.perf_counter() - began > seconds:
                return False
            for record in self._task(
                suite, length, turn, partial(self._made, suite, length, turn, seed), window=length
            ):
                done += 1
                if on_task:
                    on_task(f"{suite} {length:,} {record.variant}", done, total)
        return True

    def run_prompts(
        self, prompts: Sequence[Prompt], *, seconds: float | None = None, on_task: OnTask | None = None
    ) -> bool:
        """Prompts as they are, each counted at the power of two of tokens that holds it; else as run."""
        began = time.perf_counter()
        total, done = len(prompts) * len(self._variants), 0
        for turn, prompt in enumerate(prompts):
            if seconds is not None and time.perf_counter() - began > seconds:
                return False
            suite, length = prompt.task.suite, 1 << (prompt.tokens - 1).bit_length()
            for record in self._task(suite, length, turn, partial(_itself, prompt), window=prompt.tokens):
                done += 1
                if on_task:
                    on_task(f"{suite} {length:,} {record.variant}", done, total)
        return True

    def _made(self, suite: str, length: int, turn: int, seed: int) -> Prompt:
        return made(self._model, SUITES[suite], length, f"{seed}/{suite}/{turn}", self._frame)

    def _task(self, suite: str, length: int, turn: int, make: Callable[[], Prompt], *, window: int) -> Iterator[Record]:
        prompt: Prompt | None = None
        reference: Record | None = None
        with scaled(self._model, window) as factor:
            for variant in self._variants:
                record = self._ledger.get((suite, length, turn, variant.name))
                if record is None:
                    if prompt is None:
                        prompt = make()
                    self._warm_up(variant, length, prompt)
                    found = asked(self._model, variant, prompt, reference)
                    record = Record(suite, length, turn, variant.name, factor=factor, **found)
                    self._ledger.add(record)
                reference = reference or record
                yield record

    def _warm_up(self, variant: Variant, length: int, prompt: Prompt) -> None:
        """On a GPU, let kernels compile and tune before anything of this shape is timed."""
        if self._model.device.type == "cuda" and (variant.name, length) not in self._warm:
            self._warm.add((variant.name, length))
            variant.context(self._model, prompt.prefix)


def _itself(prompt: Prompt) -> Prompt:
    return prompt


def asked(model: LanguageModel, variant: Variant, prompt: Prompt, reference: Record | None) -> dict[str, Any]:
    """A Record's fields: the prompt read in this variant, its questions answered, its places held beside dense."""
    context = variant.context(model, prompt.prefix)
    engine = Engine(model)
    answers, first = _answers(engine, context, prompt)
    said = [engine.model.encode(a) for a in (reference.answers if reference else answers)]
    places = [(suffix, words) for suffix, words in zip(prompt.suffixes, said, strict=True) if words]
    choices: list[int] = []
    surprise: list[float] = []
    for suffix, words in places:
        seen = forced(model, context.prefix, [*suffix, *words], unscored=len(suffix))
        choices += seen.likeliest.tolist()
        surprise += seen.nll.tolist()
    nll = None
    if prompt.continuation:
        started = time.perf_counter()
        seen = forced(model, context.prefix, prompt.continuation)
        first = first or time.perf_counter() - started
        nll = float(seen.nll.sum())
        choices += seen.likeliest.tolist()
        surprise += seen.nll.tolist()
    stats, questions = context.stats, prompt.task.questions
    return {
        "tokens": stats.prompt_tokens,
        "ttft": stats.prefill_seconds + stats.restore_seconds + first,
        "prefill": stats.prefill_seconds + stats.restore_seconds,
        "density": stats.density,
        "kept": stats.recall,
        "cached": stats.cached_tokens,
        "scores": [SCORERS[q.scorer](a, q.expected) for q, a in zip(questions, answers, strict=True)],
        "depths": [q.depth for q in questions],
        "answers": answers,
        "choices": choices,
        "surprise": [round(x, 6) for x in surprise],
        "nll": nll,
    }


def _answers(engine: Engine, context: Context, prompt: Prompt) -> tuple[list[str], float]:
    """Each question's answer, decoded together, and the seconds to the first token of the one read first."""
    questions: tuple[Question, ...] = prompt.task.questions
    if not questions:
        return [], 0.0
    room = Sampling(max_new_tokens=max(q.room for q in questions))
    replies = sorted(
        engine.batch(context, prompt.suffixes, sampling=room, slots=len(questions)), key=lambda reply: reply.index
    )
    return [reply.text for reply in replies], min(reply.stats.ttft_seconds for reply in replies)
