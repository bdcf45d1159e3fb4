"""RULER's eight needle tasks (arXiv 2404.06654), in words of our own: what is hidden, in what, and how it is asked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Literal

from engine.evaluation import templates
from engine.evaluation.haystack import hide
from engine.evaluation.suites.needle import code, number, things
from engine.evaluation.task import Question, Recipe, Suite, Task
from engine.evaluation.texts import haystack

Filler = Literal["noise", "prose", "needles"]
Make = Callable[[Random], str]


def single(recipe: Recipe, *, name: str, filler: Filler, key: Make, value: Make, keys: int = 1) -> Task:
    """`keys` needles with a value each; every key is asked. Where the filler is needles, it is of the same form."""
    random = recipe.random
    pairs = {key(random): value(random) for _ in range(keys)}
    kind = _kind(value)
    hidden = [templates.NEEDLE.format(kind=kind, key=k, value=v) for k, v in pairs.items()]
    depths = [random.uniform(0, 1) for _ in hidden]
    around = _filler(random, filler, key, value)
    questions = [
        Question(
            templates.NEEDLE_QUESTION.format(kind=kind, key=k), (v,), "every", depth,
            templates.NEEDLE_LEAD.format(kind=kind, key=k), room=_room(value),
        )
        for (k, v), depth in zip(pairs.items(), depths, strict=True)
    ]  # fmt: skip
    return Task(name, _hidden(recipe, filler, around, hidden, depths), tuple(questions))


def multivalue(recipe: Recipe) -> Task:
    """Four values of one key; all are asked."""
    (key,) = things(recipe.random, 1)
    values = tuple(number(recipe.random) for _ in range(4))
    hidden = [templates.NEEDLE.format(kind=templates.NUMBER, key=key, value=v) for v in values]
    question = Question(
        templates.NEEDLES_QUESTION.format(kind=templates.NUMBER, key=key), values, "every",
        lead=templates.NEEDLES_LEAD.format(kind=templates.NUMBER, key=key), room=64,
    )  # fmt: skip
    return Task("ruler/niah_multivalue", _spread(recipe, hidden), (question,))


def multiquery(recipe: Recipe) -> Task:
    """Four keys with a value each; all four are asked at once."""
    keys = things(recipe.random, 4)
    values = tuple(number(recipe.random) for _ in keys)
    kind, listed = templates.NUMBER, ", the ".join(keys)
    hidden = [templates.NEEDLE.format(kind=kind, key=k, value=v) for k, v in zip(keys, values, strict=True)]
    question = Question(
        templates.QUERIES_QUESTION.format(kind=kind, keys=listed), values, "every",
        lead=templates.QUERIES_LEAD.format(kind=kind, keys=listed), room=64,
    )  # fmt: skip
    return Task("ruler/niah_multiquery", _spread(recipe, hidden), (question,))


def _thing(random: Random) -> str:
    return things(random, 1)[0]


def _kind(value: Make) -> str:
    return templates.CODE if value is code else templates.NUMBER


def _room(value: Make) -> int:
    return 40 if value is code else 24


def _spread(recipe: Recipe, hidden: list[str]) -> str:
    depths = [recipe.random.uniform(0, 1) for _ in hidden]
    return hide(recipe, haystack(recipe.random), hidden, depths)


def _filler(random: Random, filler: Filler, key: Make, value: Make) -> list[str]:
    if filler == "noise":
        return [templates.NOISE]
    if filler == "prose":
        return haystack(random)
    make = partial(templates.NEEDLE.format, kind=_kind(value))
    return [make(key=key(random), value=value(random)) for _ in range(4096)]


def _hidden(recipe: Recipe, filler: Filler, around: list[str], hidden: list[str], depths: list[float]) -> str:
    return hide(recipe, around, hidden, depths, join="\n\n" if filler == "prose" else "\n")


def _single(name: str, filler: Filler, key: Make, value: Make, keys: int = 1) -> Suite:
    return partial(single, name=f"ruler/{name}", filler=filler, key=key, value=value, keys=keys)


SUITES: dict[str, Suite] = {
    "ruler/niah_single_1": _single("niah_single_1", "noise", _thing, number),
    "ruler/niah_single_2": _single("niah_single_2", "prose", _thing, number),
    "ruler/niah_single_3": _single("niah_single_3", "prose", _thing, code),
    "ruler/niah_multikey_1": _single("niah_multikey_1", "prose", _thing, number, keys=4),
    "ruler/niah_multikey_2": _single("niah_multikey_2", "needles", _thing, number, keys=8),
    "ruler/niah_multikey_3": _single("niah_multikey_3", "needles", code, code, keys=8),
    "ruler/niah_multivalue": multivalue,
    "ruler/niah_multiquery": multiquery,
}
