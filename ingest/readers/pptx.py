"""PPTX: a page per slide in the order of the show, with its tables and the speaker's notes."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from ingest.document import Verdict
from ingest.readers import paged
from ingest.readers.content import Content
from ingest.readers.package import RELATIONS, Package, local

MAIN = "ppt/presentation.xml"
OWN_FIELDS = {"sldNum", "hdr", "ftr", "dt", "sldImg"}
"""Placeholders of the slide's frame: numbers, dates, footers."""


def read(data: bytes, name: str) -> Content:
    """The words of every slide, hidden ones too; page label = slide number. Raises Unreadable."""
    package = Package(data)
    relations = package.relations(MAIN)
    slides = [relations.get(s.get(f"{RELATIONS}id", ""), "") for s in package.xml(MAIN).iter("{*}sldId")]
    text, pages = paged.join((str(n), _slide(package, part)) for n, part in enumerate(slides, 1))
    return Content(text, package.title() or name, Verdict("loaded"), pages)


def _slide(package: Package, part: str) -> str:
    lines = list(_lines(package.xml(part)))
    for note in sorted(target for target in package.relations(part).values() if "/notesSlides/" in target):
        notes = list(_lines(package.xml(note)))
        if notes:
            lines.extend(["", "Notes:", *notes])
    return "\n".join(lines)


def _lines(root: etree._Element) -> Iterator[str]:
    for shape in root.iter("{*}sp", "{*}graphicFrame"):
        placeholder = shape.find(".//{*}nvPr/{*}ph")
        if placeholder is not None and placeholder.get("type") in OWN_FIELDS:
            continue
        rows = list(shape.iter("{*}tr"))
        for row in rows:
            yield " | ".join(" ".join(_paragraphs(cell)) for cell in row.iterfind("{*}tc"))
        if not rows:
            yield from _paragraphs(shape)


def _paragraphs(root: etree._Element) -> Iterator[str]:
    for paragraph in root.iter("{*}p"):
        parts = [(e.text or "") if local(e) == "t" else "\n" for e in paragraph.iter("{*}t", "{*}br")]
        if text := "".join(parts).strip():
            yield text
