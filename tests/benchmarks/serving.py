"""Many clients at one server: `python -m tests.benchmarks.serving --clients 64 --minutes 5 --out FILE`.

`omnibus serve` in a process of its own, on a small model with random weights (whose nonsense is told apart as well as
sense, and of which five minutes give thousands of answers) or on the default model. Every client streams one answer
after another, each compared with what the same question gave alone before; who is refused (429) waits and asks again.
The server's memory and its queue are looked at all the while.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import psutil

from engine.models import default_model
from tests.benchmarks.batch import questions
from tests.benchmarks.cpu_engine import words
from tests.benchmarks.host import host
from tests.conftest import KEPT, ROOT, SAMPLES

LOOK_S = 2.0
DIFFERENT = 16
"""Questions, each of which several clients ask at once."""
WARM = 0.25
"""Share of the time after which memory should grow no more."""


@dataclass
class Seen:
    """What the clients and the looker-on saw."""

    counts: Counter[str] = field(default_factory=Counter)
    ttft: list[float] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)


async def ask(client: httpx.AsyncClient, question: str, tokens: int) -> tuple[int, str, float, bool]:
    """One streamed answer: status, text, seconds to its first piece, and whether it ended as it should."""
    body = {"model": "x@hut", "messages": [{"role": "user", "content": question}], "max_tokens": tokens, "stream": True}
    started, first, text, ended = time.perf_counter(), 0.0, "", False
    async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        if answer.status_code != 200:
            await answer.aread()
            assert answer.status_code != 429 or int(answer.headers["retry-after"]) >= 1
            return answer.status_code, "", 0.0, False
        async for line in answer.aiter_lines():
            ended = ended or line == "data: [DONE]"
            if line.startswith("data: {"):
                choices = json.loads(line[6:])["choices"]
                if piece := choices and choices[0]["delta"].get("content"):
                    first = first or time.perf_counter() - started
                    text += piece
    return 200, text, first, ended


async def one_client(
    client: httpx.AsyncClient, place: int, known: dict[str, str], until: float, seen: Seen, tokens: int
) -> None:
    """Ask until the time is over."""
    asked = list(known)
    turn = place
    while time.monotonic() < until:
        question = asked[turn % len(asked)]
        status, text, first, ended = await ask(client, question, tokens)
        if status != 200:
            seen.counts[f"refused with {status}"] += 1
            await asyncio.sleep(1)
            continue
        turn += 1
        seen.counts["answers"] += 1
        seen.counts["broken off"] += not ended
        seen.counts["another text"] += text != known[question]
        seen.ttft.append(first)


async def look_on(client: httpx.AsyncClient, process: psutil.Process, started: float, seen: Seen) -> None:
    """Memory (MB) and queue until cancelled."""
    while True:
        seen.memory.append((time.monotonic() - started, process.memory_info().rss / 1e6))
        for line in (await client.get("/metrics")).text.splitlines():
            if line.startswith("omnibus_queue_waiting "):
                seen.waiting.append(float(line.split()[1]))
        await asyncio.sleep(LOOK_S)


async def load(url: str, pid: int, clients: int, minutes: float, tokens: int) -> tuple[Seen, float]:
    """All clients for so many minutes."""
    seen = Seen()
    limits = httpx.Limits(max_connections=clients + 8)
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as client:
        known = {q: (await ask(client, q, tokens))[1] for q in questions(DIFFERENT)}
        started = time.monotonic()
        watch = asyncio.create_task(look_on(client, psutil.Process(pid), started, seen))
        until = started + minutes * 60
        await asyncio.gather(*(one_client(client, n, known, until, seen, tokens) for n in range(clients)))
        watch.cancel()
        return seen, time.monotonic() - started


def measure(home: Path, model: str, clients: int, minutes: float, tokens: int, queue: int) -> dict[str, Any]:
    """Start the server, load it, end it; the figures."""
    (home / "models").symlink_to(default_model.pull(KEPT).parent)
    environment = {**os.environ, "OMNIBUS_HOME": str(home), "OMNIBUS_QUEUE_LIMIT": str(queue)}
    if model == "small":
        environment["OMNIBUS_MODEL"] = str(small_model(home / "small", home / "models"))
    add = [
        sys.executable,
        "-m",
        "omnibus",
        "add",
        str(SAMPLES / "handbook.md"),
        str(SAMPLES / "booking.py"),
        "-c",
        "hut",
    ]
    subprocess.run(add, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (home / "log.jsonl").open("w") as log:
        command = [sys.executable, "-m", "omnibus", "serve", "--port", str(port)]
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log)
        url = f"http://127.0.0.1:{port}"
        try:
            _await(url)
            seen, seconds = asyncio.run(load(url, server.pid, clients, minutes, tokens))
        finally:
            server.terminate()
            server.wait(30)
    faults = sum('"error"' in line or "Traceback" in line for line in (home / "log.jsonl").read_text().splitlines())
    warm = [mb for at, mb in seen.memory if at >= WARM * seconds]
    cuts = statistics.quantiles(seen.ttft, n=100)
    return {
        "clients": clients,
        "seconds": round(seconds, 1),
        "queue limit": queue,
        "most waiting": max(seen.waiting),
        **{name: seen.counts[name] for name in ("answers", "broken off", "another text", "refused with 429")},
        "other statuses": sum(n for name, n in seen.counts.items() if name.startswith("refused") and "429" not in name),
        "errors in the log": faults,
        "ttft p50 s": round(cuts[49], 2),
        "ttft p99 s": round(cuts[98], 2),
        "memory each half minute MB": [round(mb) for _, mb in seen.memory[:: round(30 / LOOK_S)]],
        "memory after warm-up MB": round(warm[0]),
        "memory at the end MB": round(warm[-1]),
        "memory at most MB": round(max(warm)),
        "memory trend MB a minute": round(_slope(seen.memory, WARM * seconds) * 60, 2),
    }


def small_model(folder: Path, models: Path) -> Path:
    """Four layers of random weights with the default model's tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

    tokenizer = AutoTokenizer.from_pretrained(next(models.glob("*/config.json")).parent)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _await(url: str) -> None:
    for _ in range(600):
        try:
            httpx.get(f"{url}/healthz")
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError("the server does not start")


def _slope(memory: list[tuple[float, float]], start: float) -> float:
    """MB a second, by least squares over what was seen after the start."""
    late = [(at, mb) for at, mb in memory if at >= start]
    return statistics.linear_regression([at for at, _ in late], [mb for _, mb in late]).slope


def main() -> None:
    """Measure, print, write; exit code 1 where a stream was lost or mixed, or the queue grew beyond its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=("small", "default"), default="small")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--queue", type=int, default=56)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        made = measure(
            Path(home), arguments.model, arguments.clients, arguments.minutes, arguments.tokens, arguments.queue
        )
    about = {"command": " ".join(["python -m tests.benchmarks.serving", *words()]), **host(), "model": arguments.model}
    made = {**about, "torch": version("torch"), **made}
    print(json.dumps(made, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(made, indent=1) + "\n")
    lost = made["broken off"] + made["another text"] + made["other statuses"]
    sys.exit(1 if lost or made["most waiting"] > made["queue limit"] else 0)


if __name__ == "__main__":
    main()
