"""A watched collection equals its folders, whatever happens to the files and to the process."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from app.errors import AlreadyWatched
from app.library import Library
from app.watch.watch import Changes, Watcher, on_network
from app.watch.watch_status import statuses
from ingest import FileMissing
from tests.conftest import ROOT
from tests.ingest.office import package

SEED = int(os.environ.get("OMNIBUS_SOAK_SEED", "7"))
SOAK_S = float(os.environ.get("OMNIBUS_SOAK_SECONDS", "12"))
SOAK_FILES = int(os.environ.get("OMNIBUS_SOAK_FILES", "150"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "notes"
    made.mkdir()
    return made


@pytest.fixture
def watcher(library: Library, folder: Path) -> Watcher:
    return Watcher(library, "x", [folder], settle_s=0.0)


def texts(library: Library, name: str = "x") -> dict[str, tuple[str, str]]:
    shelf = library.collection(name).shelf
    kept = {d.path: d.text for d in shelf.documents()}
    return {i.path: (i.status, kept.get(i.path, "")) for i in shelf.infos()}


def test_new_changed_and_deleted_files_are_carried_over(library: Library, watcher: Watcher, folder: Path) -> None:
    (folder / "a.txt").write_text("particular alpha")
    (folder / "b.txt").write_text("beta")
    assert watcher.reconcile() == Changes(read=2)
    assert watcher.reconcile() == Changes()
    (folder / "a.txt").write_text("peculiar alpha")  # same size
    (folder / "b.txt").unlink()
    assert watcher.reconcile() == Changes(read=1, gone=1)
    assert texts(library) == {"notes/a.txt": ("loaded", "peculiar alpha")}
    shelf = library.collection("x").shelf
    assert shelf.search("particular") == []
    assert shelf.search("beta") == []
    assert len(shelf.search("peculiar")) == 1


def test_an_edit_that_hides_its_time_is_seen(library: Library, watcher: Watcher, folder: Path) -> None:
    file = folder / "a.txt"
    file.write_text("one")
    watcher.reconcile()
    before = file.stat()
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    watcher.reconcile()
    assert texts(library)["notes/a.txt"][1] == "two"


def test_a_move_is_known_as_one(library: Library, watcher: Watcher, folder: Path) -> None:
    (folder / "a.txt").write_text("words")
    watcher.reconcile()
    (folder / "sub").mkdir()
    (folder / "a.txt").rename(folder / "sub" / "b.txt")
    assert watcher.reconcile() == Changes(read=1, moved=1, gone=1)
    assert list(texts(library)) == ["notes/sub/b.txt"]


def test_what_becomes_ignored_leaves(library: Library, watcher: Watcher, folder: Path) -> None:
    (folder / "a.log").write_text("words")
    watcher.reconcile()
    (folder / ".gitignore").write_text("*.log\n")
    watcher.reconcile()
    assert list(texts(library)) == ["notes/.gitignore"]


def test_members_follow_their_archive(library: Library, watcher: Watcher, folder: Path) -> None:
    (folder / "a.zip").write_bytes(package({"one.txt": "1", "two.txt": "2"}))
    watcher.reconcile()
    (folder / "a.zip").write_bytes(package({"two.txt": "2", "three.txt": "3"}))
    watcher.reconcile()
    assert list(texts(library)) == ["notes/a.zip/three.txt", "notes/a.zip/two.txt"]
    (folder / "a.zip").unlink()
    watcher.reconcile()
    assert texts(library) == {}


def test_adding_an_archive_again_drops_what_it_no_longer_holds(library: Library, folder: Path) -> None:
    for members in ({"one.txt": "1", "two.txt": "2"}, {"two.txt": "2"}):
        (folder / "a.zip").write_bytes(package(members))
        library.collection("x").add(folder)
    assert list(texts(library)) == ["notes/a.zip/two.txt"]


def test_a_file_is_read_when_it_keeps_still(library: Library, folder: Path) -> None:
    watcher = Watcher(library, "x", [folder], settle_s=0.3)
    for n in range(4):
        (folder / "a.txt").write_text("x" * (n + 1))
        assert watcher.reconcile().pending == 1
        time.sleep(0.1)
    time.sleep(0.4)
    assert watcher.reconcile() == Changes(read=1)


def test_a_root_that_is_gone_empties_nothing(library: Library, watcher: Watcher, folder: Path) -> None:
    (folder / "a.txt").write_text("words")
    watcher.reconcile()
    shutil.move(folder, folder.with_name("away"))
    with pytest.raises(FileMissing):
        watcher.reconcile()
    assert list(texts(library)) == ["notes/a.txt"]


def test_names_that_are_no_text_and_links_are_kept_with_a_verdict(
    library: Library, watcher: Watcher, folder: Path
) -> None:
    with open(os.fsencode(folder) + b"/\xff.txt", "wb") as stream:
        stream.write(b"words")
    (folder / "dead").symlink_to(folder / "nowhere")
    watcher.reconcile()
    assert watcher.reconcile() == Changes()
    assert sorted(status for status, _ in texts(library).values()) == ["loaded", "skipped"]


def test_one_watch_per_collection_and_its_status(library: Library, folder: Path) -> None:
    (folder / "a.txt").write_text("words")
    stop, changed = threading.Event(), threading.Event()
    first = Watcher(library, "x", [folder], settle_s=0.05)
    thread = threading.Thread(target=first.run, args=(stop,), kwargs={"on_change": lambda _: changed.set()})
    thread.start()
    try:
        assert changed.wait(20)
        (status,) = statuses(library.settings.home)
        assert (status["state"], status["collection"]) == ("watching", "x")
        with pytest.raises(AlreadyWatched):
            Watcher(library, "x", [folder]).run(stop)
        changed.clear()
        (folder / "b.txt").write_text("more")  # well before the periodic comparison, an event tells
        assert changed.wait(20)
    finally:
        stop.set()
        thread.join()
    assert [status["state"] for status in statuses(library.settings.home)] == ["stopped"]
    assert not on_network(folder)


def start(home: Path, folder: Path) -> subprocess.Popen[bytes]:
    """`omnibus watch` as a process of its own."""
    command = [sys.executable, "-m", "omnibus", "watch", str(folder), "-c", "x", "--no-warm", "--settle", "0.1"]
    environment = {**os.environ, "OMNIBUS_HOME": str(home)}
    return subprocess.Popen(
        [*command, "--every", "5"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )


def disturb(folder: Path, draw: random.Random) -> None:
    """Create, edit, append to, move or delete a file."""
    files = [p for p in folder.rglob("*") if p.is_file()]
    target = folder / f"d{draw.randrange(12)}" / f"f{draw.randrange(10_000)}.txt"
    target.parent.mkdir(exist_ok=True)
    match draw.randrange(5) if files else 0:
        case 0:
            target.write_text(f"made {draw.random()}\n" * draw.randrange(1, 60))
        case 1:
            draw.choice(files).write_text(f"edited {draw.random()}\n")
        case 2:
            with draw.choice(files).open("a") as stream:
                stream.write(f"appended {draw.random()}\n")
        case 3:
            draw.choice(files).rename(target)
        case _:
            draw.choice(files).unlink()


def test_after_random_work_and_three_kills_the_collection_is_what_a_fresh_one_would_be(
    library: Library, folder: Path, home: Path
) -> None:
    """OMNIBUS_SOAK_SECONDS and OMNIBUS_SOAK_FILES make it longer."""
    draw = random.Random(SEED)
    for n in range(SOAK_FILES):
        (folder / f"d{n % 12}").mkdir(exist_ok=True)
        (folder / f"d{n % 12}" / f"s{n}.txt").write_text(f"start {n} {draw.random()}\n" * 5)
    library.sessions  # noqa: B018 (makes the database before the processes do)
    kills = [SOAK_S * share for share in (0.25, 0.5, 0.75)]
    process = start(home, folder)
    try:
        began = time.monotonic()
        while (passed := time.monotonic() - began) < SOAK_S:
            disturb(folder, draw)
            if kills and passed > kills[0] + draw.random():
                kills.pop(0)
                process.send_signal(signal.SIGKILL)
                process.wait()
                disturb(folder, draw)
                process = start(home, folder)
            time.sleep(draw.random() * 0.06)
        expected = library.collection("fresh")
        expected.add(folder)
        deadline = time.monotonic() + 60
        while texts(library) != texts(library, "fresh") and time.monotonic() < deadline:
            time.sleep(0.5)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert not kills
    assert texts(library) == texts(library, "fresh")
    for word in ("made", "edited", "appended"):
        hits = library.collection("x").shelf.search(word, limit=10_000)
        assert sorted(h.path for h in hits) == sorted(h.path for h in expected.shelf.search(word, limit=10_000))
    assert json.dumps(statuses(home))
