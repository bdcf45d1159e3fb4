"""Our engine beside plain transformers on this CPU: prefill and decode, same prompt, same run, in turns.

    python -m tests.benchmarks.cpu_engine [--tokens 1024 4096] [--rounds 5] [--threads N] [--dtype auto] [--out FILE]
        [--policy auto:minimum=2048] [--gguf FILE.gguf] [--questions 24]

Prints medians in tokens per second and the ratio round by round (8K: --tokens 8000). `--policy` adds sparse prefill,
`--gguf` llama.cpp on that file (needs llama-cpp-python). `--questions` measures, instead, so many questions over one
prompt answered together beside one after another. The load average before and after
stands in the JSON: on a busy machine only the ratios mean something. transformers runs its default attention (SDPA) and
its own generate() with the same weights and number type; both decode rates run from the first token to the last.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM
from transformers.generation.streamers import BaseStreamer

from engine.default_model import pull
from engine.engine import Engine
from engine.model import LanguageModel
from engine.policies import policy_by_name
from engine.sampling import Sampling

ROOT = Path(__file__).parents[2]
DECODED = 32


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="torch's own choice where it is not given")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--home", type=Path, default=ROOT / ".cache" / "omnibus")
    parser.add_argument("--policy")
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--questions", type=int)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    before = os.getloadavg()[0]
    folder = pull(options.home)
    model = LanguageModel.load("default", dtype=options.dtype, home=options.home)
    model.stop_ids = frozenset()  # decode a fixed number of tokens
    text = "".join(path.read_text() for path in sorted((ROOT / "engine").rglob("*.py")))
    rows = []
    for n in options.tokens:
        ids = model.encode(text)[:n]
        if options.questions:
            found = iter([together(model, ids, options.questions, options.rounds)])
        else:
            found = compare(model, AutoModelForCausalLM.from_pretrained(folder, dtype=model.dtype), ids, options)
        for row in found:
            print("  ".join(f"{k} {v:.2f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
            rows.append(row)
    if options.out:
        load = {"load": [before, os.getloadavg()[0]]}
        options.out.write_text(json.dumps({**machine(model), **load, "rows": rows}, indent=1) + "\n")


def compare(model: LanguageModel, other: Any, ids: list[int], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """All engines in turn: prefill of all tokens, then decoding behind them; ratios are to transformers."""
    engine = Engine(model)
    sparse = Engine(model, policy=policy_by_name(options.policy, model.config, "cpu")) if options.policy else None
    batch = torch.tensor([ids])

    def our_prefill() -> float:
        return timed(lambda: engine.context(ids))

    def their_prefill() -> float:
        with torch.inference_mode():
            return timed(lambda: other(batch, logits_to_keep=1))

    context = engine.context(ids[:-1])

    def our_decode() -> float:
        generation = engine.generate(context, ids[-1:], sampling=Sampling(max_new_tokens=DECODED + 1))
        list(generation)
        assert generation.stats is not None
        return generation.stats.decode_seconds

    def their_decode() -> float:
        clock = Clock()
        other.generate(batch, max_new_tokens=DECODED + 1, min_new_tokens=DECODED + 1, do_sample=False, streamer=clock)
        return clock.times[-1] - clock.times[1]  # times[0] is the prompt

    prefills = {"omnibus": our_prefill, "transformers": their_prefill}
    decodes = {"omnibus": our_decode, "transformers": their_decode}
    if sparse:
        prefills[f"omnibus {options.policy}"] = lambda: timed(lambda: sparse.context(ids))
    if options.gguf:
        prefills["llama.cpp"], decodes["llama.cpp"] = llama_cpp(options.gguf, ids)
    for what, tokens, runs in (("prefill", len(ids), prefills), ("decode", DECODED, decodes)):
        rates: dict[str, list[float]] = {name: [] for name in runs}
        for i in range(options.rounds + 1):
            for name, run in runs.items():
                rate = tokens / run()
                if i:  # the first round warms up
                    rates[name].append(rate)
        row: dict[str, Any] = {"what": what, "tokens": len(ids)}
        row |= {name: statistics.median(found) for name, found in rates.items()}
        base = rates["transformers"]
        row |= {
            f"ratio {name}": statistics.median(a / b for a, b in zip(found, base, strict=True))
            for name, found in rates.items()
            if name != "transformers"
        }
        yield row


def together(model: LanguageModel, ids: list[int], questions: int, rounds: int) -> dict[str, Any]:
    """Seconds a question of answers to many questions over one prompt, together and one after another."""
    engine, sampling = Engine(model), Sampling(max_new_tokens=DECODED)
    context = engine.context(ids)
    suffixes = [model.encode(f"\nWhat does part {i} of this program do, and who calls it?") for i in range(questions)]

    def alone() -> float:
        return timed(lambda: [list(engine.generate(context, suffix, sampling=sampling)) for suffix in suffixes])

    def batch() -> float:
        return timed(lambda: list(engine.batch(context, suffixes, sampling=sampling, slots=questions)))

    alone(), batch()  # warm-up
    pairs = [(alone() / questions, batch() / questions) for _ in range(rounds)]
    return {
        "what": "questions", "tokens": len(ids), "questions": questions,
        "seconds alone": statistics.median(a for a, _ in pairs),
        "seconds together": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(a / b for a, b in pairs),
    }  # fmt: skip


def llama_cpp(gguf: Path, ids: list[int]) -> tuple[Callable[[], float], Callable[[], float]]:
    """llama.cpp's seconds for the prefill of `ids` and for decoding behind them."""
    from llama_cpp import Llama

    llm = Llama(str(gguf), n_ctx=len(ids) + 64, n_batch=512, n_threads=torch.get_num_threads(), verbose=False)

    def prefill() -> float:
        llm.reset()
        return timed(lambda: llm.eval(ids))

    def step() -> None:
        llm.eval([llm.sample(temp=0.0)])

    def decode() -> float:
        if llm.n_tokens != len(ids):
            prefill()
        seconds = timed(lambda: [step() for _ in range(DECODED)])
        llm.n_tokens = len(ids)
        llm._ctx.kv_cache_seq_rm(-1, len(ids), -1)
        return seconds

    return prefill, decode


class Clock(BaseStreamer):  # type: ignore[misc]
    """Notes when transformers hands out each token."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, value: torch.Tensor) -> None:
        """The prompt, then token after token."""
        self.times.append(time.perf_counter())

    def end(self) -> None:
        """Nothing to do."""


def words() -> list[str]:
    """The command's arguments, without this machine's paths."""
    return [
        "FILE" if before in ("--out", "--gguf") else word for before, word in itertools.pairwise(["", *sys.argv[1:]])
    ]


def timed(work: Callable[[], Any]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def machine(model: LanguageModel) -> dict[str, Any]:
    """What a reader needs to judge the figures."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "",
    )
    return {
        "command": " ".join(["python -m tests.benchmarks.cpu_engine", *words()]),
        "device": f"{cpu or platform.processor()}, {torch.get_num_threads()} threads",
        "model": model.name,
        "dtype": str(model.dtype).removeprefix("torch."),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "commit": commit.stdout.strip(),
    }


if __name__ == "__main__":
    main()
