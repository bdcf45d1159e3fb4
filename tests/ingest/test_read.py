"""Reading files: no text is lost silently, every file ends with a verdict."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from ingest import FileMissing, read, read_bytes
from ingest.document import Document
from ingest.readers import pdf as pdf_reader
from tests.ingest.pdfs import pdf

FRENCH = "Le café était fermé. Où est passé le garçon ? Voilà l'été, déjà. " * 4
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。" * 6


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("plain ascii".encode(), "utf-8"),
        (FRENCH.encode(), "utf-8"),
        (codecs.BOM_UTF8 + FRENCH.encode(), "utf-8-sig"),
        (FRENCH.encode("utf-16"), "utf-16"),
        (codecs.BOM_UTF16_BE + FRENCH.encode("utf-16-be"), "utf-16"),
        (FRENCH.encode("utf-32"), "utf-32"),
        (("x" * 1023 + "é").encode(), "utf-8"),
    ],
)
def test_unicode_is_loaded_as_it_stands(data: bytes, encoding: str) -> None:
    document = read_bytes(data, "a.txt")
    assert (document.verdict.status, document.verdict.encoding) == ("loaded", encoding)
    assert "\ufeff" not in document.text
    assert len(document.text) > 5


@pytest.mark.parametrize(
    ("text", "codec"), [(FRENCH, "latin-1"), (FRENCH, "cp1252"), (JAPANESE, "shift_jis"), (JAPANESE, "euc_jp")]
)
def test_other_encodings_are_guessed_and_the_guess_is_told(text: str, codec: str) -> None:
    document = read_bytes(text.encode(codec), "a.txt")
    assert document.text == text
    assert document.verdict.status == "decoded"
    assert "not UTF-8" in str(document.verdict.reason)
    assert document.verdict.confidence is not None


def test_a_short_western_text_is_read_as_windows_1252() -> None:
    document = read_bytes("déjà vu".encode("latin-1"), "a.txt")
    assert (document.text, document.verdict.encoding) == ("déjà vu", "cp1252")


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("photo.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
        ("empty.txt", b"", "empty"),
        ("blank.md", b" \n\n ", "empty"),
        ("broken.pdf", b"%PDF-1.7\nnothing else", "damaged"),
        ("half.txt", codecs.BOM_UTF16_LE + b"a", "utf-16"),
    ],
)
def test_what_has_no_text_is_skipped_with_the_reason(name: str, data: bytes, says: str) -> None:
    document = read_bytes(data, name)
    assert document.verdict.status == "skipped"
    assert says in str(document.verdict.reason)
    assert document.text == ""


def test_line_numbers_are_true_after_leading_blank_lines_and_crlf() -> None:
    document = read_bytes(b"\r\n\r\n\r\nfirst\r\nsecond\rthird", "a.py")
    assert document.text == "\n\n\nfirst\nsecond\nthird"
    assert [document.line_of(document.text.index(w)) for w in ("first", "second", "third")] == [4, 5, 6]
    assert document.line_start(5) == document.text.index("second")
    assert document.line_count == 6


def test_a_pdf_keeps_physical_pages_and_roman_labels() -> None:
    data = pdf(["Preface one", "Preface two", "Chapter one\nsecond line", "Chapter two"], labels=(2, "/r"))
    document = read_bytes(data, "book.pdf")
    assert [(p.index, p.label) for p in document.pages] == [(0, "i"), (1, "ii"), (2, "1"), (3, "2")]
    place = document.page_of(document.text.index("second line"))
    assert place is not None
    assert (place.index, place.label) == (2, "1")
    assert "".join(document.text[p.start : p.end] for p in document.pages) == document.text


def test_an_encrypted_pdf_says_so() -> None:
    document = read_bytes(pdf(["secret"], password="hush"), "locked.pdf")
    assert document.verdict.status == "skipped"
    assert "encrypted" in str(document.verdict.reason)


def test_a_truncated_pdf_is_read_or_refused_but_never_crashes() -> None:
    data = pdf([f"page {n}" for n in range(30)])
    for share in (0.3, 0.6, 0.9):
        document = read_bytes(data[: int(len(data) * share)], "cut.pdf")
        assert document.verdict.status == "skipped" or "page" in document.text


def test_a_scanned_pdf_says_that_it_holds_no_text() -> None:
    document = read_bytes(pdf(["", ""]), "scan.pdf")
    assert "no text" in str(document.verdict.reason)


def test_a_pdf_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_reader, "SECONDS", 0.01)
    assert "took longer" in str(read_bytes(pdf(["x"]), "slow.pdf").verdict.reason)


def test_html_gives_the_words_a_browser_shows() -> None:
    page = b"""<!doctype html><html><head><title>The  Title</title><style>p{}</style></head><body>
    <h1>Head</h1><p>One <b>bold</b>
    word.</p><script>bad()</script><ul><li>first</li><li>second</li></ul><pre>a
  b</pre><p>caf&eacute;</p></body></html>"""
    document = read_bytes(page, "page.html")
    assert document.title == "The Title"
    assert document.kind == "html"
    for expected in ("# Head", "One bold word.", "- first\n", "- second\n", "a\n  b", "café"):
        assert expected in document.text
    assert "bad()" not in document.text
    assert "p{}" not in document.text


def test_html_in_a_declared_encoding_is_loaded() -> None:
    page = "<meta charset=iso-8859-1><p>déjà vu</p>".encode("latin-1")
    assert "déjà vu" in read_bytes(page, "old.html").text


def test_markdown_and_code_are_kept_as_written() -> None:
    markdown = read_bytes(b"intro\n\n# The *Book*\n", "a.md")
    assert (markdown.kind, markdown.title, markdown.text) == ("markdown", "The *Book*", "intro\n\n# The *Book*\n")
    assert read_bytes(b"def f():\n\treturn 1\n", "a.py").kind == "code"


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match=r"nothing\.txt"):
        read(tmp_path / "nothing.txt", "nothing.txt")


def test_a_file_that_may_not_be_read_is_skipped_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "folder.txt"
    folder.mkdir()
    document = read(folder, "folder.txt")
    assert isinstance(document, Document)
    assert "directory" in str(document.verdict.reason).lower()
