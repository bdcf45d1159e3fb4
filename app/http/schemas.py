"""Bodies of the OpenAI-compatible API that we read."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, model_validator

from app.planning.planner import ModeChoice
from engine.decode.sampling import Sampling


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


class Drawn(BaseModel):
    """How the tokens of an answer are drawn. `top_k`, `min_p` and `repetition_penalty` are ours."""

    max_tokens: int | None = Field(default=None, ge=1, le=1 << 20)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0)
    min_p: float | None = Field(default=None, ge=0, le=1)
    repetition_penalty: float | None = Field(default=None, gt=0, le=10)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: str | list[str] | None = None

    @property
    def limit(self) -> int | None:
        """The longest answer asked for, in tokens."""
        return self.max_tokens

    @property
    def likeliest(self) -> int | None:
        """How many likeliest tokens to tell beside each one; None tells no log probabilities."""
        return None

    def sampling(self, longest: int) -> Sampling:
        """How tokens are drawn; what is not said is greedy and up to `longest` tokens."""
        named = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed")
        said = {name: value for name in named if (value := getattr(self, name)) is not None}
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        limit = self.limit or longest
        return Sampling(**said, stop=tuple(s for s in stop if s), max_new_tokens=limit, logprobs=self.likeliest)


class Asked(Drawn):
    """What every request for text can say. `model` is `llm@collection`; `llm@` asks the bare model.

    What cannot be done is refused, never silently left out. `mode` is ours.
    """

    model: str
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = 1
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    mode: ModeChoice = "auto"

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with the token counts."""
        return self.stream_options is not None and self.stream_options.include_usage


class ChatRequest(Asked):
    """POST /v1/chat/completions."""

    messages: list[ChatMessage] = Field(min_length=1)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=1 << 20)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    tools: list[Any] | None = Field(default=None, max_length=0)
    response_format: TextFormat | None = None

    @property
    def limit(self) -> int | None:
        """The longest answer asked for, in tokens."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def likeliest(self) -> int | None:
        """As Drawn.likeliest."""
        return (self.top_logprobs or 0) if self.logprobs else None

    @model_validator(mode="after")
    def _top_needs_logprobs(self) -> ChatRequest:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs to be true")
        return self


class TextFormat(BaseModel):
    """The one form of answers."""

    type: Literal["text"]


class CompletionRequest(Asked):
    """POST /v1/completions: the prompt is the question to a collection, or text that the bare model goes on with."""

    prompt: str | list[str]
    logprobs: int | None = Field(default=None, ge=0, le=20)
    echo: Literal[False] | None = None
    suffix: Literal[""] | None = None
    best_of: Literal[1] | None = None

    @property
    def text(self) -> str:
        """The prompt."""
        return self.prompt if isinstance(self.prompt, str) else "".join(self.prompt[:1])

    @property
    def likeliest(self) -> int | None:
        """As Drawn.likeliest."""
        return self.logprobs


class TokenizeRequest(BaseModel):
    """POST /v1/tokenize: one text, as the loaded model cuts it."""

    model: str | None = None
    prompt: str


def error_body(message: str, kind: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """OpenAI's error object."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
