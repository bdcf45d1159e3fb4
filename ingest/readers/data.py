"""JSON and JSON lines: the text as it stands, a minified document cut into lines; what does not parse is told."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from ingest.decode import decode
from ingest.readers.content import Content

LONG = 2000
"""A line of more characters is of no use to a reader, nor to search."""
PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],]|[^"{}\[\],]+|"', re.DOTALL)


def read(data: bytes, name: str) -> Content:
    """The text; a line longer than LONG gets line ends behind its commas and brackets, and loses no character."""
    text, verdict = decode(data)
    lines = text.split("\n")
    doubt = _doubt(lines, text, many=name.lower().endswith((".jsonl", ".ndjson")))
    if any(len(line) > LONG for line in lines) and doubt is None:
        text = "\n".join(_cut(line) if len(line) > LONG else line for line in lines)
        verdict = replace(verdict, reason=verdict.reason or "long lines were cut behind commas and brackets")
    elif doubt and verdict.reason is None:
        verdict = replace(verdict, reason=doubt)
    return Content(text, name, verdict)


def _doubt(lines: list[str], text: str, *, many: bool) -> str | None:
    for number, one in enumerate(lines if many else [text], 1):
        try:
            if one.strip():
                json.loads(one)
        except json.JSONDecodeError as error:
            return f"it is not valid JSON from line {number if many else error.lineno} on"
        except (ValueError, RecursionError):
            return "it is JSON that nests too deeply or has numbers too large to check"
    return None


def _cut(line: str) -> str:
    out: list[str] = []
    depth = 0
    for piece in PIECE.findall(line):
        if piece in "]}":
            depth -= 1
            out.append("\n" + " " * min(max(depth, 0), 8))
        depth += piece in "[{"
        out.append(piece)
        if piece in "[{,":
            out.append("\n" + " " * min(max(depth, 0), 8))
    return "".join(out)
