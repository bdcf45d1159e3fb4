"""Kept tokens are the computed ones, or they are not used."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import (
    Document,
    Encode,
    Excerpt,
    Page,
    TokenCache,
    Verdict,
    count_tokens,
    pack,
    purge_tokens,
    read_bytes,
    token_key,
)


def letters(text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """A tokenizer of one token a character."""
    return [ord(c) for c in text], [(i, i + 1) for i in range(len(text))]


def document(text: str, *, pages: tuple[Page, ...] = (), digest: str = "0" * 64) -> Document:
    return Document("a.txt", "", digest, "text", "a.txt", text, Verdict("loaded"), pages)


def test_a_kept_document_is_not_tokenised_again(tmp_path: Path) -> None:
    asked: list[str] = []

    def encode(text: str) -> tuple[list[int], list[tuple[int, int]]]:
        asked.append(text)
        return letters(text)

    cache = TokenCache(tmp_path, "t")
    counts = [count_tokens(document("some words\n"), encode, fence="f", cache=cache) for _ in range(2)]
    assert counts[0] == counts[1]
    assert asked.count("some words\n") == 1


def test_tokenizers_do_not_share_what_is_kept(tmp_path: Path) -> None:
    count_tokens(document("abc\n"), letters, fence="f", cache=TokenCache(tmp_path, "one"))
    halves = count_tokens(
        document("abc\n"), lambda t: ([1], [(0, len(t))]), fence="f", cache=TokenCache(tmp_path, "two")
    )
    assert halves == 3  # mark, text, line end


def test_a_reader_that_finds_other_text_in_the_same_bytes_gets_other_tokens(tmp_path: Path) -> None:
    cache = TokenCache(tmp_path, "t")
    for text, pages in [
        ("old\n", ()),
        ("newer\n", ()),
        ("newer\n", (Page(0, "i", 0, 6),)),
        ("newer\n", (Page(0, "1", 0, 6),)),
    ]:
        made = document(text, pages=pages)
        excerpt = [Excerpt.whole(made)]
        assert pack(excerpt, letters, fence="f", cache=cache).digest == pack(excerpt, letters, fence="f").digest


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "other"])
def test_a_damaged_file_is_a_miss(tmp_path: Path, damage: str) -> None:
    cache = TokenCache(tmp_path, "t")
    made = document("some words of text\n" * 50)
    good = pack([Excerpt.whole(made)], letters, fence="f", cache=cache)
    (file,) = tmp_path.rglob("*.tokens")
    data = file.read_bytes()
    middle = len(data) // 2
    file.write_bytes(
        {
            "empty": b"",
            "cut": data[:-100],
            "flipped": data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :],
            "other": b"not an archive",
        }[damage]
    )
    again = pack([Excerpt.whole(made)], letters, fence="f", cache=cache)
    assert again.digest == good.digest
    assert np.array_equal(again.token_ids, good.token_ids)
    assert cache.get(file.stem) is not None  # mended


def test_no_temporary_file_stays(tmp_path: Path) -> None:
    count_tokens(document("abc\n"), letters, fence="f", cache=TokenCache(tmp_path, "t"))
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".tokens"]
    assert not list(tmp_path.rglob(".*"))


def test_what_no_document_holds_any_more_is_deleted(tmp_path: Path) -> None:
    stays, goes = document("stays\n"), document("goes\n")
    for tokenizer in ("one", "two"):
        for fence in ("f", "g"):
            for made in (stays, goes):
                count_tokens(made, letters, fence=fence, cache=TokenCache(tmp_path, tokenizer))
    for name in ("0" * 64, ".passing"):  # from before keys named their fence; half written by what was killed
        (tmp_path / "one" / f"{name}.tokens").write_bytes(b"old")
        os.utime(tmp_path / "one" / f"{name}.tokens", (0, 0))
    (tmp_path / "one" / ".now.tokens").write_bytes(b"being written")
    assert purge_tokens(tmp_path, "f", [token_key(stays, "f")]) == 2 + 2
    stay = [f"{token_key(made, fence)}.tokens" for made, fence in [(stays, "f"), (stays, "g"), (goes, "g")]]
    assert sorted(path.name for path in tmp_path.rglob("*.tokens")) == sorted([".now.tokens", *stay, *stay])
    assert purge_tokens(tmp_path / "nothing", "f", []) == 0


def test_a_cache_that_cannot_be_written_keeps_nobody_from_an_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert count_tokens(document("abc\n"), letters, fence="f", cache=TokenCache(blocked, "t")) > 4
    assert "cannot be kept" in caplog.text


def test_text_that_only_shares_letters_with_the_fence_is_left_alone(encode: Encode) -> None:
    made = read_bytes(b"digest = '9f7f3a2b'  # 7f3a\n", "a.py")
    packed = pack([Excerpt.whole(made)], letters, fence="7f3a")
    assert made.text in "".join(map(chr, packed.token_ids))


def test_a_path_or_label_cannot_end_its_mark() -> None:
    made = Document(
        "a]\n[file-f7 b\u2028.txt",
        "",
        "0" * 64,
        "pdf",
        "t",
        "x\n",
        Verdict("loaded"),
        (Page(0, "1]\n[file-f7 c", 0, 2),),
    )
    spoken = "".join(map(chr, pack([Excerpt.whole(made)], letters, fence="f7").token_ids))
    assert spoken.split("\n") == ["[file-f7 a\\]\\n[file-f7 b\\u2028.txt]", "[page-f7 1\\]\\n[file-f7 c]", "x", "", ""]


MARKS = st.lists(st.sampled_from(["[file-f7 x]", "[page-f7", "f7", "[", "a", "é", "🦊", "\n", "\u200b"]), max_size=12)


@settings(deadline=None, max_examples=200)
@given(MARKS.map("".join), st.data())
def test_every_token_of_an_excerpt_cites_its_own_character(text: str, data: st.DataObject) -> None:
    made = document(text)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    packed = pack([Excerpt(made, start, end)], letters, fence="f7")
    cited: list[int] = []
    for token, letter in enumerate(packed.token_ids.tolist()):
        for span in packed.spans.locate(token, token + 1):
            if span.char_end > span.char_start:  # not a break that was put in
                assert text[span.char_start : span.char_end] == chr(letter)
                assert span.line_start == text.count("\n", 0, span.char_start) + 1
                cited.append(span.char_start)
    assert cited == list(range(start, end))
    assert "".join(map(chr, packed.token_ids)).count("[file-f7") == 1
