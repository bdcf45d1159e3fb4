"""A document is cut where it cuts itself, and never inside a line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest import passages, read_bytes

PROGRAM = '''"""Docstring."""

import os


@decorated
def first():
    return 1


class Second:
    def one(self):
        x = 1

        return x

    @property
    def two(self):
        y = 2

        return y
'''


def test_code_is_cut_before_definitions_and_their_decorators() -> None:
    document = read_bytes(PROGRAM.encode(), "a.py")
    parts = passages(document, max_chars=1000)
    texts = [document.text[part.start : part.end] for part in parts]
    assert [text.split("\n")[0] for text in texts] == ['"""Docstring."""', "@decorated", "class Second:"]
    assert [part.heading for part in parts] == ["", "def first()", "class Second"]


def test_a_class_too_long_is_cut_between_its_methods() -> None:
    document = read_bytes(PROGRAM.encode(), "a.py")
    texts = [document.text[part.start : part.end] for part in passages(document, max_chars=120)]
    assert texts[-1].startswith("    @property\n    def two")


def test_a_comment_in_a_code_block_is_no_heading() -> None:
    document = read_bytes(b"# One\n\n```sh\n# not a heading\nls\n```\n\n## Two\nend\n", "a.md")
    assert [part.heading for part in passages(document, max_chars=1000)] == ["One", "Two"]


def test_paragraphs_stay_whole_where_they_fit() -> None:
    document = read_bytes(("one two three\nfour five\n\n" * 20).encode(), "a.txt")
    for part in passages(document, max_chars=130):
        assert document.text[part.start : part.end].endswith("\n\n")


@given(
    st.text(alphabet="ab#`\n\f\x0b\u2028@ ", max_size=120),
    st.sampled_from(["a.md", "a.py", "a.txt"]),
    st.integers(1, 40),
)
def test_passages_cover_any_text_and_begin_at_line_starts(text: str, name: str, most: int) -> None:
    document = read_bytes(text.encode(), name)
    parts = passages(document, max_chars=most)
    assert "".join(document.text[part.start : part.end] for part in parts) == document.text
    for part in parts:
        assert document.line_start(document.line_of(part.start)) == part.start
        body = document.text[part.start : part.end]
        assert len(body) <= most or body.rstrip("\n").count("\n") == 0
