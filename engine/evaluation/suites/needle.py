"""Needle in a haystack: one number and one invented event in real prose, which is all there is to find."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from random import Random

from engine.evaluation import templates
from engine.evaluation.haystack import DEPTHS, hide
from engine.evaluation.suites.facts import event
from engine.evaluation.task import Question, Recipe, Suite, Task
from engine.evaluation.texts import haystack


def needle(recipe: Recipe, *, place: int) -> Task:
    """The number at the `place`-th depth, the event five depths further; five places cover every depth."""
    random = recipe.random
    depths = DEPTHS[place], DEPTHS[place + len(DEPTHS) // 2]
    statement, question, digits = random.choice(templates.NEEDLES)
    value = number(random, digits)
    fact, asked = event(random)
    corpus = hide(recipe, haystack(random), (statement.format(value=value), fact), depths)
    return Task("needle", corpus, (Question(question, (value,), "every", depths[0]), replace(asked, depth=depths[1])))


SUITES: dict[str, Suite] = {f"needle#{place}": partial(needle, place=place) for place in range(len(DEPTHS) // 2)}


def things(random: Random, count: int) -> list[str]:
    """So many different coloured things."""
    every = [f"{colour} {thing}" for colour in templates.COLOURS for thing in templates.THINGS]
    return random.sample(every, count)


def number(random: Random, digits: int = 7) -> str:
    """A number of so many digits."""
    return str(random.randrange(10 ** (digits - 1), 10**digits))


def code(random: Random) -> str:
    """A UUID."""
    import uuid

    return str(uuid.UUID(int=random.getrandbits(128), version=4))
