"""Small Office files and EPUBs for tests, part by part, so that every byte is known."""

from __future__ import annotations

import io
import zipfile

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
A = (
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
X = (
    'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
RELS = "http://schemas.openxmlformats.org/package/2006/relationships"
CORE = (
    '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{}</dc:title></cp:coreProperties>'
)


def package(parts: dict[str, str | bytes]) -> bytes:
    """A zip of the parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, body in parts.items():
            made.writestr(name, body)
    return out.getvalue()


def relations(targets: dict[str, str]) -> str:
    """A .rels part: id -> target."""
    items = "".join(f'<Relationship Id="{i}" Type="t" Target="{target}"/>' for i, target in targets.items())
    return f'<Relationships xmlns="{RELS}">{items}</Relationships>'


def docx(body: str, **parts: str) -> bytes:
    """A Word file around a body; other parts by name without folder and ending."""
    styles = f'<w:styles {W}><w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style></w:styles>'
    return package(
        {
            "word/document.xml": f"<w:document {W}><w:body>{body}</w:body></w:document>",
            "word/styles.xml": styles,
            "docProps/core.xml": CORE.format("The title"),
            **{f"word/{name}.xml": text for name, text in parts.items()},
        }
    )


def pptx(slides: list[str], notes: dict[int, str] | None = None) -> bytes:
    """A presentation whose slide files stand in reverse order of the show."""
    count = len(slides)
    parts: dict[str, str | bytes] = {"docProps/core.xml": CORE.format("A talk")}
    ids = "".join(f'<p:sldId id="{256 + n}" r:id="r{n}"/>' for n in range(count))
    parts["ppt/presentation.xml"] = f"<p:presentation {A}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>"
    targets = {f"r{n}": f"slides/slide{count - n}.xml" for n in range(count)}
    parts["ppt/_rels/presentation.xml.rels"] = relations(targets)
    for n, slide in enumerate(slides):
        name = f"slide{count - n}.xml"
        parts[f"ppt/slides/{name}"] = f"<p:sld {A}><p:cSld><p:spTree>{slide}</p:spTree></p:cSld></p:sld>"
        if notes and n in notes:
            parts[f"ppt/slides/_rels/{name}.rels"] = relations({"n": f"../notesSlides/n{n}.xml"})
            parts[f"ppt/notesSlides/n{n}.xml"] = f"<p:notes {A}>{shape(notes[n])}</p:notes>"
    return package(parts)


def shape(*paragraphs: str, placeholder: str = "body") -> str:
    """A text shape of a slide."""
    text = "".join(f"<a:p><a:r><a:t>{p}</a:t></a:r></a:p>" for p in paragraphs)
    kind = f'<p:nvSpPr><p:nvPr><p:ph type="{placeholder}"/></p:nvPr></p:nvSpPr>'
    return f"<p:sp {A}>{kind}<p:txBody>{text}</p:txBody></p:sp>"


def xlsx(sheets: dict[str, str], strings: list[str] | None = None) -> bytes:
    """A workbook: sheet name -> rows as XML; style 1 is a date, style 2 a custom date, style 3 a plain custom."""
    listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets))
    items = "".join(f"<si>{s}</si>" for s in strings or [])
    styles = (
        f'<styleSheet {X}><numFmts><numFmt numFmtId="164" formatCode="dd\\-mmm&quot;s&quot;"/>'
        '<numFmt numFmtId="165" formatCode="0.0 &quot;days&quot;"/></numFmts>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs></styleSheet>'
    )
    parts: dict[str, str | bytes] = {
        "xl/workbook.xml": f"<workbook {X}><sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": relations({f"r{n}": f"worksheets/s{n}.xml" for n in range(len(sheets))}),
        "xl/sharedStrings.xml": f"<sst {X}>{items}</sst>",
        "xl/styles.xml": styles,
    }
    for n, rows in enumerate(sheets.values()):
        parts[f"xl/worksheets/s{n}.xml"] = f"<worksheet {X}><sheetData>{rows}</sheetData></worksheet>"
    return package(parts)


def epub(chapters: dict[str, str], spine: list[str], *, title: str = "A book", **more: str) -> bytes:
    """A book: file name -> XHTML, read in the order of the spine; other parts with / for __."""
    items = "".join(f'<item id="{n}" href="{n}" media-type="application/xhtml+xml"/>' for n in chapters)
    order = "".join(f'<itemref idref="{n}"/>' for n in spine)
    dc = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
    head = f"<metadata {dc}><dc:title>{title}</dc:title></metadata>"
    book = f'<package xmlns="http://www.idpf.org/2007/opf">{head}<manifest>{items}</manifest><spine>{order}</spine></package>'
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    )
    return package(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": container,
            "OEBPS/book.opf": book,
            **{f"OEBPS/{name}": text for name, text in chapters.items()},
            **{name.replace("__", "/") + ".xml": text for name, text in more.items()},
        }
    )


def chapter(body: str) -> str:
    """An XHTML file with an empty title that closes itself."""
    head = '<?xml version="1.0" encoding="utf-8"?>\n<html xmlns="http://www.w3.org/1999/xhtml">'
    return f"{head}<head><title/></head><body>{body}</body></html>"
