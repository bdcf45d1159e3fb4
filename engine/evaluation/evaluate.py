"""Evaluate: a plan of suites, lengths and variants run on a model; what comes of it, and on what machine."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from engine.evaluation import templates
from engine.evaluation.errors import EmptyFile
from engine.evaluation.formats import load
from engine.evaluation.record import Ledger, Record
from engine.evaluation.runner import OnTask, Runner, prompt_of
from engine.evaluation.summary import Row, summarise
from engine.evaluation.task import Frame, Turn
from engine.evaluation.variant import variant_by_name
from engine.hardware import device_name
from engine.models.frame import Message
from engine.models.model import LanguageModel

VERSION = 1
"""Raise it when suites or templates change: other questions give other results."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: `variants` are names, `rounds` prompts per suite, length and variant; `minutes` may end it early."""

    suites: tuple[str, ...]
    lengths: tuple[int, ...]
    variants: tuple[str, ...]
    rounds: int = 1
    seed: int = 0
    minutes: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """Records and their summary; `complete` where the plan was done to its end."""

    about: dict[str, Any]
    plan: Plan
    rows: list[Row]
    records: list[Record]
    complete: bool

    def as_json(self) -> dict[str, Any]:
        """What is kept in data/results: the environment, the plan and the rows."""
        return {"environment": self.about, "plan": asdict(self.plan), "rows": [asdict(row) for row in self.rows]}


def evaluate(model: LanguageModel, plan: Plan, folder: Path, frame: Frame, *, on_task: OnTask | None = None) -> Result:
    """Run the plan; records go into `folder`, and what is there already is not made again.

    Raises OtherRun where the folder holds another model's or another seed's, UnknownSuite, UnknownPolicy.
    """
    variants = [variant_by_name(name, model) for name in plan.variants]
    identity = {**identity_of(model, plan.seed), "frame": words_of(frame)}
    ledger = Ledger(folder, identity)
    runner = Runner(model, ledger, frame, variants)
    seconds = None if plan.minutes is None else 60 * plan.minutes
    done = runner.run(plan.suites, plan.lengths, plan.rounds, seed=plan.seed, seconds=seconds, on_task=on_task)
    about = {**identity, **versions()}
    return Result(about, plan, summarise(ledger.records), ledger.records, done)


def identity_of(model: LanguageModel, seed: int) -> dict[str, Any]:
    """What must be the same for records to belong to one run."""
    return {
        "version": VERSION,
        "model": model.name,
        "weights": model.fingerprint.weights,
        "dtype": model.fingerprint.dtype,
        "device": device_name(model.device),
        "seed": seed,
    }


def words_of(frame: Frame) -> str:
    """A digest of what a frame puts around corpus and question: other words give other answers."""
    return hashlib.sha256(repr(frame("", ())).encode()).hexdigest()[:16]


def evaluate_file(
    model: LanguageModel,
    path: Path,
    form: str,
    plan: Plan,
    folder: Path,
    *,
    longest: int,
    on_task: OnTask | None = None,
) -> Result:
    """Run a public benchmark's samples of up to `longest` tokens in the plan's variants; none is cut.

    Raises what `evaluate` and engine.evaluation.formats.load raise, and EmptyFile where every sample is longer.
    """
    frame = bare_frame(model)
    every = [prompt_of(model, task, frame) for task in load(path, form)]
    prompts = [prompt for prompt in every if prompt.tokens <= longest]
    if not prompts:
        raise EmptyFile(path, longest)
    variants = [variant_by_name(name, model) for name in plan.variants]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    identity = {**identity_of(model, plan.seed), "file": digest, "format": form}
    ledger = Ledger(folder, identity)
    runner = Runner(model, ledger, frame, variants)
    seconds = None if plan.minutes is None else 60 * plan.minutes
    done = runner.run_prompts(prompts, seconds=seconds, on_task=on_task)
    about = {**identity, "samples": len(every), "longer than asked, left out": len(every) - len(prompts), **versions()}
    return Result(about, plan, summarise(ledger.records), ledger.records, done)


def bare_frame(model: LanguageModel) -> Frame:
    """The model's chat template and nothing of ours around what a benchmark asks."""

    def frame(question: str, history: Sequence[Turn]) -> tuple[list[int], list[int]]:
        return model.frame(dialogue(question, history, str), system=templates.SYSTEM)

    return frame


def plain_frame(model: LanguageModel) -> Frame:
    """The evaluation's own words around a corpus, where the product's are not at hand."""

    def frame(question: str, history: Sequence[Turn]) -> tuple[list[int], list[int]]:
        return model.frame(dialogue(question, history, _asked), system=templates.SYSTEM)

    return frame


def dialogue(question: str, history: Sequence[Turn], form: Callable[[str], str]) -> list[Message]:
    """The turns behind the corpus, each question in a form of words."""
    out: list[Message] = []
    for earlier, answer in history:
        out += [Message("user", form(earlier)), Message("assistant", answer)]
    return [*out, Message("user", form(question))]


def _asked(question: str) -> str:
    return templates.QUESTION.format(question=question)


def versions() -> dict[str, str]:
    """Of what the figures depend on, and the commit."""
    import transformers

    run = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    out = {"torch": torch.__version__, "transformers": transformers.__version__, "python": platform.python_version()}
    if torch.cuda.is_available():
        import triton

        out["triton"] = triton.__version__
    return {**out, "commit": os.environ.get("OMNIBUS_COMMIT") or run.stdout.strip() or "unknown"}
