"""Perplexity: how surprised the model is by real text behind a long beginning of it, of prose and of code."""

from __future__ import annotations

from engine.evaluation.haystack import take
from engine.evaluation.task import Recipe, Task
from engine.evaluation.texts import MODULES, haystack, source

SCORED = 256
"""Tokens behind the corpus that are scored."""


def prose(recipe: Recipe) -> Task:
    """Paragraphs of the language reference, and the ones that follow."""
    return _cut(recipe, "perplexity/prose", haystack(recipe.random), "\n\n")


def code(recipe: Recipe) -> Task:
    """Lines of the library's modules, and the ones that follow."""
    modules = recipe.random.sample(MODULES, len(MODULES))
    lines = [line for module in modules for line in source(module).split("\n")]
    return _cut(recipe, "perplexity/code", lines, "\n")


def _cut(recipe: Recipe, name: str, pieces: list[str], join: str) -> Task:
    wanted = recipe.tokens - SCORED
    before = list(take(recipe, pieces, wanted, join))
    short = wanted - recipe.count(join.join(before))  # pieces count a little less together than one by one
    before = list(take(recipe, pieces, wanted + int(short * 0.95), join))
    behind = list(take(recipe, [*pieces[len(before) % len(pieces) :], *pieces], SCORED, join))
    return Task(name, join.join(before) + join, continuation=join.join(behind))
