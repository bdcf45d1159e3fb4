"""Markdown: kept as written (models read it well); the first heading is the title."""

from __future__ import annotations

import re

from ingest.decode import decode
from ingest.readers.content import Content

HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


def read(data: bytes, name: str) -> Content:
    """The text as it stands, titled by its first heading."""
    text, verdict = decode(data)
    heading = HEADING.search(text)
    return Content(text, heading.group(1) if heading else name, verdict)
