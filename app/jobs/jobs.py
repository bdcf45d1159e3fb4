"""Jobs: long work that tells how far it is, can be stopped from any process, and goes on after a kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from filelock import FileLock, Timeout
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, sessionmaker

from app.database.models import JobFileRow, JobRow
from app.errors import JobRunning, NoSuchJob, explain
from app.jobs.locks import held
from engine.errors import Cancelled
from engine.events import CancelToken

if TYPE_CHECKING:
    from app.users import User

State = Literal["running", "done", "cancelled", "failed", "interrupted"]
"""interrupted: its process has gone; it can be resumed, as a cancelled or a failed one can."""
KEPT = 200
"""Finished jobs that are remembered."""


@dataclass(frozen=True, slots=True)
class Job:
    """Work and how far it is; times in UTC. `tokens` is null where no model was loaded to count them, `eta_seconds`
    where nothing can be said yet; `at` is the file that was read last, `user` the number of who began it."""

    id: int
    kind: str
    collection: str
    arguments: tuple[str, ...]
    state: State
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int
    tokens: int | None
    at: str
    created: datetime
    updated: datetime
    eta_seconds: float | None
    error: str | None
    user: int | None = None

    def seen_by(self, viewer: User | None) -> bool:
        """Whether a user sees it: their own, admins also what others added. No viewer sees all."""
        if viewer is None or self.user == viewer.id:
            return True
        return viewer.is_admin and (self.user is None or self.kind == "add")


@dataclass(frozen=True, slots=True)
class DoneFile:
    """A file that a job has done with."""

    source: str
    stamp: str
    paths: tuple[str, ...]


class Jobs:
    """The jobs of a library, in its database; locks in `folder` tell which have a process at work."""

    def __init__(self, sessions: sessionmaker[Session], folder: Path) -> None:
        self._sessions, self._folder = sessions, folder

    def all(self) -> list[Job]:
        """Every job that is remembered, newest first."""
        with self._sessions() as db:
            return [self._job(row) for row in db.scalars(select(JobRow).order_by(JobRow.id.desc()))]

    def get(self, number: int) -> Job:
        """One job; raises NoSuchJob."""
        with self._sessions() as db:
            row = db.get(JobRow, number)
            if row is None:
                raise NoSuchJob(number)
            return self._job(row)

    def create(self, kind: str, collection: str, arguments: Sequence[str], user: int | None = None) -> Job:
        """A new job, of a user where one asked for it; the oldest finished ones beyond KEPT are forgotten."""
        with self._sessions.begin() as db:
            finished = select(JobRow.id).where(JobRow.state != "running").order_by(JobRow.id.desc()).offset(KEPT)
            db.execute(delete(JobRow).where(JobRow.id.in_(finished)))
            row = JobRow(kind=kind, collection=collection, arguments=list(arguments), user_id=user)
            db.add(row)
            db.flush()
            return self._job(row)

    def unfinished(self, kind: str, collection: str, arguments: Sequence[str]) -> Job | None:
        """The newest job of the same kind and arguments, where that did not come to its end and nobody works on it."""
        for job in self.all():
            if (job.kind, job.collection, job.arguments) == (kind, collection, tuple(arguments)):
                return job if job.state not in ("running", "done") else None
        return None

    def cancel(self, number: int) -> Job:
        """Ask a job to stop; it does so behind the files in hand. What was carried over stays. Raises NoSuchJob."""
        job = self.get(number)
        if job.state in ("running", "interrupted"):
            change = {"stop": True} if job.state == "running" else {"state": "cancelled"}
            with self._sessions.begin() as db:
                db.execute(update(JobRow).where(JobRow.id == number).values(**change))
        return self.get(number)

    @contextmanager
    def run(self, number: int, token: CancelToken | None = None) -> Iterator[JobRun]:
        """Work on a job: `done` at the end, `cancelled` or `failed` with its sentence where that is how it ended.

        The token leaves it interrupted instead, to be resumed. Raises JobRunning, NoSuchJob.
        """
        self.get(number)
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._lock(number))
        try:
            lock.acquire(timeout=1)
        except Timeout:
            raise JobRunning(number) from None
        try:
            yield JobRun(self._sessions, number, token)
            self._end(number, "done", None)
        except (Cancelled, KeyboardInterrupt):
            if token is None or not token.cancelled:
                self._end(number, "cancelled", None)
            raise
        except Exception as error:
            self._end(number, "failed", explain(error) or f"{type(error).__name__}: {error}")
            raise
        finally:
            lock.release()
            self._lock(number).unlink(missing_ok=True)

    def _end(self, number: int, state: State, error: str | None) -> None:
        with self._sessions.begin() as db:
            values = {"state": state, "error": error, "updated": _now()}
            db.execute(update(JobRow).where(JobRow.id == number).values(**values))
            if state == "done":
                db.execute(delete(JobFileRow).where(JobFileRow.job_id == number))

    def _lock(self, number: int) -> Path:
        return self._folder / f"{number}.lock"

    def _job(self, row: JobRow) -> Job:
        state: State = row.state  # type: ignore[assignment]
        if state == "running" and (_now() - row.updated.replace(tzinfo=None)).total_seconds() > 1:
            state = "running" if held(self._lock(row.id)) else "interrupted"
        return Job(
            row.id,
            row.kind,
            row.collection,
            tuple(row.arguments),
            state,
            row.files_done,
            row.files_total,
            row.bytes_done,
            row.bytes_total,
            row.tokens,
            row.at,
            row.created.replace(tzinfo=UTC),
            row.updated.replace(tzinfo=UTC),
            _eta(row) if state == "running" else None,
            row.error,
            row.user_id,
        )


OnJob = Callable[[Job], None]
"""Called with a job whenever it got further."""


class JobRun:
    """A job in the hands of the process that works on it."""

    def __init__(self, sessions: sessionmaker[Session], number: int, token: CancelToken | None) -> None:
        self._sessions, self._token, self.id = sessions, token, number

    def start(self, *, files: int, size: int) -> dict[str, DoneFile]:
        """Say how much there is to do (files, bytes); gives what earlier runs have done with, by source."""
        with self._sessions.begin() as db:
            row = db.get_one(JobRow, self.id)
            row.files_total, row.bytes_total, row.files_done, row.bytes_done = files, size, 0, 0
            row.state, row.stop, row.error, row.started = "running", False, None, _now()
            rows = db.scalars(select(JobFileRow).where(JobFileRow.job_id == self.id))
            return {r.source: DoneFile(r.source, r.stamp, tuple(r.paths)) for r in rows}

    def resumed(self, *, files: int, size: int) -> None:
        """Count what need not be done again."""
        with self._sessions.begin() as db:
            row = db.get_one(JobRow, self.id)
            row.files_done, row.bytes_done, row.bytes_before = files, size, size

    def step(self, done: Sequence[DoneFile], *, size: int, tokens: int | None) -> None:
        """Count files, bytes and tokens that are carried over; raises Cancelled where somebody asked for a stop."""
        with self._sessions.begin() as db:
            row = db.get_one(JobRow, self.id)
            row.files_done, row.bytes_done = row.files_done + len(done), row.bytes_done + size
            row.at, row.updated = done[-1].source, _now()
            if tokens is not None:
                row.tokens = (row.tokens or 0) + tokens
            again = JobFileRow.source.in_([d.source for d in done])
            db.execute(delete(JobFileRow).where(JobFileRow.job_id == self.id, again))
            db.add_all(JobFileRow(job_id=self.id, source=d.source, stamp=d.stamp, paths=list(d.paths)) for d in done)
            stop = row.stop
        if stop:
            raise Cancelled
        if self._token is not None:
            self._token.raise_if_cancelled()


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _eta(row: JobRow) -> float | None:
    """Seconds that the rest takes at the rate of this run."""
    passed = (row.updated.replace(tzinfo=None) - row.started.replace(tzinfo=None)).total_seconds()
    new = row.bytes_done - row.bytes_before
    return round((row.bytes_total - row.bytes_done) * passed / new, 1) if new > 0 else None
