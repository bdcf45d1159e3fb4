"""Code retrieval: modules of Python's own library; the name of a function is asked by what its docstring says."""

from __future__ import annotations

from engine.evaluation import templates
from engine.evaluation.task import Question, Recipe, Task
from engine.evaluation.texts import MODULES, Function, functions, source

ASKED = 8


def code(recipe: Recipe) -> Task:
    """Whole modules and a part of one more; up to eight functions of theirs."""
    modules = recipe.random.sample(MODULES, len(MODULES))
    parts: list[str] = []
    where: list[tuple[Function, int]] = []
    left = recipe.tokens
    for module in modules:
        head = f"# {module}.py\n"
        described = functions(module)
        if not described:
            continue
        whole = head + source(module) + "\n"
        skipped = described[0].start if recipe.count(whole) > left else 0
        text = _beginning(recipe, head + source(module)[skipped:] + "\n", left)
        known = [f for f in described if skipped <= f.start and f.end - skipped + len(head) <= len(text)]
        begins = sum(len(part) for part in parts) + len(head) - skipped
        where += [(f, begins + f.start) for f in known]
        parts.append(text)
        left -= recipe.count(text)
        if left < 64:
            break
    corpus = "".join(parts)
    alone = [(f, at) for f, at in where if sum(g.name == f.name for g, _ in where) == 1]
    asked = recipe.random.sample(alone, min(ASKED, len(alone)))
    questions = [
        Question(
            templates.FUNCTION_QUESTION.format(description=f.description), (f.name,), "every", at / len(corpus),
            templates.FUNCTION_LEAD,
        )
        for f, at in asked
    ]  # fmt: skip
    return Task("code", corpus, tuple(questions))


def _beginning(recipe: Recipe, text: str, tokens: int) -> str:
    """As many whole lines of the text as so many tokens hold."""
    if recipe.count(text) <= tokens:
        return text
    lines = text.splitlines(keepends=True)
    low, high = 0, len(lines)
    while low < high:
        middle = (low + high + 1) // 2
        if recipe.count("".join(lines[:middle])) <= tokens:
            low = middle
        else:
            high = middle - 1
    return "".join(lines[:low])
