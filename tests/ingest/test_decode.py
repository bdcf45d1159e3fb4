"""No text is lost to its encoding, and a guess says that it is one."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import read_bytes

FRENCH = "Le café crème est très cher à Noël, même à l'étranger.\n"
CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy. " * 20
JAPANESE = "これはテストです。日本語の文章。\n"
RUSSIAN = "Привет, как дела? Всё хорошо.\n"
CHINESE = "汉字编码测试，这是一个简单的例子。\n"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_decides(encoding: str) -> None:
    document = read_bytes(JAPANESE.encode(encoding), "a.txt")
    assert (document.text, document.verdict.status) == (JAPANESE, "loaded")
    assert document.verdict.encoding == encoding


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (FRENCH, "latin-1"),
        (FRENCH * 40, "latin-1"),
        (CZECH, "cp1250"),
        (JAPANESE, "shift-jis"),
        (RUSSIAN, "cp1251"),
        (CHINESE * 3, "gb18030"),
    ],
)
def test_other_encodings_are_read_right_and_marked_as_decoded(text: str, encoding: str) -> None:
    document = read_bytes(text.encode(encoding), "a.txt")
    assert document.text == text
    assert document.verdict.status == "decoded"
    assert document.verdict.encoding
    assert document.verdict.encoding in (document.verdict.reason or "")
    assert 0 < (document.verdict.confidence or 0) <= 1


def test_a_multibyte_character_across_any_buffer_edge_is_still_utf8() -> None:
    for shift in range(4):
        text = "x" * (1024 - shift) + "é漢🎉" * 400
        assert read_bytes(text.encode(), "a.txt").text == text


def test_line_ends_become_line_feeds() -> None:
    assert read_bytes(b"\r\n\r\na\r\nb\rc\n", "a.txt").text == "\n\na\nb\nc\n"


def test_leading_blank_lines_stay_so_that_line_numbers_are_true() -> None:
    document = read_bytes(b"\n\n\ndef f():\n    pass\n", "a.py")
    assert document.line_of(document.text.index("def")) == 4


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x7fELF\0\0\0", "binary"),
        (b"text" * 50_000 + b"\0", "binary"),
        (bytes(range(1, 256)) * 8, "binary"),
        (b"\xff\xfea", "utf-16"),
        (b"", "empty"),
        (b" \r\n\n", "empty"),
    ],
)
def test_what_is_no_text_is_skipped_with_a_reason(data: bytes, reason: str) -> None:
    verdict = read_bytes(data, "a.txt").verdict
    assert verdict.status == "skipped"
    assert reason in (verdict.reason or "")


def test_random_bytes_are_binary() -> None:
    assert read_bytes(bytes(b for b in os.urandom(4000) if b), "a").verdict.status == "skipped"


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=400), st.sampled_from(["a.txt", "a.md", "a.html", "a.py", "a"]))
def test_no_bytes_make_a_reader_raise(data: bytes, name: str) -> None:
    document = read_bytes(data, name)
    assert bool(document.text) == (document.verdict.status != "skipped")
    assert document.verdict.status == "loaded" or document.verdict.reason
    document.text.encode()  # no half characters
