"""Walking folders as git would: nested .gitignore files, byte-wise order, every file seen accounted for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

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
    root, and what cannot be listed, go to `on_skip`. Raises FileMissing before anything is yielded.
    """
    roots = [Path(root) for root in roots]
    for root in roots:
        if not root.exists():
            raise FileMissing(root)
    skip = on_skip or (lambda path, reason: None)
    seen: set[Path] = set()
    for root in roots:
        if root.is_file():
            found: Iterable[Found] = [Found(root, root.name)]
        else:
            top = root.resolve()
            found = _folder(top, top, top.name, _specs_above(top), skip)
        for file in found:
            real = file.path.resolve()
            if real not in seen:
                seen.add(real)
                yield file


def _folder(folder: Path, top: Path, relative: str, specs: Specs, skip: OnSkip) -> Iterator[Found]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        skip(folder, f"the folder cannot be listed ({error.strerror})")
        return
    own = folder / ".gitignore"
    if own.is_file():
        specs = [*specs, (folder, _spec(own))]
    folders: list[os.DirEntry[str]] = []
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            if entry.name == "__pycache__":
                skip(path, "it is Python's own cache")
            elif entry.name != ".git" and not _ignored(path, specs, folder=True):
                folders.append(entry)
        elif entry.is_symlink() and (not path.exists() or path.is_dir() or not path.resolve().is_relative_to(top)):
            skip(path, "it is a link that leads nowhere, to a folder, or out of the folder that was added")
        elif entry.is_file() and not _ignored(path, specs, folder=False):
            yield Found(path, f"{relative}/{_name(entry.name)}")
    for entry in folders:
        yield from _folder(Path(entry.path), top, f"{relative}/{_name(entry.name)}", specs, skip)


def _name(name: str) -> str:
    """A file name as text; bytes that are no UTF-8 become escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _spec(file: Path) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(file.read_text("utf-8", "replace").splitlines())


def _specs_above(top: Path) -> Specs:
    """The .gitignore files between the repository's root and the folder that was named."""
    inside = [top, *top.parents]
    repository = next((folder for folder in inside if (folder / ".git").exists()), None)
    if repository is None or repository == top:
        specs: Specs = []
    else:
        between = [f for f in reversed(inside) if f.is_relative_to(repository) and f != top]
        specs = [(f, _spec(f / ".gitignore")) for f in between if (f / ".gitignore").is_file()]
    if repository and (exclude := repository / ".git" / "info" / "exclude").is_file():
        specs.insert(0, (repository, _spec(exclude)))
    named = [f for f in inside if repository and f.is_relative_to(repository) and f != repository]
    if any(_ignored(f, [s for s in specs if f != s[0] and f.is_relative_to(s[0])], folder=True) for f in named):
        return []  # somebody asked for this very folder: the repository around it has no say
    return specs


def _ignored(path: Path, specs: Specs, *, folder: bool) -> bool:
    """The deepest .gitignore that says anything about the path decides."""
    for base, spec in reversed(specs):
        name = path.relative_to(base).as_posix() + ("/" if folder else "")
        said = spec.check_file(name).include
        if said is not None:
            return bool(said)
    return False
