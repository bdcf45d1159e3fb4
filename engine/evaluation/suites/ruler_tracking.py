"""RULER's variable tracking: names that get a value through others, in a text that says the same over and over."""

from __future__ import annotations

from itertools import pairwise

from engine.evaluation import templates
from engine.evaluation.haystack import hide
from engine.evaluation.suites.needle import number
from engine.evaluation.task import Question, Recipe, Task

HOPS = 4
CHAINS = 2
"""Chains in one text; each is asked, and the other leads astray."""


def tracking(recipe: Recipe) -> Task:
    """Two chains of five names."""
    random = recipe.random
    names = [f"V{n}" for n in random.sample(range(10000, 100000), CHAINS * (HOPS + 1))]
    hidden, depths, questions = [], [], []
    for i in range(CHAINS):
        chain, value = names[i * (HOPS + 1) : (i + 1) * (HOPS + 1)], number(random, 5)
        hidden.append(templates.ASSIGN.format(name=chain[0], value=value))
        hidden += [templates.COPY.format(name=b, other=a) for a, b in pairwise(chain)]
        depths += sorted(random.uniform(0, 1) for _ in chain)
        questions.append(
            Question(
                templates.TRACE_QUESTION.format(number=len(chain), value=value), tuple(chain), "every",
                lead=templates.TRACE_LEAD.format(value=value), room=48,
            )
        )  # fmt: skip
    return Task("ruler/vt", hide(recipe, [templates.NOISE], hidden, depths, join="\n"), tuple(questions))
