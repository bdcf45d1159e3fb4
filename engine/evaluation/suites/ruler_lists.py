"""RULER's aggregation: the most common words of a list, and the most frequent ones of a made-up text."""

from __future__ import annotations

from collections import Counter

from engine.evaluation import templates
from engine.evaluation.haystack import take
from engine.evaluation.task import Question, Recipe, Task
from engine.evaluation.texts import vocabulary

COMMON, OFTEN, SELDOM = 10, 30, 3
"""Ten words come thirty times, the others three times; in short lists, one row in twenty each, and once."""
EXPONENT = 2.0
"""Of the Zipf law that the made-up words follow."""
CODED = 400


def common_words(recipe: Recipe) -> Task:
    """A numbered list in which ten words come ten times as often as any other."""
    known = recipe.random.sample(vocabulary(), len(vocabulary()))
    common, rare = known[:COMMON], known[COMMON:]
    left = recipe.tokens - recipe.count(templates.COMMON_HEADER) - 16
    rows = left // recipe.count("1234. word\n")
    often = min(OFTEN, max(rows // 20, 3))
    seldom = SELDOM if often == OFTEN else 1
    pool = [word for word in common for _ in range(often)]
    pool += [word for word in rare for _ in range(seldom)][: max(0, rows - len(pool))]
    recipe.random.shuffle(pool)
    lines = list(take(recipe, (f"{i}. {word}" for i, word in enumerate(pool, 1)), left, "\n"))
    question = Question(
        templates.COMMON_QUESTION, tuple(_top([line.split()[1] for line in lines], COMMON)), "every",
        lead=templates.COMMON_LEAD, room=72,
    )  # fmt: skip
    return Task("ruler/cwe", "\n".join([templates.COMMON_HEADER, *lines]), (question,))


def frequent_words(recipe: Recipe) -> Task:
    """Made-up words whose frequencies fall with the square of their rank; the three most frequent are asked."""
    random = recipe.random
    coded: list[str] = []
    while len(coded) < CODED:
        word = "".join(random.choices(templates.SYLLABLES, k=3))
        coded += [] if word in coded else [word]
    weights = [rank**-EXPONENT for rank in range(1, CODED + 1)]
    left = recipe.tokens - recipe.count(templates.FREQUENT_HEADER) - 16
    drawn = random.choices(coded, weights, k=left // 2)
    words = [word.strip() for word in take(recipe, [f" {word}" for word in drawn], left, "")]
    question = Question(
        templates.FREQUENT_QUESTION, tuple(_top(words, 3)), "every", lead=templates.FREQUENT_LEAD, room=32
    )
    return Task("ruler/fwe", f"{templates.FREQUENT_HEADER}\n{' '.join(words)}", (question,))


def _top(words: list[str], most: int) -> list[str]:
    return [word for word, _ in Counter(words).most_common(most)]
