"""Plain text: decoded, nothing else."""

from __future__ import annotations

from ingest.decode import decode
from ingest.readers.content import Content


def read(data: bytes, name: str) -> Content:
    """The text as it stands; the title is the file's name."""
    text, verdict = decode(data)
    return Content(text, name, verdict)
