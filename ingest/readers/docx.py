"""DOCX: paragraphs with their headings, tables row by row, notes, headers and footers behind them."""

from __future__ import annotations

import re

from lxml import etree

from ingest.document import Verdict
from ingest.readers.content import Content
from ingest.readers.package import Package, local

MAIN = "word/document.xml"
BEHIND = re.compile(r"word/(?:footnotes|endnotes|comments|header\d*|footer\d*)\.xml")
HEADING = re.compile(r"heading\s?([1-6])", re.IGNORECASE)
SIGNS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
UNSEEN = {"Fallback", "del", "moveFrom", "instrText"}
"""A text box's second form, deleted and moved text, and field codes."""


def read(data: bytes, name: str) -> Content:
    """The text as Word shows it with all changes accepted; raises Unreadable."""
    package = Package(data)
    names = _style_names(package)
    out = _body(package.xml(MAIN), names)
    for part in sorted(package.names):
        if BEHIND.fullmatch(part):
            out.extend(line for line in _body(package.xml(part), names) if line.strip())
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip("\n")
    return Content(text + "\n" if text else "", package.title() or name, Verdict("loaded"))


def _style_names(package: Package) -> dict[str, str]:
    """Style ids are translated with Word; names of headings are not."""
    if "word/styles.xml" not in package.names:
        return {}
    styles = package.xml("word/styles.xml").iterfind("{*}style")
    return {_value(s, "styleId"): _value(s.find("{*}name"), "val") for s in styles}


def _value(element: etree._Element | None, name: str) -> str:
    if element is None:
        return ""
    return next((v for k, v in element.attrib.items() if k.rpartition("}")[2] == name), "")


def _body(root: etree._Element, names: dict[str, str]) -> list[str]:
    """A line per paragraph, a line per row of a table; a stack, since text boxes nest paragraphs in paragraphs."""
    out: list[str] = []
    stack = [root]
    while stack:
        element = stack.pop()
        tag = local(element)
        if tag == "p":
            out.append(_paragraph(element, names))
            stack.extend(reversed(_boxes(element)))
        elif tag == "tr":
            out.append(" | ".join(_cell(cell) for cell in element.iter("{*}tc") if _inside(cell, "tr") is element))
        elif tag not in UNSEEN:
            stack.extend(reversed(element))
    return out


def _boxes(paragraph: etree._Element) -> list[etree._Element]:
    """Text boxes that hang on this very paragraph, each in its first form."""
    boxes = [box for box in paragraph.iter("{*}txbxContent") if _inside(box, "p") is paragraph]
    return [box for box in boxes if not any(local(above) in UNSEEN for above in box.iterancestors())]


def _inside(element: etree._Element, tag: str) -> etree._Element | None:
    """The nearest element of that tag around it."""
    return next(element.iterancestors(f"{{*}}{tag}"), None)


def _cell(cell: etree._Element) -> str:
    return " ".join(filter(None, (_runs(p).strip() for p in cell.iter("{*}p")))).replace("\n", " ")


def _paragraph(paragraph: etree._Element, names: dict[str, str]) -> str:
    text = _runs(paragraph)
    style = _value(paragraph.find("{*}pPr/{*}pStyle"), "val")
    heading = HEADING.fullmatch(names.get(style, style))
    if heading and text.strip():
        return f"\n{'#' * int(heading.group(1))} {text.strip()}"
    if paragraph.find("{*}pPr/{*}numPr") is not None:
        return f"- {text}"
    return text


def _runs(paragraph: etree._Element) -> str:
    out: list[str] = []
    stack = list(reversed(paragraph))
    while stack:
        element = stack.pop()
        tag = local(element)
        if tag == "t":
            out.append(element.text or "")
        elif tag in SIGNS:
            out.append(SIGNS[tag])
        elif tag not in UNSEEN and tag not in ("txbxContent", "pPr"):
            stack.extend(reversed(element))
    return "".join(out)
