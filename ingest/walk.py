"""Walking folders as git would: nested .gitignore files, byte-wise order, every file seen accounted for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from ingest.errors import FileMissing


@dataclass(frozen=True, slots=True)
class Found:
    """A file to read, and its POSIX path relative to the folder that was named (with that folder's own name)."""

    path: Path
    relative: str


OnSkip = Callable[[Path, str], None]
Specs = list[tuple[Path, GitIgnoreSpec]]


def walk(roots: Iterable[Path], *, on_skip: OnSkip | None = None) -> Iterator[Found]:
    """Files under the roots, each once, in canonical order: files before folders, by the bytes of their names.

    A root that is a file is always taken. Ignored files are left out without a word, as git does; links out of the
    root, second names of one file, and what is no file or cannot be listed go to `on_skip`. Raises FileMissing before
    anything is yielded.
    """
    roots = [Path(root) for root in roots]
    for root in roots:
        if not root.exists():
            raise FileMissing(root)
    skip = on_skip or (lambda path, reason: None)
    seen: set[Path] = set()
    for root in roots:
        files = [Found(root, root.name)] if root.is_file() else list(_folder(root.resolve(), skip))
        own = {file.path for file in files if not file.path.is_symlink()}
        for file in files:
            real = file.path.resolve()
            if real != file.path and real in own:
                skip(file.path, f"it is a link to {real.name}, which is in the folder itself")
            elif real not in seen:
                seen.add(real)
                yield file


def _folder(top: Path, skip: OnSkip) -> Iterator[Found]:
    """Depth first, with a stack of our own: folders may nest deeper than Python calls do."""
    stack: list[tuple[Path, str, Specs]] = [(top, top.name, _specs_above(top))]
    while stack:
        folder, relative, specs = stack.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            skip(folder, f"the folder cannot be listed ({error.strerror})")
            continue
        specs = [*specs, *_spec(folder, ".gitignore")]
        folders: list[tuple[Path, str, Specs]] = []
        for entry in entries:
            path, name = Path(entry.path), f"{relative}/{_name(entry.name)}"
            if entry.is_dir(follow_symlinks=False):
                if entry.name == ".git" or _ignored(path, specs, folder=True):
                    continue
                if entry.name == "__pycache__":
                    skip(path, "it is Python's own cache")
                else:
                    folders.append((path, name, specs))
            elif entry.name == ".git" or _ignored(path, specs, folder=False):
                continue
            elif entry.is_symlink() and (not path.exists() or path.is_dir() or not path.resolve().is_relative_to(top)):
                skip(path, "it is a link that leads nowhere, to a folder, or out of the folder that was added")
            elif entry.is_file():
                yield Found(path, name)
            else:
                skip(path, "it is a device, a pipe or a socket, not a file")
        stack.extend(reversed(folders))


def _name(name: str) -> str:
    """A file name as text; bytes that are no UTF-8 become escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _spec(folder: Path, name: str) -> Specs:
    """The rules in a folder's ignore file; none where there is no such file, or (as for git) it is a link."""
    file = folder / name
    try:
        if file.is_symlink() or not file.is_file():
            return []
        lines = file.read_text("utf-8-sig", "surrogateescape").split("\n")
    except OSError:
        return []
    # to git `a/**/` means every folder below a, to pathspec a itself as well
    return [(folder, GitIgnoreSpec.from_lines(re.sub(r"/\*\*/$", "/**/*/", line) for line in lines))]


def _specs_above(top: Path) -> Specs:
    """The .gitignore files between the repository's root and the folder that was named."""
    inside = [top, *top.parents]
    repository = next((folder for folder in inside if (folder / ".git").exists()), None)
    if repository is None:
        return []
    exclude = _spec(repository / ".git" / "info", "exclude")
    specs: Specs = [(repository, spec) for _, spec in exclude]
    for folder in reversed(inside):
        if folder.is_relative_to(repository) and folder != top:
            specs.extend(_spec(folder, ".gitignore"))
    named = [f for f in inside if f.is_relative_to(repository) and f != repository]
    if any(_ignored(f, [s for s in specs if f != s[0] and f.is_relative_to(s[0])], folder=True) for f in named):
        return []  # somebody asked for this very folder: the repository around it has no say
    return specs


def _ignored(path: Path, specs: Specs, *, folder: bool) -> bool:
    """The last rule of the deepest .gitignore that says anything about the path decides."""
    for base, spec in reversed(specs):
        name = path.relative_to(base).as_posix()
        for rule in reversed(spec.patterns):
            if rule.include is not None and _means(rule, name, folder):
                return bool(rule.include)
    return False


def _means(rule: GitIgnoreSpecPattern, name: str, folder: bool) -> bool:
    """Whether a rule matches this very path, not only a folder above it.

    The walk asks about each folder on the way down, as git does, so a match above has had its say; were it to count
    again here, a `!folder` would bring back files that another rule ignores by their own name.
    """
    if "ps_d" not in rule.regex.groupindex:  # pathspec's mark for the end of a folder's name
        return rule.regex.search(name) is not None
    found = rule.regex.finditer(f"{name}/" if folder else name)
    return any(match.end("ps_d") in (-1, len(name) + 1) for match in found)
