"""Several processes with one store: one copy, no torn reads."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path

from engine.prefill.spans import chunk_spans
from engine.store import Store
from tests.engine.store.samples import (
    NAMESPACE,
    chunk_files,
    found,
    leftovers,
    save_all,
    started,
)


def _save_corpora(root: Path, quota: int | None, rounds: int, pipe: Connection) -> None:
    for _ in range(rounds):
        store = Store(root, quota_bytes=quota)
        for n in range(12):
            save_all(store, [n] * 48)
        store.close()
    pipe.send("done")


def test_two_processes_saving_the_same_corpora_at_once_make_one_copy(tmp_path: Path) -> None:
    root = tmp_path / "store"
    children = [started(_save_corpora, root, None, 1) for _ in range(2)]
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
    children = [started(_save_corpora, root, quota, 2) for _ in range(2)]
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
