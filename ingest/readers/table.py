"""CSV and TSV: the text as it stands, so that lines are the file's; rows of another width are told."""

from __future__ import annotations

import csv
from dataclasses import replace

from ingest.decode import decode
from ingest.readers.content import Content


def read(data: bytes, name: str) -> Content:
    """The text; the verdict says where rows differ in width from the first."""
    text, verdict = decode(data)
    first = text.partition("\n")[0]
    delimiter = max(",;\t|", key=first.count)
    odd: list[int] = []
    try:
        rows = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
        width = len(next(rows, []))
        odd = [rows.line_num for row in rows if row and len(row) != width]
    except csv.Error as error:
        verdict = replace(verdict, reason=verdict.reason or f"its rows cannot be checked ({error})")
    if odd and verdict.reason is None:
        verdict = replace(verdict, reason=f"{len(odd)} rows differ in width from the first, the first at line {odd[0]}")
    return Content(text, name, verdict)
