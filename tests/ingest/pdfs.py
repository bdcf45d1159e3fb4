"""Small PDFs for tests, written by hand so that every byte is known."""

from __future__ import annotations

import io

from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject


def pdf(
    pages: list[str], *, labels: tuple[int, str] | None = None, password: str | None = None, title: str = ""
) -> bytes:
    """A PDF with one text line per page line; labels=(n, style) gives the first n pages another numbering style."""
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for text in pages:
        page = writer.add_blank_page(400, 400)
        body = "BT /F1 12 Tf 14 TL 40 360 Td " + " ".join(f"({line}) Tj T*" for line in text.split("\n")) + " ET"
        content = DecodedStreamObject()
        content.set_data(body.encode("latin-1"))
        page[NameObject("/Contents")] = writer._add_object(content)
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    if labels:
        count, style = labels
        writer.set_page_label(0, count - 1, style)
        writer.set_page_label(count, len(pages) - 1, "/D", start=1)
    if title:
        writer.add_metadata({"/Title": title})
    if password:
        writer.encrypt(password)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()
