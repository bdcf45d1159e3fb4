"""What breaks the store's files, writers and disks, and that nothing wrong is ever loaded after it."""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch

from engine.errors import CorruptChunk, StoreError
from engine.prefill import chunk_spans
from engine.store import Store, export_session, import_session
from engine.store import segment as chunk_file
from engine.store.errors import StoreFull
from engine.store.segment import Segment
from engine.store.store import _draft
from tests.engine.store.samples import (
    NAMESPACE,
    chunk_files,
    chunk_path,
    flip,
    forkserver,
    found,
    kv,
    leftovers,
    restored,
    same,
    save_all,
)

# -- bytes ------------------------------------------------------------------------------------------------------------


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
    replace(_draft(NAMESPACE, None, [2] * 16, layers), key=key).write(path)
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
    for n in (1, 2):
        save_all(store, [n] * 16)
        store.pin(str(n), NAMESPACE, [n] * 16, [(0, 16)])
    flip(store.root / "sessions" / store.sessions()[0].file_name("1"), 200)
    assert [m.name for m in store.sessions()] == ["2"]
    store.rebuild()
    store.evict(0)
    assert (found(store, [1] * 16), found(store, [2] * 16)) == (0, 16)


def test_the_quarantine_does_not_grow_for_ever(store: Store) -> None:
    for n in range(20):
        flip(chunk_path(store, save_all(store, [n] * 16)[0]), -1)
        assert found(store, [n] * 16) == 0
    assert len(list((store.root / "quarantine").iterdir())) == 16


# -- killed writers ---------------------------------------------------------------------------------------------------

STEPS = (os.path.join("engine", "store"), os.path.join("sqlalchemy", "engine", "default.py"))


def _save_and_die(root: Path, tokens: list[int], step: int, pipe: Connection) -> None:
    """Save a context; kill -9 oneself at the given call that the store or its database makes."""
    store, calls = Store(root), 0

    def count(frame: FrameType, event: str, _: Any) -> None:
        nonlocal calls
        if event in ("c_call", "c_return") and any(part in frame.f_code.co_filename for part in STEPS):
            calls += 1
            if calls == step:
                os.kill(os.getpid(), signal.SIGKILL)

    prepared = {end: kv(tokens[:end], end - 16) for end in range(16, len(tokens) + 1, 16)}
    parent = None
    sys.setprofile(count)
    for end, layers in prepared.items():
        parent = store.save(NAMESPACE, parent, tokens[end - 16 : end], layers)
    sys.setprofile(None)
    pipe.send(calls)


def _run(target: Any, *arguments: Any) -> tuple[Any, Connection]:
    mine, theirs = forkserver.Pipe(duplex=False)
    child = forkserver.Process(target=target, args=(*arguments, theirs))
    child.start()
    theirs.close()
    return child, mine


@pytest.mark.parametrize("points", [48, pytest.param(400, marks=pytest.mark.slow)])
def test_a_writer_killed_at_any_step_of_a_save_leaves_nothing_partial_and_nothing_wrong(
    tmp_path: Path, points: int
) -> None:
    tokens = list(range(32))
    child, pipe = _run(_save_and_die, tmp_path / "dry", tokens, 0)
    steps = pipe.recv()
    child.join()
    kept: list[int] = []
    for n in range(points):
        root = tmp_path / str(n)
        child, _ = _run(_save_and_die, root, tokens, 1 + n * (steps - 1) // (points - 1))
        child.join()
        assert child.exitcode == -signal.SIGKILL
        store = Store(root)
        assert leftovers(root) == []
        assert store.usage() == sum(p.stat().st_size for p in chunk_files(store))
        assert store.verify() == []
        assert list((root / "quarantine").iterdir()) == []
        kept.append(found(store, tokens))
        store.close()
    assert kept[0] == 0
    assert kept[-1] == 32
    assert kept == sorted(kept)  # a save killed later keeps no less


def _import_and_die(root: Path, path: Path, step: int, pipe: Connection) -> None:
    """Import a session; kill -9 oneself at the given call that the store or its database makes."""
    store, calls = Store(root), 0

    def count(frame: FrameType, event: str, _: Any) -> None:
        nonlocal calls
        if event in ("c_call", "c_return") and any(part in frame.f_code.co_filename for part in STEPS):
            calls += 1
            if calls == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    import_session(store, path, NAMESPACE)
    sys.setprofile(None)
    pipe.send(calls)


@pytest.mark.parametrize("points", [24, pytest.param(200, marks=pytest.mark.slow)])
def test_an_import_killed_at_any_step_leaves_a_session_whole_or_absent(
    store: Store, tmp_path: Path, points: int
) -> None:
    tokens = list(range(32))
    save_all(store, tokens)
    store.pin("book", NAMESPACE, tokens, chunk_spans(32, 16))
    export_session(store, "book", tmp_path / "book")
    child, pipe = _run(_import_and_die, tmp_path / "dry", tmp_path / "book", 0)
    steps = pipe.recv()
    child.join()
    whole = 0
    for n in range(points):
        root = tmp_path / f"target {n}"
        child, _ = _run(_import_and_die, root, tmp_path / "book", 1 + n * (steps - 1) // (points - 1))
        child.join()
        assert child.exitcode == -signal.SIGKILL
        target = Store(root)
        assert leftovers(root) == []
        assert target.verify() == []
        assert [m.name for m in target.sessions()] in ([], ["book"])
        target.evict(0)
        assert found(target, tokens) == (32 if target.sessions() else 0)
        whole += len(target.sessions())
        target.close()
    assert 0 < whole < points


def _save_for_ever(root: Path, first: int, pipe: Connection) -> None:
    store = Store(root)
    for n in range(first, 10**6):
        save_all(store, [n] * 64)
        pipe.send(n)


@pytest.mark.parametrize("kills", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_a_writer_killed_at_any_moment_loses_nothing_that_it_reported(tmp_path: Path, kills: int) -> None:
    rng, reported, root = random.Random(3), 0, tmp_path / "store"
    for _ in range(kills):
        child, pipe = _run(_save_for_ever, root, reported)
        pipe.poll(30)  # it has begun
        time.sleep(rng.uniform(0.0, 0.05))
        child.kill()
        child.join()
        try:
            while True:
                reported = pipe.recv() + 1
        except EOFError:
            pass
    store = Store(root)
    assert reported >= kills // 2
    assert store.verify() == []
    assert all(found(store, [n] * 64) == 64 for n in range(reported))
    assert leftovers(root) == []
    assert store.usage() == sum(p.stat().st_size for p in chunk_files(store))
    assert list((root / "quarantine").iterdir()) == []
    store.close()


# -- several processes ------------------------------------------------------------------------------------------------


def _save_corpora(root: Path, quota: int | None, rounds: int, pipe: Connection) -> None:
    for _ in range(rounds):
        store = Store(root, quota_bytes=quota)
        for n in range(12):
            save_all(store, [n] * 48)
        store.close()
    pipe.send("done")


def test_two_processes_saving_the_same_corpora_at_once_make_one_copy(tmp_path: Path) -> None:
    root = tmp_path / "store"
    children = [_run(_save_corpora, root, None, 1) for _ in range(2)]
    assert [pipe.recv() for _, pipe in children] == ["done"] * 2
    for child, _ in children:
        child.join()
    store = Store(root)
    assert store.verify() == []
    assert len(chunk_files(store)) == 12 * 3
    assert all(found(store, [n] * 48) == 48 for n in range(12))
    assert leftovers(root) == []
    store.close()


def test_readers_writers_evicters_and_rebuilders_at_once_never_load_anything_wrong(tmp_path: Path) -> None:
    root = tmp_path / "store"
    store = Store(root)
    save_all(store, [100] * 48)
    store.pin("kept", NAMESPACE, [100] * 48, chunk_spans(48, 16))
    quota = store.usage() * 5
    children = [_run(_save_corpora, root, quota, 2) for _ in range(2)]
    loads = 0
    while any(child.is_alive() for child, _ in children):
        for n in range(12):
            loads += found(store, [n] * 48)  # fails on anything wrong
        assert found(store, [100] * 48) == 48
        store.rebuild()
        store.evict(quota // 2)
    assert [pipe.recv() for _, pipe in children] == ["done"] * 2
    assert loads > 0
    assert store.verify() == []
    assert list((root / "quarantine").iterdir()) == []
    store.close()


# -- full disks -------------------------------------------------------------------------------------------------------


def _save_on_a_full_disk(root: Path, room: int, pipe: Connection) -> None:
    """Save where no file may grow beyond `room` bytes: what is refused, and what an earlier save still gives."""
    torch.set_num_threads(1)
    store = Store(root)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        store.save(NAMESPACE, None, [2] * 2000, kv([2] * 2000, 0))
        refused = None
    except StoreError as error:
        refused = error
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    again = found(store, [1] * 48)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    pipe.send((type(refused), str(refused), again))


@pytest.mark.parametrize("room", [0, 3000, 50_000, 200_000, 390_000])
def test_a_full_disk_is_a_clear_error_leaves_nothing_and_still_answers(store: Store, room: int) -> None:
    save_all(store, [1] * 48)
    before = [p.name for p in chunk_files(store)]
    child, pipe = _run(_save_on_a_full_disk, store.root, room)
    kind, text, again = pipe.recv()
    child.join()
    assert kind is StoreFull, text
    assert "could not be written" in text
    assert again == 48
    assert [p.name for p in chunk_files(store)] == before
    assert leftovers(store.root) == []
    assert store.verify() == []


def _save_where_only_the_catalogue_is_full(root: Path, pipe: Connection) -> None:
    store = Store(root)
    for n in range(10):
        save_all(store, [n] * 16)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    room = 16_000  # for a chunk, not for the catalogue's log, which is longer already
    assert chunk_files(store)[0].stat().st_size < room < (root / "catalog.db-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        save_all(store, [99] * 16)
    except StoreError as error:
        pipe.send((str(error), found(store, [3] * 16), found(store, [99] * 16)))


def test_a_catalogue_that_cannot_be_written_is_a_typed_error_and_reading_goes_on(tmp_path: Path) -> None:
    child, pipe = _run(_save_where_only_the_catalogue_is_full, tmp_path / "store")
    text, before, new = pipe.recv()
    child.join()
    assert "catalogue" in text
    assert (before, new) == (16, 16)  # files are believed, whatever the catalogue knows
    store = Store(tmp_path / "store")
    assert len(chunk_files(store)) == 11
    assert store.usage() == sum(p.stat().st_size for p in chunk_files(store))
    store.close()


def test_a_store_that_cannot_be_made_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="could not be written"):
        Store(tmp_path / "file" / "store")
