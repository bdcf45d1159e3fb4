"""HTML: the words a browser would show, a line per block, without scripts and styles."""

from __future__ import annotations

import contextlib
import re

from lxml import etree, html

from ingest.decode import decode, probe, unix_lines
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
ROUND_ABOUT = {"navigation", "search", "contentinfo", "banner"}
"""ARIA roles of what stands around a page's main part."""
IS_MAIN = "self::main or @role='main'"
MAIN = f".//*[{IS_MAIN}]"
OWN_LINKS = 0.9
"""Share of links within the page that makes a navigation its own table of contents."""
HEADINGS = {f"h{i}": i for i in range(1, 7)}
BULLET = "- "
KNOWN = re.compile(rb"iso|windows|cp\d|koi8|shift|x-sjis|sjis|euc|gb|big5|mac|tis|latin|(?:us-)?ascii", re.IGNORECASE)
"""Character sets of the web; Python has codecs of other kinds, which a page must not name."""
WINDOWS = dict.fromkeys(("iso-8859-1", "latin1", "us-ascii", "ascii"), "cp1252")
"""What browsers read where a page declares these."""
DECLARED = re.compile(rb"<meta[^>]+charset=[\"']?([\w-]+)", re.IGNORECASE)


def read(data: bytes, name: str) -> Content:
    """Visible text; headings get Markdown marks, list items a dash, <pre> keeps its lines."""
    text, verdict = _decode(data)
    if not text.strip():
        return Content("", name, verdict)
    try:
        parser = html.HTMLParser(huge_tree=True)  # without it libxml2 drops what is nested deeper than 256
        root = html.document_fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable(f"it is no HTML that can be parsed ({error})") from error
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
        raise Unreadable("its elements nest too deeply to be read whole")
    title = " ".join((root.findtext(".//title") or "").split())
    return Content(words(root), title or name, verdict)


def words(root: html.HtmlElement) -> str:
    """What a browser would show of a tree whose tags have no namespace.

    Where a page says which is its main part, the links to other pages, the search box and the foot around it are left
    out; each page of a site repeats them.
    """
    out: list[str] = []
    around = _round_about(root) if root.xpath(f"boolean({MAIN})") else set()
    _walk(root, out, around)
    lines = [re.sub(r"[ \t]+$", "", line) for line in "".join(out).split("\n")]
    body = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
    return body + "\n" if body else ""


def _round_about(root: html.HtmlElement) -> set[html.HtmlElement]:
    """What stands around the main part, but for the page's own table of contents."""
    found: set[html.HtmlElement] = set()
    for element in root.xpath(f".//nav[not(ancestor::*[{IS_MAIN}])] | .//*[@role and not(ancestor::*[{IS_MAIN}])]"):
        if (element.tag != "nav" and element.get("role") not in ROUND_ABOUT) or element.xpath(f"boolean({MAIN})"):
            continue
        links = element.xpath(".//a/@href")
        here = sum(link.startswith("#") for link in links)
        if not links or here < OWN_LINKS * len(links):
            found.add(element)
    return found


def _decode(data: bytes) -> tuple[str, Verdict]:
    """A byte-order mark or valid UTF-8 wins over what the page declares, which is often wrong."""
    declared = DECLARED.search(data[:2048])
    if declared is None or not KNOWN.match(declared.group(1)) or data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return decode(data)
    name = declared.group(1).decode("ascii").lower()
    if not name.startswith("iso-2022"):  # these write any script in ASCII bytes
        try:
            data.decode("utf-8")
            return decode(data)
        except UnicodeDecodeError:
            pass
    probe(data)
    encoding = WINDOWS.get(name, name)
    with contextlib.suppress(UnicodeDecodeError, LookupError):
        return unix_lines(data.decode(encoding)), Verdict("loaded", None, encoding, 1.0)
    return decode(data)


def _walk(root: html.HtmlElement, out: list[str], around: set[html.HtmlElement]) -> None:
    """Depth first, with a stack of our own: pages may nest deeper than Python calls do."""
    stack: list[tuple[html.HtmlElement, bool, bool]] = [(root, False, False)]
    while stack:
        element, pre, left = stack.pop()
        if left:
            _leave(element, out)
        elif isinstance(element.tag, str) and element.tag not in HIDDEN and element not in around:
            _enter(element, out)
            inside = pre or element.tag == "pre"
            _add(out, element.text, inside)
            stack.append((element, pre, True))
            stack.extend((child, inside, False) for child in reversed(element))
            continue
        if element is not root:
            _add(out, element.tail, pre)


def _enter(element: html.HtmlElement, out: list[str]) -> None:
    if element.tag in BLOCK:
        _end_line(out)
    if element.tag in HEADINGS:
        out.append("\n" + "#" * HEADINGS[element.tag] + " ")
    elif element.tag == "li":
        out.append(BULLET)


def _leave(element: html.HtmlElement, out: list[str]) -> None:
    if element.tag in BLOCK:
        _end_line(out)
        if element.tag in HEADINGS or element.tag in ("p", "pre", "table", "ul", "ol"):
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
    if out and out[-1] != BULLET and not out[-1].endswith("\n"):
        out.append("\n")
