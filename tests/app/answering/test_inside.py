"""The inside of an answer: its map covers the corpus, its times are measured, its figures outlive the session's KV."""

from __future__ import annotations

import numpy as np
import pytest

from app.answering.attention_map import CELLS, DOCUMENTS, attention_map
from app.answering.inside import Inside
from app.answering.kept_figures import MOST, KeptFigures
from app.conversations import _read, _written
from app.library import Library
from engine.prefill.head_figures import HeadFigures
from ingest import Document, Page, Verdict, pack, whole
from tests.conftest import SAMPLES

PARTS = ["waiting", "packing", "restore", "index", "attention", "linear", "copies", "question", "decode", "proof"]


def encode(text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """A token a character."""
    return [ord(c) for c in text], [(i, i + 1) for i in range(len(text))]


def document(path: str, text: str, pages: tuple[Page, ...] = ()) -> Document:
    return Document(path, "", path, "text", path, text, Verdict("loaded"), pages)


def test_a_map_gives_each_page_and_stretch_the_attention_of_its_tokens() -> None:
    printed = "".join(f"page {i} " + "x" * 193 + "\n" for i in range(10))
    pages = tuple(Page(i, str(i + 1), i * 201, (i + 1) * 201) for i in range(10))
    plain = "a line of text\n" * 100
    packed = pack(whole([document("a.pdf", printed, pages), document("b.txt", plain)]), encode, fence="f00d")
    before, block = 40, 16
    shares = np.zeros(-(-(before + len(packed.token_ids)) // block))
    there = packed.spans.token_at(0, 3 * 201 + 100) + before  # in the middle of the fourth page
    shares[there // block] = 0.75
    end = packed.entries[1].token_end + before
    shares[end // block - 2] = 0.25
    drawn = attention_map(packed, shares.tolist(), block=block, before=before)
    first, second = drawn.documents
    assert (first.path, second.path) == ("a.pdf", "b.txt")
    assert [cell.page for cell in first.cells] == [str(i + 1) for i in range(10)]
    assert [cell.share for cell in first.cells].index(0.75) == 3
    assert first.cells[3].char_start == 3 * 201
    assert first.share == 0.75
    assert second.share == pytest.approx(0.25)
    assert sum(cell.share for cell in second.cells[-2:]) == pytest.approx(0.25, abs=1e-4)
    assert second.cells[0].line_start == 1
    assert second.cells[-1].line_end == 100
    assert all(a.char_end <= b.char_end for a, b in zip(second.cells, second.cells[1:], strict=False))


def test_a_map_of_many_documents_stays_small_and_loses_no_attention() -> None:
    packed = pack(whole([document(f"{i:03}.txt", "some words\n" * 200) for i in range(100)]), encode, fence="f00d")
    blocks = -(-len(packed.token_ids) // 32)
    drawn = attention_map(packed, [1 / blocks] * blocks, block=32, before=0)
    assert len(drawn.documents) == DOCUMENTS
    assert drawn.others == 60
    assert sum(d.share for d in drawn.documents) + drawn.elsewhere == pytest.approx(1, abs=0.01)
    assert sum(len(d.cells) for d in drawn.documents) <= CELLS + DOCUMENTS


def test_an_answer_tells_its_inside_and_figures_of_a_reading_outlive_it(library: Library) -> None:
    collection = library.collection("hut")
    for name in ("handbook.md", "booking.py"):
        collection.add_bytes(name, (SAMPLES / name).read_bytes())
    first = collection.ask("How many solar panels does the roof carry?", max_new_tokens=8)
    how = first.inside
    assert how is not None
    assert how.heads is not None
    assert how.heads.dense
    assert (len(how.heads.density), len(how.heads.density[0])) == (30, 9)
    assert not how.earlier
    assert list(how.seconds) == PARTS
    read = sum(how.seconds[part] for part in ("index", "attention", "linear", "copies"))
    assert read == pytest.approx(first.stats.prefill_s, abs=0.01)
    assert min(how.seconds[part] for part in ("attention", "linear", "copies", "decode")) > 0
    assert how.store is not None
    assert how.store.kv_bytes == how.store.prompt_tokens * 2 * 30 * 3 * 64 * 2
    assert sum(d.share for d in how.map.documents) > 0.5
    assert "inside" not in first.to_dict()
    assert Inside.of(_written(first)["inside"]) == how
    assert _read(_written(first)) == first
    again = collection.ask("Who is the warden?", max_new_tokens=4).inside
    assert again is not None
    assert again.store is not None
    assert again.earlier, "what was read is kept, and what reading it showed is too"
    assert again.heads == how.heads
    assert again.store.restored_tokens == how.read_tokens
    assert again.seconds["linear"] == 0


def test_kept_figures_are_bounded_and_damaged_ones_are_none(tmp_path) -> None:  # type: ignore[no-untyped-def]
    kept, heads = KeptFigures(tmp_path / "figures"), HeadFigures(((0.5, 1.0),), ((0.99, 1.0),))
    for i in range(MOST + 5):
        kept.put(f"{i:04}", heads, i)
    assert len(list((tmp_path / "figures").iterdir())) == MOST
    assert kept.get(f"{MOST + 4:04}") == (heads, MOST + 4)
    (tmp_path / "figures" / f"{MOST + 4:04}.json").write_text("{")
    assert kept.get(f"{MOST + 4:04}") is None
    assert kept.get("absent") is None
