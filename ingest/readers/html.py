"""HTML: the words a browser would show, a line per block, without scripts and styles."""

from __future__ import annotations

import re

from lxml import etree, html

from ingest.decode import decode
from ingest.document import Verdict
from ingest.errors import Unreadable
from ingest.readers.content import Content

HIDDEN = {"script", "style", "noscript", "template", "head", "svg"}
BLOCK = {
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
    "br",
}
HEADINGS = {f"h{i}": i for i in range(1, 7)}
DECLARED = re.compile(rb"<meta[^>]+charset=[\"']?([\w-]+)", re.IGNORECASE)


def read(data: bytes, name: str) -> Content:
    """Visible text; headings get Markdown marks, list items a dash, <pre> keeps its lines."""
    text, verdict = _decode(data)
    if not text.strip():
        return Content("", name, verdict)
    try:
        root = html.document_fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable(f"it is no HTML that can be parsed ({error})") from error
    title = " ".join((root.findtext(".//title") or "").split())
    out: list[str] = []
    _walk(root, out, pre=False)
    lines = [re.sub(r"[ \t]+$", "", line) for line in "".join(out).split("\n")]
    body = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
    return Content(body + "\n" if body else "", title or name, verdict)


def _decode(data: bytes) -> tuple[str, Verdict]:
    declared = DECLARED.search(data[:2048])
    if declared:
        encoding = declared.group(1).decode("ascii")
        try:
            return data.decode(encoding), Verdict("loaded", None, encoding.lower(), 1.0)
        except (UnicodeDecodeError, LookupError):
            pass
    return decode(data)


def _walk(element: html.HtmlElement, out: list[str], *, pre: bool) -> None:
    tag = element.tag
    if isinstance(tag, str) and tag not in HIDDEN:
        block = tag in BLOCK
        if block:
            _end_line(out)
        if tag in HEADINGS:
            _end_line(out)
            out.append("\n" + "#" * HEADINGS[tag] + " ")
        elif tag == "li":
            out.append("- ")
        inside = pre or tag == "pre"
        _add(out, element.text, inside)
        for child in element:
            _walk(child, out, pre=inside)
            _add(out, child.tail, inside)
        if block:
            _end_line(out)
            if tag in HEADINGS or tag in ("p", "pre", "table", "ul", "ol"):
                out.append("\n")


def _add(out: list[str], text: str | None, pre: bool) -> None:
    if not text:
        return
    if not pre:
        text = re.sub(r"\s+", " ", text)
        if not out or out[-1].endswith(("\n", " ")):
            text = text.lstrip()
    if text:
        out.append(text)


def _end_line(out: list[str]) -> None:
    if out and not out[-1].endswith("\n"):
        out.append("\n")
