"""Quotes are resolved to exact characters, or marked as what they are."""

from __future__ import annotations

from app.answering.citations import quotes, resolve
from app.answering.sentences import Pool, sentences
from ingest import Document, PackedEntry, read, read_bytes
from tests.conftest import SAMPLES
from tests.ingest.pdfs import pdf


def entry(document: Document) -> PackedEntry:
    return PackedEntry(document, 0, 1, 0, len(document.text))


HANDBOOK = entry(read(SAMPLES / "handbook.md", "handbook.md"))
PROGRAM = entry(read(SAMPLES / "booking.py", "booking.py"))


def test_an_exact_quote_has_its_characters_and_line() -> None:
    quote = "Boil the water for 4 minutes"
    found = resolve(quote, [PROGRAM, HANDBOOK])
    text = HANDBOOK.document.text
    assert (found.state, found.path) == ("exact", "handbook.md")
    assert found.char_start is not None
    assert text[found.char_start : found.char_end] == quote
    assert text.splitlines()[int(found.line_start or 0) - 1].startswith("2.2")


def test_spaces_line_ends_and_curly_quotes_do_not_matter() -> None:
    wrapped = entry(read_bytes("He said: “it’s   a\nlong way – home”.".encode(), "a.txt"))
    found = resolve('"it\'s a long way - home"', [wrapped])
    assert found.state == "exact"
    assert found.quote == "“it’s   a\nlong way – home”"
    assert (found.line_start, found.line_end) == (1, 2)


def test_a_quote_with_a_slip_is_fuzzy_with_a_score() -> None:
    found = resolve("The stretcher is stored in the attik", [HANDBOOK])
    assert (found.state, found.path) == ("fuzzy", "handbook.md")
    assert found.score is not None
    assert 85 <= found.score < 100
    assert "stretcher is stored in the att" in found.quote


def test_an_invented_quote_is_unverified_and_kept() -> None:
    found = resolve("The helicopter lands on the northern terrace", [HANDBOOK, PROGRAM])
    assert (found.state, found.path, found.line_start) == ("unverified", None, None)
    assert found.quote == "The helicopter lands on the northern terrace"
    assert "not found" in found.place


def test_a_quote_in_a_pdf_has_its_page() -> None:
    book = entry(read_bytes(pdf(["first page words", "the answer is\nforty two indeed"], labels=(1, "/r")), "b.pdf"))
    found = resolve("the answer is forty two indeed", [book])
    assert (found.state, found.page) == ("exact", "1")


def test_quotes_are_taken_from_the_answer_once() -> None:
    answer = 'It says "Bread is baked on Tuesdays" and “Bread is baked on Fridays”, again "Bread is baked on Tuesdays".'
    assert quotes(answer) == ["Bread is baked on Tuesdays", "Bread is baked on Fridays"]
    assert quotes('the key "A"') == []


def test_sentences_stand_in_the_document_as_they_are_cited() -> None:
    for held in (HANDBOOK, PROGRAM):
        for sentence in sentences(held):
            assert held.document.text[sentence.start : sentence.end] == sentence.text
            assert sentence.text == sentence.text.strip()


def test_wrapped_prose_is_cut_at_sentence_ends_not_at_line_ends() -> None:
    prose = "The first sentence is quite long and was\nwrapped over two lines. The second one follows it here. " * 4
    held = entry(read_bytes(prose.encode(), "a.txt"))
    texts = [" ".join(s.text.split()) for s in sentences(held)]
    assert "The first sentence is quite long and was wrapped over two lines." in texts
    assert "The second one follows it here." in texts


def test_the_sentence_that_shares_the_rare_words_comes_first() -> None:
    pool = Pool(sentences(HANDBOOK))
    best = pool.rank("Who is the warden of the hut?", "The warden of the hut is Ilse Varga.", most=8)
    assert "Ilse Varga" in best[0].text
    assert pool.rank("zzz", "qqq", most=8) == []
