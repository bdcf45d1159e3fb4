"""The HTTP API through the real openai client, over a real socket."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import openai
import pytest

from app.library import Library
from app.settings import Settings
from tests.app.serving import listening
from tests.conftest import SAMPLES


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, default_model_path: object) -> Iterator[tuple[str, Library]]:
    """A server on a free loopback port, and its library."""
    home = tmp_path_factory.mktemp("home")
    (home / "models").symlink_to(default_model_path.parent)  # type: ignore[attr-defined]
    with Library(settings=Settings(home=home)) as library:
        library.collection("hut").add(SAMPLES)
        with listening(library) as address:
            yield address, library


@pytest.fixture
def client(served: tuple[str, Library]) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{served[0]}/v1", api_key="unused", max_retries=0)


def ask(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


def test_an_answer_with_citations_and_the_second_from_cache(client: openai.OpenAI) -> None:
    model = next(iter(client.models.list())).id
    assert model.endswith("@hut")
    first = client.chat.completions.create(model=model, messages=ask("Who is the warden of the hut?"))  # type: ignore[arg-type]
    again = client.chat.completions.create(model=model, messages=ask("Who is the warden of the hut?"))  # type: ignore[arg-type]
    assert "Varga" in str(first.choices[0].message.content)
    assert first.choices[0].message.content == again.choices[0].message.content
    assert again.usage is not None
    assert again.usage.prompt_tokens_details is not None
    assert again.usage.prompt_tokens_details.cached_tokens > 1000  # type: ignore[operator]
    assert again.usage.total_tokens == again.usage.prompt_tokens + again.usage.completion_tokens
    citations = again.model_extra["citations"]  # type: ignore[index]
    assert (citations[0]["path"], citations[0]["line_start"]) == ("samples/handbook.md", 8)


def test_a_stream_of_pieces_ends_with_usage_and_citations(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="default@hut",
        messages=ask("How many solar panels does the roof carry?"),  # type: ignore[arg-type]
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert "18" in text
    assert len([c for c in chunks if c.choices and c.choices[0].delta.content]) > 3
    assert chunks[-1].usage is not None
    assert chunks[-1].choices == []
    (last,) = [c for c in chunks if c.choices and c.choices[0].finish_reason]
    assert last.model_extra["citations"][0]["path"] == "samples/handbook.md"  # type: ignore[index]


def test_earlier_messages_are_the_dialogue(client: openai.OpenAI) -> None:
    messages = [*ask("Who is the warden?"), {"role": "assistant", "content": "Ilse Varga."}, *ask("And the cook?")]
    made = client.chat.completions.create(model="x@hut", messages=messages, max_tokens=2)  # type: ignore[arg-type]
    assert made.usage is not None
    assert made.usage.completion_tokens == 2
    assert made.choices[0].finish_reason == "length"


@pytest.mark.parametrize("stream", [False, True])
def test_errors_have_openais_shape(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.NotFoundError, match="no collection 'nope'"):
        client.chat.completions.create(model="x@nope", messages=ask("Hello?"), stream=stream)  # type: ignore[call-overload]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="x@hut", messages=[], stream=stream)  # type: ignore[call-overload]
    assert caught.value.param == "messages"
    with pytest.raises(openai.BadRequestError, match="should be 1"):
        client.chat.completions.create(model="x@hut", messages=ask("Hello?"), n=2, stream=stream)  # type: ignore[call-overload]
    with pytest.raises(openai.BadRequestError, match="empty"):
        client.chat.completions.create(model="x@hut", messages=ask("  "), stream=stream)  # type: ignore[call-overload]


def test_a_prompt_beyond_the_window_is_refused_with_its_code(
    client: openai.OpenAI, served: tuple[str, Library]
) -> None:
    served[1].collection("long").add_bytes("long.txt", b"one two three four five six seven. " * 6000)
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model="x@long",
            messages=ask("What?"),  # type: ignore[arg-type]
            extra_body={"mode": "whole"},
        )
    assert caught.value.code == "context_length_exceeded"


def test_a_client_that_goes_away_frees_the_engine(served: tuple[str, Library]) -> None:
    url, library = served
    body = {"model": "x@hut", "messages": ask("Tell me everything about the hut."), "stream": True, "max_tokens": 400}
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=60) as answer:
        lines = answer.iter_lines()
        next(line for line in lines if '"content": "' in line and '"content": ""' not in line)
    start = time.perf_counter()
    with library.turn():  # free again long before 400 tokens could have been decoded
        assert time.perf_counter() - start < 5


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_during_prefill_stops_it(served: tuple[str, Library], stream: bool) -> None:
    url, library = served
    assert library.engine  # loaded before the clock runs
    long = library.collection(f"reading-{stream}")
    long.add_bytes("long.txt", b"one two three four five six seven. " * 800)
    body = {"model": f"x@{long.name}", "messages": ask("What?"), "mode": "whole", "stream": stream}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/v1/chat/completions", json=body, timeout=1.5)
    with library.turn():
        pass
    plan = long.plan(mode="whole")
    assert plan.cached_tokens < plan.corpus_tokens  # it stopped before it had read everything


def test_health_and_headers(served: tuple[str, Library]) -> None:
    health = httpx.get(f"{served[0]}/healthz")
    assert json.loads(health.text)["status"] == "ok"
    policy = httpx.get(f"{served[0]}/").headers["content-security-policy"]
    assert "img-src 'self'" in policy
    assert "default-src 'self'" in policy
