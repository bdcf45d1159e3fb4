"""POST /v1/completions and /v1/tokenize: text in, text or token ids out."""

from __future__ import annotations

import time
import uuid
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from app.answering.answer import Answer
from app.answering.completion import complete
from app.answering.stream import AnswerStream
from app.errors import NotAnswerable
from app.http.answering import answered, streamed
from app.http.chat import collection_of, extras, usage
from app.http.logprobs import of_text
from app.http.schemas import CompletionRequest, TokenizeRequest
from app.http.viewed import library_of

router = APIRouter(tags=["OpenAI"])


@router.post("/v1/completions", response_model=None)
async def completions(body: CompletionRequest, request: Request) -> StreamingResponse | dict[str, Any]:
    """Ask a collection the prompt as a question, or let the bare model (`llm@`) go on with it."""
    stream = await anyio.to_thread.run_sync(_asked, body, request)
    identity = {
        "id": f"cmpl-{uuid.uuid4().hex}",
        "created": int(time.time()),
        "model": body.model,
        "object": "text_completion",
    }

    def choice(text: str, answer: Answer | None = None) -> dict[str, Any]:
        finish, likely = (answer.stats.finish_reason, of_text(answer.logprobs)) if answer else (None, None)
        return {**identity, "choices": [{"index": 0, "text": text, "logprobs": likely, "finish_reason": finish}]}

    def line(event: str | Answer) -> list[dict[str, Any]]:
        if isinstance(event, str):
            return [choice(event)]
        last = [{**choice("", event), **extras(event)}]
        return [*last, {**identity, "choices": [], "usage": usage(event)}] if body.include_usage else last

    if body.stream:
        return await streamed(request, stream, line)
    answer = await answered(request, stream)
    return {**choice(answer.text, answer), "usage": usage(answer), **extras(answer)}


@router.post("/v1/tokenize")
def tokenize(body: TokenizeRequest, request: Request) -> dict[str, Any]:
    """Token ids of a text under the loaded model, how many, and the model's window."""
    model = library_of(request).engine.model
    ids, _ = model.encode_with_offsets(body.prompt)
    return {"tokens": ids, "count": len(ids), "max_model_len": model.window}


def _asked(body: CompletionRequest, request: Request) -> AnswerStream:
    library = library_of(request)
    if isinstance(body.prompt, list) and len(body.prompt) != 1:
        raise NotAnswerable("One prompt at a time. For many questions use: omnibus batch")
    name = collection_of(body.model)
    sampling = body.sampling(library.settings.max_new_tokens)
    if not name:
        return complete(library, body.text, sampling=sampling)
    library.require(name)
    stream: AnswerStream = library.collection(name).stream(body.text, mode=body.mode, sampling=sampling)
    return stream
