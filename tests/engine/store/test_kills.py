"""Writers killed at any step leave a chunk or a session whole or absent."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from engine.prefill.spans import chunk_spans
from engine.store import Store, export_session, import_session
from tests.engine.store.samples import (
    NAMESPACE,
    chunk_files,
    found,
    kv,
    leftovers,
    save_all,
    started,
)

STEPS = (os.path.join("engine", "store"), os.path.join("sqlalchemy", "engine", "default.py"))


def save_and_die(root: Path, tokens: list[int], step: int, pipe: Connection) -> None:
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


@pytest.mark.parametrize("points", [48, pytest.param(400, marks=pytest.mark.slow)])
def test_a_writer_killed_at_any_step_of_a_save_leaves_nothing_partial_and_nothing_wrong(
    tmp_path: Path, points: int
) -> None:
    tokens = list(range(32))
    child, pipe = started(save_and_die, tmp_path / "dry", tokens, 0)
    steps = pipe.recv()
    child.join()
    kept: list[int] = []
    for n in range(points):
        root = tmp_path / str(n)
        child, _ = started(save_and_die, root, tokens, 1 + n * (steps - 1) // (points - 1))
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
    child, pipe = started(_import_and_die, tmp_path / "dry", tmp_path / "book", 0)
    steps = pipe.recv()
    child.join()
    whole = 0
    for n in range(points):
        root = tmp_path / f"target {n}"
        child, _ = started(_import_and_die, root, tmp_path / "book", 1 + n * (steps - 1) // (points - 1))
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
        child, pipe = started(_save_for_ever, root, reported)
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
