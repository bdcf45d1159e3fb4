"""EPUB: the chapters in the order of the spine, each as its words."""

from __future__ import annotations

import html as entities
import posixpath
import re
from urllib.parse import unquote

from lxml import etree

from ingest.document import Verdict
from ingest.errors import Unreadable
from ingest.readers import html
from ingest.readers.content import Content
from ingest.readers.package import Package, local, parse_xml

NAMED = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
XML_OWN = {"amp", "lt", "gt", "quot", "apos"}
ENCRYPTION = "META-INF/encryption.xml"


def read(data: bytes, name: str) -> Content:
    """Text of the spine's documents, headings with Markdown marks; chapters that are missing are told in the verdict.

    Raises Unreadable where it is no EPUB, its chapters are encrypted, or it unpacks beyond the limits of Package.
    """
    package = Package(data)
    container = package.xml("META-INF/container.xml")
    root = next((r.get("full-path", "") for r in container.iter("{*}rootfile")), "")
    book = package.xml(root)
    folder = posixpath.dirname(root)
    items = {item.get("id"): item for item in book.iterfind("{*}manifest/{*}item")}
    encrypted = _encrypted(package)
    parts: list[str] = []
    lost: list[str] = []
    for reference in book.iterfind("{*}spine/{*}itemref"):
        item = items.get(reference.get("idref"))
        href = unquote(item.get("href", "")) if item is not None else reference.get("idref", "?")
        part = posixpath.normpath(posixpath.join(folder, href.partition("#")[0]))
        if part in encrypted:
            raise Unreadable("its chapters are encrypted (DRM)")
        try:
            parts.append(_chapter(package.read(part), part))
        except Unreadable as error:
            lost.append(f"{href}: {error}")
    if lost and not any(part.strip() for part in parts):
        raise Unreadable(f"none of its chapters can be read; {lost[0]}")
    title = " ".join((book.findtext("{*}metadata/{*}title") or "").split())
    reason = f"{len(lost)} chapters cannot be read ({'; '.join(lost[:3])})" if lost else None
    text = "\n".join(part for part in parts if part.strip())
    return Content(text, title or name, Verdict("loaded", reason))


def _encrypted(package: Package) -> set[str]:
    """Parts under encryption; fonts are often obfuscated, which hides no text."""
    if ENCRYPTION not in package.names:
        return set()
    return {unquote(found.get("URI", "")) for found in package.xml(ENCRYPTION).iter("{*}CipherReference")}


def _chapter(data: bytes, part: str) -> str:
    """XHTML by the rules of XML, where `<title/>` closes itself; what is no XML by those of HTML."""
    try:
        text = data.decode("utf-8-sig")
        resolved = NAMED.sub(lambda m: m[0] if m[1] in XML_OWN else entities.unescape(m[0]), text)
        root = parse_xml(resolved.encode(), part)
    except (UnicodeDecodeError, Unreadable):
        return html.read(data, part).text
    for element in root.iter(etree.Element):
        element.tag = local(element)
    return html.words(root)
