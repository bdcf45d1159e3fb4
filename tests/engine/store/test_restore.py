"""Restoring: whatever the buffers, threads and damage, what is said to be there is there and right."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.errors import CorruptChunk
from engine.prefill.spans import chunk_spans
from engine.store import Prefix, Store, restore
from engine.store.codecs import QUANTISING
from engine.store.lane import Lane
from engine.store.restore import Restorer
from engine.store.segment import Segment
from tests.engine.store.samples import NAMESPACE, chunk_path, flip, found, kv, one_layer, restored, same, save_all

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


class LateLane(Lane):
    """A GPU's copies, as late as they can be: each is done when its thread waits for it, and not before."""

    def __init__(self, device: torch.device, ring: int, buffer_bytes: int) -> None:
        super().__init__(device, ring, buffer_bytes)
        self.begun: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.noted = [0] * ring

    def copy(self, target: torch.Tensor, source: torch.Tensor) -> None:
        self.begun.append((target, source))

    def _mark(self) -> None:
        self.noted[self._turn] = len(self.begun)

    def _wait(self) -> None:
        now = self.noted[self._turn]
        for target, source in self.begun[:now]:
            target.copy_(source)
        self.begun = self.begun[now:]
        self.noted = [max(0, n - now) for n in self.noted]


@pytest.mark.parametrize("ring", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 7, 17, 96, 1000])
def test_no_buffer_is_filled_again_before_what_it_held_has_arrived(
    store: Store, prefix: Prefix, monkeypatch: pytest.MonkeyPatch, rows: int, ring: int
) -> None:
    monkeypatch.setattr(restore, "Lane", LateLane)
    store._lookup.restorer = Restorer(threads=2, buffer_bytes=rows * 16, ring=ring)
    for _ in range(3):
        assert found(store, range(100)) == 100


def test_that_test_sees_a_lane_that_does_not_wait(
    store: Store, prefix: Prefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hasty(LateLane):
        def take(self) -> torch.Tensor:
            self._turn = (self._turn + 1) % len(self._buffers)
            return self._buffers[self._turn]

    monkeypatch.setattr(restore, "Lane", Hasty)
    store._lookup.restorer = Restorer(threads=2, buffer_bytes=7 * 16)
    with pytest.raises(AssertionError, match="wrong KV"):
        found(store, range(100))


def test_damage_seen_while_copies_are_on_their_way_gives_the_chunks_before_it(
    store: Store, prefix: Prefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore, "Lane", LateLane)
    store._lookup.restorer = Restorer(threads=3, buffer_bytes=7 * 16)
    flip(chunk_path(store, prefix.segments[4].key), prefix.segments[4].payload + 40)
    assert found(store, range(100)) == 64


def test_a_thread_that_fails_ends_the_restore_and_leaves_nothing_behind(
    store: Store, prefix: Prefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a GPU's error would: raised once, every lane and file given back, and the next restore is whole."""

    class Failing(LateLane):
        left = 9

        def copy(self, target: torch.Tensor, source: torch.Tensor) -> None:
            Failing.left -= 1
            if Failing.left == 0:
                raise RuntimeError("CUDA error: unspecified launch failure")
            super().copy(target, source)

    monkeypatch.setattr(restore, "Lane", Failing)
    store._lookup.restorer = restorer = Restorer(threads=3, buffer_bytes=7 * 16)
    before = open_files()
    for _ in range(20):
        Failing.left = 9
        with pytest.raises(RuntimeError, match="unspecified launch failure"):
            found(store, range(100))
        assert restorer._lanes[torch.device("cpu")].qsize() == 3
        assert open_files() == before
        assert not [t for t in threading.enumerate() if t.name.startswith("omnibus-restore")]
    Failing.left = -1
    assert found(store, range(100)) == 100


def test_staging_is_allocated_once(store: Store, prefix: Prefix, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Lane] = []

    class Counted(Lane):
        def __init__(self, device: torch.device, ring: int, buffer_bytes: int) -> None:
            super().__init__(device, ring, buffer_bytes)
            made.append(self)

    monkeypatch.setattr(restore, "Lane", Counted)
    store._lookup.restorer = Restorer(threads=3)
    for _ in range(5):
        assert found(store, range(100)) == 100
    assert len(made) == 3


def open_files() -> set[str]:
    """The chunk files that this process has open."""
    links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
    return {str(link.readlink()) for link in links if link.is_symlink() and str(link.readlink()).endswith(".kv")}


def test_one_layer_read_alone_is_checked(store: Store, prefix: Prefix) -> None:
    path: Path = prefix.segments[0].path
    flip(path, prefix.segments[0].payload + 5)
    with pytest.raises(CorruptChunk, match="layer 0 does not match"):
        one_layer(prefix.segments[0], 0)
    assert torch.equal(one_layer(prefix.segments[0], 1)[0], kv(range(16), 0)[1][0])


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["bfloat16", *QUANTISING])
def test_a_gpu_gets_what_a_cpu_gets(store: Store, name: str) -> None:
    namespace = replace(NAMESPACE, codec=name)
    layers = [(k.cuda(), v.cuda()) for k, v in kv(range(16), 0)]
    store.save(namespace, None, range(16), layers)
    prefix = store.longest_prefix(namespace, range(16), [(0, 16)])
    for threads, ring in [(1, 1), (1, 2), (4, 2), (4, 3)]:
        places = [(torch.zeros_like(k), torch.zeros_like(v)) for k, v in layers]
        store._lookup.restorer = Restorer(threads=threads, buffer_bytes=7 * 20, ring=ring)
        assert store.restore(prefix, places) == 16
        assert same([(k.cpu(), v.cpu()) for k, v in places], [(k.cpu(), v.cpu()) for k, v in layers])
    assert same([(k.cpu(), v.cpu()) for k, v in places], restored(store, prefix, namespace))
