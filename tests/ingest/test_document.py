"""Lines and pages of a document are where a person counts them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest import Document, Page, Verdict


def document(text: str, pages: tuple[Page, ...] = ()) -> Document:
    return Document("a.txt", "", "0" * 64, "text", "a.txt", text, Verdict("loaded"), pages)


@given(st.text(alphabet="ab\n\f\u2028", max_size=80))
def test_every_character_stands_on_the_line_that_counting_line_feeds_gives(text: str) -> None:
    made = document(text)
    for char in range(len(text)):
        line = made.line_of(char)
        assert line == text.count("\n", 0, char) + 1
        assert made.line_start(line) <= char


def test_the_line_behind_the_last_starts_at_the_end() -> None:
    assert document("a\nb").line_start(9) == 3


def test_lines_are_counted_as_editors_do() -> None:
    assert [document(text).line_count for text in ("a", "a\n", "a\n\n", "\na")] == [1, 1, 2, 2]


def test_a_character_is_on_the_page_that_holds_it() -> None:
    made = document("one\ntwo\n", (Page(0, "i", 0, 4), Page(1, "1", 4, 8)))
    assert [page.label for char in (0, 3, 4, 7) if (page := made.page_of(char))] == ["i", "i", "1", "1"]
    assert document("one").page_of(0) is None


def test_the_id_tells_apart_equal_files_at_two_places() -> None:
    one, other = document("x"), Document("b.txt", "", "0" * 64, "text", "b", "x", Verdict("loaded"))
    assert one.id == document("x").id != other.id
