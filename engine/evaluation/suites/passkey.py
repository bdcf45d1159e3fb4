"""Pass key and serial number: a five-digit and a ten-digit number in a text that says the same over and over."""

from __future__ import annotations

from engine.evaluation import templates
from engine.evaluation.haystack import hide
from engine.evaluation.suites.needle import number
from engine.evaluation.task import Question, Recipe, Task


def passkey(recipe: Recipe) -> Task:
    """Both numbers, each at a depth of chance."""
    key, serial = number(recipe.random, 5), number(recipe.random, 10)
    depths = recipe.random.uniform(0.02, 0.98), recipe.random.uniform(0.02, 0.98)
    hidden = templates.PASSKEY.format(value=key), templates.LONG_NUMBER.format(value=serial)
    corpus = hide(recipe, [templates.NOISE], hidden, depths, join="\n")
    return Task(
        "passkey",
        corpus,
        (
            Question(templates.PASSKEY_QUESTION, (key,), "first_number", depths[0], templates.PASSKEY_LEAD),
            Question(templates.LONG_NUMBER_QUESTION, (serial,), "first_number", depths[1], templates.LONG_NUMBER_LEAD),
        ),
    )
