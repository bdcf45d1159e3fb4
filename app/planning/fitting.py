"""Fitting: which documents go whole into a prompt that has no room for all, which as outlines, which by name only.

Pinned documents come first. Of the room that is left whole documents take what outlines do not need (OUTLINES), in the
order of their roles: what introduces the others, then all others, then tests, locks and generated files; shallow before
deep, small before large. Outlines of code fill up. Nothing of it depends on a question, so that what was read once
serves all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ingest import Document, Excerpt, whole

Level = Literal["whole", "outlined", "listed", "excluded"]
OUTLINES = 0.2
"""Share of the room that is kept for outlines."""
NAMES = 0.05
"""Share of the room that names of what is left out may take."""
FIRST = re.compile(
    r"(?:readme|index|overview|introduction|architecture|design|contributing)\b"
    r"|(?:pyproject\.toml|package\.json|cargo\.toml|go\.mod|pom\.xml|makefile|__init__\.py|__main__\.py|main\.\w+)$"
)
LAST = re.compile(
    r"(?:^|/)(?:tests?|testing|fixtures|vendor|third_party|node_modules|dist|build|generated|locale)/"
    r"|(?:^|/)(?:test_[^/]*|[^/]*_test\.\w+|[^/]*\.lock|package-lock\.json|[^/]*\.min\.\w+|[^/]*_pb2\.\w+|[^/]*\.svg)$"
)

ROUNDS = 3
"""Times that documents are chosen, each with as much less room as the last choice's tree was too large."""

Count = Callable[[Excerpt], int]
"""Tokens that an excerpt takes in the prompt."""
Tree = Callable[[Sequence[str], int], int]
"""Tokens of the tree of these paths, whose documents take so many tokens."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The excerpts in canonical order, names of what is left out, and per path its level, tokens, and why."""

    excerpts: list[Excerpt]
    listed: list[str]
    levels: dict[str, Level]
    tokens: dict[str, int]
    why: dict[str, str]


@dataclass(slots=True)
class _Room:
    left: int
    chosen: dict[str, Excerpt] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)

    def put(self, excerpt: Excerpt, tokens: int) -> None:
        """Put an excerpt in, come what may."""
        self.left -= tokens
        self.chosen[excerpt.document.path], self.tokens[excerpt.document.path] = excerpt, tokens

    def take(self, excerpt: Excerpt, tokens: int, *, spare: int = 0) -> None:
        """Put an excerpt in where it leaves `spare` tokens."""
        if tokens <= self.left - spare:
            self.put(excerpt, tokens)


def fit(
    documents: Sequence[Document],
    pinned: Collection[str],
    *,
    room: int,
    count: Count,
    name: Callable[[str], int],
    tree: Tree,
) -> Fitted:
    """Fill `room` tokens; `name` says what naming a path takes. Pinned documents go in even beyond the room.

    The tree of what is read has its place in the room, and how long it is depends on what is: where it turns out longer
    than was left for it, documents are chosen again.
    """
    parts = {part.document.path: part for part in whole(documents)}
    sizes = {path: count(part) for path, part in parts.items()}
    left = room - tree(list(parts), room)
    for _ in range(ROUNDS):
        made = _fit(parts, sizes, pinned, left, count, name)
        taken = sum(made.tokens.values())
        over = taken + tree([part.document.path for part in made.excerpts], taken) - room
        if over <= 0:
            break
        left -= over
    return made


def _fit(
    parts: Mapping[str, Excerpt],
    sizes: Mapping[str, int],
    pinned: Collection[str],
    room: int,
    count: Count,
    name: Callable[[str], int],
) -> Fitted:
    order = sorted(parts, key=lambda path: (_role(path), path.count("/"), sizes[path], path.encode()))
    names = _names([path for path in order if path not in pinned], int(NAMES * room), name)
    space = _Room(room - sum(names.values()))
    why: dict[str, str] = {}
    for path in (p for p in order if p in pinned):
        space.put(parts[path], sizes[path])
        why[path] = "pinned"
    rest = [path for path in order if path not in pinned]
    spare = int(OUTLINES * max(space.left, 0))
    for path in rest:
        _whole(space, parts[path], sizes[path], spare)
    for path in (p for p in rest if p not in space.chosen):
        made = Excerpt.outlined(parts[path].document) if space.left > 0 else None
        if made is not None:
            space.take(made, count(made))
    for path in (p for p in rest if p not in space.chosen):
        _whole(space, parts[path], sizes[path], 0)
    listed = sorted((path for path in names if path not in space.chosen), key=str.encode)
    levels: dict[str, Level] = {}
    for path in parts:
        levels[path], reason = _level(path, space, names)
        why.setdefault(path, reason)
    chosen = [space.chosen[path] for path in parts if path in space.chosen]
    taken = {path: space.tokens.get(path, 0 if path not in listed else names[path]) for path in parts}
    return Fitted(chosen, listed, levels, taken, why)


def _whole(space: _Room, part: Excerpt, tokens: int, spare: int) -> None:
    """Put a document in whole; a pointer only where what it points to is in."""
    target = space.chosen.get(part.same_as) if part.same_as else None
    if part.same_as is None or (target is not None and not target.pieces):
        space.take(part, tokens, spare=spare)


def _names(paths: Sequence[str], room: int, name: Callable[[str], int]) -> dict[str, int]:
    """Tokens of the names that there is room for."""
    out: dict[str, int] = {}
    for path in paths:
        tokens = name(path)
        if tokens > room:
            break
        out[path], room = tokens, room - tokens
    return out


def _role(path: str) -> int:
    """0 for what introduces the others, 2 for tests, locks and generated files."""
    if LAST.search(path.lower()):
        return 2
    return 0 if FIRST.match(path.lower().rpartition("/")[2]) else 1


def _level(path: str, space: _Room, names: Mapping[str, int]) -> tuple[Level, str]:
    part = space.chosen.get(path)
    if part is None:
        if path in names:
            return "listed", "no room for it; it is named"
        return "excluded", "no room for it, nor for its name"
    if part.pieces:
        return "outlined", "no room for all of it; its declarations are read"
    if part.same_as:
        return "whole", f"repeats {part.same_as}; a pointer is read"
    return "whole", ("introduces the others", "fits", "fits, behind all others")[_role(path)]
