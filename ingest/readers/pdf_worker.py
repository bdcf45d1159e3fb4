"""The child process of the PDF reader: a PDF on standard input, JSON on standard output. Knows none of our modules.

pdfium is not thread-safe and both libraries have met files that make them loop, so each file gets a process of its own.
"""

from __future__ import annotations

import io
import json
import logging
import sys
from typing import Any

import pypdf
import pypdfium2

LITTLE = 16
"""A page with fewer characters gets pypdf's second opinion."""
MOST_CHARACTERS = 100_000_000
PASSWORD_ERROR = 4


class Refused(Exception):
    """The file gives no text; the message says why."""


def extract(data: bytes) -> dict[str, Any]:
    """Pages, labels, title and doubts."""
    second = _by_pypdf(data)
    try:
        first = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == PASSWORD_ERROR or (second and second.is_encrypted):
            raise Refused("it is encrypted; remove the password first") from error
        pages = [_second_opinion(second, index) for index in range(len(_labels(second)))]
        if not any(pages):
            raise Refused("it is damaged: it cannot be read as a PDF") from error
        return _found(data, pages, _labels(second), second)
    pages, characters, damaged = [], 0, 0
    for index in range(len(first)):
        try:
            text = first[index].get_textpage().get_text_range()
        except pypdfium2.PdfiumError:  # this page only; the others are not lost for it
            text, damaged = "", damaged + 1
        if len(text.strip()) < LITTLE:
            text = max(text, _second_opinion(second, index), key=len)
        pages.append(text)
        characters += len(text)
        if characters > MOST_CHARACTERS:
            raise Refused(f"it holds more than {MOST_CHARACTERS:,} characters")
    if not pages:
        raise Refused("it has no pages")
    if damaged and not any(pages):
        raise Refused("it is damaged: none of its pages can be read")
    labels = _labels(second)
    if len(labels) != len(pages):
        labels = [first.get_page_label(index) or str(index + 1) for index in range(len(pages))]
    return _found(data, pages, labels, second, damaged)


def _found(
    data: bytes, pages: list[str], labels: list[str], reader: pypdf.PdfReader | None, damaged: int = 0
) -> dict[str, Any]:
    cut = b"%%EOF" not in data[-2048:]
    doubts = [
        f"the file is cut off at its end; {len(pages) - damaged} pages could be read" if cut else "",
        f"{damaged} of {len(pages)} pages are damaged" if damaged else "",
    ]
    return {"pages": pages, "labels": labels, "title": _title(reader), "doubt": "; ".join(filter(None, doubts)) or None}


# pypdf raises errors of many kinds on damaged files; whatever it is, pdfium's text stands without it.


def _by_pypdf(data: bytes) -> pypdf.PdfReader | None:
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted:
            reader.decrypt("")
        return reader
    except Exception:
        return None


def _labels(reader: pypdf.PdfReader | None) -> list[str]:
    try:
        return list(reader.page_labels) if reader else []
    except Exception:
        return []


def _title(reader: pypdf.PdfReader | None) -> str:
    try:
        return str(reader.metadata.title or "") if reader and reader.metadata else ""
    except Exception:
        return ""


def _second_opinion(reader: pypdf.PdfReader | None, index: int) -> str:
    try:
        return reader.pages[index].extract_text() if reader else ""
    except Exception:
        return ""


def _limit(seconds: int, megabytes: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows, where the parent's time limit has to do
        return
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    _limit(int(sys.argv[1]), int(sys.argv[2]))
    try:
        answer = extract(sys.stdin.buffer.read())
    except Refused as refusal:
        answer = {"reason": str(refusal)}
    sys.stdout.write(json.dumps(answer))
