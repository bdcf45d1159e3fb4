"""One file to one Document: the reader by name, the verdict whatever happens."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path, PurePosixPath
from types import ModuleType

from ingest.document import Document, Kind, Verdict
from ingest.errors import FileMissing, Unreadable
from ingest.readers import code, html, markdown, pdf, text

MAX_BYTES = 64 << 20
TOO_LARGE = f"it is larger than {MAX_BYTES >> 20} MiB"
MARKDOWN = {".md", ".markdown", ".mdx"}
HTML = {".html", ".htm", ".xhtml"}
CODE = {
    f".{suffix}"
    for suffix in """
    py pyi c h cc cpp hpp cs go rs java kt scala js mjs jsx ts tsx rb php pl pm sh bash zsh swift m lua
    r jl sql css scss toml yaml yml json xml ini cfg el hs ml ex exs erl clj vue dart zig proto cmake mk
    gradle
    """.split()
}


def read(path: Path, relative: str) -> Document:
    """Read a file; raises FileMissing when there is none. Anything wrong with its content is the verdict's to say."""
    try:
        status = path.stat()
        size = status.st_size
        if not stat.S_ISREG(status.st_mode):
            what = "a directory" if stat.S_ISDIR(status.st_mode) else "a device, a pipe or a socket"
            return skipped(path, f"it is {what}, not a file", relative=relative)
        if size > MAX_BYTES:
            return skipped(path, TOO_LARGE, relative=relative)
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise FileMissing(path) from error
    except OSError as error:
        return skipped(path, f"it cannot be read ({error.strerror or 'I/O error'})", relative=relative)
    return read_bytes(data, relative, source=str(path.absolute()))


def read_bytes(data: bytes, relative: str, *, source: str = "") -> Document:
    """Make a Document of bytes that came with a name."""
    digest = hashlib.sha256(data).hexdigest()
    kind, reader = _reader(data, relative)
    if len(data) > MAX_BYTES:
        return _skipped(relative, source, digest, TOO_LARGE, kind)
    try:
        content = reader.read(data, PurePosixPath(relative).name)
    except Unreadable as error:
        return _skipped(relative, source, digest, str(error), kind)
    if not content.text.strip():
        return _skipped(relative, source, digest, "it is empty", kind)
    return Document(relative, source, digest, kind, content.title, content.text, content.verdict, content.pages)


def _reader(data: bytes, relative: str) -> tuple[Kind, ModuleType]:
    suffix = PurePosixPath(relative).suffix.lower()
    if data.startswith(b"%PDF-") or suffix == ".pdf":
        return "pdf", pdf
    if suffix in MARKDOWN:
        return "markdown", markdown
    if suffix in CODE:
        return "code", code
    if suffix in HTML or data[:256].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "html", html
    return "text", text


def skipped(path: Path, reason: str, *, relative: str | None = None) -> Document:
    """A path that was not read, as a Document without text; its hash is the path's."""
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()
    return _skipped(relative or path.name, str(path.absolute()), digest, reason)


def _skipped(relative: str, source: str, digest: str, reason: str, kind: Kind = "text") -> Document:
    return Document(relative, source, digest, kind, PurePosixPath(relative).name, "", Verdict("skipped", reason))
