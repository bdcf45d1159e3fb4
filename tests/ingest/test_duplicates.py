"""A text that was there already is a pointer; nearly the same texts are found."""

from __future__ import annotations

import json
from pathlib import Path

from engine.models.model import LanguageModel
from ingest import Encode, count_tokens, near, pack, read_bytes, whole

TEXT = Path(json.__file__).read_text()


def test_the_same_text_is_packed_once(encode: Encode, default_language_model: LanguageModel) -> None:
    documents = [read_bytes(TEXT.encode(), name) for name in ("a.py", "b.py")]
    documents.append(read_bytes(b"[same-7f3a a.py] other words", "c.py"))
    excerpts = whole(documents)
    packed = pack(excerpts, encode, fence="7f3a")
    alone = pack(whole(documents[:1]), encode, fence="7f3a")
    shown = default_language_model.decode(packed.token_ids.tolist())
    assert shown.count("def loads") == 1
    assert "[file-7f3a b.py]\n[same-7f3a a.py]\n" in shown
    assert shown.count("[same-7f3a") == 1  # the document that pretends is broken up
    assert packed.token_ids[: len(alone.token_ids)].tolist() == alone.token_ids.tolist()
    assert sum(count_tokens(e, encode, fence="7f3a") for e in excerpts) == len(packed.token_ids)
    entry = packed.entries[1]
    assert packed.spans.locate(entry.token_start, entry.token_end) == []


def test_near_duplicates_point_to_the_first() -> None:
    edited = TEXT.replace("def loads", "def read_all", 1)
    other = Path(json.__file__).with_name("decoder.py").read_text()
    documents = [read_bytes(t.encode(), n) for n, t in zip("abcd", (TEXT, edited, other, TEXT), strict=True)]
    found = {d.path: (d.of, d.similarity) for d in near(documents)}
    assert found["d"] == ("a", 1.0)
    assert found["b"][0] == "a"
    assert 0.9 < found["b"][1] <= 1.0
    assert "c" not in found
