"""Generator: another OpenAI-compatible server (vLLM, SGLang, llama.cpp, …) answers in the local model's place.

It is sent the packed corpus as text, always the same bytes first, so that its own prefix cache holds them; the question
comes last. Citations are the quotes of its answer, found in what it was sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from app.answering import prompt
from app.answering.answer import Answer, AnswerStats, Citation, Turn
from app.answering.citations import cite_sentence, quotes, resolve
from app.answering.evidence import pool
from app.answering.stream import AnswerStream, Event
from app.errors import NotAnswerable
from app.planning.planner import ModeChoice
from app.planning.planning import Planning, Prepared
from app.planning.reasons import Reason, reason
from app.remote.wire import BrokeOff, RemoteError, Wire, until_cancelled
from engine.decode.sampling import Sampling
from engine.events import CancelToken
from engine.models.frame import Message
from ingest import tree_lines

if TYPE_CHECKING:
    from app.collection import Collection
    from app.settings import Settings

CHARACTERS = 3
"""Characters that are counted as a token: prose has more, code about as many; what still is too long it refuses."""
WINDOW = 32768
"""Tokens where neither the settings nor the server say how many it takes."""
WINDOWS = ("max_model_len", "context_length", "context_window", "n_ctx")
"""Names under which servers tell their window in /models."""
HINT = "Is the server of OMNIBUS_GENERATOR_URL running?"


class Generator:
    """A server that generates; `url` is the base that OpenAI's clients take (…/v1)."""

    def __init__(self, url: str, *, model: str = "", key: str = "", window: int | None = None) -> None:
        self.url, self._model, self._window = url.rstrip("/"), model, window
        self._wire = Wire(url, token=key or None, hint=HINT)

    @classmethod
    def of(cls, settings: Settings) -> Generator:
        """The one that the settings name."""
        s = settings
        return cls(s.generator_url, model=s.generator_model, key=s.generator_key, window=s.generator_window)

    @property
    def name(self) -> str:
        """The model's name at the server: the one asked for, else its first."""
        return self._model or str(self._listed["id"])

    @cached_property
    def characters(self) -> int:
        """Room for a prompt and its answer."""
        told = self._window or next((v for key in WINDOWS if isinstance(v := self._listed.get(key), int)), WINDOW)
        return told * CHARACTERS

    @cached_property
    def _listed(self) -> dict[str, Any]:
        rows: list[dict[str, Any]] = self._wire.call("GET", "/models")["data"]
        for row in rows:
            if row["id"] == self._model:
                return row
        if self._model:
            return {"id": self._model}
        if not rows:
            raise RemoteError(f"{self.url} has no model. Name one with OMNIBUS_GENERATOR_MODEL.")
        return {**rows[0], **rows[0].get("meta", {})}

    def stream(
        self,
        collection: Collection,
        question: str,
        *,
        mode: ModeChoice,
        history: Sequence[Turn],
        sampling: Sampling,
        cancel: CancelToken | None = None,
    ) -> AnswerStream:
        """As Collection.stream; several may run at once."""

        def work(emit: Callable[[Event], None], token: CancelToken) -> Answer:
            return self.answer(
                collection, question, mode=mode, history=history, sampling=sampling, emit=emit, cancel=token
            )

        return AnswerStream(work, cancel)

    def answer(
        self,
        collection: Collection,
        question: str,
        *,
        mode: ModeChoice,
        sampling: Sampling,
        cancel: CancelToken,
        history: Sequence[Turn] = (),
        emit: Callable[[Event], None] = lambda _: None,
    ) -> Answer:
        """The answer, complete; `emit` gets its pieces. Raises RemoteError, EmptyCollection, Cancelled, …"""
        if sampling.logprobs is not None:
            raise NotAnswerable("Log probabilities are told by the local model only, not by another engine.")
        texts: Any = _Texts(self.characters)
        room = sampling.max_new_tokens * CHARACTERS
        prepared = Planning(collection, texts, tree=_lines).prepare(question, mode, history, room)
        body = self._body(prepared, question, history, sampling)
        return until_cancelled(lambda: self._answer(body, prepared, question, emit), cancel)

    def _body(self, prepared: Prepared, question: str, history: Sequence[Turn], s: Sampling) -> dict[str, Any]:
        corpus = "".join(map(chr, prepared.packed.token_ids.tolist()))
        first, *rest = prompt.messages(question, history, brief=False)
        said = [Message("user", f"{corpus}\n{first.content}"), *rest]
        messages = [{"role": "system", "content": prompt.SYSTEM}]
        messages += [{"role": m.role, "content": m.content} for m in said]
        body: dict[str, Any] = {
            "model": self.name,
            "messages": messages,
            "max_tokens": s.max_new_tokens,
            "temperature": s.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        default = Sampling()
        for name in ("top_p", "top_k", "min_p", "repetition_penalty", "seed"):
            if getattr(s, name) != getattr(default, name):
                body[name] = getattr(s, name)
        return {**body, "stop": list(s.stop)} if s.stop else body

    async def _answer(
        self, body: dict[str, Any], prepared: Prepared, question: str, emit: Callable[[Event], None]
    ) -> Answer:
        text, finish, usage = "", None, None
        started = first = time.perf_counter()
        async for event in self._wire.lines("/chat/completions", body):
            usage = event.get("usage") or usage
            for choice in event.get("choices") or ():
                finish = choice.get("finish_reason") or finish
                piece = (choice.get("delta") or {}).get("content")
                if piece:
                    first = first if text else time.perf_counter()
                    text += piece
                    emit(piece)
        if finish is None:
            raise BrokeOff(self.url)
        ended = time.perf_counter()
        made, cached = _counts(usage)
        stats = AnswerStats(
            prompt_tokens=(usage or {}).get("prompt_tokens", 0),
            cached_tokens=cached,
            prefill_s=round(first - started, 4),
            ttft_s=round(first - started, 4),
            decode_tok_s=(made - 1) / (ended - first) if made > 1 and ended > first else None,
            policy="its own",
            mode=prepared.mode,
            density=None,
            recall=None,
            answer_tokens=made,
            finish_reason="length" if finish == "length" else "stop",
        )
        return Answer(text.strip(), _cited(prepared, question, text), stats, self._notice(prepared))

    def _notice(self, prepared: Prepared) -> Reason:
        return reason(f"sent_{prepared.mode}", model=self.name, server=urlsplit(self.url).netloc)


class _Texts:
    """What Planning asks of an engine, where tokens are characters: what it packs is the text to send."""

    store = None
    brief = False
    tokenizer_digest = "characters-0000-"

    def __init__(self, characters: int) -> None:
        self.model = self
        self.window = self.effective_window = self.packed_window = characters

    def encode_with_offsets(self, text: str) -> tuple[Any, Any]:
        """Code points, and the one character that each is."""
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.int32)
        places = np.arange(len(points), dtype=np.int32)
        return points, np.stack([places, places + 1], axis=1)

    def frame(self, messages: Sequence[Message], *, system: str) -> tuple[list[int], list[int]]:
        """How long what stands before and behind the corpus is."""
        return [0] * len(system), [0] * sum(len(m.content) for m in messages)


def _lines(characters: int) -> int:
    return tree_lines(characters // CHARACTERS)


def _counts(usage: dict[str, Any] | None) -> tuple[int, int]:
    """Tokens of the answer, and of the prompt those that the server had kept."""
    usage = usage or {}
    details = usage.get("prompt_tokens_details") or {}
    return usage.get("completion_tokens", 0), details.get("cached_tokens") or 0


def _cited(prepared: Prepared, question: str, answer: str) -> tuple[Citation, ...]:
    """The answer's quotes; where it has none that is found, the sentence that shares most with question and answer."""
    entries = prepared.packed.entries
    found = [resolve(quote, entries) for quote in quotes(answer)]
    if all(citation.path is None for citation in found):
        found += [cite_sentence(best) for best in pool(entries).rank(question, answer, most=1)]
    return tuple(found)
