"""Odd and hostile files: a verdict for each, within its limit, and every line where the file has it."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path

import pytest

from ingest import Encode, Excerpt, pack, passages, read, read_all, read_all_bytes, walk
from tests.ingest.hostile import hostile

FILES = hostile()
LIMIT_S = 60


def test_there_are_enough_of_them() -> None:
    assert len(FILES) >= 40


@pytest.mark.parametrize("name", FILES)
def test_each_gets_its_verdict_in_time(name: str, encode: Encode) -> None:
    data, expected = FILES[name]
    started = time.monotonic()
    documents = read_all_bytes(data, name, source=f"/s/{name}")
    assert time.monotonic() - started < LIMIT_S
    assert documents
    told = " / ".join(f"{d.verdict.status}: {d.verdict.reason}" for d in documents)
    assert expected in told
    for document in documents:
        assert (document.verdict.status == "skipped") == (not document.text.strip()), told
        assert document.verdict.status != "skipped" or document.verdict.reason
        assert "\r" not in document.text
        document.text.encode()
        ends = [(p.start, p.end) for p in document.pages]
        assert all(a[1] == b[0] for a, b in pairwise(ends))
        parts = passages(document, max_chars=1200)
        assert "".join(document.text[p.start : p.end] for p in parts) == document.text
        if document.text and len(document.text) < 50_000:
            packed = pack([Excerpt.whole(document)], encode, fence="0000")
            (span,) = packed.spans.locate(0, len(packed.token_ids))
            assert document.text[span.char_start : span.char_end].strip() == document.text.strip()


def test_lines_and_pages_are_the_files_own() -> None:
    (code,) = read_all_bytes(FILES["leading-blank-lines.py"][0], "a.py")
    assert code.line_of(code.text.index("found")) == 4
    (mac,) = read_all_bytes(FILES["old-mac.txt"][0], "a.txt")
    assert mac.line_of(mac.text.index("three")) == 3
    (odd,) = read_all_bytes(FILES["separators.txt"][0], "a.txt")
    assert odd.line_count == 1
    (roman,) = read_all_bytes(FILES["roman.pdf"][0], "a.pdf")
    assert [page.label for page in roman.pages] == ["i", "ii", "1"]


def test_odd_names_links_pipes_and_sparse_files_in_a_folder(tmp_path: Path) -> None:
    root = tmp_path / "r"
    root.mkdir()
    (root / "new\nline.txt").write_text("words")
    with open(os.fsencode(root) + b"/\xff\xfe.txt", "wb") as stream:
        stream.write(b"words")
    with (root / "sparse.txt").open("wb") as stream:
        stream.truncate(1 << 30)
    os.mkfifo(root / "pipe.txt")
    (root / "loop").symlink_to(root)
    (root / "dead.txt").symlink_to(root / "nowhere")
    missed: list[str] = []
    started = time.monotonic()
    documents = [
        d for f in walk([root], on_skip=lambda path, _: missed.append(path.name)) for d in read_all(f.path, f.relative)
    ]
    assert time.monotonic() - started < LIMIT_S
    verdicts = {d.path: d.verdict.reason for d in documents}
    assert len(documents) + len(missed) == len(os.listdir(root))
    assert "larger than" in str(verdicts["r/sparse.txt"])
    assert all("\udcff" not in path for path in verdicts)
    assert read(root / "pipe.txt", "p").verdict.status == "skipped"
