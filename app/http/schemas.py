"""Bodies of the OpenAI-compatible API that we read."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class TextPart(BaseModel):
    """A part of a message; only text is taken."""

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One message."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    @property
    def text(self) -> str:
        """All of its text."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """What a stream carries besides text."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """POST /v1/chat/completions; `model` is `llm@collection`, `mode` is ours (auto, whole, packed)."""

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    n: Literal[1] | None = 1
    mode: Literal["auto", "whole", "packed"] = "auto"

    @property
    def limit(self) -> int | None:
        """Longest answer asked for."""
        return self.max_completion_tokens or self.max_tokens


def error_body(message: str, kind: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """An error in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
