"""Tree: the folders and files of a corpus as an indented list, folders closed where it would grow too long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def tree(paths: Sequence[str], lines: int) -> str:
    """Paths with `/` between folders as lines, byte-wise sorted, files before folders, one space for each level.

    The deepest levels that fit into so many lines are open; below them a folder is one line, `name/ (12 files)`.
    """
    folders: dict[str, list[str]] = {"": []}
    for path in sorted(paths, key=str.encode):
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, []).append(name)
        while folder:
            folder = folder.rpartition("/")[0]
            folders.setdefault(folder, [])
    deepest = max(path.count("/") for path in paths) if paths else 0
    shown: list[str] = []
    for depth in range(deepest + 1):
        opened = list(_lines(folders, "", 0, depth))
        if depth and len(opened) > lines:
            break
        shown = opened
    return "".join(f"{line}\n" for line in shown)


def _lines(folders: dict[str, list[str]], folder: str, level: int, depth: int) -> Iterator[str]:
    yield from (" " * level + name for name in folders[folder])
    for inner in sorted((f for f in folders if f and f.rpartition("/")[0] == folder), key=str.encode):
        name = inner.rpartition("/")[2]
        if level < depth:
            yield f"{' ' * level}{name}/"
            yield from _lines(folders, inner, level + 1, depth)
        else:
            count = sum(len(names) for f, names in folders.items() if f == inner or f.startswith(f"{inner}/"))
            yield f"{' ' * level}{name}/ ({count} file{'s' if count != 1 else ''})"
