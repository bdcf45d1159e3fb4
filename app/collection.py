"""Collection: documents in, answers with citations out."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.answering import prompt
from app.answering.answer import Answer, AnswerStats, Citation, Turn
from app.answering.evidence import gather, lead_in
from app.answering.inside import Laps, inside
from app.answering.kept_figures import KeptFigures
from app.answering.looked_at import looked_at
from app.answering.stream import AnswerStream, Event
from app.conversations import Conversations
from app.errors import EmptyQuestion, UploadTooLarge
from app.jobs.jobs import Job, OnJob
from app.kept_kv import KeptKV
from app.planning.planner import ModeChoice, Plan
from app.planning.planning import Planning, Prepared
from app.planning.rules import Rule, Rules, Ruling
from app.planning.snapshots import Snapshot, SnapshotInfo, Snapshots
from app.reports import AddReport, Kept, WarmReport
from app.shelf import DocumentInfo, Shelf
from app.source import SourceView, view
from app.uploads import upload_path
from engine.engine import Context, Engine
from engine.events import CancelToken, OnProgress, Progress
from engine.prefill import chunk_spans
from engine.sampling import Sampling
from ingest import Duplicate, PageImage, TokenCache, near, page_image, read_all_bytes
from ingest.errors import Unreadable

if TYPE_CHECKING:
    from app.batch.batch import BatchAnswer, OnBatchProgress
    from app.library import Library
    from engine.store import Manifest

LOG = logging.getLogger(__name__)
MEASURED_FROM = 256
"""Prefills of fewer tokens say little about the rate."""


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
        from app import adding

        added = adding.add(self, self._add_job(paths), on_progress=on_progress, token=cancel)
        return self._report(added)

    def start_add(self, *paths: str | Path) -> Job:
        """Add on a thread of its own; look how far it is with `library.job(id)`. Raises FileMissing."""
        return self.library.resume_job(self._add_job(paths).id)

    def _add_job(self, paths: Sequence[str | Path]) -> Job:
        from app import adding

        roots = [Path(p).expanduser().absolute() for p in paths]
        self.library.check_may_change()
        adding.check(roots)
        jobs, names = self.library.job_table, [str(root) for root in roots]
        user = self.library.viewer_id
        return jobs.unfinished("add", self.name, names) or jobs.create("add", self.name, names, user)

    def add_bytes(self, filename: str, data: bytes) -> DocumentInfo:
        """Add an uploaded file under its path (app.uploads); of an archive the first file that was loaded is returned.

        Raises UploadTooLarge, NotAllowed.
        """
        self.library.check_may_change()
        limit = self.library.settings.max_upload_mb
        if len(data) > limit << 20:
            raise UploadTooLarge(filename, limit)
        documents = self.shelf.put(read_all_bytes(data, upload_path(filename)))
        for document in documents:
            self.library.originals.put(document, data)
        report = self._report({d.path for d in documents})
        return (*report.loaded, *report.skipped)[0]

    def _report(self, paths: set[str]) -> AddReport:
        infos = [info for info in self.shelf.infos() if info.path in paths]
        return AddReport(
            tuple(i for i in infos if i.status != "skipped"), tuple(i for i in infos if i.status == "skipped")
        )

    def documents(self) -> list[DocumentInfo]:
        """Every document with its verdict, skipped ones too."""
        return self.shelf.infos()

    def duplicates(self) -> list[Duplicate]:
        """Documents that repeat an earlier one, and how alike they are."""
        return near(self.shelf.documents())

    def remove(self, path: str) -> None:
        """Take a document out: its text, what old answers kept of it, its index and its KV.

        Raises NoSuchDocument, NotAllowed.
        """
        self.library.check_may_change()
        self.shelf.remove(path)
        self.kept_kv.forget([path], lambda: self.library.store)
        self.library.originals.purge(self.library.sessions)

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
        found = self.shelf.document(document)
        page, data = found.page_of(char_start), self.library.originals.get(found)
        if page is None or data is None:
            return None
        try:
            return page_image(data, page.index, found.text[char_start : min(char_end, page.end)])
        except Unreadable as error:
            LOG.warning("%s is shown without its pages: %s", found.path, error)
            return None

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
        return self._snapshots.all()

    def snapshot(self, name: str) -> Snapshot:
        """What an answer was made from, as it was then; raises NoSuchSnapshot, SnapshotIncomplete."""
        return self._snapshots.get(name)

    def record(self, prepared: Prepared) -> str:
        """Remember what an answer is made from; gives the snapshot's hash."""
        self._snapshots.record(prepared.snapshot, prepared.mode, prepared.packed, prepared.excerpts, prepared.listed)
        return prepared.snapshot

    @property
    def kept_kv(self) -> KeptKV:
        """Which chunks of the session store were made of these documents."""
        return KeptKV(self.library.sessions, self.name)

    @property
    def conversations(self) -> Conversations:
        """The viewer's dialogues with this collection that were kept."""
        return Conversations(self.library.sessions, self.name, self.library.viewer_id)

    @property
    def _snapshots(self) -> Snapshots:
        return Snapshots(self.library.sessions, self.name, self.fence)

    def token_cache(self, engine: Engine) -> TokenCache:
        """Token ids of documents, kept on disk for this model's tokenizer."""
        return TokenCache(self.library.settings.home / "tokens", engine.model.tokenizer_digest)

    def frame(self, engine: Engine, question: str, history: Sequence[Turn]) -> tuple[list[int], list[int]]:
        """Token ids before the corpus, the same for every question, and behind it."""
        dialogue = prompt.messages(question, history, brief=engine.model.brief)
        return engine.model.frame(dialogue, system=prompt.SYSTEM)

    # -- answering ----------------------------------------------------------------------------------------------------

    def warm(self, *, on_progress: OnProgress | None = None, cancel: CancelToken | None = None) -> WarmReport:
        """Read the whole collection into the session store now, so that the next question starts at once."""
        with self.library.turn(cancel, _told(on_progress)):
            engine = self.library.load_engine(on_progress)
            prepared = self.prepare(engine, "", "whole", (), None)
            context = self.read(engine, prepared, cancel, on_progress)
        stats = context.stats
        return WarmReport(stats.prompt_tokens, stats.cached_tokens, stats.prefill_seconds)

    def pin(
        self, name: str, *, on_progress: OnProgress | None = None, cancel: CancelToken | None = None
    ) -> tuple[Manifest, WarmReport]:
        """Read the whole collection and keep it as a session of that name, which is never evicted."""
        report = self.warm(on_progress=on_progress, cancel=cancel)
        engine = self.library.engine
        prepared = self.prepare(engine, "", "whole", (), None)
        spans = chunk_spans(len(prepared.prefix), engine.chunk_tokens)
        digest = prepared.packed.digest
        return self.library.store.pin(name, engine.namespace, prepared.prefix, spans, pack=digest), report

    def kept(self) -> Kept:
        """What of the whole collection the session store would give back, and why no more."""
        engine = self.library.engine
        prefix = self.prepare(engine, "", "whole", (), None).prefix
        found = self.library.store.longest_prefix(
            engine.namespace, prefix, chunk_spans(len(prefix), engine.chunk_tokens)
        )
        return Kept(len(prefix), found.tokens, found.miss_reason)

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
        drawn = self.drawn(sampling, max_new_tokens)

        if (other := self.library.generator) is not None:
            return other.stream(self, question, mode=mode, history=history, sampling=drawn, cancel=cancel)

        def work(emit: Callable[[Event], None], token: CancelToken) -> Answer:
            came = time.perf_counter()
            with self.library.turn(token, _told(emit)):
                laps = Laps(time.perf_counter() - came)
                return self._answer(question, mode, history, drawn, emit, token, laps)

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
        from app.batch.batch import Question, answer_batch

        asked = [Question(index, question, self.name) for index, question in enumerate(questions)]
        return answer_batch(self.library, asked, mode=mode, sampling=sampling, on_progress=on_progress, cancel=cancel)

    def drawn(self, sampling: Sampling | None, max_new_tokens: int | None) -> Sampling:
        """How tokens are drawn: as asked, else greedily up to the settings' limit."""
        if sampling is None:
            return Sampling(max_new_tokens=max_new_tokens or self.library.settings.max_new_tokens)
        return replace(sampling, max_new_tokens=max_new_tokens or sampling.max_new_tokens)

    def _answer(
        self,
        question: str,
        mode: ModeChoice,
        history: Sequence[Turn],
        sampling: Sampling,
        emit: Callable[[Event], None],
        cancel: CancelToken,
        laps: Laps,
    ) -> Answer:
        engine = self.library.load_engine(emit)
        started = time.perf_counter()
        with laps.lap("packing"):
            prepared = self.prepare(engine, question, mode, history, sampling.max_new_tokens)
        engine.check_fits(len(prepared.prefix) + len(prepared.tail), sampling.max_new_tokens)
        snapshot = self.record(prepared)
        context = self.read(engine, prepared, cancel, emit)
        seen = engine.watch(context)
        generation = engine.generate(
            context, prepared.tail, sampling=sampling, cancel=cancel, on_progress=emit, provenance=seen
        )
        first: float | None = None
        for piece in generation:
            first = first or time.perf_counter() - started
            emit(piece)
        assert generation.stats is not None
        with laps.lap("proof"):
            citations = self.cite(engine, context, prepared, question, generation.text, generation.token_ids, cancel)
        stats = AnswerStats(
            prompt_tokens=len(context.tokens) + len(prepared.tail),
            cached_tokens=context.stats.cached_tokens,
            prefill_s=round(context.stats.prefill_seconds, 4),
            ttft_s=round(first if first is not None else time.perf_counter() - started, 4),
            decode_tok_s=generation.stats.decode_tokens_per_second,
            policy=engine.policy.name,
            mode=prepared.mode,
            density=context.stats.density,
            recall=context.stats.recall,
            answer_tokens=len(generation.token_ids),
            finish_reason="length" if generation.stats.finish_reason == "length" else "stop",
            snapshot=snapshot,
        )
        notice = prepared.reason.opening()
        places = looked_at(prepared.packed, seen.shares(), block=seen.block, before=len(prepared.head))
        figures, quota = KeptFigures(self.library.settings.home / "figures"), self.library.settings.store_quota_gb
        how = inside(engine, context, prepared, generation.stats, seen, laps, figures, int(quota * 1e9))
        return Answer(generation.text.strip(), citations, stats, notice, places, tuple(generation.logprobs), how)

    def read(
        self, engine: Engine, prepared: Prepared, cancel: CancelToken | None, on_progress: OnProgress | None
    ) -> Context:
        """The prefix's KV; only whole corpora are worth keeping, passages change with the question."""
        keep = prepared.mode == "whole"
        if keep and engine.store is not None:
            self.kept_kv.note(engine, prepared)
        context = engine.context(prepared.prefix, cancel=cancel, on_progress=on_progress, save=keep)
        computed = context.stats.prompt_tokens - context.stats.cached_tokens
        if computed >= MEASURED_FROM:
            self.library.measure(engine.model.name, computed, context.stats.prefill_seconds)
        return context

    def cite(
        self,
        engine: Engine,
        context: Context,
        prepared: Prepared,
        question: str,
        answer: str,
        said: Sequence[int],
        cancel: CancelToken | None,
    ) -> tuple[Citation, ...]:
        """Quotes of the answer (`said` in tokens) resolved, then the sentence that the model picks as proof."""
        found = gather(prepared.packed.entries, engine.model, question, answer)
        suffix = [*prepared.tail, *said, *lead_in(engine.model)]
        room = engine.model.window - len(context.tokens) - len(suffix)
        pick = 0
        if len(found.candidates) > 1 and found.longest <= room:
            pick = engine.choose(context, suffix, found.tokens, cancel=cancel)
        return found.cited(pick)


def _told(on_progress: Callable[[Progress], None] | None) -> Callable[[int], None] | None:
    """Tell of the place in the queue as progress."""
    return None if on_progress is None else lambda before: on_progress(Progress("wait", 0, before))
