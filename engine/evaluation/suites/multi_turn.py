"""Multi-turn: six questions about one corpus in one dialogue; each question comes behind the earlier ones' answers."""

from __future__ import annotations

from dataclasses import replace

from engine.evaluation.suites.facts import facts
from engine.evaluation.task import Question, Recipe, Task, Turn

TURNS = 6


def multi_turn(recipe: Recipe) -> Task:
    """Facts asked in turn over one cached corpus, as SCBench does; earlier answers are given right."""
    task = facts(recipe)
    history: tuple[Turn, ...] = ()
    questions: list[Question] = []
    for question in recipe.random.sample(task.questions, TURNS):
        questions.append(replace(question, history=history))
        history = (*history, (question.text, f"{question.expected[0]}."))
    return replace(task, suite="multi_turn", questions=tuple(questions))
