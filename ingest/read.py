"""One file to one Document: the reader by name, the verdict whatever happens."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePosixPath
from types import ModuleType

from ingest.document import Document, Kind, Verdict
from ingest.errors import FileMissing, Unreadable
from ingest.readers import code, html, markdown, pdf, text

MAX_BYTES = 64 << 20
MARKDOWN = {".md", ".markdown", ".mdx"}
HTML = {".html", ".htm", ".xhtml"}
CODE = {
    ".py",
    ".pyi",
    ".c",
    ".h",
    ".cc",
    ".cpp",
    ".hpp",
    ".cs",
    ".go",
    ".rs",
    ".java",
    ".kt",
    ".scala",
    ".js",
    ".mjs",
    ".jsx",
    ".ts",
    ".tsx",
    ".rb",
    ".php",
    ".pl",
    ".pm",
    ".sh",
    ".bash",
    ".zsh",
    ".swift",
    ".m",
    ".lua",
    ".r",
    ".jl",
    ".sql",
    ".css",
    ".scss",
    ".toml",
    ".yaml",
    ".yml",
    ".json",
    ".xml",
    ".ini",
    ".cfg",
    ".el",
    ".hs",
    ".ml",
    ".ex",
    ".exs",
    ".erl",
    ".clj",
    ".vue",
    ".dart",
    ".zig",
    ".proto",
    ".cmake",
    ".mk",
    ".gradle",
}


def read(path: Path, relative: str) -> Document:
    """Read a file; raises FileMissing when there is none. Anything wrong with its content is the verdict's to say."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            reason = f"it is larger than {MAX_BYTES >> 20} MiB"
            return _skipped(relative, str(path), hashlib.sha256(f"{path}\0{size}".encode()).hexdigest(), reason)
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise FileMissing(path) from error
    except OSError as error:
        return _skipped(
            relative, str(path), hashlib.sha256(os.fsencode(path)).hexdigest(), error.strerror or "I/O error"
        )
    return read_bytes(data, relative, source=str(path.absolute()))


def read_bytes(data: bytes, relative: str, *, source: str = "") -> Document:
    """Make a Document of bytes that came with a name."""
    digest = hashlib.sha256(data).hexdigest()
    kind, reader = _reader(data, relative)
    if len(data) > MAX_BYTES:
        return _skipped(relative, source, digest, f"it is larger than {MAX_BYTES >> 20} MiB", kind)
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
    if suffix in HTML or data[:256].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "html", html
    if suffix in MARKDOWN:
        return "markdown", markdown
    return ("code", code) if suffix in CODE else ("text", text)


def skipped(path: Path, reason: str) -> Document:
    """A path that the walker left out, as a Document without text."""
    return _skipped(path.name, str(path), hashlib.sha256(os.fsencode(path)).hexdigest(), reason)


def _skipped(relative: str, source: str, digest: str, reason: str, kind: Kind = "text") -> Document:
    return Document(relative, source, digest, kind, PurePosixPath(relative).name, "", Verdict("skipped", reason))
