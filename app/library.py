"""Library: the whole product behind one object; UI, HTTP, SDK and CLI are faces of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from app.answering.turns import Turns
from app.catalogue import Catalogue, CollectionInfo
from app.database.session import open_database
from app.errors import NoSuchCollection, NoSuchJob, NotAllowed
from app.originals import Originals
from app.rates import Rates
from app.runtime import Runtime
from app.settings import Settings

if TYPE_CHECKING:
    from app.answering.generator import Generator
    from app.collection import Collection
    from app.jobs.jobs import Job, Jobs
    from app.jobs.workers import Workers
    from app.search.sparse_indices import SparseIndices
    from app.users import User, Users
    from app.watch.watching import Watching
    from engine.engine import Engine
    from engine.events import CancelToken, OnProgress
    from engine.store import Store

SHARED = ("sessions", "job_table", "workers", "watching", "generator", "sparse")
"""Made once, and carried over to every view."""


class Library:
    """Collections of documents and the engine that answers from them.

    Cheap to make: the model is loaded (and the default one fetched) at the first question. Threads may share it; one
    answer is made at a time and others wait their turn. `home` is where everything is kept (default: OMNIBUS_HOME or
    the platform's user-data folder); an http:// or https:// address there gives a server's library, `token` its key.
    """

    def __new__(cls, home: str | Path | None = None, *, token: str | None = None, **_: Any) -> Self:
        """A RemoteLibrary for an address."""
        if isinstance(home, str) and home.startswith(("http://", "https://")):
            from app.remote.remote import RemoteLibrary

            return RemoteLibrary(home, token=token)  # type: ignore[return-value]
        return super().__new__(cls)

    def __init__(
        self,
        home: str | Path | None = None,
        *,
        model: str | None = None,
        generator: str | None = None,
        settings: Settings | None = None,
        token: str | None = None,
    ) -> None:
        changes: dict[str, Any] = {}
        if home is not None:
            changes["home"] = Path(home)
        if model is not None:
            changes["model"] = model
        if generator is not None:
            changes["generator_url"] = generator
        self.settings = (settings or Settings()).model_copy(update=changes)
        if self.settings.secrets != "patterns":
            from ingest.secrets import use

            use(self.settings.secrets)
        self._runtime, self._turn = Runtime(self.settings), Turns()
        self.viewer: User | None = None
        """The user whose library this is (seen_by); null: that of the machine's owner, who sees everything."""

    @cached_property
    def sessions(self) -> Any:
        """Database sessions (made at first use)."""
        return open_database(self.settings.database)

    # -- users --------------------------------------------------------------------------------------------------------

    @property
    def users(self) -> Users:
        """Who may use a server over this library."""
        from app.users import Users

        return Users(self.sessions)

    def seen_by(self, user: User | None) -> Library:
        """This library as a user sees it: its collections, conversations and jobs only, changed by admins only.

        It shares the engine, the store and the database. Null leaves it as it is.
        """
        if user is None:
            return self
        for name in SHARED:
            getattr(self, name)
        seen = copy(self)
        seen.viewer = user
        return seen

    @property
    def viewer_id(self) -> int | None:
        """Whose conversations and jobs are made here."""
        return self.viewer.id if self.viewer else None

    def check_may_change(self) -> None:
        """Raise NotAllowed for a user who may only read."""
        if self.viewer is not None and not self.viewer.is_admin:
            raise NotAllowed(self.viewer.name)

    # -- collections --------------------------------------------------------------------------------------------------

    def collections(self) -> list[CollectionInfo]:
        """Every collection that the viewer sees, by name."""
        return self._catalogue.infos(self.viewer)

    @property
    def _catalogue(self) -> Catalogue:
        return Catalogue(self.sessions)

    def collection(self, name: str = "default") -> Collection:
        """The collection of that name; it comes to be with its first document.

        Raises NoSuchCollection where the viewer may not see it, or make it.
        """
        from app.collection import Collection

        if self.viewer is not None and not self.viewer.is_admin:
            self.require(name)
        return Collection(self, name)

    def delete_collection(self, name: str) -> None:
        """Forget a collection: texts, indices, tokens, KV, that it was watched; raises NoSuchCollection, NotAllowed."""
        self.check_may_change()
        self.require(name)
        self.collection(name).kept_kv.forget_all(lambda: self.store)
        self.watching.forget(name)
        self._catalogue.delete(name)
        self.collection(name).purge_tokens([])
        self.originals.purge(self.sessions)

    def require(self, name: str) -> None:
        """Raise NoSuchCollection where nothing was ever added under that name, or nothing that the viewer may see."""
        known = [info.name for info in self.collections()]
        if name not in known:
            raise NoSuchCollection(name, known)

    @property
    def originals(self) -> Originals:
        """The files whose pages can be shown."""
        return Originals(self.settings.home / "originals")

    # -- jobs ---------------------------------------------------------------------------------------------------------

    @cached_property
    def job_table(self) -> Jobs:
        """Long work in the database (app.jobs.jobs)."""
        from app.jobs.jobs import Jobs

        return Jobs(self.sessions, self.settings.home / "jobs")

    def jobs(self) -> list[Job]:
        """Every job that is remembered, newest first: a user's own, for admins also what others added."""
        return [job for job in self.job_table.all() if job.seen_by(self.viewer)]

    def job(self, number: int) -> Job:
        """One job and how far it is; raises NoSuchJob."""
        job = self.job_table.get(number)
        if not job.seen_by(self.viewer):
            raise NoSuchJob(number)
        return job

    def cancel_job(self, number: int) -> Job:
        """Ask a job to stop, whichever process works on it; what it carried over stays. Raises NoSuchJob."""
        return self.job_table.cancel(self.job(number).id)

    def resume_job(self, number: int) -> Job:
        """Work on a job on a thread of this process, from where it stands; raises NoSuchJob, JobRunning."""
        job = self.job(number)
        if job.state != "done":
            self.workers.start(self, job)
        return job

    @cached_property
    def workers(self) -> Workers:
        """The threads that work on jobs here."""
        from app.jobs.workers import Workers

        return Workers()

    # -- watching -----------------------------------------------------------------------------------------------------

    @cached_property
    def watching(self) -> Watching:
        """The folders that collections are kept equal to (app.watch.watching)."""
        from app.watch.watching import Watching

        return Watching(self)

    def watches(self) -> list[dict[str, Any]]:
        """How every watch is, of this process and of others (app.watch.watch_status)."""
        from app.watch.watch_status import statuses

        return statuses(self.settings.home)

    # -- engine -------------------------------------------------------------------------------------------------------

    @cached_property
    def generator(self) -> Generator | None:
        """Another engine that answers from collections in the local model's place, where the settings name one."""
        if not self.settings.generator_url:
            return None
        from app.answering.generator import Generator

        return Generator.of(self.settings)

    @property
    def engine(self) -> Engine:
        """The engine, loaded at first use."""
        return self.load_engine()

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._runtime.loaded

    def load_engine(self, on_progress: OnProgress | None = None) -> Engine:
        """Load the model and open the session store, once; raises the engine's errors."""
        return self._runtime.engine(on_progress)

    def load_plain_engine(self, on_progress: OnProgress | None = None) -> Engine:
        """Load the model for questions without documents, once: the base of a reader, else the model itself."""
        return self._runtime.plain_engine(on_progress)

    def use(self, *, model: str | None = None, policy: str | None = None) -> None:
        """Answer with another model, or choose what prefill reads in another way, from the next question on.

        Waits for the answer in the making. The model is loaded when it is needed. Raises UnknownPolicy, NotAllowed.
        """
        self.check_may_change()
        with self.turn():
            self._runtime.use(model=model, policy=policy)

    @property
    def store(self) -> Store:
        """The session store, opened at first use; no model is needed for it."""
        return self._runtime.store

    @contextmanager
    def turn(self, cancel: CancelToken | None = None, on_place: Callable[[int], None] | None = None) -> Iterator[None]:
        """The engine for one caller at a time, first come, first served; `on_place` is told how many come before.

        Who waits with a cancel token can be called away (raises Cancelled).
        """
        self._turn.acquire(cancel, on_place)
        try:
            yield
        finally:
            self._turn.release()

    @cached_property
    def sparse(self) -> SparseIndices:
        """The collections' sparse vectors."""
        from app.search.sparse_indices import SparseIndices

        return SparseIndices(self.settings)

    @property
    def rates(self) -> Rates:
        """How fast this machine reads prompts."""
        return Rates(self.sessions)

    def close(self) -> None:
        """Release the database and the store; watches stop, jobs too, to be resumed."""
        if "watching" in self.__dict__:
            self.watching.stop()
        if "workers" in self.__dict__:
            self.workers.stop()
        self._runtime.close()
        if "sessions" in self.__dict__:
            self.sessions.kw["bind"].dispose()
            del self.__dict__["sessions"]
            self.__dict__.pop("job_table", None)

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
