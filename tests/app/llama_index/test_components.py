"""Our LlamaIndex classes in stock LlamaIndex components, over a small random model and, once, the real one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage, CitationBlock
from llama_index.core.chat_engine import CondensePlusContextChatEngine, ContextChatEngine, SimpleChatEngine
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.evaluation import BatchEvalRunner, FaithfulnessEvaluator
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import ResponseMode, get_response_synthesizer

from app.collection import Collection
from app.library import Library
from app.llama_index import (
    CorpusChatEngine,
    GroundedQueryEngine,
    OmnibusLLM,
    OmnibusReader,
    WholeCorpusRetriever,
)
from app.settings import Settings
from tests.app.serving import NOTES
from tests.conftest import SAMPLES


@pytest.fixture(scope="module")
def shore(tmp_path_factory: pytest.TempPathFactory, random_models: dict[str, Path]) -> Iterator[Collection]:
    settings = Settings(
        home=tmp_path_factory.mktemp("home"), model=str(random_models["llama"]), dtype="float32", max_new_tokens=24
    )
    with Library(settings=settings) as library:
        collection = library.collection("shore")
        collection.add_bytes("notes.txt", NOTES.encode())
        yield collection


@pytest.fixture
def llm(shore: Collection) -> OmnibusLLM:
    return OmnibusLLM(shore.library, max_tokens=12)


def test_the_model_says_the_same_in_every_manner(llm: OmnibusLLM) -> None:
    messages = [ChatMessage(role="system", content="Be short."), ChatMessage(role="user", content="Hello")]
    said = llm.chat(messages)
    assert "".join(r.delta or "" for r in llm.stream_chat(messages)) == said.message.content
    made = llm.complete("The jetty")
    assert [*llm.stream_complete("The jetty")][-1].text == made.text

    async def run() -> list[str]:
        chat = await llm.achat(messages)
        pieces = [r.delta or "" async for r in await llm.astream_chat(messages)]
        text = await llm.acomplete("The jetty")
        parts = [r.delta or "" async for r in await llm.astream_complete("The jetty")]
        return [chat.message.content or "", "".join(pieces), text.text, "".join(parts)]

    assert asyncio.run(run()) == [said.message.content] * 2 + [made.text] * 2


def test_sampling_reaches_the_model(llm: OmnibusLLM) -> None:
    texts = {llm.complete("The jetty", temperature=1.5, seed=seed).text for seed in (1, 2, 1, 2)}
    assert len(texts) == 2
    assert llm.complete("The jetty", max_tokens=3).additional_kwargs["completion_tokens"] == 3
    assert llm.metadata.context_window == 2048


def test_waiting_for_the_model_leaves_the_loop_free(llm: OmnibusLLM, shore: Collection) -> None:
    async def run() -> tuple[int, float]:
        ticks, longest, last = 0, 0.0, time.perf_counter()
        answer = asyncio.create_task(llm.achat([ChatMessage(role="user", content="Hello")]))
        while not answer.done():
            await asyncio.sleep(0.01)
            now = time.perf_counter()
            ticks, longest, last = ticks + 1, max(longest, now - last), now
            if ticks == 20:
                shore.library._turn.release()
        return ticks, longest

    shore.library._turn.acquire()  # as if another answer were under way
    ticks, longest = asyncio.run(run())
    assert ticks > 20
    assert longest < 0.5


def test_documents_keep_their_ids_when_a_file_is_touched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text(NOTES)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\0")
    reader = OmnibusReader()
    (first,) = reader.load_data(tmp_path)
    assert first.text == NOTES
    assert any("picture.png" in path for path in reader.skipped)
    os.utime(tmp_path / "notes.txt", (1, 1))
    (again,) = reader.load_data(tmp_path)
    assert (again.id_, again.hash) == (first.id_, first.hash)


def test_stock_query_engine_over_the_whole_corpus(llm: OmnibusLLM, shore: Collection) -> None:
    retriever = WholeCorpusRetriever(shore)
    synthesizer = get_response_synthesizer(llm=llm, response_mode=ResponseMode.SIMPLE_SUMMARIZE)
    engine = RetrieverQueryEngine(retriever=retriever, response_synthesizer=synthesizer)
    response = engine.query("Who keeps the key?")
    assert str(response)
    (node,) = response.source_nodes
    assert node.node.get_content() == NOTES
    assert str(asyncio.run(engine.aquery("Who keeps the key?"))) == str(response)


def test_a_corpus_beyond_the_budget_comes_as_passages_in_order(shore: Collection) -> None:
    log = shore.library.collection("log")
    log.add_bytes("b.txt", ("The tide was low that day. " * 200).encode())
    log.add_bytes("a.txt", ("Marta found the brass key.\n\n" + "Rain again, all week long. " * 200).encode())
    nodes = WholeCorpusRetriever(log, budget=600).retrieve("Who found the brass key?")
    assert any("brass key" in n.text for n in nodes)
    sources = {d.path: d.text for d in log.shelf.documents()}
    for n in nodes:
        assert sources[n.metadata["path"]][n.node.start_char_idx : n.node.end_char_idx] == n.text  # type: ignore[attr-defined]
    assert sum(len(n.text) for n in nodes) < sum(map(len, sources.values())) / 2


def test_stock_index_and_chat_engines_take_our_reader_and_model(llm: OmnibusLLM, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text(NOTES)
    documents = OmnibusReader().load_data(tmp_path)
    index = VectorStoreIndex.from_documents(documents, embed_model=MockEmbedding(embed_dim=4))
    memory = ChatMemoryBuffer.from_defaults(llm=llm, tokenizer_fn=str.split)
    chat = ContextChatEngine.from_defaults(retriever=index.as_retriever(), llm=llm, memory=memory)
    assert chat.chat("Who keeps the key?").source_nodes
    assert SimpleChatEngine.from_defaults(llm=llm, memory=memory).chat("Hello").response is not None


def test_a_stock_chat_engine_condenses_and_keeps_its_context(llm: OmnibusLLM, shore: Collection) -> None:
    memory = ChatMemoryBuffer.from_defaults(llm=llm, tokenizer_fn=str.split)
    chat = CondensePlusContextChatEngine.from_defaults(retriever=WholeCorpusRetriever(shore), llm=llm, memory=memory)
    assert chat.chat("Who keeps the key?").source_nodes[0].node.get_content() == NOTES
    streamed = chat.stream_chat("And who rebuilt the jetty?")  # the earlier turn makes it condense first
    assert "".join(streamed.response_gen)
    assert streamed.source_nodes
    assert len(chat.chat_history) == 4


def test_the_evaluation_runner_takes_our_engine_and_our_judge(llm: OmnibusLLM, shore: Collection) -> None:
    runner = BatchEvalRunner({"faithfulness": FaithfulnessEvaluator(llm=llm)}, workers=2)
    results = asyncio.run(runner.aevaluate_queries(GroundedQueryEngine(shore), queries=["Who?", "When?"]))
    assert len(results["faithfulness"]) == 2


def test_citations_are_exact_places(shore: Collection) -> None:
    for response in (
        GroundedQueryEngine(shore).query("Who keeps the key?"),
        asyncio.run(GroundedQueryEngine(shore).aquery("Who keeps the key?")),
    ):
        (cited,) = response.source_nodes
        assert NOTES[cited.node.start_char_idx : cited.node.end_char_idx] == cited.text  # type: ignore[attr-defined]
        assert cited.metadata["path"] == "notes.txt"


def test_a_conversation_streams_remembers_and_cites(shore: Collection) -> None:
    engine = CorpusChatEngine(shore)
    first = engine.chat("Who keeps the key?")
    blocks = [b for b in engine.chat_history[-1].blocks if isinstance(b, CitationBlock)]
    assert NOTES[blocks[0].additional_location_info["char_start"] :].startswith(blocks[0].cited_content.text)  # type: ignore[union-attr]
    streamed = engine.stream_chat("And when was the jetty rebuilt?")
    text = "".join(streamed.response_gen)
    assert text
    assert streamed.source_nodes
    assert [m.role.value for m in engine.chat_history] == ["user", "assistant"] * 2

    async def run() -> str:
        fresh = CorpusChatEngine(shore)
        made = await fresh.astream_chat("Who keeps the key?")
        return "".join([piece async for piece in made.async_response_gen()])

    assert asyncio.run(run()).strip() == first.response
    engine.reset()
    assert engine.chat_history == []


def test_no_openai_package_is_touched() -> None:
    code = "import sys, app.llama_index; sys.exit('openai' in sys.modules or 'gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0


@pytest.mark.slow
def test_the_real_model_answers_through_llama_index(library: Library) -> None:
    hut = library.collection("hut")
    hut.add(SAMPLES)
    response = GroundedQueryEngine(hut).query("Who is the warden of the hut?")
    assert "Varga" in str(response)
    assert response.source_nodes[0].metadata["path"] == "samples/handbook.md"
