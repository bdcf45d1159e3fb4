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
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers

from engine.bench.cases import steps, together
from engine.bench.rivals import DECODED, Prompt, llama_cpp, sdpa
from engine.bench.turns import Run, in_turns, timed, times
from engine.decode.sampling import Sampling
from engine.engine import Engine
from engine.models.model import LanguageModel
from engine.policies import policy_by_name

ROOT = Path(__file__).parents[2]


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
    model = LanguageModel.load("default", dtype=options.dtype, home=options.home)
    model.stop_ids = frozenset()  # decode a fixed number of tokens
    text = "".join(path.read_text() for path in sorted((ROOT / "engine").rglob("*.py")))
    rows = []
    for n in options.tokens:
        ids = model.encode(text)[:n]
        if options.questions:
            found = iter([answered(model, ids, options.questions, options.rounds)])
        else:
            found = compare(model, ids, options)
        for row in found:
            print("  ".join(f"{k} {v:.2f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
            rows.append(row)
    if options.out:
        load = {"load": [before, os.getloadavg()[0]]}
        options.out.write_text(json.dumps({**machine(model), **load, "rows": rows}, indent=1) + "\n")


def compare(model: LanguageModel, ids: list[int], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """All engines in turn: prefill of all tokens, then decoding behind them; ratios are to transformers."""
    engine, prompt = Engine(model), Prompt(model, ids, options.gguf)
    others = {"transformers": sdpa(prompt)}
    if options.gguf:
        others["llama.cpp"] = llama_cpp(prompt)
    prefills: dict[str, Run] = {"omnibus": lambda: timed(lambda: engine.context(ids))}
    if options.policy:
        sparse = Engine(model, policy=policy_by_name(options.policy, model.config, "cpu"))
        prefills[f"omnibus {options.policy}"] = lambda: timed(lambda: sparse.context(ids))
    decodes: dict[str, Run] = {"omnibus": partial(steps, engine, engine.context(ids[:-1]), ids[-1:])}
    prefills |= {name: rival.prefill for name, rival in others.items() if rival.prefill}
    decodes |= {name: rival.decode for name, rival in others.items() if rival.decode}
    for what, tokens, runs in (("prefill", len(ids), prefills), ("decode", DECODED, decodes)):
        taken = in_turns(runs, options.rounds)
        row: dict[str, Any] = {"what": what, "tokens": len(ids)}
        row |= {name: tokens / statistics.median(found) for name, found in taken.items()}
        base = taken["transformers"]
        row |= {f"ratio {name}": times(base, found) for name, found in taken.items() if found is not base}
        yield row


def answered(model: LanguageModel, ids: list[int], questions: int, rounds: int) -> dict[str, Any]:
    """Seconds a question of answers to many questions over one prompt, together and one after another."""
    engine = Engine(model)
    suffixes = [model.encode(f"\nWhat does part {i} of this program do, and who calls it?") for i in range(questions)]
    room = Sampling(max_new_tokens=DECODED)
    taken = in_turns(together(engine, engine.context(ids), suffixes, room), rounds)
    return {
        "what": "questions", "tokens": len(ids), "questions": questions,
        "seconds alone": statistics.median(taken["one by one"]) / questions,
        "seconds together": statistics.median(taken["together"]) / questions,
        "ratio": times(taken["one by one"], taken["together"]),
    }  # fmt: skip


def words() -> list[str]:
    """The command's arguments, without this machine's paths."""
    return [
        "FILE" if before in ("--out", "--gguf") else word for before, word in itertools.pairwise(["", *sys.argv[1:]])
    ]


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
