"""Retention: what the adapter cost. `python -m app.reader.retention --held-out FILE --out FILE`.

The base and the reader go on with the same unseen prose and code (perplexity), and follow the same fifty plain
instructions without documents; each reply is judged by a pattern that a right one has. With `--product` the product is
asked the instructions too, as its API would be, which puts them to the model that answers without documents.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import torch

from app.reader.sources import load
from engine.decode.sampling import Sampling
from engine.engine import Engine
from engine.evaluation.evaluate import versions
from engine.evaluation.forced import forced
from engine.evaluation.texts import MODULES, source
from engine.models.frame import Message
from engine.models.model import LanguageModel

if TYPE_CHECKING:
    from app.library import Library

SYSTEM = "You are a helpful assistant."
INSTRUCTIONS = (
    ("What is the capital of France?", "paris"),
    ("What is the capital of Italy?", "rome"),
    ("What is the capital of Japan?", "tokyo"),
    ("What is the capital of Germany?", "berlin"),
    ("Which planet is known as the red planet?", "mars"),
    ("How many days are there in a week?", "seven|7"),
    ("How many months are there in a year?", "twelve|12"),
    ("What is 2 + 3?", r"\b5\b|five"),
    ("What is 10 - 4?", r"\b6\b|six"),
    ("What is 3 times 4?", r"\b12\b|twelve"),
    ("What colour is the sky on a clear day?", "blue"),
    ("What do bees make?", "honey"),
    ("What is the opposite of hot?", "cold"),
    ("What is the opposite of up?", "down"),
    ("What is the plural of mouse?", "mice"),
    ("What is the past tense of go?", "went"),
    ("Which animal barks?", "dog"),
    ("Who wrote Romeo and Juliet?", "shakespeare"),
    ("Who wrote The Origin of Species?", "darwin"),
    ("Who developed the theory of relativity?", "einstein"),
    ("What is the chemical symbol of water?", r"h2o|h₂o"),
    ("What is the chemical symbol of oxygen?", r"\bO2?\b|O₂"),
    ("At what temperature in degrees Celsius does water boil?", "100|212"),
    ("Which ocean lies between Europe and America?", "atlantic"),
    ("On which continent is Egypt?", "africa"),
    ("On which continent is Brazil?", "america"),
    ("Which language is spoken in Brazil?", "portuguese"),
    ("Which metal is liquid at room temperature?", "mercury"),
    ("Which gas do plants take in for photosynthesis?", "carbon dioxide|co2|co₂"),
    ("Name the largest planet of the solar system.", "jupiter"),
    ("Name three primary colours.", "red.*(blue|yellow|green)|blue.*red|yellow.*red"),
    ("Name two fruits.", "apple|banana|orange|mango|grape|pear|berr|kiwi"),
    ("Name three European countries.", "france|germany|italy|spain|portugal|kingdom|poland|sweden|austria"),
    ("Name a programming language.", r"python|java|c\+\+|ruby|rust|perl|\bgo\b"),
    ("Write the word 'hello' in capital letters.", "HELLO"),
    ("Say good morning in Spanish.", "buenos d"),
    ("Translate 'thank you' into French.", "merci"),
    ("Give me a synonym of happy.", "joy|glad|cheer|content|delight|elated|pleased|bliss"),
    ("Give me a synonym of big.", "large|huge|enormous|giant|great|massive|vast|immense"),
    ("Write a Python function that adds two numbers.", r"def \w+\("),
    ("Write a Python loop that prints the numbers from 1 to 5.", r"for \w+ in range"),
    ("Write an HTML tag for a paragraph.", "<p>"),
    ("Write one sentence about a cat.", r"\bcats?\b"),
    ("Write one sentence about the sea.", r"\b(sea|ocean|waves?|water)\b"),
    ("Write a short poem about spring.", "spring|bloom|flower|blossom"),
    ("Explain in one sentence what gravity is.", "force|attract|pull"),
    ("Explain in one sentence what a computer is.", "machine|device|electronic|process"),
    ("What do people use an umbrella for?", "rain|sun|weather"),
    ("Complete the proverb: an apple a day keeps the", "doctor"),
    ("List the numbers from 1 to 5.", r"1\D+2\D+3\D+4\D+5"),
)
"""Fifty instructions, and what a right reply has in it (a pattern; case counts only where it has capitals)."""
BLOCK = 2048
BLOCKS, BEGUN = 12, 16
MOST_PERCENT, MOST_LOST = 3.0, 2
ROOM = 96


def followed(reply: Callable[[str], str]) -> dict[str, Any]:
    """How many of the instructions get a right reply, and each with its reply and whether that is right."""
    replies = []
    for asked, right in INSTRUCTIONS:
        text = reply(asked)
        flags = re.DOTALL | (0 if re.search(r"(?<!\\)[A-Z]", right) else re.IGNORECASE)
        replies.append((asked, text, re.search(right, text, flags) is not None))
    return {"right": sum(good for *_, good in replies), "instructions": len(replies), "replies": replies}


def of_model(model: LanguageModel) -> Callable[[str], str]:
    """The model's own greedy reply."""
    engine = Engine(model)

    def reply(asked: str) -> str:
        head, tail = model.frame([Message("user", asked)], system=SYSTEM)
        generation = engine.generate(engine.context(head), tail, sampling=Sampling(max_new_tokens=ROOM))
        return "".join(generation)

    return reply


def of_product(library: Library) -> Callable[[str], str]:
    """What the product says, greedily, where no collection is named."""
    from app.answering.completion import converse

    return lambda asked: "".join(
        converse(library, [Message("user", asked)], system=SYSTEM, sampling=Sampling(max_new_tokens=ROOM))
    )


def surprise(model: LanguageModel, blocks: Sequence[Sequence[int]]) -> float:
    """Perplexity of the tokens of each block behind its first sixteen."""
    engine = Engine(model)
    read = [forced(model, engine.context(block[:BEGUN]).prefix, block[BEGUN:]).nll for block in blocks]
    return math.exp(torch.cat(read).mean().item())


def blocks(model: LanguageModel, texts: Iterator[str], tokens: int = BLOCK) -> list[list[int]]:
    """The beginnings of texts that are long enough, in tokens."""
    cut = (list(model.encode(text)[:tokens]) for text in texts)
    return list(islice((ids for ids in cut if len(ids) == tokens), BLOCKS))


def main() -> None:
    """Measure both models and say whether anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="smollm2-135m,smollm2-135m-reader", help="names or folders: base, reader")
    parser.add_argument("--held-out", type=Path, required=True, help="held_out.jsonl.xz of app.reader.sources")
    parser.add_argument("--home", type=Path, help="OMNIBUS_HOME, where the models are")
    parser.add_argument("--product", action="store_true", help="ask the product too (needs SQLAlchemy)")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    random = Random("retention")
    manuals = [s.text for s in load(given.held_out) if not s.code]
    random.shuffle(manuals)
    modules = random.sample(MODULES, len(MODULES))
    rows = []
    for name in given.models.split(","):
        model = LanguageModel.load(name, home=given.home)
        texts = {"prose": iter(manuals), "code": (source(m) for m in modules)}
        row: dict[str, Any] = {"model": model.name}
        for kind, each in texts.items():
            cut = blocks(model, each)
            row[kind] = surprise(model, cut)
            row[f"{kind}_blocks"] = len(cut)
        row |= followed(of_model(model))
        rows.append(row)
        print(json.dumps({k: v for k, v in row.items() if k != "replies"}), flush=True)
    base, reader = rows
    if given.product:
        from app.library import Library

        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            (home / "models").symlink_to((given.home or Path.home() / ".cache" / "omnibus").resolve() / "models")
            with Library(home) as library:
                rows.append({"model": "product", **followed(of_product(library))})
    more = {kind: 100 * (reader[kind] / base[kind] - 1) for kind in ("prose", "code")}
    kept = all(percent <= MOST_PERCENT for percent in more.values()) and reader["right"] >= base["right"] - MOST_LOST
    facts = versions() | {"when": time.strftime("%Y-%m-%d"), "block_tokens": str(BLOCK)}
    given.out.write_text(
        json.dumps({"environment": facts, "more_percent": more, "kept": kept, "rows": rows}, indent=1) + "\n"
    )
    said = ", ".join(f"{kind} {percent:+.1f} %" for kind, percent in more.items())
    print(f"Perplexity: {said}; instructions: {reader['right']} of {len(INSTRUCTIONS)} right, base {base['right']}.")


if __name__ == "__main__":
    main()
