"""Bytes to text, with a verdict: byte-order mark, strict UTF-8, else a guess that says how sure it is."""

from __future__ import annotations

import codecs

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
SHORT = 64
"""Below so many bytes statistics say nothing, and Windows-1252 is the best prior for western text."""


def decode(data: bytes) -> tuple[str, Verdict]:
    """Text with LF line ends, and how it was found; raises Unreadable for binary content."""
    for bom, encoding in BOMS:
        if data.startswith(bom):
            try:
                return _lf(data.decode(encoding)), Verdict("loaded", None, encoding, 1.0)
            except UnicodeDecodeError as error:
                raise Unreadable(f"it has a {encoding} mark but is not {encoding}") from error
    if b"\0" in data[:65536]:
        raise Unreadable("it is a binary file")
    try:
        return _lf(data.decode("utf-8")), Verdict("loaded", None, "utf-8", 1.0)
    except UnicodeDecodeError:
        return _guess(data)


def _guess(data: bytes) -> tuple[str, Verdict]:
    if len(data) < SHORT or sum(b >= 0x80 for b in data) < 8:
        try:
            return _lf(data.decode("cp1252")), _decoded("cp1252", 0.5)
        except UnicodeDecodeError:
            pass
    best = from_bytes(data).best()
    if best is None:
        raise Unreadable("no text encoding fits it")
    confidence = max(0.0, 1.0 - best.chaos)
    if not best.could_be_from_charset or confidence < 0.5:
        raise Unreadable("no text encoding fits it")
    return _lf(str(best)), _decoded(best.encoding, confidence)


def _decoded(encoding: str, confidence: float) -> Verdict:
    return Verdict("decoded", f"not UTF-8; read as {encoding}", encoding, round(confidence, 2))


def _lf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
