"""Verdicts on files in other languages, found by the English sentence that documents keep since they were read."""

from __future__ import annotations

import re
from collections.abc import Mapping

BETWEEN = "; "
"""Between two verdicts on one file; some have it inside."""


class Verdicts:
    """Texts by their English sentence; `{}` stands for what differs by file, at the beginning for a number."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = [(re.compile(_pattern(english)), text) for english, text in texts.items()]

    def __call__(self, reason: str) -> str:
        """What is known of it said in the language, the rest as it is."""
        parts, said, at = reason.split(BETWEEN), [], 0
        while at < len(parts):
            for end in range(len(parts), at, -1):  # the longest that is one sentence
                if (text := self._one(BETWEEN.join(parts[at:end]))) is not None:
                    break
            said.append(parts[at] if text is None else text)
            at = end
        return BETWEEN.join(said)

    def _one(self, sentence: str) -> str | None:
        for pattern, text in self._texts:
            if found := pattern.fullmatch(sentence):
                return text.format(*(self(place) for place in found.groups()))
        return None


def _pattern(english: str) -> str:
    first, *rest = english.split("{}")
    places = ["(.+)"] * len(rest)
    if rest and not first:
        places[0] = r"([\d,]+)"
    return re.escape(first) + "".join(place + re.escape(text) for place, text in zip(places, rest, strict=True))
