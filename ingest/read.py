"""One file to one Document, an archive to one for each file inside; a verdict whatever happens."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path, PurePosixPath
from types import ModuleType

from ingest.archive import Budget, is_archive, members
from ingest.document import Document, Kind, Verdict
from ingest.errors import FileMissing, Unreadable
from ingest.readers import code, data, docx, epub, html, mail, markdown, notebook, pdf, pptx, rst, table, text, xlsx
from ingest.secrets import redact

MAX_BYTES = 64 << 20
TOO_LARGE = f"it is larger than {MAX_BYTES >> 20} MiB"
READERS: dict[str, tuple[Kind, ModuleType]] = {
    **dict.fromkeys((".md", ".markdown", ".mdx"), ("markdown", markdown)),
    **dict.fromkeys((".rst", ".rest"), ("rst", rst)),
    **dict.fromkeys((".html", ".htm", ".xhtml"), ("html", html)),
    **dict.fromkeys((".json", ".jsonl", ".ndjson", ".geojson"), ("code", data)),
    **dict.fromkeys((".csv", ".tsv"), ("table", table)),
    **dict.fromkeys((".eml", ".mbox"), ("mail", mail)),
    **dict.fromkeys((".docx", ".docm"), ("docx", docx)),
    **dict.fromkeys((".pptx", ".pptm"), ("pptx", pptx)),
    **dict.fromkeys((".xlsx", ".xlsm"), ("xlsx", xlsx)),
    ".epub": ("epub", epub),
    ".ipynb": ("markdown", notebook),
    ".pdf": ("pdf", pdf),
}
CODE = {
    f".{suffix}"
    for suffix in """
    py pyi c h cc cpp hpp cs go rs java kt scala js mjs jsx ts tsx rb php pl pm sh bash zsh swift m lua
    r jl sql css scss toml yaml yml xml ini cfg el hs ml ex exs erl clj vue dart zig proto cmake mk
    gradle
    """.split()
}


def read(path: Path, relative: str) -> Document:
    """Read a file; raises FileMissing when there is none. Anything wrong with its content is the verdict's to say."""
    found = _bytes(path, relative)
    if isinstance(found, Document):
        return found
    return read_bytes(found, relative, source=source_of(path))


def source_of(path: Path) -> str:
    """A path's absolute name as text that any database takes: bytes that are no UTF-8 become escapes."""
    return os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")


def read_all(path: Path, relative: str) -> list[Document]:
    """Read a file, an archive as the files inside it, each under the archive's path; raises FileMissing."""
    found = _bytes(path, relative)
    if isinstance(found, Document):
        return [found]
    return read_all_bytes(found, relative, source=source_of(path))


def _bytes(path: Path, relative: str) -> bytes | Document:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "a directory" if stat.S_ISDIR(status.st_mode) else "a device, a pipe or a socket"
            return skipped(path, f"it is {what}, not a file", relative=relative)
        if status.st_size > MAX_BYTES:
            return skipped(path, TOO_LARGE, relative=relative)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FileMissing(path) from error
    except OSError as error:
        return skipped(path, f"it cannot be read ({error.strerror or 'I/O error'})", relative=relative)


def read_all_bytes(content: bytes, relative: str, *, source: str = "", budget: Budget | None = None) -> list[Document]:
    """Documents of bytes that came with a name: one, or one for each file of an archive."""
    if not is_archive(relative) or len(content) > MAX_BYTES:
        return [read_bytes(content, relative, source=source)]
    budget = budget or Budget()
    if budget.depth == 0:
        digest = hashlib.sha256(content).hexdigest()
        return [_skipped(relative, source, digest, "it is an archive too deep inside archives")]
    documents: list[Document] = []
    seen: set[str] = set()
    budget.depth -= 1
    for member in members(content, PurePosixPath(relative).name, budget):
        path = f"{relative}/{member.name}".rstrip("/")
        while path in seen:  # zip allows two files of one name
            path += "~"
        seen.add(path)
        inside = f"{source}/{path.removeprefix(relative + '/')}" if source else ""
        if member.data is None:
            digest = hashlib.sha256(path.encode()).hexdigest()
            documents.append(_skipped(path, inside, digest, member.reason or "it cannot be read"))
        else:
            documents.extend(read_all_bytes(member.data, path, source=inside, budget=budget))
    budget.depth += 1
    return documents or [_skipped(relative, source, hashlib.sha256(content).hexdigest(), "it is an empty archive")]


def read_bytes(content: bytes, relative: str, *, source: str = "") -> Document:
    """Make a Document of bytes that came with a name."""
    digest = hashlib.sha256(content).hexdigest()
    kind, reader = _reader(content, relative)
    if len(content) > MAX_BYTES:
        return _skipped(relative, source, digest, TOO_LARGE, kind)
    try:
        made = reader.read(content, PurePosixPath(relative).name)
    except Unreadable as error:
        return _skipped(relative, source, digest, str(error), kind)
    except (RecursionError, MemoryError) as error:
        return _skipped(relative, source, digest, f"it nests too deeply or is too large ({type(error).__name__})", kind)
    if not made.text.strip():
        return _skipped(relative, source, digest, "it is empty", kind)
    shown, verdict = redact(made.text, made.verdict, relative)
    return Document(relative, source, digest, kind, made.title, shown, verdict, made.pages)


def _reader(content: bytes, relative: str) -> tuple[Kind, ModuleType]:
    suffix = PurePosixPath(relative).suffix.lower()
    if content.startswith(b"%PDF-"):
        return "pdf", pdf
    if suffix in READERS:
        return READERS[suffix]
    if suffix in CODE:
        return "code", code
    if content[:256].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "html", html
    return "text", text


def skipped(path: Path, reason: str, *, relative: str | None = None) -> Document:
    """A path that was not read, as a Document without text; its hash is the path's."""
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()
    return _skipped(relative or path.name, source_of(path), digest, reason)


def _skipped(relative: str, source: str, digest: str, reason: str, kind: Kind = "text") -> Document:
    return Document(relative, source, digest, kind, PurePosixPath(relative).name, "", Verdict("skipped", reason))
