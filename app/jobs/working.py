"""The work of each kind of job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.jobs.jobs import Job, OnJob
from engine.events import CancelToken

if TYPE_CHECKING:
    from app.library import Library


def work_on(library: Library, job: Job, *, on_progress: OnJob | None = None, token: CancelToken | None = None) -> None:
    """Do a job's work from where it stands, with what its user may see and do.

    Raises JobRunning, Cancelled, and what its kind raises.
    """
    from app import adding
    from app.batch import batches

    if job.user is not None:
        library = library.seen_by(library.users.numbered(job.user))
    if job.kind == batches.KIND:
        batches.answer(library, job, on_progress=on_progress, token=token)
    else:
        adding.add(library.collection(job.collection), job, on_progress=on_progress, token=token)
