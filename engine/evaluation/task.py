"""Task: one corpus, the questions asked behind it, and how their answers are scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

Turn = tuple[str, str]
"""An earlier question of the same dialogue, and its answer."""


class Frame(Protocol):
    """The product's words around a corpus, in the model's chat template."""

    def __call__(self, question: str, history: Sequence[Turn]) -> tuple[list[int], list[int]]:
        """Token ids before the corpus (the same for every question) and behind it."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked behind the corpus. `scorer` is a name in engine.evaluation.scorers.

    `lead` is how the answer begins: given to the model, not counted as its answer. `depth` says where in the corpus
    the answer stands, from 0 to 1. `room` is how many tokens the answer may take.
    """

    text: str
    expected: tuple[str, ...]
    scorer: str
    depth: float | None = None
    lead: str = ""
    room: int = 24
    history: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """A corpus and its questions; `continuation` is real text behind it, which is read and not asked."""

    suite: str
    corpus: str
    questions: tuple[Question, ...] = ()
    continuation: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a suite makes a task from: how many tokens the corpus may have, seeded chance, and a tokenizer's count."""

    tokens: int
    random: Random
    count: Callable[[str], int]


Suite = Callable[[Recipe], Task]
"""Makes one task; the same recipe always makes the same one."""
