"""Suggestions: what a collection could be asked first, from its documents' headings and declarations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ingest import Document, passages

PASSAGE_CHARS = 4000
LONGEST = 60
PAGE = re.compile(r"page \S+")
NUMBERED = re.compile(r"^(?:\d+(?:\.\d+)*|[IVX]+)[.)]?\s+")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What could be asked about: a heading or a declaration of a document, or the document where it has neither."""

    kind: Literal["heading", "code", "document"]
    path: str
    heading: str = ""


def suggestions(documents: Sequence[Document], *, most: int = 4) -> list[Suggestion]:
    """One from each document in turn until there are enough, the larger documents first."""
    queues = [_of(document, most) for document in sorted(documents, key=lambda d: -len(d.text))[: 4 * most]]
    found: list[Suggestion] = []
    for turn in range(most):
        found += [queue[turn] for queue in queues if turn < len(queue)]
    return found[:most]


def _of(document: Document, most: int) -> list[Suggestion]:
    path = document.path.rsplit("/", 1)[-1]
    headings = dict.fromkeys(_tidy(p.heading) for p in passages(document, max_chars=PASSAGE_CHARS))
    title = _tidy(document.title)
    worth = [h for h in headings if 3 < len(h) <= LONGEST and h != title and not PAGE.fullmatch(h)]
    if not worth:
        return [Suggestion("document", path)]
    kind: Literal["heading", "code"] = "code" if document.kind == "code" else "heading"
    spread = worth[:: max(1, len(worth) // most)]
    return [Suggestion(kind, path, heading) for heading in spread[:most]]


def _tidy(heading: str) -> str:
    return NUMBERED.sub("", heading.split("(")[0] if heading.startswith(("def ", "class ")) else heading).strip(" #")
