"""Batches that a library answers in the background: jobs whose questions, settings and rows lie in its home."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.batch.batch_file import run_batch
from app.batch.batch_progress import BatchProgress
from app.errors import NoSuchJob
from app.jobs.jobs import DoneFile, Job, OnJob
from app.planning.planner import ModeChoice
from engine.decode.sampling import Sampling
from engine.events import CancelToken

if TYPE_CHECKING:
    from app.library import Library

KIND = "batch"


def submit(
    library: Library,
    questions: Sequence[dict[str, Any]],
    *,
    collection: str = "default",
    mode: ModeChoice = "auto",
    sampling: Sampling | None = None,
) -> Job:
    """Start to answer rows of questions (app.batch.batch_file) on a thread; a job counts them as files.

    A server that was killed goes on with it at its next start; so does `omnibus jobs resume`.
    """
    drawn = library.settings.drawn(sampling)
    job = library.job_table.create(KIND, collection, [], library.viewer_id)
    folder = _folder(library, job.id)
    forget_old(library)
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps({"mode": mode, "sampling": asdict(drawn)}), encoding="utf-8")
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in questions)
    (folder / "questions.jsonl").write_text("".join(lines), encoding="utf-8")
    return library.resume_job(job.id)


def answer(library: Library, job: Job, *, on_progress: OnJob | None = None, token: CancelToken | None = None) -> None:
    """Do the job's work, or what an earlier run left of it; raises Cancelled, JobRunning, BatchFileProblem."""
    folder = _folder(library, job.id)
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    sampling = settings["sampling"]
    with library.job_table.run(job.id, token) as run:
        questions = total(library, job.id)
        before = sum(1 for _ in rows(library, job.id))
        run.start(files=questions, size=questions)
        run.resumed(files=before, size=before)

        def count(progress: BatchProgress) -> None:
            row = before + progress.done - 1
            run.step([DoneFile(str(row), "", ())], size=1, tokens=None)
            if on_progress:
                on_progress(library.job(job.id))

        run_batch(
            library,
            folder / "questions.jsonl",
            folder / "answers.jsonl",
            collection=job.collection,
            mode=settings["mode"],
            sampling=Sampling(**{**sampling, "stop": tuple(sampling["stop"])}),
            on_progress=count,
            cancel=token,
        )


def total(library: Library, number: int) -> int:
    """How many questions a batch has; raises NoSuchJob."""
    library.job(number)
    try:
        return (_folder(library, number) / "questions.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        raise NoSuchJob(number) from None


def rows(library: Library, number: int) -> Iterator[str]:
    """The rows so far as JSON lines, in the order in which they were finished, at the end in the questions' order.

    Raises NoSuchJob.
    """
    library.job(number)
    folder = _folder(library, number)
    if not folder.exists():
        raise NoSuchJob(number)
    return _lines(folder / "answers.jsonl", folder / "answers.jsonl.partial")


def interrupted(library: Library) -> list[Job]:
    """Batches that a server left unfinished when it ended."""
    return [job for job in library.jobs() if job.kind == KIND and job.state == "interrupted"]


def _lines(done: Path, partial: Path) -> Iterator[str]:
    try:
        text, skipped = done.read_text(encoding="utf-8"), 0
    except FileNotFoundError:
        try:
            text, skipped = partial.read_text(encoding="utf-8", errors="replace"), 1  # its first line names the run
        except FileNotFoundError:
            return
    whole, _, _ = text.rpartition("\n")
    yield from (f"{line}\n" for line in whole.split("\n")[skipped:] if line)


def _folder(library: Library, number: int) -> Path:
    return library.settings.home / "batches" / str(number)


def forget_old(library: Library) -> None:
    """Remove what belongs to jobs that are no longer remembered."""
    known = {str(job.id) for job in library.job_table.all()}
    for old in _folder(library, 0).parent.glob("*"):
        if old.name not in known:
            shutil.rmtree(old)
