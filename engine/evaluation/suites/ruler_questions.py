"""RULER's two QA tasks with invented articles in place of SQuAD and HotpotQA: one article answers, or two together."""

from __future__ import annotations

from engine.evaluation import templates
from engine.evaluation.haystack import take
from engine.evaluation.suites.facts import people, places
from engine.evaluation.task import Question, Recipe, Task
from engine.evaluation.texts import haystack

TOWNS = 300
ASKED = 6


def one_article(recipe: Recipe) -> Task:
    """Articles on towns, prose between them where the corpus is long; six of their mayors are asked."""
    return _articles(recipe, "ruler/qa_1", hops=False)


def two_articles(recipe: Recipe) -> Task:
    """Articles on towns and on people; six mayors' trades are asked."""
    return _articles(recipe, "ruler/qa_2", hops=True)


def _articles(recipe: Recipe, name: str, *, hops: bool) -> Task:
    random = recipe.random
    towns, mayors = places(random, TOWNS), people(random, TOWNS)
    trades = [random.choice(templates.TRADES) for _ in towns]
    pairs = []
    for town, mayor, trade in zip(towns, mayors, trades, strict=True):
        size, day = random.randrange(200, 90000), random.choice(templates.DAYS)
        article = templates.ARTICLE.format(place=town, size=size, day=day, person=mayor)
        birth = templates.BIRTH.format(person=mayor, place=random.choice(towns), trade=trade)
        pairs.append(f"{article}\n\n{birth}" if hops else article)
    parts = list(take(recipe, [*pairs, *haystack(random)], recipe.tokens, "\n\n"))
    used = parts[: len(pairs)]
    paragraphs = [part for both in parts for part in both.split("\n\n")]
    random.shuffle(paragraphs)
    questions = []
    for i in random.sample(range(len(used)), min(ASKED, len(used))):
        if hops:
            question, lead, answer = templates.HOP_QUESTION, templates.HOP_LEAD, trades[i]
        else:
            question, lead, answer = templates.ARTICLE_QUESTION, templates.ARTICLE_LEAD, mayors[i]
        asked = question.format(place=towns[i])
        questions.append(Question(asked, (answer,), "any", lead=lead.format(place=towns[i])))
    return Task(name, "\n\n".join(paragraphs), tuple(questions))
