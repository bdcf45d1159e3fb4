"""Every page of a PDF comes through with its place and label, or the file says why not."""

from __future__ import annotations

import io
import time

import pytest
from pypdf import PdfReader, PdfWriter

from ingest import read_bytes
from ingest.readers import pdf as reader
from ingest.readers.running_heads import without_running_heads
from tests.ingest.pdfs import pdf


def test_roman_page_labels_are_kept_beside_the_physical_index() -> None:
    names = [f"Text of sheet number {n} stands here." for n in range(10)]
    document = read_bytes(pdf(names, labels=(4, "/r")), "book.pdf")
    assert [page.label for page in document.pages] == ["i", "ii", "iii", "iv", "1", "2", "3", "4", "5", "6"]
    assert [page.index for page in document.pages] == list(range(10))
    for name, page in zip(names, document.pages, strict=True):
        assert document.text[page.start : page.end].strip() == name
        found = document.page_of(document.text.index(name))
        assert found == page
    assert document.kind == "pdf"


def test_pages_cover_the_text_without_a_gap() -> None:
    document = read_bytes(pdf(["first page of it\nwith two lines", "", "third page of it"]), "a.pdf")
    assert [page.start for page in document.pages] == [0, *(page.end for page in document.pages[:-1])]
    assert document.pages[-1].end == len(document.text)
    assert document.verdict.reason == "1 of 3 pages hold no text"
    assert document.line_of(document.text.index("with two")) == 2


def test_the_title_is_the_one_in_the_file() -> None:
    assert read_bytes(pdf(["some text on a page"], title="A  Book"), "a.pdf").title == "A Book"
    assert read_bytes(pdf(["some text on a page"]), "folder/a.pdf").title == "a.pdf"


def test_a_pdf_is_known_by_its_first_bytes() -> None:
    assert read_bytes(pdf(["some text on a page"]), "upload").kind == "pdf"


def test_an_encrypted_pdf_is_skipped_and_says_so() -> None:
    verdict = read_bytes(pdf(["secret text is here"], password="word"), "a.pdf").verdict
    assert (verdict.status, verdict.reason) == ("skipped", "it is encrypted; remove the password first")


def test_a_pdf_locked_with_an_empty_password_opens_as_in_any_viewer() -> None:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(["open text is in here"]))))
    writer.encrypt("", owner_password="owner", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    assert read_bytes(out.getvalue(), "a.pdf").text == "open text is in here\n"


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_pdf_cut_off_is_skipped_or_says_what_is_missing(share: float) -> None:
    data = pdf([f"page number {n} of the book" for n in range(20)])
    document = read_bytes(data[: int(len(data) * share)], "a.pdf")
    assert document.verdict.reason
    if document.verdict.status != "skipped":
        assert "cut off" in document.verdict.reason
        assert document.text


def test_a_damaged_page_does_not_take_the_others_with_it() -> None:
    whole = pdf(["The first page is sound and says so.", "The second page is lost.", "The third page is sound too."])
    second = b"6 0 obj\n<<\n/Type /Page"
    assert second in whole
    document = read_bytes(whole.replace(second, b"6 0 obj\n[]\n<<\n/Type /Page"), "x.pdf")
    assert "The first page is sound" in document.text
    assert "The third page is sound" in document.text
    assert "pages are damaged" in document.verdict.reason
    assert [page.label for page in document.pages] == ["1", "2", "3"]


def test_a_pdf_without_words_says_that_it_may_be_scanned() -> None:
    verdict = read_bytes(pdf(["", ""]), "scan.pdf").verdict
    assert verdict.status == "skipped"
    assert "scanned" in (verdict.reason or "")


def test_noise_with_a_pdf_head_is_skipped() -> None:
    for tail in (b"", b"\n" * 500, b"x" * 5000, b"\n1 0 obj\n<< /Type /Catalog /Pages 1 0 R >>\nendobj\n%%EOF"):
        assert read_bytes(b"%PDF-1.7" + tail, "a.pdf").verdict.status == "skipped"


def test_a_reader_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "SECONDS", 0.05)  # shorter than the child needs to start
    began = time.monotonic()
    verdict = read_bytes(pdf(["text"]), "a.pdf").verdict
    assert time.monotonic() - began < 5
    assert verdict.status == "skipped"
    assert "longer than" in (verdict.reason or "")


def test_a_reader_that_wants_too_much_memory_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MEGABYTES", 40)
    verdict = read_bytes(pdf(["text of this page"]), "a.pdf").verdict
    assert verdict.status == "skipped"
    assert "memory" in (verdict.reason or "")


def test_ligatures_and_line_end_hyphens_are_spelled_out() -> None:
    assert reader._clean("e\ufb03cient o\ufb00er\r\nexam\ufffe\r\nple \ud800") == "efficient offer\nexam-\nple \ufffd"


def test_running_heads_and_feet_go_and_their_first_words_stay() -> None:
    pages = [f"The Book of Ferries\nText {word} of the page.\n{n + 1} Chapter" for n, word in enumerate("abcdef")]
    left = without_running_heads(pages, [str(n + 1) for n in range(6)])
    assert left[0] == "The Book of Ferries\nText a of the page.\n1 Chapter"  # said nowhere else: kept once
    assert left[1:] == [f"Text {word} of the page." for word in "bcdef"]


def test_a_foot_that_repeats_a_heading_goes_everywhere() -> None:
    pages = [f"1. Ferries\nText {word} of this page.\n{n + 1} 1. Ferries" for n, word in enumerate("abcd")]
    left = without_running_heads(pages, [str(n + 1) for n in range(4)])
    assert sum("Ferries" in page for page in left) == 1
    assert all(f"Text {word} of this page." in page for word, page in zip("abcd", left, strict=True))


def test_lines_that_do_not_run_stay() -> None:
    pages = ["One line.\nTwo", "Another\nThree", "More\n4", "And\nmore", "The\nend"]
    assert without_running_heads(pages, list("12345")) == pages
    assert without_running_heads(["Same\na", "Same\nb"], ["1", "2"]) == ["Same\na", "Same\nb"]  # too few to tell
