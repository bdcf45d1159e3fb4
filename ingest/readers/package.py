"""Package: a zip file that is one document (EPUB, Office), opened with limits on size, ratio and count."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib

from lxml import etree

from ingest.errors import Unreadable

MAX_PART_BYTES = 64 << 20
MAX_TOTAL_BYTES = 256 << 20
MAX_PARTS = 20_000
MAX_RATIO = 1000
"""XML of large tables packs to a few hundredths; bombs pack to a thousandth."""
FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError, KeyError)
"""What zipfile raises on damaged or hostile files."""
RELATIONS = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class Package:
    """The parts of one zip file by name; every part counts against the limits of the whole."""

    def __init__(self, data: bytes) -> None:
        if data.startswith(OLE):
            raise Unreadable("it is encrypted or of an old Office format; save it without password as .docx, .xlsx, …")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            self.names = frozenset(self._zip.namelist())
        except FAULTS as error:
            raise Unreadable(f"it is damaged: it cannot be opened ({error})") from error
        if len(self.names) > MAX_PARTS:
            raise Unreadable(f"it has more than {MAX_PARTS:,} parts")
        self._left = MAX_TOTAL_BYTES

    def read(self, name: str) -> bytes:
        """A part's bytes; raises Unreadable where it is missing, damaged, encrypted or too large."""
        if name not in self.names:
            raise Unreadable(f"it is damaged: the part '{name}' is missing")
        info = self._zip.getinfo(name)
        limit = min(MAX_PART_BYTES, self._left)
        if info.file_size > limit or info.file_size > max(info.compress_size, 1024) * MAX_RATIO:
            raise Unreadable(f"its part '{name}' unpacks to more than is allowed")
        try:
            with self._zip.open(info) as stream:
                data = stream.read(limit + 1)
        except FAULTS as error:
            raise Unreadable(f"it is damaged or encrypted: '{name}' cannot be read ({error})") from error
        self._left -= len(data)
        if len(data) > limit:
            raise Unreadable(f"its part '{name}' unpacks to more than is allowed")
        return data

    def xml(self, name: str) -> etree._Element:
        """A part as XML, with no entity expanded and nothing fetched; raises Unreadable."""
        return parse_xml(self.read(name), name)

    def relations(self, name: str) -> dict[str, str]:
        """Office relations of a part: id -> name of the other part; {} where it has none."""
        folder, base = posixpath.split(name)
        rels = f"{folder}/_rels/{base}.rels".lstrip("/")
        if rels not in self.names:
            return {}
        found = {}
        for relation in self.xml(rels).iterfind("{*}Relationship"):
            target = relation.get("Target", "")
            if relation.get("TargetMode") != "External":
                found[relation.get("Id", "")] = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
        return found

    def title(self) -> str:
        """The title in an Office file's properties; "" where there is none."""
        if "docProps/core.xml" not in self.names:
            return ""
        return " ".join((self.xml("docProps/core.xml").findtext("{*}title") or "").split())


def parse_xml(data: bytes, name: str) -> etree._Element:
    """An XML tree; raises Unreadable where it is not well-formed."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        return etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable(f"its part '{name}' is no well-formed XML ({error})") from error


def local(element: etree._Element) -> str:
    """A tag without its namespace; "" for comments and processing instructions."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
