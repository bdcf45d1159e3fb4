"""Programs that people already have, against a running server: LlamaIndex' OpenAILike and curl."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.llms.openai_like import OpenAILike

from app.library import Library
from tests.app.serving import serving

QUESTION = [ChatMessage(role="user", content="Who keeps the key?")]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, random_models: dict[str, Path]) -> Iterator[tuple[str, Library]]:
    with serving(tmp_path_factory.mktemp("home"), random_models["llama"]) as it:
        yield it


@pytest.fixture
def llm(served: tuple[str, Library]) -> OpenAILike:
    return OpenAILike(
        model="llm@shore",
        api_base=f"{served[0]}/v1",
        api_key="unused",
        is_chat_model=True,
        context_window=2048,
        max_tokens=12,
        temperature=0,
    )


def test_openai_like_chats_and_streams_the_same(llm: OpenAILike) -> None:
    whole = llm.chat(QUESTION)
    assert whole.message.content
    pieces = [piece.delta or "" for piece in llm.stream_chat(QUESTION)]
    assert "".join(pieces).strip() == whole.message.content
    assert len([piece for piece in pieces if piece]) > 3
    again = llm.chat(QUESTION)
    assert again.raw.usage.prompt_tokens_details.cached_tokens > 50


def test_openai_like_does_so_for_coroutines(llm: OpenAILike) -> None:
    async def run() -> list[str]:
        chat, text = await asyncio.gather(llm.achat(QUESTION), llm.acomplete("Who keeps the key?"))
        pieces = [piece.delta or "" async for piece in await llm.astream_chat(QUESTION)]
        return [chat.message.content or "", text.text, "".join(pieces).strip()]

    assert len(set(asyncio.run(run()))) == 1


def test_openai_like_takes_the_bare_models_dialogue(served: tuple[str, Library], llm: OpenAILike) -> None:
    bare = llm.model_copy(update={"model": "llm@"})
    system = ChatMessage(role="system", content="Be short.")
    asked = bare.chat([system, *QUESTION])
    assert asked.raw.usage.prompt_tokens < llm.chat(QUESTION).raw.usage.prompt_tokens


def test_curl_reads_a_stream_line_by_line(served: tuple[str, Library]) -> None:
    body = {"model": "llm@shore", "messages": [{"role": "user", "content": "Who keeps the key?"}], "max_tokens": 12}
    command = ["curl", "-sN", f"{served[0]}/v1/chat/completions", "-H", "content-type: application/json", "-d"]

    def lines(**more: object) -> list[str]:
        text = json.dumps({**body, **more})
        out = subprocess.run([*command, text], capture_output=True, text=True, check=True).stdout
        return [line for line in out.splitlines() if line]

    *events, end = lines(stream=True)
    assert end == "data: [DONE]"
    deltas = [json.loads(line.removeprefix("data: "))["choices"][0]["delta"] for line in events]
    (whole,) = lines()
    said = json.loads(whole)["choices"][0]["message"]["content"]
    assert "".join(delta.get("content", "") for delta in deltas).strip() == said
