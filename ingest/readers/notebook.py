"""Jupyter notebooks: text cells as written, code cells and their textual outputs between fences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ingest.decode import decode
from ingest.document import Verdict
from ingest.errors import Unreadable
from ingest.readers import markdown
from ingest.readers.content import Content

COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def read(data: bytes, name: str) -> Content:
    """Cells in order (nbformat 3 and 4); how many outputs are no text is told in the verdict. Raises Unreadable."""
    text, verdict = decode(data)
    try:
        book = json.loads(text)
        cells = book["cells"] if "cells" in book else [c for sheet in book["worksheets"] for c in sheet["cells"]]
        language = (book.get("metadata", {}).get("kernelspec") or {}).get("language", "python")
        parts: list[str] = []
        images = 0
        for cell in cells:
            parts.append(_cell(cell, str(language)))
            for output in cell.get("outputs", ()):
                shown = _output(output)
                images += shown is None
                parts.append(_fenced(shown, "") if shown else "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(f"it is no Jupyter notebook ({type(error).__name__}: {error})") from error
    body = "\n\n".join(part for part in parts if part) + "\n"
    heading = markdown.HEADING.search(body)
    reason = f"{images} outputs are images or widgets and were left out" if images else verdict.reason
    return Content(
        body if body.strip() else "",
        heading.group(1) if heading else name,
        Verdict(verdict.status, reason, verdict.encoding, verdict.confidence),
    )


def _joined(source: Any) -> str:
    return source if isinstance(source, str) else "".join(source)


def _cell(cell: dict[str, Any], language: str) -> str:
    source = _joined(cell.get("source", cell.get("input", ""))).strip("\n")
    if cell["cell_type"] == "code" and source:
        return _fenced(source, language)
    return "#" * int(cell.get("level", 1)) + " " + source if cell["cell_type"] == "heading" else source


def _fenced(text: str, language: str) -> str:
    """A fence longer than any run of backticks inside."""
    marks = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text) or [""]))
    return f"{marks}{language}\n{text}\n{marks}"


def _output(output: dict[str, Any]) -> str | None:
    """An output's text; None where it has none."""
    return "\n".join(_texts(output)).strip("\n") or None


def _texts(output: dict[str, Any]) -> Iterator[str]:
    if output.get("output_type") in ("error", "pyerr"):
        yield COLOURS.sub("", "\n".join(output.get("traceback", ())))
        return
    bundle = output.get("data", {})
    for key in ("text/markdown", "text/plain"):
        if key in bundle:
            yield _joined(bundle[key])
            return
    if "text" in output:
        yield COLOURS.sub("", _joined(output["text"]))
