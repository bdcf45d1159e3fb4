"""Library: the whole product behind one object; UI, HTTP, SDK and CLI are faces of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import func, select

from app.answering.turns import Turns
from app.database.models import CollectionRow, DocumentRow, MeasurementRow
from app.database.session import open_database, truncate
from app.errors import NoSuchCollection, NoSuchJob, NotAllowed
from app.originals import Originals
from app.search.search import Search
from app.settings import Settings

if TYPE_CHECKING:
    from app.answering.generator import Generator
    from app.collection import Collection
    from app.jobs.jobs import Job, Jobs
    from app.search.sparse import SparseIndex
    from app.users import User, Users
    from app.watch.watching import Watching
    from engine.engine import Engine
    from engine.events import CancelToken, OnProgress
    from engine.store import Store
    from ingest import Document

LOG = logging.getLogger(__name__)
SHARED = ("sessions", "job_table", "watching", "generator")


@dataclass(slots=True)
class _Held:
    """What is opened at first use, by whichever view of a library comes first."""

    engine: Engine | None = None
    store: Store | None = None


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A collection as lists show it; `documents` counts those with text, `created` is in UTC."""

    name: str
    documents: int
    created: datetime


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
        self._loading, self._opening, self._turn = threading.Lock(), threading.Lock(), Turns()
        self._working: dict[threading.Thread, CancelToken] = {}
        self._sparse: dict[str, tuple[list[tuple[str, str]], SparseIndex]] = {}
        self._held = _Held()
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
            getattr(self, name)  # made once, and carried over by the copy
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
        count = func.count(DocumentRow.id).filter(DocumentRow.status != "skipped")
        query = select(CollectionRow.name, count, CollectionRow.created).outerjoin(DocumentRow)
        if self.viewer is not None:
            from app.users import seen_by

            query = query.where(seen_by(self.viewer.id))
        with self.sessions() as db:
            rows = db.execute(query.group_by(CollectionRow.id).order_by(CollectionRow.name))
            return [CollectionInfo(name, held, made.replace(tzinfo=UTC)) for name, held, made in rows]

    def collection(self, name: str = "default") -> Collection:
        """The collection of that name; it comes to be with its first document.

        Raises NoSuchCollection where the viewer may not see it, or make it.
        """
        from app.collection import Collection

        if self.viewer is not None and not self.viewer.is_admin:
            self.require(name)
        return Collection(self, name)

    def delete_collection(self, name: str) -> None:
        """Forget a collection: texts, indices, KV, and that it was watched; raises NoSuchCollection, NotAllowed."""
        self.check_may_change()
        self.require(name)
        self.collection(name).kept_kv.forget_all(lambda: self.store)
        self.watching.forget(name)
        with self.sessions.begin() as db:
            row = db.scalars(select(CollectionRow).where(CollectionRow.name == name)).one()
            Search(db, row.id).drop()
            db.delete(row)
        truncate(self.sessions)
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
        return [job for job in self.job_table.all() if self._sees(job)]

    def job(self, number: int) -> Job:
        """One job and how far it is; raises NoSuchJob."""
        job = self.job_table.get(number)
        if not self._sees(job):
            raise NoSuchJob(number)
        return job

    def _sees(self, job: Job) -> bool:
        if self.viewer is None or job.user == self.viewer.id:
            return True
        return self.viewer.is_admin and (job.user is None or job.kind == "add")

    def cancel_job(self, number: int) -> Job:
        """Ask a job to stop, whichever process works on it; what it carried over stays. Raises NoSuchJob."""
        return self.job_table.cancel(self.job(number).id)

    def resume_job(self, number: int) -> Job:
        """Work on a job on a thread of this process, from where it stands; raises NoSuchJob, JobRunning."""
        from app.jobs.working import work_on
        from engine.events import CancelToken

        job = self.job(number)
        if job.state == "done":
            return job
        token = CancelToken()

        def work() -> None:
            try:
                work_on(self, job, token=token)
            except Exception as error:  # the job's row says so too
                LOG.info("job %d: %s", number, error)
            finally:
                self._working.pop(thread, None)

        thread = threading.Thread(target=work, name=f"job-{number}", daemon=True)
        self._working[thread] = token
        thread.start()
        return job

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
        return self._held.engine is not None

    def load_engine(self, on_progress: OnProgress | None = None) -> Engine:
        """Load the model and open the session store, once; raises the engine's errors."""
        with self._loading:
            if self._held.engine is None:
                from engine.crossover import border
                from engine.engine import Engine
                from engine.model import LanguageModel
                from engine.policies import policy_by_name

                s = self.settings
                model = LanguageModel.load(
                    s.model, device=s.device, dtype=s.dtype, home=s.home, on_progress=on_progress
                )
                self._held.engine = Engine(
                    model,
                    store=self.store,
                    policy=policy_by_name(
                        s.policy, model.config, model.device.type, border(s.home, model, s.chunk_tokens)
                    ),
                    chunk_tokens=s.chunk_tokens,
                    segment_tokens=s.segment_tokens,
                    codec=s.kv_codec,
                    salt=s.kv_salt,
                )
            return self._held.engine

    def use(self, *, model: str | None = None, policy: str | None = None) -> None:
        """Answer with another model, or choose what prefill reads in another way, from the next question on.

        Waits for the answer in the making. The model is loaded when it is needed. Raises UnknownPolicy, NotAllowed.
        """
        from engine.policies import policy_by_name

        self.check_may_change()
        changes = {k: v for k, v in {"model": model, "policy": policy}.items() if v is not None}
        with self.turn(), self._loading:
            if policy is not None:
                mine = self._held.engine.model if self._held.engine else None
                chosen = policy_by_name(policy, mine.config if mine else None, mine.device.type if mine else "cpu")
                if self._held.engine is not None:
                    self._held.engine.policy = chosen
            if model is not None and model != self.settings.model:
                self._held.engine = None
            for name, value in changes.items():  # in place: every view of the library shares them
                setattr(self.settings, name, value)

    @property
    def store(self) -> Store:
        """The session store, opened at first use; no model is needed for it."""
        with self._opening:
            if self._held.store is None:
                from engine.store import Store

                quota = int(self.settings.store_quota_gb * 1e9)
                here, s = self.settings.home / "sessions", self.settings
                catalogue = s.store_catalogue.get_secret_value() or s.store_catalogue_here
                self._held.store = Store(s.store or here, quota_bytes=quota, key=s.store_secret, catalogue=catalogue)
            return self._held.store

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

    def sparse_index(self, name: str, documents: Sequence[Document]) -> SparseIndex:
        """Sparse vectors of a collection's documents, made anew when these change; raises SparseMissing."""
        from app.search.sparse import SparseIndex
        from app.shelf import PASSAGE_CHARS

        state = [(d.path, d.content_hash) for d in documents]
        kept = self._sparse.get(name)
        if kept is None or kept[0] != state:
            weights = None
            if self.settings.sparse_model is not None:
                from app.search.splade import Splade

                weights = Splade(self.settings.sparse_model)
            kept = self._sparse[name] = (state, SparseIndex(documents, max_chars=PASSAGE_CHARS, weights=weights))
        return kept[1]

    def measured_rate(self, model: str) -> float | None:
        """Prefill tokens per second of a model on this machine, from the last prefills; None before the first."""
        query = select(MeasurementRow).where(MeasurementRow.model == model).order_by(MeasurementRow.id.desc())
        with self.sessions() as db:
            rows = list(db.scalars(query.limit(5)))
        return sum(r.tokens for r in rows) / sum(r.seconds for r in rows) if rows else None

    def measure(self, model: str, tokens: int, seconds: float) -> None:
        """Remember how long a prefill took."""
        with self.sessions.begin() as db:
            db.add(MeasurementRow(model=model, tokens=tokens, seconds=seconds))

    def close(self) -> None:
        """Release the database and the store; watches stop, jobs too, to be resumed."""
        if "watching" in self.__dict__:
            self.watching.stop()
        for thread, token in list(self._working.items()):
            token.cancel()
            thread.join()
        if self._held.store is not None:
            self._held.store.close()
        self._held.engine = self._held.store = None
        if "sessions" in self.__dict__:
            self.sessions.kw["bind"].dispose()
            del self.__dict__["sessions"]
            self.__dict__.pop("job_table", None)

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
