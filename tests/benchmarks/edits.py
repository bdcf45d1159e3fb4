"""What reusing KV behind an edit costs and says, beside reading everything behind it again; default model, ~2K tokens.

    python -m tests.benchmarks.edits [--tokens 2000] [--out FILE]

A document in the middle changes, a little (two facts in it) or wholly (another text in its place). What stands behind
it is moved, and a share of its tokens computed anew. Compared with a full prefill: the prediction behind
each of 128 tokens that follow, and greedy answers to questions about what stands behind the edit. A share of 1 is all
computed anew in another order: what it differs is rounding, the floor for the others.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from engine.decode.generate import Generation
from engine.decode.sampling import Sampling
from engine.engine import Engine
from engine.kv.cache import KVCache
from engine.kv.edits import reuse
from engine.kv.prefix import ResidentPrefix
from engine.models.layers import run_layers
from engine.models.model import LanguageModel
from engine.policies import Dense
from engine.prefill.attention import Attending
from tests.benchmarks.cpu_engine import ROOT, machine

SHARES = (0.0, 0.15, 0.4, 1.0)
ASKED = 128
QUESTIONS = (
    "Who is the warden of the hut?",
    "Where does the drinking water come from?",
    "When is supper served?",
    "Where is the stretcher stored?",
)


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--home", type=Path, default=ROOT / ".cache" / "omnibus")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    model = LanguageModel.load("default", home=options.home)
    found: dict[str, Any] = {**machine(model), "command": "python -m tests.benchmarks.edits", "rows": []}
    for edit in edits(model, options.tokens):
        found["rows"] += measured(model, edit)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


@dataclass(frozen=True, slots=True)
class Edit:
    """A text before a document, the document as it was and is, the text behind it, and what follows; tokens."""

    name: str
    before: list[int]
    old: list[int]
    new: list[int]
    behind: list[int]
    asked: list[int]


def edits(model: LanguageModel, tokens: int) -> list[Edit]:
    """A small edit and a large one."""
    source = "".join(path.read_text() for path in sorted((ROOT / "engine" / "store").glob("*.py")))
    code, booking = model.encode(source), (ROOT / "data" / "samples" / "booking.py").read_text()
    handbook = model.encode("\n\n" + (ROOT / "data" / "samples" / "handbook.md").read_text())
    before, old = code[: tokens // 3], model.encode(booking)
    rest = tokens - len(before) - len(old) - len(handbook)
    behind = code[tokens // 3 : tokens // 3 + rest] + handbook
    asked = code[tokens : tokens + ASKED]
    little = model.encode(booking.replace("hut", "mountain lodge").replace("night", "single night"))
    return [
        Edit("a little", before, old, little, behind, asked),
        Edit("wholly", before, old, code[-2 * len(old) // 3 :], behind, asked),
    ]


def measured(model: LanguageModel, edit: Edit) -> list[dict[str, Any]]:
    """A row for each share."""
    before, old, new, behind = edit.before, edit.old, edit.new, edit.behind
    engine = Engine(model, policy=Dense())
    tokens = before + new + behind
    was, head = engine.context(before + old + behind).cache, engine.context(before + new).cache
    started = time.perf_counter()
    right = copied(model, head, len(tokens))
    model.step(behind, right)
    computing = time.perf_counter() - started
    expected, answers = predictions(model, right, edit.asked), said(model, right)
    rows = []
    for share in SHARES:
        cache = copied(model, head, len(tokens))
        started = time.perf_counter()
        audit = reuse(model, cache, tokens, was, len(before + old), share)
        seconds = time.perf_counter() - started
        got, told = predictions(model, cache, edit.asked), said(model, cache)
        row = {
            "edit": edit.name,
            "tokens": len(tokens),
            "behind": audit.reused,
            "share": share,
            "difference": audit.difference,
            "divergence": float(F.kl_div(got, expected, log_target=True, reduction="batchmean")),
            "same_next_token": float((got.argmax(-1) == expected.argmax(-1)).float().mean()),
            "same_answers": sum(a == b for a, b in zip(told, answers, strict=True)) / len(answers),
            "seconds_of_computing": seconds / computing,
        }
        print(", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
        rows.append(row)
    return rows


def copied(model: LanguageModel, cache: KVCache, capacity: int) -> KVCache:
    """The same states with room for more."""
    made, n = model.new_cache(capacity + ASKED), cache.length
    for mine, theirs in zip(made.span(0, n), cache.span(0, n), strict=True):
        mine[0].copy_(theirs[0])
        mine[1].copy_(theirs[1])
    made.fill(n)
    assert isinstance(made, KVCache)
    return made


@torch.inference_mode()
def predictions(model: LanguageModel, cache: KVCache, asked: list[int]) -> torch.Tensor:
    """Log-probabilities [ASKED, vocab] of what follows each token asked."""
    base = cache.length
    positions = torch.arange(base, base + len(asked))[None]
    hidden = run_layers(model.decoder, torch.tensor(asked)[None], positions, cache, Attending(Dense()))
    cache.truncate(base)
    return model.head(model.decoder.norm(hidden)[0]).float().log_softmax(-1)


def said(model: LanguageModel, cache: KVCache) -> list[str]:
    """Greedy answers."""
    greedy = Sampling(temperature=0, max_new_tokens=8)
    asked = [model.encode(f"\n\nQuestion: {question}\nAnswer:") for question in QUESTIONS]
    prefix = ResidentPrefix(cache)
    return ["".join(Generation(model, prefix, ids, sampling=greedy, chunk_tokens=1024)) for ids in asked]


if __name__ == "__main__":
    main()
