"""Tree: the folders and files of a corpus as an indented list, folders closed where it would grow too long."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from operator import itemgetter

LEAST = 20
"""Lines that a tree may always take."""
SHARE = 400
"""Tokens of the corpus for each further line: at about eight tokens a line the tree costs 2 %."""

TreeLines = Callable[[int], int]
"""How many lines a tree may take, by the tokens of the documents."""


def tree_lines(tokens: int) -> int:
    """Lines for the tree of documents of so many tokens."""
    return max(LEAST, tokens // SHARE)


def tree(paths: Sequence[str], lines: int) -> str:
    """Paths with `/` between folders as lines, byte-wise sorted, files before folders, one space for each level.

    The deepest levels that fit into so many lines are open; below them a folder is one line, `name/ (12 files)`. The
    first level that has more than one entry is always open; where even that is too long, its first lines are followed
    by `… and 4900 more files`.
    """
    if not paths:
        return ""
    root, entries = _nested(paths)
    least = next((level for level, count in enumerate(entries) if count > 1), len(entries) - 1)
    fitting = [depth for depth, count in enumerate(accumulate(entries)) if count <= lines]
    depth = max([least, *fitting[-1:]])
    cut = sum(entries[: depth + 1]) > lines
    found = _lines(root, depth)
    shown = list(islice(found, max(lines - 1, 0))) if cut else list(found)
    if cut:
        level, _, _ = next(found)
        left = root.count - sum(count for _, _, count in shown)
        shown.append((level, f"… and {left} more files", left))
    return "".join(f"{' ' * level}{text}\n" for level, text, _ in shown)


@dataclass(slots=True)
class _Folder:
    """The names in a folder; `count` is of the files in it and below."""

    files: list[str] = field(default_factory=list)
    folders: dict[str, _Folder] = field(default_factory=dict)
    count: int = 0


def _nested(paths: Sequence[str]) -> tuple[_Folder, list[int]]:
    """The folders in each other, and how many entries each level has."""
    names: dict[str, list[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        names.setdefault(folder, []).append(name)
    root, entries = _Folder(), [0] * (1 + max(path.count("/") for path in paths))
    for path, files in names.items():
        at, parts = root, path.split("/") if path else []
        at.count += len(files)
        for level, name in enumerate(parts):
            inner = at.folders.get(name)
            if inner is None:
                inner = at.folders[name] = _Folder()
                entries[level] += 1
            at = inner
            at.count += len(files)
        at.files = files
        entries[len(parts)] += len(files)
    return root, entries


def _lines(root: _Folder, depth: int) -> Iterator[tuple[int, str, int]]:
    """Level, text and the files that it stands for, of each line down to a depth.

    Sorted as text, which is the order of UTF-8 bytes too. A loop, for a hostile archive nests deeper than calls may.
    """
    stack = [(-1, "", root)]
    while stack:
        level, name, folder = stack.pop()
        if level == depth:
            yield level, f"{name}/ ({folder.count} file{'s' if folder.count != 1 else ''})", folder.count
            continue
        if level >= 0:
            yield level, f"{name}/", 0
        yield from ((level + 1, file, 1) for file in sorted(folder.files))
        stack += [(level + 1, *item) for item in sorted(folder.folders.items(), key=itemgetter(0), reverse=True)]
