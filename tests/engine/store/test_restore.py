"""Restoring: whatever the buffers, threads and damage, what is said to be there is there and right."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.errors import CorruptChunk
from engine.prefill import chunk_spans
from engine.store import Prefix, Store
from engine.store.codecs import QUANTISING
from engine.store.restore import Restorer
from engine.store.segment import Segment
from tests.engine.store.samples import NAMESPACE, chunk_path, flip, found, kv, restored, same, save_all

SPANS = chunk_spans(100, 16)


@pytest.fixture
def prefix(store: Store) -> Prefix:
    save_all(store, range(100))
    return store.longest_prefix(NAMESPACE, range(100), SPANS)


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("rows", [1, 2, 7, 16, 17, 95, 96, 1000])
def test_a_buffer_smaller_than_a_layer_is_slower_and_never_truncates(
    store: Store, prefix: Prefix, rows: int, threads: int
) -> None:
    store._lookup.restorer = Restorer(threads=threads, buffer_bytes=rows * 16 + 3)  # a layer has 96 rows of 16 bytes
    assert found(store, range(100)) == 100


@pytest.mark.parametrize("name", QUANTISING)
def test_a_quantised_layer_comes_in_runs_too(store: Store, name: str) -> None:
    namespace = replace(NAMESPACE, codec=name)
    layers = kv(range(16), 0)
    store.save(namespace, None, range(16), layers)
    store._lookup.restorer = Restorer(buffer_bytes=7 * QUANTISING[name].row_bytes(8))
    assert same(restored(store, store.longest_prefix(namespace, range(16), [(0, 16)]), namespace), layers)


def test_progress_counts_verified_tokens_in_the_callers_thread(store: Store, prefix: Prefix) -> None:
    layers = [(torch.empty(3, 100, 8).bfloat16(), torch.empty(3, 100, 8).bfloat16()) for _ in range(2)]
    said: list[tuple[int, int]] = []
    assert store.restore(prefix, layers, on_tokens=lambda n: said.append((n, threading.get_ident()))) == 100
    assert said == [(end, threading.get_ident()) for _, end in SPANS]


def test_what_progress_raises_ends_it_and_the_next_restore_is_whole(store: Store, prefix: Prefix) -> None:
    def stop(tokens: int) -> None:
        if tokens >= 32:
            raise KeyboardInterrupt

    for _ in range(20):
        layers = [(torch.empty(3, 100, 8).bfloat16(), torch.empty(3, 100, 8).bfloat16()) for _ in range(2)]
        with pytest.raises(KeyboardInterrupt):
            store.restore(prefix, layers, on_tokens=stop)
    assert found(store, range(100)) == 100
    assert not [t for t in threading.enumerate() if t.name.startswith("omnibus-restore")]


def test_a_layer_damaged_anywhere_ends_the_prefix_before_its_chunk(store: Store, prefix: Prefix) -> None:
    rng, paths = random.Random(11), [chunk_path(store, s.key) for s in prefix.segments]
    good = [path.read_bytes() for path in paths]
    for _ in range(60):
        damaged = sorted(rng.sample(range(7), rng.randint(1, 3)))
        for n in damaged:
            flip(paths[n], rng.randrange(prefix.segments[n].payload, len(good[n])), rng.randrange(8))
        store._lookup.restorer = Restorer(threads=rng.randint(1, 4), buffer_bytes=rng.randint(16, 2000))
        assert found(store, range(100)) == 16 * damaged[0]
        for path, data in zip(paths, good, strict=True):
            path.write_bytes(data)
    assert found(store, range(100)) == 100


def test_a_chunk_written_anew_in_the_middle_is_restored_as_it_is_now(store: Store, prefix: Prefix) -> None:
    middle = prefix.segments[3]
    chunk_path(store, middle.key).unlink()
    other = kv([5] * 64, 48)
    store.save(NAMESPACE, middle.parent, middle.tokens, other)
    got = restored(store, prefix)
    assert got[0][0].shape[1] == 100
    assert same([(k[:, 48:64], v[:, 48:64]) for k, v in got], other)


def test_a_disk_that_fails_while_reading_gives_what_came_before(
    store: Store, prefix: Prefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Segment.rows

    def fail(segment: Segment, descriptor: int, i: int, take: object) -> Iterator[tuple[int, torch.Tensor]]:
        if segment.key == prefix.segments[2].key and i == 1:
            raise OSError(5, "Input/output error")
        return rows(segment, descriptor, i, take)  # type: ignore[arg-type]

    with monkeypatch.context() as failing:
        failing.setattr(Segment, "rows", fail)
        assert found(store, range(100)) == 32
    assert found(store, range(100)) == 100  # it was not set aside


def test_several_restores_at_once_share_the_buffers(store: Store, prefix: Prefix) -> None:
    results: list[int] = []
    workers = [threading.Thread(target=lambda: results.append(found(store, range(100)))) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == [100] * 6


def test_one_layer_read_alone_is_checked(store: Store, prefix: Prefix) -> None:
    path: Path = prefix.segments[0].path
    flip(path, prefix.segments[0].payload + 5)
    with pytest.raises(CorruptChunk, match="layer 0 does not match"):
        prefix.segments[0].layer(0)
    assert torch.equal(prefix.segments[0].layer(1)[0], kv(range(16), 0)[1][0])


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["bfloat16", *QUANTISING])
def test_a_gpu_gets_what_a_cpu_gets(store: Store, name: str) -> None:
    namespace = replace(NAMESPACE, codec=name)
    layers = [(k.cuda(), v.cuda()) for k, v in kv(range(16), 0)]
    store.save(namespace, None, range(16), layers)
    prefix = store.longest_prefix(namespace, range(16), [(0, 16)])
    places = [(torch.empty_like(k), torch.empty_like(v)) for k, v in layers]
    store._lookup.restorer = Restorer(buffer_bytes=7 * 20)
    assert store.restore(prefix, places) == 16
    assert same([(k.cpu(), v.cpu()) for k, v in places], [(k.cpu(), v.cpu()) for k, v in layers])
    assert same([(k.cpu(), v.cpu()) for k, v in places], restored(store, prefix, namespace))
