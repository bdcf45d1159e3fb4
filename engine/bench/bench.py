"""Bench: prefill, decode, restore and batch of a model on this machine, and what the figures say."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engine.bench.cases import OURS, Cases, Row
from engine.bench.errors import TooLong
from engine.bench.rivals import DECODED, Prompt, Rival, installed, rivals
from engine.bench.roof import Roof, measure_roof
from engine.evaluation.evaluate import versions
from engine.evaluation.texts import MODULES, source
from engine.hardware import device_name, load_average
from engine.models.model import LanguageModel
from engine.policies import policy_by_name
from engine.policies.base import Policy
from engine.prefill.crossover import border

OnRun = Callable[[str, int, int], None]
"""Called with what was run, how many runs are done, and how many there will be."""
SPARE = 64
"""Tokens of the window that questions and answers need."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure: prompt lengths in tokens, rounds that count, questions of the batch, policies beside dense,
    tokens of an answer.

    No round of a case begins when its `seconds` are over.
    """

    tokens: tuple[int, ...] = (1024, 4096)
    rounds: int = 3
    questions: int = 8
    policies: tuple[str, ...] = ("auto:minimum=1024",)
    gguf: Path | None = None
    quick: bool = False
    seconds: float | None = None
    decoded: int = DECODED


@dataclass(frozen=True, slots=True)
class Bench:
    """The figures, the machine's own rates, and which engines are not among them and why."""

    about: dict[str, Any]
    roof: Roof
    rows: list[Row]
    missing: dict[str, str]

    @property
    def meaning(self) -> str:
        """What the figures say, for a person: the longest prompt's."""
        return meaning(self)

    def as_json(self) -> dict[str, Any]:
        """What is kept and printed."""
        return {
            "environment": self.about, "roof": asdict(self.roof), "rows": [asdict(row) for row in self.rows],
            "missing": self.missing, "meaning": self.meaning,
        }  # fmt: skip


def bench(model: LanguageModel, plan: Plan, on_run: OnRun = lambda what, done, total: None) -> Bench:
    """Measure; raises TooLong before any work, UnknownPolicy."""
    longest, most = max(plan.tokens), model.window - SPARE - plan.decoded
    text = prompt_ids(model, longest) if longest <= most else []
    if len(text) < longest:
        raise TooLong(longest, min(most, len(text) or most))
    before = load_average()
    kind = model.device.type
    sparse = {name: policy_by_name(name, model.config, kind, border(model.home, model)) for name in plan.policies}
    roof = measure_roof(model.device, model.dtype)
    rows: list[Row] = []
    missing: dict[str, str] = {}
    for place, tokens in enumerate(plan.tokens):
        prompt = Prompt(model, text[:tokens], plan.gguf, plan.quick, plan.decoded)
        found, missing = _one_length(prompt, plan, roof, sparse, partial(_Told, on_run, place))
        gc.collect()  # other engines hold themselves, and a GPU's memory, in circles
        rows += found
    about = {
        "model": model.name, "dtype": model.fingerprint.dtype, "device": device_name(model.device),
        "load": [before, load_average()], "rounds": plan.rounds, "questions": plan.questions,
        **versions(), **installed(),
    }  # fmt: skip
    return Bench(about, roof, rows, missing)


def _one_length(
    prompt: Prompt, plan: Plan, roof: Roof, sparse: dict[str, Policy], told: Callable[[int, int], _Told]
) -> tuple[list[Row], dict[str, str]]:
    """A prompt's rows, and why others are not among them; the others' memory is free again behind it."""
    others, missing = rivals(prompt)
    tell = told(_runs(plan, sparse, others), len(plan.tokens))
    cases = Cases(prompt, roof, plan.rounds, others, sparse, tell, plan.seconds)
    return [*cases.prefill(), *cases.decode(), *cases.restore(), *cases.batch(plan.questions)], missing


def prompt_ids(model: LanguageModel, tokens: int) -> list[int]:
    """The beginning of real code that every Python carries, in the model's tokens; at most so many."""
    ids: list[int] = []
    for module in MODULES:
        if len(ids) >= tokens:
            break
        ids += model.encode_with_offsets(source(module))[0]
    return ids[:tokens]


def meaning(found: Bench) -> str:
    """Sentences: what is read and answered a second, how near that is to the machine's limits, how others do."""
    tokens = max(row.tokens for row in found.rows)
    rows = [row for row in found.rows if row.tokens == tokens]
    ours = {row.what: row for row in rows if row.who == OURS}
    read, step, back, many = (ours[what] for what in ("prefill", "decode", "restore", "batch"))
    questions = found.about["questions"]
    said = [
        f"{found.about['model']} on this machine reads {read.rate:,.0f} tokens a second of a prompt of {tokens:,} "
        f"({_of(read)}) and answers {step.rate:,.1f} tokens a second behind it ({_of(step)}). What was read comes back "
        f"from disk {back.times:.0f} times sooner than it is read anew, and {questions} questions are answered "
        f"{many.times:.1f} times sooner together than one by one."
    ]
    said += [f"{who}: {_beside(rows, who)}." for who in dict.fromkeys(r.who for r in rows) if who != OURS]
    if (least := min(row.rounds for row in found.rows)) < found.about["rounds"]:
        said.append(f"The machine was slow: time was up after {least} of {found.about['rounds']} rounds.")
    return " ".join(said)


def _of(row: Row) -> str:
    limit = "its memory" if row.bound == "memory" else "its products"
    return f"{row.share:.0%} of what {limit} would allow"


def _beside(rows: Sequence[Row], who: str) -> str:
    return ", ".join(f"{row.what} takes {row.times:.2f} times as long" for row in rows if row.who == who)


def _runs(plan: Plan, sparse: dict[str, Policy], others: dict[str, Rival]) -> int:
    """Runs for one length, of each case's every way: ours twice in restore and in batch."""
    reads = 1 + len(sparse) + sum(rival.prefill is not None for rival in others.values())
    steps = 1 + sum(rival.decode is not None for rival in others.values())
    return (plan.rounds + 1) * (reads + steps + 2 + 2)


class _Told:
    """Counts runs over all lengths."""

    def __init__(self, on_run: OnRun, place: int, runs: int, lengths: int) -> None:
        self._on_run, self._total, self._done = on_run, runs * lengths, runs * place

    def __call__(self, what: str) -> None:
        self._done += 1
        self._on_run(what, self._done, self._total)
