"""PDF: pdfium's text page by page, pypdf's labels and second opinion, in a process that can be killed."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

from ingest.document import Page, Verdict
from ingest.errors import Unreadable
from ingest.readers.content import Content

SECONDS = 120
MEMORY = 4 << 30
LIGATURES = str.maketrans({"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl"})


def read(data: bytes, name: str) -> Content:
    """The text of all pages, joined by line ends, with physical index and printed label of each page.

    Raises Unreadable for an encrypted, broken or wordless file, and for one that takes more than SECONDS or MEMORY.
    """
    command = [sys.executable, "-m", "ingest.readers.pdf"]
    try:
        run = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise Unreadable(f"reading it took longer than {SECONDS} seconds") from error
    try:
        found = json.loads(run.stdout)
    except ValueError as error:
        raise Unreadable("the PDF reader crashed on it") from error
    if "reason" in found:
        raise Unreadable(found["reason"])
    text, pages = "", []
    for index, page in enumerate(found["pages"]):
        body = page.replace("\r\n", "\n").replace("\r", "\n").translate(LIGATURES).strip("\n") + "\n"
        pages.append(Page(index, found["labels"][index], len(text), len(text) + len(body)))
        text += body
    if not text.strip():
        raise Unreadable("its pages hold no text (scanned images?)")
    empty = sum(not p.strip() for p in found["pages"])
    reason = f"{empty} of {len(pages)} pages hold no text" if empty else None
    return Content(text, found["title"] or name, Verdict("loaded", reason, None, None), tuple(pages))


def _pages_by_pdfium(data: bytes) -> list[str]:
    import pypdfium2

    document = pypdfium2.PdfDocument(data)
    return [page.get_textpage().get_text_range() for page in document]


def _extract(data: bytes) -> dict[str, object]:
    """In the child process: pages, labels and title, or a reason."""
    import io
    import logging

    import pypdf

    logging.disable(logging.CRITICAL)
    labels: list[str | None] = []
    title, second = "", None
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            return {"reason": "it is encrypted; remove the password first"}
        second = reader
        labels = list(reader.page_labels)
        title = str(reader.metadata.title or "") if reader.metadata else ""
    except Exception:
        labels = []  # damaged structure: pdfium may still read it
    try:
        pages = _pages_by_pdfium(data)
    except Exception as error:
        pages, failure = [], f"it is damaged ({error})"
    else:
        failure = "it has no pages"
    if second is not None and sum(map(len, pages)) < 16:
        try:
            other = [page.extract_text() for page in second.pages]
        except Exception:
            other = []
        pages = other if sum(map(len, other)) > sum(map(len, pages)) else pages
    if not pages:
        return {"reason": failure}
    labels = labels if len(labels) == len(pages) else [str(i + 1) for i in range(len(pages))]
    return {"pages": pages, "labels": labels, "title": title}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    sys.stdout.write(json.dumps(_extract(sys.stdin.buffer.read())))
