"""Jobs tell how far they are, stop when asked from anywhere, and go on after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app import adding
from app.errors import JobRunning, NoSuchJob
from app.jobs.jobs import Job
from app.library import Library
from app.settings import Settings
from engine.errors import Cancelled
from engine.events import CancelToken
from ingest import FileMissing
from tests.conftest import ROOT

FILES = 170


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "notes"
    made.mkdir()
    for n in range(FILES):
        (made / f"f{n:03}.txt").write_text(f"number {n}\n" * 20)
    return made


def test_adding_tells_files_bytes_and_the_time_left(library: Library, folder: Path) -> None:
    seen: list[Job] = []
    report = library.collection("x").add(folder, on_progress=seen.append)
    assert len(report.loaded) == FILES
    assert [job.files_done for job in seen] == [50, 100, 150, FILES]
    assert all(job.eta_seconds is not None for job in seen)
    (job,) = library.jobs()
    assert job == library.job(job.id)
    assert (job.state, job.files_done, job.files_total) == ("done", FILES, FILES)
    assert job.bytes_done == job.bytes_total == sum(file.stat().st_size for file in folder.iterdir())
    assert job.tokens is None  # no model was loaded


def test_tokens_are_counted_where_the_model_is_loaded(library: Library, folder: Path) -> None:
    assert library.engine
    library.collection("x").add(folder)
    (job,) = library.jobs()
    assert job.tokens == library.collection("x").plan().corpus_tokens


def test_a_cancelled_job_keeps_what_it_read_and_the_same_call_goes_on(library: Library, folder: Path) -> None:
    collection = library.collection("x")
    with pytest.raises(Cancelled):
        collection.add(folder, on_progress=lambda job: library.cancel_job(job.id) and None)
    (job,) = library.jobs()
    assert (job.state, job.files_done) == ("cancelled", 100)
    assert len(collection.documents()) == 100
    (folder / "f000.txt").write_text("another text")  # changed meanwhile: read again
    seen: list[Job] = []
    report = collection.add(folder, on_progress=seen.append)
    assert [job.files_done for job in seen] == [149, FILES]
    assert len(report.loaded) == len(collection.documents()) == FILES
    assert [job.state for job in library.jobs()] == ["done"]
    assert collection.shelf.document("notes/f000.txt").text == "another text"


def test_a_killed_job_is_interrupted_and_goes_on(library: Library, home: Path, folder: Path) -> None:
    for n in range(3000):
        (folder / f"g{n:04}.txt").write_text(f"more {n}\n" * 10)
    environment = {**os.environ, "OMNIBUS_HOME": str(home)}
    library.collections()  # makes the database before the process does
    process = subprocess.Popen(
        [sys.executable, "-m", "omnibus", "add", str(folder), "-c", "x"], cwd=ROOT, env=environment
    )
    deadline = time.monotonic() + 60
    while (not library.jobs() or not library.jobs()[0].files_done) and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(JobRunning):
        adding.add(library.collection("x"), library.jobs()[0])
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(1.1)
    (job,) = library.jobs()
    assert (job.state, job.eta_seconds) == ("interrupted", None)
    assert 0 < job.files_done < job.files_total == FILES + 3000
    assert library.resume_job(job.id).id == job.id
    while library.job(job.id).state != "done" and time.monotonic() < deadline + 60:
        time.sleep(0.1)
    assert len(library.collection("x").documents()) == FILES + 3000


def test_closing_the_library_leaves_a_job_to_be_resumed(home: Path, folder: Path) -> None:
    with Library(settings=Settings(home=home)) as first:
        first.collection("x").start_add(folder)
    time.sleep(1.1)
    with Library(settings=Settings(home=home)) as second:
        assert second.jobs()[0].state in ("interrupted", "done")  # a small job may have been quicker
        assert len(second.collection("x").add(folder).loaded) == FILES


def test_what_cannot_start_makes_no_job(library: Library, tmp_path: Path) -> None:
    with pytest.raises(FileMissing):
        library.collection("x").add(tmp_path / "nowhere")
    assert library.jobs() == []
    with pytest.raises(NoSuchJob):
        library.job(7)
    token = CancelToken()
    token.cancel()
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(Cancelled):
        library.collection("x").add(tmp_path / "a.txt", cancel=token)
