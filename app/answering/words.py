"""Words: what counts as a content word when a question is matched with text."""

from __future__ import annotations

import re

WORD = re.compile(r"[^\W_]+")
COMMON = frozenset(
    (
        "a an and are as at be by can did do does for from had has have how i in into is it its me must my no not of "
        "on or our shall should so than that the their them then there these they this to us was we were what when "
        "where which who whom whose why will with would you your"
    ).split()
)
NAME = re.compile(r"[^\W\d]\w*(?:\.\w+)*")
PART = re.compile(r"_|[a-z][A-Z]|[A-Z]{2}[a-z]|[^\W\d]\d")
"""What tells a name in code from a word: an underscore, a capital inside, a digit behind a letter."""
ENDINGS = ("ing", "ed", "es", "s")


def content_words(text: str) -> list[str]:
    """Lower-case words that are not among the commonest; identifiers fall apart at underscores."""
    return [w for w in WORD.findall(text.lower()) if w not in COMMON and (len(w) > 1 or w.isdigit())]


def identifiers(text: str) -> list[str]:
    """Names as they stand in code, three characters and more; of dotted ones each part that is such a name."""
    names = [part for name in NAME.findall(text) for part in name.split(".")]
    return [name for name in names if len(name) > 2 and PART.search(name)]


def stems(text: str) -> list[str]:
    """Content words without the commonest English endings."""
    out = []
    for word in content_words(text):
        ending = next((e for e in ENDINGS if word.endswith(e) and len(word) - len(e) > 2), "")
        out.append(word.removesuffix(ending))
    return out
