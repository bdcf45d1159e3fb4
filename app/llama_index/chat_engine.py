"""CorpusChatEngine: a conversation over a collection; earlier turns stand behind the corpus, which is read once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.chat_engine.types import AgentChatResponse, BaseChatEngine, StreamingAgentChatResponse
from llama_index.core.memory import ChatMemoryBuffer

from app.answering.answer import Answer, Turn
from app.answering.stream import AnswerStream
from app.collection import Collection
from app.llama_index.nodes import citation_blocks, citation_nodes
from app.planning.planner import ModeChoice
from engine.decode.sampling import Sampling


class CorpusChatEngine(BaseChatEngine):
    """Remembers its conversation; the assistant's messages carry their citations as CitationBlocks."""

    def __init__(
        self,
        collection: Collection,
        *,
        mode: ModeChoice = "auto",
        sampling: Sampling | None = None,
    ) -> None:
        self._collection, self._mode, self._sampling = collection, mode, sampling
        self._history: list[ChatMessage] = []

    @property
    def chat_history(self) -> list[ChatMessage]:
        """The conversation so far."""
        return self._history

    def reset(self) -> None:
        """Forget the conversation."""
        self._history = []

    def chat(self, message: str, chat_history: list[ChatMessage] | None = None) -> AgentChatResponse:
        """Answer a message; a history that is given replaces the engine's own."""
        stream = self._stream(message, chat_history)
        for _ in stream:
            pass
        return self._remembered(message, stream)

    async def achat(self, message: str, chat_history: list[ChatMessage] | None = None) -> AgentChatResponse:
        """The same for a coroutine, the event loop free."""
        stream = self._stream(message, chat_history)
        async for _ in stream:
            pass
        return self._remembered(message, stream)

    def stream_chat(self, message: str, chat_history: list[ChatMessage] | None = None) -> StreamingAgentChatResponse:
        """The same, read with `response_gen`; `source_nodes` are there once it is read."""
        stream = self._stream(message, chat_history)

        def pieces() -> Generator[ChatResponse, None, None]:
            for piece in stream:
                yield _piece(piece)
            made.source_nodes = self._remembered(message, stream).source_nodes

        made = StreamingAgentChatResponse(chat_stream=pieces())
        writer = threading.Thread(target=made.write_response_to_history, args=(_discarded(),), daemon=True)
        made.write_response_to_history_thread = writer
        writer.start()
        return made

    async def astream_chat(
        self, message: str, chat_history: list[ChatMessage] | None = None
    ) -> StreamingAgentChatResponse:
        """The same, read with `async_response_gen`."""
        stream = self._stream(message, chat_history)

        async def pieces() -> AsyncGenerator[ChatResponse, None]:
            async for piece in stream:
                yield _piece(piece)
            made.source_nodes = self._remembered(message, stream).source_nodes

        made = StreamingAgentChatResponse(achat_stream=pieces())
        made.awrite_response_to_history_task = asyncio.create_task(made.awrite_response_to_history(_discarded()))
        return made

    def _stream(self, message: str, chat_history: list[ChatMessage] | None) -> AnswerStream:
        if chat_history is not None:
            self._history = list(chat_history)
        turns: list[Turn] = []
        asked: str | None = None
        for said in self._history:
            if said.role == MessageRole.USER:
                asked = said.content
            elif said.role == MessageRole.ASSISTANT and asked is not None:
                turns.append(Turn(asked, said.content or ""))
                asked = None
        return self._collection.stream(message, mode=self._mode, history=turns, sampling=self._sampling)

    def _remembered(self, message: str, stream: AnswerStream) -> AgentChatResponse:
        answer = stream.answer
        assert answer is not None
        self._history = [*self._history, ChatMessage(role=MessageRole.USER, content=message), _said(answer)]
        return AgentChatResponse(
            response=answer.text,
            source_nodes=citation_nodes(answer),
            metadata={"notice": answer.notice, "stats": answer.to_dict()["stats"]},
        )


def _discarded() -> ChatMemoryBuffer:
    """The memory that LlamaIndex' stream insists on writing to; ours is the history, with citations."""
    return ChatMemoryBuffer(token_limit=1 << 30, tokenizer_fn=str.split)


def _piece(text: str) -> ChatResponse:
    return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=text), delta=text)


def _said(answer: Answer) -> ChatMessage:
    message = ChatMessage(role=MessageRole.ASSISTANT, content=answer.text)
    message.blocks.extend(citation_blocks(answer))
    return message
