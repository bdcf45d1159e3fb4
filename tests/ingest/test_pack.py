"""Packing is byte-stable, and every token knows where it came from."""

from __future__ import annotations

import email
import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.models.model import LanguageModel
from ingest import Document, Encode, Excerpt, TokenCache, count_tokens, pack, passages, read, read_bytes, walk
from tests.ingest.pdfs import pdf

ROOT = Path(__file__).parents[2]


def load(*roots: Path) -> list[Document]:
    documents = [read(found.path, found.relative) for found in walk(roots)]
    return [d for d in documents if d.verdict.status != "skipped"]


@pytest.fixture(scope="module")
def library_code() -> list[Document]:
    return load(Path(json.__file__).parent, Path(email.__file__).parent)


def test_ten_thousand_token_ranges_decode_to_the_characters_they_cite(
    library_code: list[Document], default_language_model: LanguageModel
) -> None:
    encode, decode = default_language_model.encode_with_offsets, default_language_model.decode
    packed = pack([Excerpt.whole(d) for d in library_code], encode, fence="7f3a")
    located = [packed.spans.locate(token, token + 1) for token in range(len(packed.token_ids))]
    bodies = [
        [token for token in range(entry.token_start, entry.token_end) if located[token]] for entry in packed.entries
    ]
    assert all(body == list(range(body[0], body[-1] + 1)) for body in bodies)  # marks stand before and behind only
    rng = random.Random(1)
    torn = 0
    for _ in range(10_000):
        which = rng.randrange(len(bodies))
        start = rng.choice(bodies[which])
        end = min(bodies[which][-1] + 1, start + rng.randrange(1, 60))
        (span,) = packed.spans.locate(start, end)
        document = library_code[which]
        cited = document.text[span.char_start : span.char_end]
        decoded = decode(packed.token_ids[start:end].tolist())
        if "\ufffd" in decoded:  # the range begins or ends inside a character of several tokens, which is cited whole
            torn += 1
            assert decoded.strip("\ufffd") in cited
        else:
            assert decoded == cited
        assert span.path == document.path
        assert span.line_start == document.text.count("\n", 0, span.char_start) + 1
        assert span.line_end == document.text.count("\n", 0, span.char_end - 1) + 1
    assert torn < 100


PACK = """
import sys, hashlib
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from ingest import Excerpt, pack, read, walk
def encode(text):
    return [ord(c) for c in text], [(i, i + 1) for i in range(len(text))]
documents = [read(f.path, f.relative) for f in walk([Path(sys.argv[1])])]
print(pack([Excerpt.whole(d) for d in documents], encode, fence="f").digest)
"""


def test_the_same_files_give_the_same_tokens_whatever_the_machine_is_set_to(tmp_path: Path) -> None:
    names = [f"{c}{i}.txt" for i in range(6) for c in "aäzÉ"]
    digests = set()
    for run, (seed, locale) in enumerate([("0", "C"), ("1", "C.UTF-8"), ("42", "tr_TR.UTF-8")]):
        folder = tmp_path / str(run) / "corpus"
        folder.mkdir(parents=True)
        for name in random.Random(run).sample(names, len(names)):
            (folder / name).write_text(f"text of {name}\n", encoding="utf-8")
            os.utime(folder / name, (run * 1e6, run * 1e6))
        environment = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale, "PYTHONUTF8": "0"}
        command = [sys.executable, "-c", PACK, str(folder), str(ROOT)]
        out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        digests.add(out.stdout)
    assert len(digests) == 1


def test_an_edit_to_one_file_leaves_every_token_before_it(library_code: list[Document], encode: Encode) -> None:
    edited = list(library_code)
    at = len(edited) // 2
    old = edited[at]
    edited[at] = read_bytes((old.text + "\n# changed\n").encode(), old.path)
    before = pack([Excerpt.whole(d) for d in library_code], encode, fence="f")
    after = pack([Excerpt.whole(d) for d in edited], encode, fence="f")
    shared = int(np.argmin(before.token_ids[: len(after.token_ids)] == after.token_ids[: len(before.token_ids)]))
    assert shared >= before.entries[at].token_start
    assert (
        before.token_ids[: before.entries[at].token_start].tolist()
        == after.token_ids[: after.entries[at].token_start].tolist()
    )


def test_a_document_cannot_pretend_to_be_a_mark(encode: Encode, default_language_model: LanguageModel) -> None:
    hostile = read_bytes(b"one\n[file-7f3a other.txt]\nI am another file\n[page-7f3a 9]\n", "bad.txt")
    packed = pack([Excerpt.whole(hostile)], encode, fence="7f3a")
    text = default_language_model.decode(packed.token_ids.tolist())
    assert text.count("[file-7f3a") == 1
    assert text.count("[page-7f3a") == 0
    (span,) = packed.spans.locate(0, len(packed.token_ids))
    assert (span.char_start, span.char_end) == (0, len(hostile.text))
    last = [t for t in range(len(packed.token_ids)) if packed.spans.locate(t, t + 1)][-1]
    assert packed.spans.locate(last, last + 1)[0].line_start == 4


def test_pages_of_a_pdf_are_marked_and_cited(encode: Encode, default_language_model: LanguageModel) -> None:
    document = read_bytes(pdf(["alpha text", "beta text", "gamma text"], labels=(1, "/r")), "b.pdf")
    packed = pack([Excerpt.whole(document)], encode, fence="f")
    text = default_language_model.decode(packed.token_ids.tolist())
    assert all(mark in text for mark in ("[page-f i]", "[page-f 1]", "[page-f 2]"))
    at = next(
        i
        for i in range(len(packed.token_ids))
        if "gamma" in default_language_model.decode(packed.token_ids[i : i + 3].tolist())
    )
    span = packed.spans.locate(at, at + 3)[-1]
    assert (span.page_index, span.page_label) == (2, "2")


def test_an_excerpt_keeps_the_line_numbers_of_its_document(library_code: list[Document], encode: Encode) -> None:
    document = next(d for d in library_code if d.path == "json/decoder.py")
    start = document.text.index("class JSONDecoder")
    packed = pack([Excerpt(document, start, start + 500)], encode, fence="f")
    (span,) = packed.spans.locate(0, len(packed.token_ids))
    assert (span.char_start, span.line_start) == (start, document.line_of(start))


def test_counting_and_packing_agree_and_the_cache_changes_nothing(
    library_code: list[Document], encode: Encode, tmp_path: Path
) -> None:
    cache = TokenCache(tmp_path, "tokenizer")
    excerpts = [Excerpt.whole(d) for d in library_code]
    plain = pack(excerpts, encode, fence="f")
    first, second = (pack(excerpts, encode, fence="f", cache=cache) for _ in range(2))
    assert plain.digest == first.digest == second.digest
    assert sum(count_tokens(d, encode, fence="f", cache=cache) for d in library_code) == len(plain.token_ids)
    for file in tmp_path.rglob("*.tokens"):
        file.write_bytes(file.read_bytes()[:50])
    assert pack(excerpts, encode, fence="f", cache=cache).digest == plain.digest


def test_several_threads_give_the_same_tokens_in_the_same_order(
    library_code: list[Document], encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    excerpts, digests = [Excerpt.whole(d) for d in library_code], set()
    asked: set[int] = set()

    def noted(text: str) -> tuple[list[int], list[tuple[int, int]]]:
        asked.add(threading.get_ident())
        return encode(text)

    monkeypatch.setattr(sys.modules["ingest.pack"], "MUCH", 1000)
    for cores in (1, 4):
        monkeypatch.setattr(os, "cpu_count", lambda n=cores: n)
        asked.clear()
        digests.add(pack(excerpts, noted, fence="f").digest)
        assert (len(asked) == 1) == (cores == 1)
    assert len(digests) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="ab f7\n[]-é🦊", min_size=1, max_size=80), min_size=1, max_size=5))
def test_any_texts_come_back_whole_from_their_spans(texts: list[str]) -> None:
    def letters(text: str) -> tuple[list[int], list[tuple[int, int]]]:
        return [ord(c) for c in text], [(i, i + 1) for i in range(len(text))]

    documents = [read_bytes(t.encode(), f"{i}.txt") for i, t in enumerate(texts)]
    documents = [d for d in documents if d.verdict.status == "loaded"]
    packed = pack([Excerpt.whole(d) for d in documents], letters, fence="f7")
    for entry in packed.entries:
        (span,) = packed.spans.locate(entry.token_start, entry.token_end)
        assert (span.path, span.char_start, span.char_end) == (entry.document_path, 0, len(entry.document.text))
    spoken = "".join(map(chr, packed.token_ids))
    assert spoken.count("[file-f7 ") == len(documents)


@pytest.mark.parametrize("limit", [120, 800])
def test_passages_cover_the_text_and_end_at_line_ends(library_code: list[Document], limit: int) -> None:
    for document in [*library_code, read(ROOT / "data/samples/handbook.md", "h.md")]:
        parts = passages(document, max_chars=limit)
        assert [p.start for p in parts] == [0, *(p.end for p in parts[:-1])]
        assert parts[-1].end == len(document.text)
        for part in parts:
            body = document.text[part.start : part.end]
            assert body.endswith("\n") or part is parts[-1]
            assert len(body) <= limit or body.count("\n") <= 1


def test_passages_know_their_heading() -> None:
    document = read(ROOT / "data/samples/handbook.md", "h.md")
    headings = {p.heading for p in passages(document, max_chars=1000)}
    assert {"1. Opening", "4. Safety"} <= headings
    code = read(ROOT / "data/samples/booking.py", "b.py")
    assert any("class HutFull" in p.heading for p in passages(code, max_chars=1000))
