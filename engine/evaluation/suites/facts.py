"""Facts: who did what where and when, invented, no two alike, at ten depths of real prose; asked one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from engine.evaluation import templates
from engine.evaluation.haystack import DEPTHS, hide
from engine.evaluation.task import Question, Recipe, Task
from engine.evaluation.texts import haystack


def facts(recipe: Recipe) -> Task:
    """Ten events in ten towns, one question each: a model must keep them apart."""
    random = recipe.random
    events = random.sample(templates.FACTS, len(templates.FACTS))
    towns, names = places(random, len(DEPTHS)), people(random, len(DEPTHS))
    hidden, questions = [], []
    for (statement, asked), town, name, depth in zip(events, towns, names, DEPTHS, strict=True):
        fact, question = _told(random, statement, asked, town, name)
        hidden.append(fact)
        questions.append(replace(question, depth=depth))
    return Task("facts", hide(recipe, haystack(random), hidden, DEPTHS), tuple(questions))


def event(random: Random) -> tuple[str, Question]:
    """One invented event, and a question about it."""
    statement, asked = random.choice(templates.FACTS)
    return _told(random, statement, asked, places(random, 1)[0], people(random, 1)[0])


def _told(
    random: Random, statement: str, asked: Sequence[tuple[str, str]], town: str, name: str
) -> tuple[str, Question]:
    said = {"person": name, "place": town, "year": str(random.randrange(1610, 1960))}
    question, answer = random.choice(asked)
    return statement.format(**said), Question(question.format(place=town), (said[answer],), "any")


def places(random: Random, count: int) -> list[str]:
    """So many different towns."""
    return random.sample([start + end for start in templates.PLACE_STARTS for end in templates.PLACE_ENDS], count)


def people(random: Random, count: int) -> list[str]:
    """So many different people."""
    every = [f"{first} {last}" for first in templates.FIRST_NAMES for last in templates.LAST_NAMES]
    return random.sample(every, count)
