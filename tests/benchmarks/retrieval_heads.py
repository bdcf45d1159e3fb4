"""Finds a model's retrieval heads and tells how well they point: `python -m tests.benchmarks.retrieval_heads`.

Invented facts at random depths of real prose, the true answer fed. Heads are chosen on one half of the facts; on the
other half, how often the block that gets most of their attention is the fact's own. Prints the line for
data/models.toml.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import torch

from engine.decode.decoding import Decoding
from engine.decode.provenance import Heads, Provenance
from engine.decode.retrieval_heads import Needle, best_heads, retrieval_scores
from engine.engine import Engine
from engine.models.frame import Message
from engine.models.model import LanguageModel
from tests.texts import long_text

ROOT = Path(__file__).parents[2]
PEOPLE = "Edda Brandt, Jonas Weil, Mira Osei, Pavel Kubin, Ana Lopes, Tarik Demir, Lena Falk, Ivo Horvat".split(", ")
THINGS = "the bridge, the mill, the tower, the harbour, the library, the orchard, the kiln, the observatory".split(", ")
DEEDS = "repainted, designed, bought, measured, restored, insured, sketched, flooded".split(", ")


def needles(model: LanguageModel, count: int, tokens: int) -> list[Needle]:
    """`count` prompts of about `tokens` tokens with one invented fact each."""
    dice, text = random.Random(3), model.encode(long_text("prose"))
    made = []
    for _ in range(count):
        who, thing, deed = dice.choice(PEOPLE), dice.choice(THINGS), dice.choice(DEEDS)
        fact = model.encode(f"\n{who} {deed} {thing}.\n")
        start = dice.randrange(len(text) - tokens)
        around = text[start : start + tokens]
        depth = dice.randrange(32, tokens - 32)
        head, tail = model.frame([Message("user", f"Answer from the documents: who {deed} {thing}?")], system="")
        prefix = [*head, *around[:depth], *fact, *around[depth:]]
        begin = len(head) + depth
        made.append(Needle(tuple(prefix), tuple(tail), tuple(model.encode(who)), begin, begin + len(fact)))
    return made


@torch.inference_mode()
def pointed(model: LanguageModel, heads: Heads, some: list[Needle], block: int = 32) -> tuple[float, float]:
    """How often the block with most attention, and one of the best three, holds the fact."""
    engine, first, third = Engine(model), 0, 0
    for needle in some:
        context = engine.context(needle.prefix)
        seen = Provenance(heads, len(needle.prefix), block=block, device=model.device)
        room = len(needle.question) + len(needle.answer)
        decoding = Decoding(model, context.prefix, capacity=room, provenance=seen)
        decoding.read(0, needle.question)
        decoding.going([0])
        for token in needle.answer:
            decoding.step([token])
        order = torch.tensor(seen.shares()).argsort(descending=True).tolist()
        true = set(range(needle.start // block, (needle.end - 1) // block + 1))
        first += order[0] in true
        third += bool(true & set(order[:3]))
    return first / len(some), third / len(some)


def main() -> None:
    """Choose, test, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=int, default=40)
    parser.add_argument("--tokens", type=int, default=1500)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    model = LanguageModel.load("default", home=ROOT / ".cache" / "omnibus", device="cpu")
    made = needles(model, options.facts, options.tokens)
    half = len(made) // 2
    scores = retrieval_scores(model, made[:half])
    chosen = best_heads(scores)
    grouped: dict[int, list[int]] = {}
    for layer, head in chosen:
        grouped.setdefault(layer, []).append(head)
    third = model.fingerprint.layers // 3
    middle = dict.fromkeys(range(third, 2 * third), range(model.fingerprint.heads))
    rows: list[dict[str, Any]] = []
    for name, heads in (("chosen heads", grouped), ("all heads of the middle third", middle)):
        best, three = pointed(model, heads, made[half:])
        rows.append({"heads": name, "facts": len(made) - half, "first_block_right": best, "in_best_three": three})
        print(rows[-1])
    print("retrieval_heads =", json.dumps([list(pair) for pair in chosen]))
    print("scores", [round(float(scores[pair]), 3) for pair in chosen], "mean", round(float(scores.mean()), 4))
    if options.out:
        command = f"python -m tests.benchmarks.retrieval_heads --facts {options.facts} --tokens {options.tokens}"
        about = {"model": model.name, "torch": torch.__version__, "command": f"{command} --out FILE"}
        options.out.write_text(json.dumps({"environment": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
