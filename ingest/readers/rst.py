"""reStructuredText: kept as written; the first section's heading is the title."""

from __future__ import annotations

import re

from ingest.decode import decode
from ingest.readers.content import Content

HEADING = re.compile(r"^(?P<text>\S[^\n]*)\n(?P<line>([!-/:-@\[-`{-~])\3{2,})[ \t]*$", re.MULTILINE)


def read(data: bytes, name: str) -> Content:
    """The text as it stands, titled by its first underlined line."""
    text, verdict = decode(data)
    for found in HEADING.finditer(text):
        heading = found["text"].rstrip()
        if len(found["line"]) >= len(heading) and any(c.isalnum() for c in heading):
            return Content(text, heading, verdict)
    return Content(text, name, verdict)
