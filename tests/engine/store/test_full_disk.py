"""Disks that are full and folders that cannot be made: a typed error, nothing left behind, reading goes on."""

from __future__ import annotations

import resource
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch

from engine.errors import StoreError
from engine.store import Store
from engine.store.errors import StoreFull
from tests.engine.store.samples import (
    NAMESPACE,
    chunk_files,
    found,
    kv,
    leftovers,
    save_all,
    started,
)


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
    child, pipe = started(_save_on_a_full_disk, store.root, room)
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
    child, pipe = started(_save_where_only_the_catalogue_is_full, tmp_path / "store")
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
