"""Key-value retrieval: a JSON object of UUIDs as long as the corpus; the value of some of its keys is asked."""

from __future__ import annotations

from itertools import count

from engine.evaluation import templates
from engine.evaluation.haystack import take
from engine.evaluation.suites.needle import code
from engine.evaluation.task import Question, Recipe, Task

ASKED = 8
"""Keys that are asked of one register, spread over it."""


def key_value(recipe: Recipe) -> Task:
    """A register and eight of its keys (in the style of InfiniteBench's Retrieve.KV)."""
    random = recipe.random
    lines = (f'"{code(random)}": "{code(random)}",' for _ in count())
    room = recipe.tokens - recipe.count(templates.PAIRS + "\n{\n\n}")
    register = list(take(recipe, lines, room, "\n"))
    questions = []
    for i in range(min(ASKED, len(register))):
        place = (2 * i + 1) * len(register) // (2 * min(ASKED, len(register)))
        key, value = register[place].strip(",").replace('"', "").split(": ")
        questions.append(
            Question(
                templates.PAIR_QUESTION.format(key=key), (value,), "every", place / len(register),
                templates.PAIR_LEAD.format(key=key), room=40,
            )
        )  # fmt: skip
    body = "\n".join(register).rstrip(",")
    return Task("key_value", f"{templates.PAIRS}\n{{\n{body}\n}}", tuple(questions))
