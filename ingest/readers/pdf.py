"""PDF: pdfium's text page by page, pypdf's labels and second opinion, in a process that can be killed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from ingest.document import Page, Verdict
from ingest.errors import Unreadable
from ingest.readers.content import Content
from ingest.readers.running_heads import without_running_heads

SECONDS = 120
MEGABYTES = 4096
WORKER = Path(__file__).with_name("pdf_worker.py")
FOLDED = str.maketrans(
    {
        "\ufb00": "ff",
        "\ufb01": "fi",
        "\ufb02": "fl",
        "\ufb03": "ffi",
        "\ufb04": "ffl",
        "\r": "\n",
        "\x02": "-",  # pdfium's sign for a hyphen at a line's end
        "\ufffe": "-",
        "\0": None,
    }
)
SURROGATE = re.compile("[\ud800-\udfff]")


def read(data: bytes, name: str) -> Content:
    """The text of all pages, joined by line ends, with physical index and printed label of each page.

    Raises Unreadable for an encrypted, broken or wordless file, and for one that takes more than SECONDS or MEGABYTES.
    """
    found = _work(data)
    if reason := found.get("reason"):
        raise Unreadable(reason)
    parts: list[str] = []
    pages: list[Page] = []
    at = 0
    bodies = without_running_heads([_clean(raw) for raw in found["pages"]], found["labels"])
    for index, (text, label) in enumerate(zip(bodies, found["labels"], strict=True)):
        body = text.strip("\n") + "\n"
        pages.append(Page(index, label, at, at + len(body)))
        parts.append(body)
        at += len(body)
    text = "".join(parts)
    if not text.strip():
        raise Unreadable("its pages hold no text (scanned images?)")
    empty = sum(not part.strip() for part in parts)
    doubts = [found["doubt"], f"{empty} of {len(pages)} pages hold no text" if empty else None]
    reason = "; ".join(doubt for doubt in doubts if doubt) or None
    return Content(text, " ".join(_clean(found["title"]).split()) or name, Verdict("loaded", reason), tuple(pages))


def _work(data: bytes) -> dict[str, Any]:
    # -P: this folder has modules named html and code, which must not hide the standard library's
    command = [sys.executable, "-P", str(WORKER), str(SECONDS), str(MEGABYTES)]
    try:
        run = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise Unreadable(f"reading it took longer than {SECONDS} seconds") from error
    try:
        found: dict[str, Any] = json.loads(run.stdout)
    except ValueError as error:
        raise Unreadable("the PDF reader crashed on it or ran out of memory") from error
    return found


def _clean(text: str) -> str:
    return SURROGATE.sub("\ufffd", text.replace("\r\n", "\n").translate(FOLDED))
