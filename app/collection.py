"""Collection: documents in, answers with citations out."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app import adding
from app.answering.answer import Answer, Turn
from app.answering.answering import Answering
from app.answering.inside import Laps
from app.answering.stream import AnswerStream, Event
from app.conversations import Conversations
from app.document_info import DocumentInfo
from app.errors import EmptyQuestion
from app.jobs.jobs import Job, OnJob
from app.kept_kv import KeptKV
from app.planning.planner import ModeChoice, Plan
from app.planning.planning import Planning, Prepared
from app.planning.rules import Rule, Rules, Ruling
from app.planning.snapshots import Snapshot, SnapshotInfo, Snapshots
from app.reading import Reading
from app.reports import AddReport, Kept, WarmReport
from app.shelf import Shelf
from app.source import SourceView, view
from engine.decode.sampling import Sampling
from engine.events import CancelToken, OnProgress, Progress
from ingest import Document, Duplicate, PageImage, TokenCache, near, purge_tokens, token_key

if TYPE_CHECKING:
    from app.batch.batch_answer import BatchAnswer
    from app.batch.batch_progress import OnBatchProgress
    from app.library import Library
    from engine.engine import Engine
    from engine.store import Manifest

TOKENS = "tokens"
"""Folder of OMNIBUS_HOME."""


class Collection:
    """One named set of documents of a Library."""

    def __init__(self, library: Library, name: str) -> None:
        self.library, self.name = library, name
        self.fence = hashlib.sha256(name.encode()).hexdigest()[:4]

    @property
    def shelf(self) -> Shelf:
        """The documents in the database."""
        return Shelf(self.library.sessions, self.name)

    # -- documents ----------------------------------------------------------------------------------------------------

    def add(self, *paths: str | Path, on_progress: OnJob | None = None, cancel: CancelToken | None = None) -> AddReport:
        """Read files and folders into the collection, as a job; raises FileMissing before anything is read.

        A job for the same paths that was stopped or killed is gone on with. Raises Cancelled; what was read stays.
        """
        added = adding.add(self, adding.job_of(self, paths), on_progress=on_progress, token=cancel)
        return adding.report(self, added)

    def start_add(self, *paths: str | Path) -> Job:
        """Add on a thread of its own; look how far it is with `library.job(id)`. Raises FileMissing."""
        return self.library.resume_job(adding.job_of(self, paths).id)

    def add_bytes(self, filename: str, data: bytes) -> DocumentInfo:
        """Add an uploaded file under its path (app.uploads); of an archive the first file that was loaded is returned.

        Raises UploadTooLarge, NotAllowed.
        """
        return adding.add_bytes(self, filename, data)

    def documents(self) -> list[DocumentInfo]:
        """Every document with its verdict, skipped ones too."""
        return self.shelf.infos()

    def duplicates(self) -> list[Duplicate]:
        """Documents that repeat an earlier one, and how alike they are."""
        return near(self.shelf.documents())

    def remove(self, path: str) -> None:
        """Take a document out: its text, what old answers kept of it, its index, its tokens and its KV.

        Raises NoSuchDocument, NotAllowed.
        """
        self.library.check_may_change()
        self.shelf.remove(path)
        self.kept_kv.forget([path], lambda: self.library.store)
        self.purge()

    def purge(self) -> None:
        """Leave no trace of deleted texts in indices, the database and its log, tokens and kept files; of replaced ones
        only what old answers were made from."""
        self.shelf.purge()
        self.purge_tokens(self.shelf.documents())
        self.library.originals.purge(self.library.sessions)

    def purge_tokens(self, held: Iterable[Document]) -> None:
        """Delete the kept tokens of all texts but these documents'."""
        purge_tokens(self.library.settings.home / TOKENS, self.fence, (token_key(d, self.fence) for d in held))

    def source(
        self,
        document: str,
        *,
        char_start: int | None = None,
        char_end: int | None = None,
        context_lines: int = 40,
    ) -> SourceView:
        """The lines around a place of a document (id or path); raises NoSuchDocument."""
        return view(self.shelf.document(document), char_start, char_end, context_lines=context_lines)

    def page_image(self, document: str, char_start: int, char_end: int) -> PageImage | None:
        """The page of a PDF (id or path) on which characters begin, as it looks, with boxes around them.

        None where the document has no pages, its file is gone, or the page cannot be drawn. Raises NoSuchDocument.
        """
        return self.library.originals.page_image(self.shelf.document(document), char_start, char_end)

    # -- planning -----------------------------------------------------------------------------------------------------

    def plan(
        self, *, mode: ModeChoice = "auto", history: Sequence[Turn] = (), max_new_tokens: int | None = None
    ) -> Plan:
        """What a question would read, what of it is in the session store, and how long reading the rest takes."""
        return Planning(self, self.library.engine).plan(mode, history, max_new_tokens)

    def prepare(
        self, engine: Engine, question: str, mode: ModeChoice, history: Sequence[Turn], max_new_tokens: int | None
    ) -> Prepared:
        """The prompt for a question: mode chosen, corpus packed. Raises EmptyCollection, NoSuchCollection."""
        return Planning(self, engine).prepare(question, mode, history, max_new_tokens)

    def rules(self) -> list[Rule]:
        """What was pinned and excluded, in that order given."""
        return self._rules.all()

    def pin_documents(self, *patterns: str) -> None:
        """Have the documents that match patterns (as in .gitignore) read whole before all others; raises NotARule."""
        self.library.check_may_change()
        self.library.require(self.name)
        self._rules.set("pin", patterns)

    def exclude_documents(self, *patterns: str) -> None:
        """Keep the documents that match patterns out of every prompt; they stay in the collection. Raises NotARule."""
        self.library.check_may_change()
        self.library.require(self.name)
        self._rules.set("exclude", patterns)

    def drop_rules(self, *patterns: str) -> None:
        """Undo pins and exclusions by their patterns; raises NotARule."""
        self.library.check_may_change()
        self._rules.drop(patterns)

    def rules_of(self, paths: Iterable[str]) -> Ruling:
        """Which paths are pinned and which excluded."""
        return self._rules.ruling(paths)

    @property
    def _rules(self) -> Rules:
        return Rules(self.library.sessions, self.name)

    def snapshots(self) -> list[SnapshotInfo]:
        """What answers were made from, newest first."""
        return self.kept_snapshots.all()

    def snapshot(self, name: str) -> Snapshot:
        """What an answer was made from, as it was then; raises NoSuchSnapshot, SnapshotIncomplete."""
        return self.kept_snapshots.get(name)

    @property
    def kept_kv(self) -> KeptKV:
        """Which chunks of the session store were made of these documents."""
        return KeptKV(self.library.sessions, self.name)

    @property
    def conversations(self) -> Conversations:
        """The viewer's dialogues with this collection that were kept."""
        return Conversations(self.library.sessions, self.name, self.library.viewer_id)

    @property
    def kept_snapshots(self) -> Snapshots:
        """What answers were made from, as the database keeps it."""
        return Snapshots(self.library.sessions, self.name, self.fence)

    def token_cache(self, engine: Engine) -> TokenCache:
        """Token ids of documents, kept on disk for this model's tokenizer."""
        return TokenCache(self.library.settings.home / TOKENS, engine.model.tokenizer_digest)

    # -- answering ----------------------------------------------------------------------------------------------------

    def warm(self, *, on_progress: OnProgress | None = None, cancel: CancelToken | None = None) -> WarmReport:
        """Read the whole collection into the session store now, so that the next question starts at once."""
        with self.library.turn(cancel, _told(on_progress)):
            engine = self.library.load_engine(on_progress)
            reading = Reading(self, engine)
            stats = reading.read(reading.whole(), cancel, on_progress).stats
        return WarmReport(stats.prompt_tokens, stats.cached_tokens, stats.prefill_seconds)

    def pin(
        self, name: str, *, on_progress: OnProgress | None = None, cancel: CancelToken | None = None
    ) -> tuple[Manifest, WarmReport]:
        """Read the whole collection and keep it as a session of that name, which is never evicted."""
        report = self.warm(on_progress=on_progress, cancel=cancel)
        return Reading(self, self.library.engine).pin(name), report

    def kept(self) -> Kept:
        """What of the whole collection the session store would give back, and why no more."""
        return Reading(self, self.library.engine).kept()

    def ask(
        self,
        question: str,
        *,
        mode: ModeChoice = "auto",
        history: Sequence[Turn] = (),
        max_new_tokens: int | None = None,
        sampling: Sampling | None = None,
        on_progress: OnProgress | None = None,
        cancel: CancelToken | None = None,
    ) -> Answer:
        """The answer, complete. Raises EmptyCollection, NoSuchCollection, PromptTooLong, Cancelled, …"""
        stream = self.stream(
            question, mode=mode, history=history, max_new_tokens=max_new_tokens, sampling=sampling, cancel=cancel
        )
        for event in stream.events():
            if on_progress and not isinstance(event, str | Answer):
                on_progress(event)
        assert stream.answer is not None
        return stream.answer

    def stream(
        self,
        question: str,
        *,
        mode: ModeChoice = "auto",
        history: Sequence[Turn] = (),
        max_new_tokens: int | None = None,
        sampling: Sampling | None = None,
        cancel: CancelToken | None = None,
    ) -> AnswerStream:
        """The answer as it is made: iterate for text pieces, then read `.answer`.

        `sampling` says how tokens are drawn (default: greedy, up to the settings' max_new_tokens); `max_new_tokens`
        goes before its limit.
        """
        if not question.strip():
            raise EmptyQuestion
        drawn = self.library.settings.drawn(sampling, max_new_tokens)

        if (other := self.library.generator) is not None:
            return other.stream(self, question, mode=mode, history=history, sampling=drawn, cancel=cancel)

        def work(emit: Callable[[Event], None], token: CancelToken) -> Answer:
            came = time.perf_counter()
            if not self.library.loaded:  # before a model is loaded for nothing
                self.library.require(self.name)
            with self.library.turn(token, _told(emit)):
                laps = Laps(time.perf_counter() - came)
                engine = self.library.load_engine(emit)
                return Answering(self, engine, token).answer(question, mode, history, drawn, emit, laps)

        return AnswerStream(work, cancel)

    def ask_batch(
        self,
        questions: Sequence[str],
        *,
        mode: ModeChoice = "auto",
        sampling: Sampling | None = None,
        on_progress: OnBatchProgress | None = None,
        cancel: CancelToken | None = None,
    ) -> Iterator[BatchAnswer]:
        """Answers to many questions as they finish, decoded together behind the corpus."""
        from app.batch.batch import answer_batch
        from app.batch.batch_answer import Question

        asked = [Question(index, question, self.name) for index, question in enumerate(questions)]
        return answer_batch(self.library, asked, mode=mode, sampling=sampling, on_progress=on_progress, cancel=cancel)


def _told(on_progress: Callable[[Progress], None] | None) -> Callable[[int], None] | None:
    """Tell of the place in the queue as progress."""
    return None if on_progress is None else lambda before: on_progress(Progress("wait", 0, before))
