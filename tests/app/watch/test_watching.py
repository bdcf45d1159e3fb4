"""Inside one process: folders are watched, changes are read at once, and what is deleted leaves text, index and KV."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from app.library import Library
from app.watch.watch import Changes, Watcher
from engine.store.errors import NoSuchSession
from tests.conftest import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "notes"
    made.mkdir()
    for name in ("a", "b", "c"):
        (made / f"{name}.txt").write_text(f"The keeper of tower {name} is called {name.upper()}na. " * 40)
    return made


def wait(until: Callable[[], object], seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def chunks(library: Library) -> set[str]:
    library.store.flush()
    return {path.name for path in (library.settings.home / "sessions").rglob("*.kv")}


def test_the_first_question_after_a_change_restores_all_of_it(library: Library, folder: Path) -> None:
    changes: list[Changes] = []
    stop = threading.Event()
    watcher = Watcher(library, "x", [folder], settle_s=0.05, warm=True)
    thread = threading.Thread(target=watcher.run, args=(stop,), kwargs={"on_change": changes.append})
    thread.start()
    try:
        wait(lambda: changes)
        collection = library.collection("x")
        first = collection.ask("Who keeps tower a?", max_new_tokens=2)
        assert first.stats.cached_tokens == collection.kept().tokens
        with (folder / "c.txt").open("a") as stream:
            stream.write("Tower d has no keeper. " * 20)
        wait(lambda: len(changes) == 2)
        second = collection.ask("Who keeps tower d?", max_new_tokens=2)
        assert second.stats.cached_tokens == collection.kept().tokens > first.stats.cached_tokens
        assert second.stats.prompt_tokens - second.stats.cached_tokens < 64  # the question alone
    finally:
        stop.set()
        thread.join()


def test_an_edit_reads_on_from_the_chunk_it_is_in_and_old_kv_goes(library: Library, folder: Path) -> None:
    collection = library.collection("x")
    library.settings.chunk_tokens, library.settings.segment_tokens = 256, 512
    watcher = Watcher(library, "x", [folder], settle_s=0.0, warm=True)
    watcher.reconcile()
    watcher._warm()
    before = chunks(library)
    with (folder / "c.txt").open("a") as stream:
        stream.write("Tower d has no keeper. " * 20)
    watcher.reconcile()
    kept = collection.kept()
    assert kept.tokens - kept.kept <= 512  # the tail, from the last whole chunk
    watcher._warm()
    after = chunks(library)
    assert len(before & after) == kept.kept // 256
    prefix = collection.prepare(library.engine, "", "whole", (), None).prefix
    assert len(after) == -(-len(prefix) // 256)  # of earlier states nothing is left


def test_of_edited_and_deleted_files_no_tokens_stay(library: Library, folder: Path) -> None:
    stop, watcher = threading.Event(), Watcher(library, "x", [folder], settle_s=0.0)

    def held() -> int:
        return len(list((library.settings.home / "tokens").rglob("*.tokens")))

    def carried() -> bool:
        documents = library.collection("x").documents()
        return len(documents) == 2 and held() == 0  # none was planned with since: the old ones are gone

    watcher.reconcile()
    assert library.collection("x").plan().corpus_tokens > 0
    assert held() == 3
    for file in ("a.txt", "c.txt"):
        (folder / file).write_text(f"New words of {file}.")
    (folder / "b.txt").unlink()
    thread = threading.Thread(target=watcher.run, args=(stop,), daemon=True)
    thread.start()
    try:
        wait(carried)
    finally:
        stop.set()
        thread.join()


def test_deleting_a_document_deletes_kv_and_sessions_made_of_it(library: Library, folder: Path) -> None:
    collection = library.collection("x")
    library.settings.chunk_tokens, library.settings.segment_tokens = 256, 512
    watcher = Watcher(library, "x", [folder], settle_s=0.0)
    watcher.reconcile()
    collection.pin("named")
    before = chunks(library)
    (folder / "b.txt").unlink()
    assert watcher.reconcile().gone == 1
    after = chunks(library)
    assert after < before
    assert collection.kept().kept >= 256 * len(after) > 0  # what stood before it is still there
    with pytest.raises(NoSuchSession):
        library.store.session("named")
    collection.warm()
    library.delete_collection("x")
    assert chunks(library) == set()


def test_what_was_watched_is_watched_again_until_it_is_forgotten(library: Library, home: Path, folder: Path) -> None:
    library.watching.remember("x", [folder])
    assert library.watching.start(warm=False, settle_s=0.05) == ["x"]
    wait(lambda: library.watches() and len(library.collection("x").documents()) == 3)
    library.close()
    with Library(home, settings=library.settings) as again:
        (folder / "d.txt").write_text("new")
        assert again.watching.start(warm=False, settle_s=0.05) == ["x"]
        wait(lambda: len(again.collection("x").documents()) == 4)
        assert [watch["state"] for watch in again.watches()] == ["watching"]
        again.watching.forget("x")
        assert again.watching.start() == []
        assert [watch["state"] for watch in again.watches()] == ["stopped"]


def test_serve_watches_and_ends_with_the_server(home: Path, folder: Path) -> None:
    for file in folder.iterdir():
        file.write_text(f"The words of {file.name}.")
    environment = {**os.environ, "OMNIBUS_HOME": str(home)}
    command = [sys.executable, "-m", "omnibus", "serve", "--port", "18391", "--watch", str(folder), "--collection", "x"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE)

    def documents() -> int:
        try:
            return len(httpx.get("http://127.0.0.1:18391/api/collections/x/documents").json())
        except (httpx.TransportError, ValueError):
            return 0

    try:
        wait(lambda: documents() == 3)
        (folder / "a.txt").unlink()
        wait(lambda: documents() == 2)
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert b"Watching for collection 'x'" in said
    assert b"Traceback" not in said
