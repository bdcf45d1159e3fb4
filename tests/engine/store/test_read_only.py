"""A folder that cannot be written: what it keeps is served, nothing in it changes, and keeping more is refused."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from engine.errors import StoreError
from engine.prefill.spans import chunk_spans
from engine.store import Store
from engine.store.errors import ReadOnly
from tests.engine.store.samples import NAMESPACE, chunk_files, flip, found, kv, save_all, started

NOBODY = 65534
SPANS = chunk_spans(48, 16)


@pytest.fixture
def root() -> Iterator[Path]:
    """A store's folder that its owner may only read; the owner is not root, who may write anywhere."""
    home = Path(tempfile.mkdtemp(prefix="omnibus-read-only-"))
    home.chmod(0o755)
    folder = home / "store"
    store = Store(folder)
    save_all(store, range(48))
    store.pin("book", NAMESPACE, range(48), SPANS)
    save_all(store, range(300, 316))
    store.close()
    yield folder
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o700)
    shutil.rmtree(home)


def lock(folder: Path) -> dict[str, tuple[int, int]]:
    """Take every right to write, and give it to somebody who is not root; what stands there."""
    for path in [*folder.rglob("*"), folder]:
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        path.chmod(0o500 if path.is_dir() else 0o400)
    return standing(folder)


def standing(folder: Path) -> dict[str, tuple[int, int]]:
    """Sizes and times of all files."""
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(folder.rglob("*")) if p.is_file()}


def _opened(folder: Path, pipe: Connection) -> None:
    if os.geteuid() == 0:
        with tempfile.TemporaryDirectory() as place:  # imports what nobody could not read any more
            store = Store(place)
            save_all(store, range(48))
            found(store, range(48))
            store.close()
        os.setuid(NOBODY)
    store = Store(folder)
    errors = []
    for work in (
        lambda: store.save(NAMESPACE, None, range(100, 116), kv(range(100, 116), 0)),
        lambda: store.save_later(NAMESPACE, None, range(100, 116), kv(range(100, 116), 0)),
        lambda: store.pin("other", NAMESPACE, range(48), SPANS),
        lambda: store.remove("book"),
        lambda: store.evict(0),
    ):
        try:
            work()
            errors.append("")
        except StoreError as error:
            errors.append(f"{type(error).__name__}: {error}")
    names = [m.name for m in store.sessions()]
    got = found(store, range(48)), found(store, range(48)), store.usage(), len(store.verify())
    reason = store.longest_prefix(NAMESPACE, [7] * 16, [(0, 16)]).miss_reason
    apart = Path(store._apart.name) if store._apart else None
    store.close()
    pipe.send((got, names, errors, reason, apart is not None and not apart.exists()))


def asked(folder: Path) -> tuple[tuple[int, int, int, int], list[str], list[str], str, bool]:
    """What somebody who may not write finds."""
    child, pipe = started(_opened, folder)
    assert pipe.poll(60)
    answer: tuple[tuple[int, int, int, int], list[str], list[str], str, bool] = pipe.recv()
    child.join()
    return answer


def test_what_is_kept_is_served_and_nothing_changes(root: Path) -> None:
    before = lock(root)
    size = sum(p.stat().st_size for p in root.glob("chunks/*/*.kv"))
    got, names, errors, reason, swept = asked(root)
    assert got == (48, 48, size, 0)
    assert names == ["book"]
    assert reason == "nothing kept begins with them"
    assert all(errors), errors
    assert errors[0].startswith(ReadOnly.__name__)
    assert errors[1].startswith(ReadOnly.__name__)
    assert standing(root) == before
    assert swept


def test_damage_is_found_though_it_cannot_be_set_aside(root: Path) -> None:
    store = Store(root)
    prefix = store.longest_prefix(NAMESPACE, range(48), SPANS)
    store.close()
    flip(prefix.segments[1].path, prefix.segments[1].payload + 9)
    before = lock(root)
    got, *_ = asked(root)
    assert got[:2] == (16, 16)
    assert got[3] == 1
    assert standing(root) == before


def test_it_may_be_written_again(root: Path) -> None:
    lock(root)
    asked(root)
    for path in [root, *root.rglob("*")]:
        path.chmod(0o700)
    store = Store(root)
    save_all(store, range(200, 216))
    assert len(chunk_files(store)) == 5
    assert found(store, range(48)) == 48
    store.close()
