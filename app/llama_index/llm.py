"""OmnibusLLM: the library's model as a LlamaIndex LLM; a prompt's beginning read before is not read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.llms import LLM
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback

from app.answering.answer import Answer
from app.answering.completion import complete, converse
from app.answering.stream import AnswerStream
from app.library import Library
from engine.decode.sampling import Sampling
from engine.models.frame import Message

SAMPLED = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed")
ROLES = {MessageRole.USER: "user", MessageRole.ASSISTANT: "assistant"}


class OmnibusLLM(LLM):
    """The model of a Library, without its documents. Calls take Sampling's names (temperature, seed, …), `max_tokens`
    and `stop`; the async methods leave the event loop free.

    Raises the engine's errors: PromptTooLong where a prompt exceeds the window, Cancelled, …
    """

    temperature: float = Field(default=0.0, ge=0, le=2, description="0 is greedy.")
    max_tokens: int = Field(default=256, gt=0, description="Longest answer in tokens.")
    _library: Library = PrivateAttr()

    def __init__(self, library: Library, **fields: Any) -> None:
        super().__init__(**fields)
        self._library = library

    @classmethod
    def class_name(cls) -> str:
        """Name under which LlamaIndex writes it down."""
        return "OmnibusLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """The model's real window (this loads it)."""
        model = self._library.engine.model
        return LLMMetadata(
            context_window=model.window, num_output=self.max_tokens, is_chat_model=True, model_name=model.name
        )

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer a dialogue under the model's own chat template."""
        stream = self._dialogue(messages, kwargs)
        for _ in stream:
            pass
        return _chat("", "", stream.answer)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """The same, piece by piece."""

        def pieces() -> ChatResponseGen:
            text = ""
            for piece in self._dialogue(messages, kwargs):
                text += piece
                yield _chat(text, piece)

        return pieces()

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """The same for a coroutine."""
        return _chat("", "", await _finished(self._dialogue(messages, kwargs)))

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """The same for a coroutine, piece by piece."""

        async def pieces() -> ChatResponseAsyncGen:
            text = ""
            async for piece in self._dialogue(messages, kwargs):
                text += piece
                yield _chat(text, piece)

        return pieces()

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Go on with a text as it stands."""
        stream = self._text(prompt, kwargs)
        for _ in stream:
            pass
        return _completion("", "", stream.answer)

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """The same, piece by piece."""

        def pieces() -> CompletionResponseGen:
            text = ""
            for piece in self._text(prompt, kwargs):
                text += piece
                yield _completion(text, piece)

        return pieces()

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The same for a coroutine."""
        return _completion("", "", await _finished(self._text(prompt, kwargs)))

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        """The same for a coroutine, piece by piece."""

        async def pieces() -> CompletionResponseAsyncGen:
            text = ""
            async for piece in self._text(prompt, kwargs):
                text += piece
                yield _completion(text, piece)

        return pieces()

    def _dialogue(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]) -> AnswerStream:
        system = "\n\n".join(m.content or "" for m in messages if m.role == MessageRole.SYSTEM)
        turns = [Message(ROLES[m.role], m.content or "") for m in messages if m.role in ROLES]  # type: ignore[arg-type]
        if not turns:  # a template may put everything into the system message
            system, turns = "", [Message("user", system)]
        return converse(self._library, turns, system=system, sampling=self._sampling(kwargs))

    def _text(self, prompt: str, kwargs: dict[str, Any]) -> AnswerStream:
        return complete(self._library, prompt, sampling=self._sampling(kwargs))

    def _sampling(self, kwargs: dict[str, Any]) -> Sampling:
        stop = kwargs.get("stop") or ()
        made = Sampling(
            temperature=self.temperature,
            max_new_tokens=kwargs.get("max_tokens") or self.max_tokens,
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
        )
        return replace(made, **{name: kwargs[name] for name in SAMPLED if kwargs.get(name) is not None})


async def _finished(stream: AnswerStream) -> Answer:
    async for _ in stream:
        pass
    assert stream.answer is not None
    return stream.answer


def _facts(answer: Answer | None) -> dict[str, Any]:
    if answer is None:
        return {}
    stats = answer.stats
    return {
        "prompt_tokens": stats.prompt_tokens,
        "cached_tokens": stats.cached_tokens,
        "completion_tokens": stats.answer_tokens,
        "finish_reason": stats.finish_reason,
    }


def _chat(text: str, delta: str, answer: Answer | None = None) -> ChatResponse:
    message = ChatMessage(role=MessageRole.ASSISTANT, content=answer.text if answer else text)
    return ChatResponse(message=message, delta=delta or None, additional_kwargs=_facts(answer))


def _completion(text: str, delta: str, answer: Answer | None = None) -> CompletionResponse:
    said = answer.text if answer else text
    return CompletionResponse(text=said, delta=delta or None, additional_kwargs=_facts(answer))
