"""Bytes to text, with a verdict: byte-order mark, strict UTF-8, else a guess that says how sure it is."""

from __future__ import annotations

import codecs
import contextlib

from charset_normalizer import from_bytes

from ingest.document import Verdict
from ingest.errors import Unreadable

BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SHORT = 256
"""Below so many bytes statistics say little, and Windows-1252 is the best prior for western text."""
FEW = 8
"""The same holds below so many bytes outside ASCII."""
WESTERN_SHARE = 0.25
"""Text of a western language has fewer bytes outside ASCII than this; Cyrillic or Japanese has many more."""
CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b"))


def decode(data: bytes) -> tuple[str, Verdict]:
    """Text with LF line ends, and how it was found; raises Unreadable for binary content."""
    for bom, encoding in BOMS:
        if data.startswith(bom):
            try:
                return unix_lines(data.decode(encoding)), Verdict("loaded", None, encoding, 1.0)
            except UnicodeDecodeError as error:
                raise Unreadable(f"it has a {encoding} mark but is not {encoding}") from error
    probe(data)
    try:
        return unix_lines(data.decode("utf-8")), Verdict("loaded", None, "utf-8", 1.0)
    except UnicodeDecodeError:
        return _guess(data)


def probe(data: bytes) -> None:
    """Raise Unreadable where a NUL byte says that this is no text."""
    if b"\0" in data:
        raise Unreadable("it is a binary file")


def unix_lines(text: str) -> str:
    """The same text with LF line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _guess(data: bytes) -> tuple[str, Verdict]:
    if len(data) - len(data.translate(None, CONTROLS)) > len(data) // 50:
        raise Unreadable("it is a binary file")
    high = sum(byte >= 0x80 for byte in data)
    western = high <= WESTERN_SHARE * len(data)
    if western and (len(data) < SHORT or high < FEW):
        with contextlib.suppress(UnicodeDecodeError):
            return unix_lines(data.decode("cp1252")), _decoded("cp1252", 0.5)
    matches = from_bytes(data)
    best = matches.best()
    if best is None or best.chaos > 0.5:
        raise Unreadable("no text encoding fits it")
    for match in matches if western else ():
        # it cannot tell the code pages of Europe apart where all make words, and then names the lowest number
        if match.encoding == "cp1252" and match.chaos <= best.chaos and best.encoding != "cp1252":
            return unix_lines(str(match)), _decoded("cp1252", 0.5)
    return unix_lines(str(best)), _decoded(best.encoding, 1.0 - best.chaos)


def _decoded(encoding: str, confidence: float) -> Verdict:
    return Verdict("decoded", f"not UTF-8; read as {encoding}", encoding, round(confidence, 2))
