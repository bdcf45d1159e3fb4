"""Document: the text of one file, with its pages, its lines, and a verdict on how it was read."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Kind = Literal["text", "markdown", "rst", "html", "pdf", "code", "table", "mail", "docx", "pptx", "xlsx", "epub"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a file's text was loaded as it stands, decoded by a guess, or skipped, and why."""

    status: Literal["loaded", "decoded", "skipped"]
    reason: str | None = None
    encoding: str | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page's place in the text: physical index from 0, printed label, characters start..end."""

    index: int
    label: str | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """A file's text with LF line ends. `path` is relative and POSIX, `source` where it was read ("" for uploads)."""

    path: str
    source: str
    content_hash: str
    kind: Kind
    title: str
    text: str
    verdict: Verdict
    pages: tuple[Page, ...] = ()
    _starts: list[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_starts", _line_starts(self.text))

    @property
    def id(self) -> str:
        """Stable name of this content at this path."""
        return hashlib.sha256(f"{self.path}\0{self.content_hash}".encode()).hexdigest()[:16]

    @property
    def line_count(self) -> int:
        """Lines, counting the last even without a line end."""
        return len(self._starts) - (1 if self.text.endswith("\n") else 0)

    def line_of(self, char: int) -> int:
        """1-based line of a character."""
        return bisect_right(self._starts, char)

    def line_start(self, line: int) -> int:
        """First character of a 1-based line; the end of the text behind the last line."""
        return self._starts[line - 1] if line <= len(self._starts) else len(self.text)

    def page_of(self, char: int) -> Page | None:
        """The page that holds a character; None where the file has no pages."""
        i = bisect_right(self.pages, char, key=lambda page: page.start) - 1
        return self.pages[i] if i >= 0 else None


def _line_starts(text: str) -> list[int]:
    """Where each line begins; in whole arrays, for a book has 100,000 of them and is made anew at each look."""
    plain = text.isascii()
    coded = text.encode("ascii") if plain else text.encode("utf-32-le", "surrogatepass")
    units = np.frombuffer(coded, dtype=np.uint8 if plain else np.uint32)
    return [0, *(np.flatnonzero(units == ord("\n")) + 1).tolist()]
