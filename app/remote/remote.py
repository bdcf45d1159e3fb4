"""RemoteLibrary: another machine's library behind the SDK's interface, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from app.answering.answer import Answer, AnswerStats, Citation, Guidance, Turn
from app.answering.looked_at import LookedAt
from app.answering.stream import AnswerStream, Event
from app.catalogue import CollectionInfo
from app.document_info import DocumentInfo
from app.errors import EmptyQuestion
from app.planning.planner import ModeChoice, Plan, PlannedDocument
from app.remote.wire import BrokeOff, Wire, until_cancelled
from app.reports import AddReport, Kept, WarmReport
from app.source import SourceView
from engine.decode.logprobs import Likely, TokenLogprob
from engine.decode.sampling import Sampling
from engine.events import CancelToken, OnProgress
from ingest import walk

if TYPE_CHECKING:
    from app.batch.batch_answer import BatchAnswer
    from app.batch.batch_progress import OnBatchProgress

HINT = "Is `omnibus serve` running there?"


class RemoteLibrary:
    """What `Library("http://…")` gives: collections on a server. `token` is one made there by `omnibus token new`."""

    def __init__(self, url: str, *, token: str | None = None) -> None:
        self.wire = Wire(url, token=token, hint=HINT)
        self.url = self.wire.url

    def collections(self) -> list[CollectionInfo]:
        """Every collection, by name."""
        rows = self.wire.call("GET", "/api/collections")
        return [CollectionInfo(**{**row, "created": datetime.fromisoformat(row["created"])}) for row in rows]

    def collection(self, name: str = "default") -> RemoteCollection:
        """The collection of that name; it comes to be with its first document."""
        return RemoteCollection(self, name)

    def delete_collection(self, name: str) -> None:
        """Forget a collection and its documents."""
        self.wire.call("DELETE", f"/api/collections/{quote(name, safe='')}")

    def close(self) -> None:
        """Close the connections."""
        self.wire.close()

    def __enter__(self) -> RemoteLibrary:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RemoteCollection:
    """One collection on a server; its methods are those of Collection."""

    def __init__(self, library: RemoteLibrary, name: str) -> None:
        self.library, self.name = library, name
        self._path = f"/api/collections/{quote(name, safe='')}"

    def add(self, *paths: str | Path) -> AddReport:
        """Send files and folders, each under its path as `omnibus add` shows it; raises FileMissing before any is."""
        files = list(walk([Path(p).expanduser() for p in paths]))
        infos = [self.add_bytes(found.relative, found.path.read_bytes()) for found in files]
        skipped = tuple(info for info in infos if info.status == "skipped")
        return AddReport(tuple(info for info in infos if info.status != "skipped"), skipped)

    def add_bytes(self, filename: str, data: bytes) -> DocumentInfo:
        """Add a file; `filename` may have folders."""
        made = self._call("POST", "/documents", params={"filename": filename}, content=data)
        return DocumentInfo(**made)

    def documents(self) -> list[DocumentInfo]:
        """Every document with its verdict, skipped ones too."""
        return [DocumentInfo(**row) for row in self._call("GET", "/documents")]

    def remove(self, path: str) -> None:
        """Take a document out."""
        self._call("DELETE", f"/documents/{quote(path)}")

    def source(
        self, document: str, *, char_start: int | None = None, char_end: int | None = None, context_lines: int = 40
    ) -> SourceView:
        """The lines around a place of a document (id or path)."""
        asked = {"document": document, "context_lines": context_lines, "char_start": char_start, "char_end": char_end}
        made = self._call("GET", "/source", params={k: v for k, v in asked.items() if v is not None})
        return SourceView(**{**made, "lines": tuple(made["lines"])})

    def plan(self, *, mode: ModeChoice = "auto") -> Plan:
        """What a question would read, what of it is kept, and how long reading the rest takes."""
        made = self._call("GET", "/plan", params={"mode": mode})
        return Plan(**{**made, "documents": tuple(PlannedDocument(**d) for d in made["documents"])})

    def warm(self) -> WarmReport:
        """Read the whole collection into the server's session store now."""
        return WarmReport(**self._call("POST", "/warm"))

    def kept(self) -> Kept:
        """How much of the collection the server's session store gives back."""
        return Kept(**self._call("GET", "/kept"))

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
        """The answer, complete; a server tells no progress. Raises RemoteError, Cancelled, …"""
        stream = self.stream(
            question, mode=mode, history=history, max_new_tokens=max_new_tokens, sampling=sampling, cancel=cancel
        )
        for _ in stream:
            pass
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
        """The answer as it is made; who stops reading stops the server's work too."""
        if not question.strip():
            raise EmptyQuestion
        messages: list[dict[str, str]] = []
        for turn in history:
            if isinstance(turn, Guidance):
                messages.append({"role": "system", "content": turn.question})
                continue
            messages.append({"role": "user", "content": turn.question})
            messages.append({"role": "assistant", "content": turn.answer})
        messages.append({"role": "user", "content": question})
        body = {"model": f"x@{self.name}", "messages": messages, "mode": mode, "stream": True, **_drawn(sampling)}
        if max_new_tokens is not None:
            body["max_tokens"] = max_new_tokens

        def work(emit: Callable[[Event], None], token: CancelToken) -> Answer:
            return until_cancelled(lambda: self._read(body, emit), token)

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
        """Answers to many questions as they finish, decoded together by the server; a reader that stops stops it."""
        from app.remote.remote_batch import answers

        body = {"collection": self.name, "mode": mode, **_drawn(sampling)}
        return answers(self.library.wire, questions, body, on_progress=on_progress, cancel=cancel)

    async def _read(self, body: dict[str, Any], emit: Callable[[Event], None]) -> Answer:
        text = ""
        async for event in self.library.wire.lines("/v1/chat/completions", body):
            piece = event["choices"][0]["delta"].get("content") if event["choices"] else None
            if piece:
                text += piece
                emit(piece)
            if "stats" in event:
                citations = tuple(Citation(**c) for c in event["citations"])
                places = tuple(LookedAt(**place) for place in event["looked_at"])
                likely = _logprobs(event["choices"][0].get("logprobs"))
                return Answer(text.strip(), citations, AnswerStats(**event["stats"]), event["notice"], places, likely)
        raise BrokeOff(self.library.url)

    def _call(self, method: str, path: str, **more: Any) -> Any:
        return self.library.wire.call(method, self._path + path, **more)


def _drawn(sampling: Sampling | None) -> dict[str, Any]:
    if sampling is None:
        return {}
    said = asdict(sampling)
    top = said.pop("logprobs")
    renamed = {"max_tokens": said.pop("max_new_tokens"), "stop": list(said.pop("stop"))}
    likely = {} if top is None else {"logprobs": True, "top_logprobs": top}
    return {**said, **renamed, **likely}


def _logprobs(told: dict[str, Any] | None) -> tuple[TokenLogprob, ...]:
    def likely(entries: list[dict[str, Any]]) -> tuple[Likely, ...]:
        return tuple(Likely(entry["token"], entry["logprob"]) for entry in entries)

    content = told["content"] if told else []
    return tuple(TokenLogprob(t["token"], t["logprob"], likely(t["top_logprobs"])) for t in content)
