"""Bytes that rot, files that are cut off or exchanged: nothing wrong is ever loaded."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import CorruptChunk
from engine.prefill.spans import chunk_spans
from engine.store import Store
from engine.store import segment as chunk_file
from engine.store.draft import Draft
from engine.store.segment import Segment
from tests.engine.store.samples import (
    NAMESPACE,
    chunk_path,
    flip,
    found,
    kv,
    restored,
    same,
    save_all,
)


def _regions(path: Path) -> dict[str, range]:
    """Every part of a chunk file; together they are the file."""
    segment, data = Segment.open(path), path.read_bytes()
    text = len(data[chunk_file.PREAMBLE : segment.payload].rstrip())
    regions = {
        "magic": range(8),
        "length": range(8, 16),
        "checksum": range(16, 32),
        "header": range(32, 32 + text),
        "blanks": range(32 + text, segment.payload),
    }
    for i, place in enumerate(segment.layers):
        start = segment.payload + place.offset
        end = segment.payload + segment.layers[i + 1].offset if i + 1 < len(segment.layers) else len(data)
        half = start + place.length // 2
        regions[f"keys {i}"] = range(start, half)
        regions[f"values {i}"] = range(half, start + place.length)
        regions[f"padding {i}"] = range(start + place.length, end)
    assert sum(map(len, regions.values())) == len(data)
    return regions


@pytest.mark.parametrize("codec", ["bfloat16", "fp8", "int8", "int4"])
@pytest.mark.parametrize("flips", [12, pytest.param(120, marks=pytest.mark.slow)])
def test_a_bit_flipped_anywhere_in_a_chunk_file_is_caught(store: Store, flips: int, codec: str) -> None:
    rng, tried, namespace = random.Random(5), 0, replace(NAMESPACE, codec=codec)
    layers = kv(range(16), 0)
    path = chunk_path(store, store.save(namespace, None, range(16), layers))

    def loaded() -> int:
        got = restored(store, store.longest_prefix(namespace, range(16), [(0, 16)]), namespace)
        assert got[0][0].shape[1] == 0 or same(got, layers), "wrong KV was restored"
        return got[0][0].shape[1]

    good = path.read_bytes()
    for region, places in _regions(path).items():
        for at in [places[0], places[-1], *(rng.choice(places) for _ in range(flips - 2))]:
            flip(path, at, rng.randrange(8))
            assert loaded() == 0, (region, at)
            assert not path.exists()  # it was set aside
            path.write_bytes(good)
            tried += 1
    assert loaded() == 16
    assert tried == 11 * flips


def test_a_damaged_chunk_leaves_the_verified_prefix_before_it(store: Store) -> None:
    tokens = list(range(64))
    flip(chunk_path(store, save_all(store, tokens)[2]), -1)
    assert found(store, tokens) == 32
    assert found(store, tokens) == 32
    save_all(store, tokens)
    assert found(store, tokens) == 64


@pytest.mark.parametrize("cut", [0, 10, 40, 4095, 4096, 5000, -1])
def test_a_truncated_chunk_is_refused(store: Store, cut: int) -> None:
    path = chunk_path(store, save_all(store, range(16))[0])
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CorruptChunk):
        Segment.open(path)
    assert found(store, range(16)) == 0


def test_a_chunk_cut_off_after_it_was_found_is_not_loaded(store: Store) -> None:
    path = chunk_path(store, save_all(store, range(16))[0])
    prefix = store.longest_prefix(NAMESPACE, range(16), [(0, 16)])
    path.write_bytes(path.read_bytes()[:-4000])
    assert restored(store, prefix)[0][0].shape[1] == 0


def test_a_chunk_evicted_after_it_was_found_is_a_shorter_prefix_and_no_error(store: Store) -> None:
    save_all(store, range(48))
    prefix = store.longest_prefix(NAMESPACE, range(48), chunk_spans(48, 16))
    prefix.segments[1].path.unlink()
    assert restored(store, prefix)[0][0].shape[1] == 16


def test_a_chunk_written_anew_after_it_was_found_is_loaded_as_it_is_now(store: Store) -> None:
    (key,) = save_all(store, range(16))
    prefix = store.longest_prefix(NAMESPACE, range(16), [(0, 16)])
    chunk_path(store, key).unlink()
    other = kv([1] * 16, 0)  # as from another run, whose sums were rounded otherwise
    store.save(NAMESPACE, None, range(16), other)
    assert same(restored(store, prefix), other)


def test_a_chunk_under_another_chunks_name_is_not_believed(store: Store) -> None:
    one, two = (chunk_path(store, save_all(store, [n] * 16)[0]) for n in (1, 2))
    one.write_bytes(two.read_bytes())
    assert found(store, [1] * 16) == 0


def test_a_header_that_claims_tokens_its_key_is_not_the_hash_of_is_not_believed(store: Store) -> None:
    key = save_all(store, [1] * 16)[0]
    path, layers = chunk_path(store, key), kv([1] * 16, 0)
    replace(Draft.of(NAMESPACE, None, [2] * 16, layers), key=key).write(path)
    with pytest.raises(CorruptChunk, match="not the hash"):
        Segment.open(path)
    assert found(store, [1] * 16) == 0


def test_verify_finds_what_rotted_and_which_session_lost_it(store: Store) -> None:
    keys = save_all(store, range(64))
    store.pin("book", NAMESPACE, range(64), chunk_spans(64, 16))
    assert store.verify() == []
    flip(chunk_path(store, keys[1]), -3, 4)
    rotten, session = store.verify()
    assert keys[1] in rotten
    assert session == "The session 'book' lacks 1 of its 4 chunks."
    save_all(store, range(64))
    assert store.verify() == []


def test_a_damaged_session_file_is_set_aside_and_the_others_stay(store: Store) -> None:
    files: list[Path] = []
    for n in (1, 2):
        save_all(store, [n] * 16)
        store.pin(str(n), NAMESPACE, [n] * 16, [(0, 16)])
        files += {*store.root.glob("sessions/*")} - {*files}
    flip(files[0], 200)
    assert [m.name for m in store.sessions()] == ["2"]
    store.rebuild()
    store.evict(0)
    assert (found(store, [1] * 16), found(store, [2] * 16)) == (0, 16)


def test_the_quarantine_does_not_grow_for_ever(store: Store) -> None:
    for n in range(20):
        flip(chunk_path(store, save_all(store, [n] * 16)[0]), -1)
        assert found(store, [n] * 16) == 0
    assert len(list((store.root / "quarantine").iterdir())) == 16
