"""Every suite makes tasks that can be answered from their corpus, of the length asked for, the same ones each time."""

from __future__ import annotations

from random import Random

import pytest

from engine.evaluation.errors import UnknownSuite
from engine.evaluation.runner import members
from engine.evaluation.scorers import SCORERS
from engine.evaluation.suites import SUITES
from engine.evaluation.task import Recipe, Task
from engine.models.model import LanguageModel

COUNTED = {"ruler/cwe", "ruler/fwe"}
"""Suites whose answer is which words come most often: all of them stand in the corpus."""


def task(model: LanguageModel, suite: str, tokens: int, seed: int = 3) -> Task:
    return SUITES[suite](Recipe(tokens, Random(seed), lambda text: len(model.encode_with_offsets(text)[0])))


@pytest.mark.parametrize("suite", SUITES)
def test_the_corpus_holds_every_answer_and_has_the_length(default_language_model: LanguageModel, suite: str) -> None:
    made = task(default_language_model, suite, 1200)
    tokens = len(default_language_model.encode_with_offsets(made.corpus)[0])
    assert 0.6 * 1200 <= tokens <= 1.03 * 1200  # the runner makes it again, smaller, where it is too long
    assert made.questions or made.continuation
    for question in made.questions:
        assert question.scorer in SCORERS
        whole = any if question.scorer == "any" else all
        assert whole(piece.lower() in made.corpus.lower() for piece in question.expected), question
        assert SCORERS[question.scorer](", ".join(question.expected), question.expected) == 1.0
        assert question.depth is None or 0 <= question.depth <= 1


@pytest.mark.parametrize("suite", ["needle#2", "ruler/vt", "code", "key_value"])
def test_the_same_seed_makes_the_same_task_and_another_one_another(
    default_language_model: LanguageModel, suite: str
) -> None:
    first, again, other = (task(default_language_model, suite, 700, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_groups_stand_for_their_members_and_unknown_names_are_told() -> None:
    assert len(members(["ruler"])) == 13
    assert len(members(["needle"])) == 5
    with pytest.raises(UnknownSuite, match="needle, facts"):
        members(["haystack"])
