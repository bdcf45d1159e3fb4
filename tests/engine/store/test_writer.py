"""Saving behind the answer's back: the same chunks, never in the way, and never an error of the answer."""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StoreError
from engine.prefill.spans import chunk_spans
from engine.store import Store
from engine.store.draft import Draft
from tests.engine.store.samples import NAMESPACE, Layers, chunk_files, forkserver, found, kv, leftovers, save_all


def save_later(store: Store, tokens: list[int]) -> list[str]:
    """Have a whole context saved; its chunk keys."""
    keys: list[str] = []
    for start, end in chunk_spans(len(tokens), 16):
        keys.append(store.save_later(NAMESPACE, keys[-1] if keys else None, tokens[start:end], kv(tokens[:end], start)))
    return keys


class Gate:
    """Holds chunk files back until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open, write = threading.Event(), Draft.write

        def wait_and_write(draft: Draft, path: Path) -> None:
            self.open.wait(60)
            write(draft, path)

        monkeypatch.setattr(Draft, "write", wait_and_write)


def test_what_is_saved_later_is_what_saving_now_would_keep(store: Store, tmp_path: Path) -> None:
    other, tokens = Store(tmp_path / "other"), list(range(40))
    assert save_later(store, tokens) == save_all(other, tokens)
    store.flush()
    assert [p.read_bytes() for p in chunk_files(store)] == [p.read_bytes() for p in chunk_files(other)]
    assert (store.saving.saved, store.saving.failed, store.saving.waiting) == (3, 0, 0)
    other.close()


def test_saving_returns_at_once_and_a_lookup_waits_for_its_own_chunks_only(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_all(store, [1] * 16)
    gate = Gate(monkeypatch)
    save_later(store, [2] * 32)
    assert store.saving.waiting == 2
    assert found(store, [1] * 16) == 16  # not held up
    threading.Timer(0.2, gate.open.set).start()
    assert found(store, [2] * 32) == 32  # waited
    assert store.saving.waiting == 0


def reason(store: Store, tokens: list[int]) -> str | None:
    return store.longest_prefix(NAMESPACE, tokens, chunk_spans(len(tokens), 16)).miss_reason


def test_a_question_asked_while_others_are_saved_hears_that_they_are(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    save_later(store, [2] * 32)
    assert reason(store, [1] * 16) == "nothing is kept yet, 2 other chunks are being saved"
    gate.open.set()
    store.flush()
    assert reason(store, [1] * 16) == "nothing kept begins with them"


def test_a_chunk_handed_over_during_the_lookup_is_said_to_be_on_its_way(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_all(store, [1] * 16)
    gate, wait = Gate(monkeypatch), store._writer.wait
    with monkeypatch.context() as racing:
        racing.setattr(store._writer, "wait", lambda keys: save_later(store, [1] * 32))  # too late to be waited for
        assert reason(store, [1] * 32) == "tokens from 16 on are not kept: their save is still on its way"
        racing.setattr(store._writer, "wait", lambda keys: save_later(store, [3] * 16))
        assert reason(store, [3] * 16) == "they are not kept: their save is still on its way"
    gate.open.set()
    wait()
    assert reason(store, [1] * 32) is None


def test_a_miss_tells_why_the_save_was_given_up_until_it_succeeds(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(draft: Draft, path: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Draft, "write", refuse)
        save_later(store, [5] * 16)
        why = "they are not kept: their save failed: A KV chunk could not be written: No space left on device."
        assert reason(store, [5] * 16) == why
    save_later(store, [5] * 16)
    assert reason(store, [5] * 16) is None


def test_what_the_caller_does_to_its_tensors_afterwards_does_not_matter(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    layers: Layers = kv([3] * 16, 0)
    store.save_later(NAMESPACE, None, [3] * 16, layers)
    for keys, values in layers:
        keys.zero_()
        values.zero_()
    gate.open.set()
    assert found(store, [3] * 16) == 16  # compares with what they were


def test_a_full_queue_makes_saving_wait_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.store.store.QUEUE_BYTES", 1)
    store, gate = Store(tmp_path / "store"), Gate(monkeypatch)
    saver = threading.Thread(target=save_later, args=(store, [4] * 64))
    saver.start()
    until = time.monotonic() + 30
    while store.saving.waiting != 1 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.2)
    assert store.saving.waiting == 1
    assert saver.is_alive()
    gate.open.set()
    saver.join()
    assert found(store, [4] * 64) == 64
    store.close()


def test_what_cannot_be_saved_is_logged_once_counted_and_no_error(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(draft: Draft, path: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Draft, "write", refuse)
        save_later(store, [5] * 64)
        store.flush()
    assert (store.saving.saved, store.saving.failed) == (0, 4)
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
        "The session store did not take a KV chunk: A KV chunk could not be written: No space left on device."
    ]
    assert found(store, [5] * 64) == 0
    save_later(store, [5] * 64)
    assert found(store, [5] * 64) == 64
    assert (store.saving.saved, store.saving.failed, store.saving.error) == (4, 4, "")


def test_a_fault_of_ours_in_the_thread_neither_hangs_nor_breaks_the_answer(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Draft, "write", lambda *_: 1 / 0)
        save_later(store, [6] * 16)
        assert found(store, [6] * 16) == 0
    assert store.saving.error == "division by zero"
    assert "Traceback" in caplog.text


def test_nothing_is_kept_behind_a_chunk_that_was_not(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write, refusals = Draft.write, [StoreError("no")]

    def refuse_the_first(draft: Draft, path: Path) -> None:
        if refusals:
            raise refusals.pop()
        write(draft, path)

    monkeypatch.setattr(Draft, "write", refuse_the_first)
    save_later(store, [7] * 48)
    store.flush()
    assert chunk_files(store) == []
    assert store.saving.failed == 3
    assert store.saving.error == "The chunk before it was not kept."


def test_tensors_that_do_not_fit_are_refused_at_once(store: Store) -> None:
    with pytest.raises(StoreError, match="was not kept"):
        store.save_later(NAMESPACE, None, range(15), kv(range(16), 0))


def test_pinning_verifying_and_closing_wait_for_what_is_being_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, gate = Store(tmp_path / "store", quota_bytes=1 << 30), Gate(monkeypatch)
    save_later(store, [8] * 48)
    threading.Timer(0.2, gate.open.set).start()
    assert len(store.pin("eight", NAMESPACE, [8] * 48, chunk_spans(48, 16)).keys) == 3
    save_later(store, [9] * 48)
    assert store.verify() == []
    save_later(store, [10] * 48)
    store.close()
    again = Store(tmp_path / "store")
    assert [found(again, [n] * 48) for n in (8, 9, 10)] == [48] * 3
    again.close()


def _save_later_for_ever(root: Path, first: int, pipe: Connection) -> None:
    store = Store(root)
    for n in range(first, 10**6):
        save_later(store, [n] * 64)
        if n % 3 == 0:
            store.flush()
            pipe.send(n)


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_a_kill_loses_at_most_what_was_in_flight(tmp_path: Path, kills: int) -> None:
    rng, flushed, root = random.Random(7), 0, tmp_path / "store"
    for _ in range(kills):
        mine, theirs = forkserver.Pipe(duplex=False)
        child: Any = forkserver.Process(target=_save_later_for_ever, args=(root, flushed, theirs))
        child.start()
        theirs.close()
        mine.poll(30)
        time.sleep(rng.uniform(0.0, 0.05))
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        try:
            while True:
                flushed = mine.recv() + 1
        except EOFError:
            pass
    store = Store(root)
    assert flushed >= kills // 2
    assert store.verify() == []
    assert all(found(store, [n] * 64) == 64 for n in range(flushed))
    assert leftovers(root) == []
    store.close()
