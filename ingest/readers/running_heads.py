"""Running heads and feet: lines at the edges of pages that repeat, or bear the page's number, are no part of the text.

Nothing is lost by it: such a line is left out only where its words stand elsewhere, as a heading or as the first of the
lines that repeat it; the page's number is the page's label.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

FEWEST = 4
"""Pages below which nothing repeats often enough to be told from text."""
SHARE = 0.4
"""Of the pages that have text: so many must bear the line, or their number in it."""
LONGEST = 120
"""Characters of a running line."""
WORD = re.compile(r"[^\W_]+")


def without_running_heads(pages: Sequence[str], labels: Sequence[str | None]) -> list[str]:
    """The pages without running lines at their tops and bottoms. A label is the page's printed number."""
    split = [page.split("\n") for page in pages]
    names = [(label or str(index + 1)).lower() for index, label in enumerate(labels)]
    drop: list[set[int]] = [set() for _ in pages]
    for edge in (0, -1):
        for _ in range(2):  # a head may have two lines
            at = [_edge(lines, gone, edge) for lines, gone in zip(split, drop, strict=True)]
            running = _running([None if i is None else lines[i] for lines, i in zip(split, at, strict=True)], names)
            if not running:
                break
            for page in running:
                index = at[page]
                assert index is not None
                drop[page].add(index)
    _keep_first(split, drop, names)
    return [
        "\n".join(line for i, line in enumerate(lines) if i not in gone)
        for lines, gone in zip(split, drop, strict=True)
    ]


def _edge(lines: Sequence[str], gone: set[int], edge: int) -> int | None:
    """The first or last line with words that is still there."""
    left = [i for i, line in enumerate(lines) if i not in gone and line.strip()]
    return left[edge] if left else None


def _running(lines: Sequence[str | None], names: Sequence[str]) -> list[int]:
    """Pages whose line runs: it repeats, numbers aside, or has the page's number at an end, as others have theirs."""
    short = {i: WORD.findall(line.lower()) for i, line in enumerate(lines) if line is not None and len(line) <= LONGEST}
    needed = max(FEWEST, SHARE * sum(line is not None for line in lines))
    forms = {i: " ".join(word for word in words if not word.isdigit()) for i, words in short.items()}
    times = Counter(forms.values())
    numbered = [i for i, words in short.items() if words and names[i] in (words[0], words[-1])]
    repeated = [i for i, form in forms.items() if form and times[form] >= needed]
    return sorted({*repeated, *(numbered if len(numbered) >= needed else ())})


def _keep_first(split: Sequence[Sequence[str]], drop: Sequence[set[int]], names: Sequence[str]) -> None:
    """Take a line back where what it says stands nowhere in what is left."""
    left = (
        WORD.findall(line.lower())
        for lines, gone in zip(split, drop, strict=True)
        for i, line in enumerate(lines)
        if i not in gone
    )
    text = f" {' '.join(word for words in left for word in words)} "
    said: set[str] = set()
    for lines, gone, name in zip(split, drop, names, strict=True):
        for index in sorted(gone):
            words = WORD.findall(lines[index].lower())
            if words and words[0] == name:
                words = words[1:]
            elif words and words[-1] == name:
                words = words[:-1]
            form = " ".join(words)
            if form and form not in said and f" {form} " not in text:
                gone.discard(index)
            said.add(form)
