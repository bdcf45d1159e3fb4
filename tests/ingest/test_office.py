"""EPUB, Word, PowerPoint and Excel: their words in reading order, each on its page."""

from __future__ import annotations

from ingest import read_bytes
from tests.ingest.office import W, chapter, docx, epub, package, pptx, shape, xlsx


def test_an_epub_is_read_in_the_order_of_its_spine() -> None:
    book = epub(
        {
            "b.xhtml": chapter("<h1>Two</h1><p>Caf&eacute;&#160;&amp; tea</p>"),
            "a.xhtml": chapter("<h1>One</h1><p>First.</p>"),
        },
        ["a.xhtml", "b.xhtml"],
    )
    document = read_bytes(book, "x.epub")
    assert (document.kind, document.title, document.verdict.status) == ("epub", "A book", "loaded")
    assert document.text.split() == "# One First. # Two Café & tea".split()


def test_a_chapter_that_is_missing_is_told_and_the_rest_is_read() -> None:
    document = read_bytes(epub({"a.xhtml": chapter("<p>Here.</p>")}, ["a.xhtml", "gone.xhtml"]), "x.epub")
    assert document.text == "Here.\n"
    assert "1 chapters cannot be read (gone.xhtml" in str(document.verdict.reason)


def test_protected_books_are_refused_and_obfuscated_fonts_are_not() -> None:
    listed = '<e><CipherReference xmlns="http://www.w3.org/2001/04/xmlenc#" URI="{}"/></e>'
    for part, status in (("OEBPS/a.xhtml", "skipped"), ("OEBPS/font.otf", "loaded")):
        book = epub({"a.xhtml": chapter("<p>x</p>")}, ["a.xhtml"], **{"META-INF__encryption": listed.format(part)})
        assert read_bytes(book, "x.epub").verdict.status == status


def test_a_chapter_that_is_no_xml_is_read_as_html() -> None:
    document = read_bytes(epub({"a.xhtml": "<html><p>one<br>two & three"}, ["a.xhtml"]), "x.epub")
    assert document.text == "one\ntwo & three\n"


def test_word_headings_lists_tables_changes_and_notes() -> None:
    body = (
        '<w:p><w:pPr><w:pStyle w:val="berschrift1"/></w:pPr><w:r><w:t>Heading</w:t></w:r></w:p>'
        "<w:p><w:r><w:t>one</w:t><w:tab/><w:t xml:space='preserve'>two </w:t></w:r>"
        "<w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del></w:p>"
        "<w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>item</w:t></w:r></w:p>"
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc>"
        "<w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
    )
    notes = f"<w:footnotes {W}><w:footnote><w:p><w:r><w:t>A note.</w:t></w:r></w:p></w:footnote></w:footnotes>"
    document = read_bytes(docx(body, footnotes=notes), "x.docx")
    assert document.title == "The title"
    assert document.text == "# Heading\none\ttwo new\n- item\na | b\nA note.\n"


def test_a_text_box_is_read_once() -> None:
    box = "<w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent>"
    mc = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    body = (
        f"<w:p><w:r><w:t>around</w:t><mc:AlternateContent {mc}><mc:Choice>{box}</mc:Choice>"
        f"<mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r></w:p>"
    )
    assert read_bytes(docx(body), "x.docx").text == "around\nboxed\n"


def test_slides_are_pages_in_the_order_of_the_show() -> None:
    cells = "".join(f"<a:tc><a:p><a:r><a:t>{side}</a:t></a:r></a:p></a:tc>" for side in "lr")
    table = f"<p:graphicFrame><a:tbl><a:tr>{cells}</a:tr></a:tbl></p:graphicFrame>"
    deck = pptx([shape("First", "point") + shape("7", placeholder="sldNum"), table], notes={0: "Say hello"})
    document = read_bytes(deck, "x.pptx")
    assert document.text == "First\npoint\n\nNotes:\nSay hello\nl | r\n"
    assert [document.text[p.start : p.end] for p in document.pages][1] == "l | r\n"
    assert [p.label for p in document.pages] == ["1", "2"]
    assert document.title == "A talk"


def test_sheets_are_pages_with_values_dates_and_gaps() -> None:
    rows = (
        '<row><c r="A1" t="s"><v>0</v></c><c r="C1" t="inlineStr"><is><t>in</t></is></c></row>'
        '<row><c r="A2" s="1"><v>45292</v></c><c r="B2" s="2"><v>45292.5</v></c><c r="C2" s="3"><v>2.5</v></c>'
        '<c r="D2" t="b"><v>1</v></c><c r="E2" t="str"><f>A1</f><v>made</v></c></row>'
    )
    strings = ["<r><t>sh</t></r><r><t>ared</t></r><rPh><t>aid</t></rPh>"]
    document = read_bytes(xlsx({"Sums": rows, "Empty": ""}, strings), "x.xlsx")
    first = "shared\t\tin\n2024-01-01\t2024-01-01 12:00:00\t2.5\tTRUE\tmade\n"
    assert document.text == f"{first}\n"
    assert [p.label for p in document.pages] == ["Sums", "Empty"]


def test_what_is_no_office_file_says_why() -> None:
    bomb = package({"word/document.xml": b" " * (70 << 20)})
    entity = package({"word/document.xml": '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'})
    reasons = {
        "plain.docx": (b"hello", "damaged"),
        "old.xlsx": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "encrypted or of an old Office format"),
        "bomb.docx": (bomb, "more than is allowed"),
        "entity.docx": (entity, "empty"),
        "missing.pptx": (package({"a": "b"}), "'ppt/presentation.xml' is missing"),
    }
    for name, (data, reason) in reasons.items():
        verdict = read_bytes(data, name).verdict
        assert verdict.status == "skipped"
        assert reason in str(verdict.reason), name
