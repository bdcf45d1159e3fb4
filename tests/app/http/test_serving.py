"""The HTTP API as programs use it: the openai package, curl and httpx against a running server."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import torch

from app.answering.answer import AnswerStats
from app.http.limits import Limits
from app.http.logs import start_logging
from app.http.metrics import Metrics
from app.http.queue import Queue
from app.http.tokens import Token, Tokens
from app.library import Library
from engine.models.frame import Message
from tests.app.serving import NOTES, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, random_models: dict[str, Path]) -> Iterator[tuple[str, Library]]:
    with serving(tmp_path_factory.mktemp("home"), random_models["llama"], queue_limit=2) as it:
        yield it


@pytest.fixture
def client(served: tuple[str, Library]) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{served[0]}/v1", api_key="unused", max_retries=0)


def chat(client: openai.OpenAI, **more: Any) -> Any:
    asked = {"model": "x@shore", "messages": [{"role": "user", "content": "Who keeps the key?"}], "max_tokens": 12}
    return client.chat.completions.create(**{**asked, **more})


def test_the_temperature_and_the_seed_are_used(client: openai.OpenAI) -> None:
    def text(**more: Any) -> str:
        return str(chat(client, **more).choices[0].message.content)

    greedy = text()
    assert text(temperature=0) == greedy
    assert text(temperature=1.5, seed=1) == text(temperature=1.5, seed=1)
    assert len({text(temperature=1.5, seed=seed) for seed in range(4)} | {greedy}) > 2
    assert text(temperature=1.5, top_p=1e-6, seed=5) == greedy  # only the likeliest token is left
    assert text(temperature=1.5, seed=5, extra_body={"top_k": 1}) == greedy


def test_a_stop_string_ends_the_answer_and_is_not_in_it(client: openai.OpenAI) -> None:
    whole = chat(client, max_tokens=24)
    text = str(whole.choices[0].message.content)
    assert whole.choices[0].finish_reason == "length"
    stop = text[len(text) // 2 :][:3]
    cut = chat(client, max_tokens=24, stop=[stop])
    assert cut.choices[0].finish_reason == "stop"
    assert cut.choices[0].message.content == text[: text.index(stop)].strip()


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"n": 2}, "n"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(client: openai.OpenAI, asked: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, **asked)
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"


def test_completions_ask_a_collection_or_the_bare_model(client: openai.OpenAI) -> None:
    asked = client.completions.create(model="x@shore", prompt="Who keeps the key?", max_tokens=4)
    bare = client.completions.create(model="x@", prompt="The jetty", max_tokens=4)
    assert asked.usage is not None
    assert bare.usage is not None
    assert asked.usage.prompt_tokens > 50 > bare.usage.prompt_tokens
    stream = client.completions.create(
        model="x@", prompt="The jetty", max_tokens=4, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(c.choices[0].text for c in chunks if c.choices) == bare.choices[0].text
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == bare.usage.total_tokens


def test_log_probabilities_are_those_of_the_model(client: openai.OpenAI, served: tuple[str, Library]) -> None:
    made = chat(client, model="x@", logprobs=True, top_logprobs=3)
    said = made.choices[0].logprobs.content
    assert len(said) == made.usage.completion_tokens
    assert all(t.top_logprobs[0].token == t.token for t in said)  # greedy
    assert all(t.top_logprobs[0].logprob > t.top_logprobs[1].logprob > t.top_logprobs[2].logprob for t in said)
    model = served[1].engine.model
    head, tail = model.frame([Message("user", "Who keeps the key?")], system="")
    prompt = [*head, *tail]
    with torch.inference_mode():
        logits = model._model(torch.tensor([prompt])).logits[0, -1].float()
    assert said[0].logprob == pytest.approx(float(torch.log_softmax(logits, -1).max()), abs=1e-3)
    (*_, last) = chat(client, model="x@", logprobs=True, stream=True)
    assert [t.token for t in last.choices[0].logprobs.content] == [t.token for t in said]
    assert chat(client).choices[0].logprobs is None


def test_completions_tell_log_probabilities_in_their_own_shape(client: openai.OpenAI) -> None:
    made = client.completions.create(model="x@", prompt="The jetty", max_tokens=4, logprobs=2)
    told = made.choices[0].logprobs
    assert told is not None
    assert told.tokens is not None
    assert told.top_logprobs is not None
    assert told.text_offset == [sum(map(len, told.tokens[:n])) for n in range(4)]
    assert [max(top.values()) for top in told.top_logprobs] == told.token_logprobs


def test_a_system_message_guides_the_answer_and_leaves_the_corpus_in_cache(client: openai.OpenAI) -> None:
    question = {"role": "user", "content": "Who keeps the key?"}
    plain = chat(client)
    guided = chat(client, messages=[{"role": "system", "content": "Answer in French."}, question])
    assert guided.usage.prompt_tokens > plain.usage.prompt_tokens
    assert guided.choices[0].message.content != plain.choices[0].message.content
    assert guided.usage.prompt_tokens_details.cached_tokens == plain.usage.prompt_tokens_details.cached_tokens > 0


def test_usage_comes_with_a_stream_only_when_asked_for(client: openai.OpenAI) -> None:
    assert all(chunk.usage is None for chunk in chat(client, stream=True))
    chunks = list(chat(client, stream=True, stream_options={"include_usage": True}))
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].choices == []


def test_the_bare_model_converses(client: openai.OpenAI) -> None:
    messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hello"}]
    made = chat(client, model="x@", messages=messages)
    assert made.usage.completion_tokens == 12
    assert made.model_extra["citations"] == []


def test_tokens_are_counted_as_the_model_cuts_them(served: tuple[str, Library]) -> None:
    made = httpx.post(f"{served[0]}/v1/tokenize", json={"prompt": NOTES}).json()
    assert made["count"] == len(made["tokens"])
    assert served[1].engine.model.decode(made["tokens"]) == NOTES


def test_the_async_client_streams_beside_the_page(served: tuple[str, Library]) -> None:
    async def run() -> tuple[list[str], float]:
        async with openai.AsyncOpenAI(base_url=f"{served[0]}/v1", api_key="x", max_retries=0) as client:
            streams = [_collect(client, seed) for seed in (1, 2)]
            started = time.perf_counter()
            async with httpx.AsyncClient() as other:
                gathered = asyncio.gather(*streams)
                await other.get(f"{served[0]}/healthz")
                waited = time.perf_counter() - started
            return await gathered, waited

    texts, _ = asyncio.run(run())
    again, _ = asyncio.run(run())
    assert texts == again  # streams are neither lost nor mixed
    assert texts[0] != texts[1]


async def _collect(client: openai.AsyncOpenAI, seed: int) -> str:
    stream = await client.chat.completions.create(
        model="x@shore",
        messages=[{"role": "user", "content": "Who keeps the key?"}],
        max_tokens=20,
        temperature=1.5,
        seed=seed,
        stream=True,
    )
    return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])


def test_a_full_queue_says_when_to_come_back(served: tuple[str, Library]) -> None:
    url, library = served
    body = {"model": "x@shore", "messages": [{"role": "user", "content": "Who?"}], "max_tokens": 2}

    async def run() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=60) as client:
            waiting = [asyncio.create_task(client.post(f"{url}/v1/chat/completions", json=body)) for _ in range(5)]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            assert (await client.get(f"{url}/healthz")).status_code == 200  # the loop is free while they wait
            library._turn.release()
            return list(await asyncio.gather(*waiting))

    library._turn.acquire()
    answers = asyncio.run(run())
    assert sorted(a.status_code for a in answers) == [200, 200, 200, 429, 429]  # one runs, two wait
    refused = next(a for a in answers if a.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["type"] == "rate_limit_error"


def test_who_goes_away_while_waiting_leaves_the_queue(served: tuple[str, Library]) -> None:
    url, library = served
    body = {"model": "x@shore", "messages": [{"role": "user", "content": "Who?"}], "max_tokens": 2}
    with library.turn(), pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/v1/chat/completions", json=body, timeout=0.5)
    for _ in range(50):
        if "omnibus_queue_running 0.0" in httpx.get(f"{url}/metrics").text:
            break
        time.sleep(0.1)
    else:
        raise AssertionError("the queue still holds a request whose client is gone")


def test_another_name_for_this_address_is_refused(served: tuple[str, Library]) -> None:
    refused = httpx.get(f"{served[0]}/v1/models", headers={"host": "evil.example:80"})
    assert refused.status_code == 421
    assert "OMNIBUS_ALLOWED_HOSTS" in refused.json()["error"]["message"]
    for name in ("localhost:8321", "127.0.0.1", "[::1]:8321"):
        assert httpx.get(f"{served[0]}/v1/models", headers={"host": name}).status_code == 200


def test_a_request_keeps_its_id_or_gets_one(served: tuple[str, Library]) -> None:
    url = f"{served[0]}/v1/models"
    assert httpx.get(url, headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert len(httpx.get(url, headers={"x-request-id": "a b"}).headers["x-request-id"]) == 32


def test_unknown_routes_and_bodies_have_openais_shape(served: tuple[str, Library]) -> None:
    for answer in (
        httpx.get(f"{served[0]}/v1/nothing"),
        httpx.get(f"{served[0]}/v1/chat/completions"),
        httpx.post(f"{served[0]}/v1/chat/completions", content=b"{", headers={"content-type": "application/json"}),
    ):
        assert 400 <= answer.status_code < 500
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_documents_come_and_go_with_curl(served: tuple[str, Library], tmp_path: Path) -> None:
    url = f"{served[0]}/api/collections/logbook"

    def curl(*args: str) -> tuple[int, Any]:
        out = subprocess.run(["curl", "-s", "-w", "\n%{http_code}", *args], capture_output=True, text=True, check=True)
        body, _, status = out.stdout.rpartition("\n")
        return int(status), json.loads(body) if body else None

    (tmp_path / "log.txt").write_text("The keel was laid in May.\n" * 20)
    status, info = curl("--data-binary", f"@{tmp_path / 'log.txt'}", f"{url}/documents?filename=log.txt")
    assert (status, info["path"], info["status"]) == (201, "log.txt", "loaded")
    assert [d["path"] for d in curl(f"{url}/documents")[1]] == ["log.txt"]
    plan = curl(f"{url}/plan?mode=whole")[1]
    warmed = curl("-X", "POST", f"{url}/warm")[1]
    assert warmed["prompt_tokens"] > plan["corpus_tokens"] > 100
    assert curl(f"{url}/source?document=log.txt&char_start=0")[1]["highlight_start"] == 1
    assert curl("-X", "POST", f"{served[0]}/api/sessions?name=kept&collection=logbook")[0] == 201
    assert [s["name"] for s in curl(f"{served[0]}/api/sessions")[1]] == ["kept"]
    assert curl("-X", "DELETE", f"{served[0]}/api/sessions/kept")[0] == 204
    assert curl("-X", "DELETE", f"{served[0]}/api/sessions/kept")[0] == 404
    assert curl("-X", "DELETE", f"{url}/documents/log.txt")[0] == 204
    assert curl("-X", "DELETE", url)[0] == 204
    assert curl(f"{url}/documents")[0] == 404


def test_metrics_count_answers(served: tuple[str, Library], client: openai.OpenAI) -> None:
    def value(name: str) -> float:
        lines = httpx.get(f"{served[0]}/metrics").text.splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))

    chat(client)
    before = value("omnibus_answer_tokens_total"), value("omnibus_ttft_seconds_count")
    chat(client, max_tokens=3)
    assert (value("omnibus_answer_tokens_total"), value("omnibus_ttft_seconds_count")) == (before[0] + 3, before[1] + 1)


def test_metrics_tell_of_queue_cache_rate_and_attention(served: tuple[str, Library], client: openai.OpenAI) -> None:
    served[1].collection("fresh").add_bytes("fresh.txt", NOTES.encode() * 3)
    for _ in range(2):
        chat(client, model="x@fresh")
    text = httpx.get(f"{served[0]}/metrics").text
    values = {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if not line.startswith("#")}
    assert values["omnibus_queue_limit"] == 2
    assert values["omnibus_queue_waiting"] == values["omnibus_queue_running"] == 0
    assert values["omnibus_queue_wait_seconds_count"] >= 2
    assert 0 < values["omnibus_cache_hit_share"] < 1
    assert values["omnibus_prefill_tokens_per_second"] > 1
    assert values["omnibus_density_count"] >= 1
    assert values['omnibus_ttft_seconds_bucket{le="+Inf"}'] == values["omnibus_ttft_seconds_count"]


def test_metrics_hold_what_an_answer_kept_of_its_attention() -> None:
    metrics = Metrics(Queue(1))
    stats = AnswerStats(100, 40, 0.5, 0.6, 9.0, "auto", "whole", 0.3, 0.97, 7)
    metrics.count(stats)
    text = metrics.text().decode()
    for line in (
        "omnibus_kept_mass_sum 0.97",
        "omnibus_density_sum 0.3",
        "omnibus_prefill_tokens_per_second 120.0",
        "omnibus_cache_hit_share 0.4",
    ):
        assert f"\n{line}\n" in text


def test_a_tokens_limits_hold_and_say_when_to_come_back(served: tuple[str, Library]) -> None:
    url, library = served
    tokens = Tokens(library.settings.home)
    slow, free = tokens.new("slow", ("ask", "manage"), per_minute=2, max_mb=1), tokens.new("free", ("ask",))
    try:

        def asked(secret: str, path: str = "/v1/models", **more: Any) -> httpx.Response:
            return httpx.request(
                "POST" if more else "GET", url + path, headers={"authorization": f"Bearer {secret}"}, **more
            )

        big = asked(slow, "/api/collections/big/documents?filename=a.txt", content=b"x" * (1 << 20 | 1))
        assert (big.status_code, big.json()["error"]["code"]) == (413, "too_large")
        assert asked(slow).status_code == 200
        refused = asked(slow)
        assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limit_error")
        assert 1 <= int(refused.headers["retry-after"]) <= 30
        assert [asked(free).status_code for _ in range(4)] == [200] * 4
    finally:
        tokens.path.unlink()


def test_a_bucket_fills_steadily() -> None:
    now = [0.0]
    limits = Limits(lambda: now[0])
    token = Token("t", ("ask",), "", "digest", per_minute=6)
    assert [limits.wait_s(token, "/v1/models") for _ in range(6)] == [None] * 6
    assert limits.wait_s(token, "/v1/models") == 10
    assert limits.wait_s(token, "/gradio_api/queue") is None  # the page is not counted
    now[0] = 10.5
    assert [limits.wait_s(token, "/v1/models") for _ in range(2)] == [None, 10]


def test_logs_name_the_request_and_hide_secrets(
    served: tuple[str, Library], capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "omni-abcdefghijklmnopqrstuvwxyz"
    handler = start_logging("json")
    try:
        httpx.get(f"{served[0]}/?token={secret}", headers={"x-request-id": "mine-2"})
        logging.getLogger("omnibus.http").warning("sent Authorization: Bearer abc.def and %s", secret)
        said, until = "", time.monotonic() + 30
        while "mine-2" not in said and time.monotonic() < until:  # the request is told of when its answer is out
            said += capsys.readouterr().err
            time.sleep(0.05)
    finally:
        logging.getLogger().removeHandler(handler)
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    (request,) = [line for line in lines if line.get("request_id") == "mine-2"]
    assert (request["method"], request["status"], request["level"]) == ("GET", 200, "info")
    assert request["ms"] >= 0
    said = json.dumps(lines)
    assert secret not in said
    assert "abc.def" not in said
    assert "[hidden]" in said


def test_tokens_open_only_what_they_are_for(served: tuple[str, Library]) -> None:
    url, library = served
    tokens = Tokens(library.settings.home)
    secret = {name: tokens.new(name, scopes) for name, scopes in (("a", ("ask",)), ("b", ("manage", "ask")))}  # type: ignore[arg-type]
    try:
        assert all(value not in tokens.path.read_text() for value in secret.values())
        assert tokens.path.stat().st_mode & 0o777 == 0o600

        def status(path: str, token: str | None = None, method: str = "GET") -> int:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            return httpx.request(method, url + path, headers=headers).status_code

        described = httpx.get(f"{url}/openapi.json", headers={"authorization": f"Bearer {secret['b']}"}).json()
        for path, methods in described["paths"].items():
            for method in methods:
                expected = 200 if path == "/healthz" else 401
                assert status(path, method=method.upper()) == expected, path
        for path in ("/", "/config", "/gradio_api/info", "/openapi.json", "/metrics", "/?token=wrong"):
            assert status(path) == 401, path
        assert status("/v1/models", "omni-wrong") == 401
        assert status("/v1/models", secret["a"]) == 200
        assert status("/api/collections", secret["a"]) == 200
        assert status("/api/collections/shore", secret["a"], "DELETE") == 403
        assert status("/", secret["a"]) == 403
        assert status("/metrics", secret["b"]) == 403
        with httpx.Client(follow_redirects=True) as browser:
            assert browser.get(f"{url}/?token={secret['b']}").status_code == 200
            assert browser.get(f"{url}/config").status_code == 200
        tokens.remove("b")
        assert status("/v1/models", secret["b"]) == 401
    finally:
        tokens.path.unlink()
